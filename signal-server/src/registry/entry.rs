//! One member in the list, and which of its addresses are shown.

use std::net::IpAddr;

use meshline_identity::Member;
use meshline_protocol::message::Role;
use meshline_protocol::signal::ListedNode;
use meshline_protocol::{Address, Bounded, Name, NodeId, UnixMicros};

use super::Secret;
use crate::address::proved_by;

/// How an announced address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Nothing speaks for it yet; it is not listed.
    None,
    /// The announcement came from that host.
    Observed,
    /// The member answered there when it was dialled back.
    Answered,
}

#[derive(Debug)]
struct Claim {
    announced: Address,
    /// What is listed; differs from what was announced if that was "where you see me".
    listed: Address,
    proof: Proof,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: NodeId,
    pub(super) name: Name,
    pub(super) roles: Vec<Role>,
    pub(super) seq: UnixMicros,
    pub(super) membership_seq: Option<UnixMicros>,
    /// The end that the member signed.
    pub(super) expires: UnixMicros,
    /// The end unless refreshed; never behind `expires`.
    pub(super) ends: UnixMicros,
    /// The time under which the registry has queued the entry for its end; never behind `ends`.
    pub(super) due: UnixMicros,
    pub(super) secret: Secret,
    /// Where the announcement came from.
    pub(super) observed: IpAddr,
    /// The row of the list as JSON, ready to be joined with others.
    pub(super) json: Box<str>,
    claims: Vec<Claim>,
}

impl Entry {
    /// An entry that ends with its announcement; the registry gives it its term.
    pub(super) fn new(member: Member, observed: IpAddr, secret: Secret) -> Self {
        let claims = member.addresses.into_iter().map(|address| Claim::new(address, observed)).collect();
        let mut entry = Self {
            id: member.id,
            name: member.name,
            roles: member.roles,
            seq: member.seq,
            membership_seq: member.membership_seq,
            expires: member.expires,
            ends: member.expires,
            due: member.expires,
            secret,
            observed,
            json: Box::default(),
            claims,
        };
        entry.write_json();
        entry
    }

    /// Keeps what dial-back found out about addresses that the older entry of this member had too.
    pub(super) fn keep_answers_of(&mut self, older: &Self) {
        for claim in self.claims.iter_mut().filter(|claim| claim.proof == Proof::None) {
            let answered = |old: &Claim| old.proof == Proof::Answered && old.announced == claim.announced;
            if older.claims.iter().any(answered) {
                claim.proof = Proof::Answered;
            }
        }
        self.write_json();
    }

    /// The member was seen at `observed` again; whether this proves a further address. One that it did not name
    /// itself is not taken: the announcement may have been repeated by somebody else.
    pub(super) fn see(&mut self, observed: IpAddr) -> bool {
        let mut changed = false;
        for claim in self.claims.iter_mut().filter(|claim| claim.proof != Proof::Observed) {
            if proved_by(observed, &claim.announced).as_ref() == Some(&claim.announced) {
                claim.proof = Proof::Observed;
                changed = true;
            }
        }
        if changed {
            self.write_json();
        }
        changed
    }

    /// The outcome of a dial-back; whether it changes what is listed.
    pub(super) fn settle(&mut self, address: &Address, answered: bool) -> bool {
        let proof = if answered { Proof::Answered } else { Proof::None };
        let is_meant = |claim: &&mut Claim| claim.announced == *address && claim.proof != Proof::Observed;
        let Some(claim) = self.claims.iter_mut().find(is_meant).filter(|claim| claim.proof != proof) else {
            return false;
        };
        claim.proof = proof;
        self.write_json();
        true
    }

    /// The announced addresses that only a dial-back can prove.
    pub(super) fn unproved(&self) -> Vec<Address> {
        self.claims.iter().filter(|claim| claim.proof != Proof::Observed).map(|claim| claim.announced.clone()).collect()
    }

    pub(super) fn is_proxy(&self) -> bool {
        self.roles.contains(&Role::Proxy)
    }

    /// The addresses shown to others.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.claims.iter().filter(|claim| claim.proof != Proof::None).map(|claim| &claim.listed)
    }

    /// The announcement itself is not listed: it names the addresses that nothing speaks for as well.
    fn write_json(&mut self) {
        let row = ListedNode {
            id: Some(self.id),
            name: Some(self.name.clone()),
            roles: Bounded::from_first(self.roles.iter().copied()),
            addresses: Bounded::from_first(self.addresses().cloned()),
            record: None,
        };
        // Strings and enums alone: this cannot fail. If it did, the row would be one without content.
        self.json = serde_json::to_string(&row).unwrap_or_else(|_| "{}".to_owned()).into();
    }
}

impl Claim {
    fn new(announced: Address, observed: IpAddr) -> Self {
        match proved_by(observed, &announced) {
            Some(listed) => Self { announced, listed, proof: Proof::Observed },
            None => Self { listed: announced.clone(), announced, proof: Proof::None },
        }
    }
}
