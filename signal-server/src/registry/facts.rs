//! What a member said of itself and what speaks for it, packed: a million members are held, and few are looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use meshline_identity::Member;
use meshline_protocol::message::Role;
use meshline_protocol::{Address, Name, UnixMicros};

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

#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    announced: Address,
    proof: Proof,
}

/// What an entry holds beside its number, in its readable form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Where the announcement came from.
    pub(super) observed: IpAddr,
    pub(super) membership_seq: Option<UnixMicros>,
    pub(super) name: Name,
    pub(super) roles: Vec<Role>,
    claims: Vec<Claim>,
}

impl Facts {
    /// What an announcement says, seen from `observed`.
    pub(super) fn new(member: Member, observed: IpAddr) -> Self {
        let claim = |announced: Address| {
            let is_seen = proved_by(observed, &announced).is_some();
            Claim { announced, proof: if is_seen { Proof::Observed } else { Proof::None } }
        };
        Self {
            observed,
            membership_seq: member.membership_seq,
            name: member.name,
            roles: member.roles,
            claims: member.addresses.into_iter().map(claim).collect(),
        }
    }

    /// Keeps what dial-back found out about addresses that the older entry of this member had too.
    pub(super) fn keep_answers_of(&mut self, older: &Self) {
        for claim in self.claims.iter_mut().filter(|claim| claim.proof == Proof::None) {
            let answered = |old: &Claim| old.proof == Proof::Answered && old.announced == claim.announced;
            if older.claims.iter().any(answered) {
                claim.proof = Proof::Answered;
            }
        }
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
        true
    }

    /// The announced addresses that only a dial-back can prove.
    pub(super) fn unproved(&self) -> Vec<Address> {
        self.claims.iter().filter(|claim| claim.proof != Proof::Observed).map(|claim| claim.announced.clone()).collect()
    }

    /// The addresses shown to others.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> {
        let shown = self.claims.iter().filter(|claim| claim.proof != Proof::None);
        shown.map(|claim| self.listed(claim))
    }

    /// What was announced, unless that was "where you see me".
    fn listed(&self, claim: &Claim) -> Address {
        let seen = (claim.proof == Proof::Observed).then(|| proved_by(self.observed, &claim.announced)).flatten();
        seen.unwrap_or_else(|| claim.announced.clone())
    }

    pub(super) fn is_proxy(&self) -> bool {
        self.roles.contains(&Role::Proxy)
    }

    /// Whether every address is proved by where the member was seen: then a refresh has nothing to do.
    pub(super) fn is_settled(&self) -> bool {
        self.claims.iter().all(|claim| claim.proof == Proof::Observed)
    }

    /// The packed form.
    pub(super) fn pack(&self) -> Box<[u8]> {
        let mut out = vec![u8::from(self.is_settled())];
        match self.observed {
            IpAddr::V4(ip) => put_short(&mut out, &ip.octets()),
            IpAddr::V6(ip) => put_short(&mut out, &ip.octets()),
        }
        let seq = self.membership_seq.map(|seq| seq.get().to_le_bytes());
        put_short(&mut out, seq.as_ref().map_or(&[], |bytes| &bytes[..]));
        put_short(&mut out, self.name.as_str().as_bytes());
        let roles: Vec<u8> = self.roles.iter().map(|role| role_number(*role)).collect();
        put_short(&mut out, &roles);
        for claim in &self.claims {
            out.push(proof_number(claim.proof));
            let text = claim.announced.as_str().as_bytes();
            out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend_from_slice(text);
        }
        out.into()
    }

    /// The readable form; `None` if these bytes are not a packed form.
    pub(super) fn unpack(packed: &[u8]) -> Option<Self> {
        let (_, mut rest) = packed.split_first()?;
        let observed = match take_short(&mut rest)? {
            [a, b, c, d] => IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)),
            octets => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
        };
        let membership_seq = match take_short(&mut rest)? {
            [] => None,
            bytes => Some(UnixMicros::new(u64::from_le_bytes(bytes.try_into().ok()?))),
        };
        let name = std::str::from_utf8(take_short(&mut rest)?).ok()?.parse().ok()?;
        let roles = take_short(&mut rest)?.iter().map(|number| role_of(*number)).collect();
        let mut claims = Vec::new();
        while let Some((proof, behind)) = rest.split_first() {
            let (length, behind) = behind.split_first_chunk::<2>()?;
            let (text, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            let announced = std::str::from_utf8(text).ok()?.parse().ok()?;
            claims.push(Claim { announced, proof: proof_of(*proof)? });
            rest = behind;
        }
        Some(Self { observed, membership_seq, name, roles, claims })
    }
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

fn take_short<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first()?;
    let (bytes, behind) = behind.split_at_checked(usize::from(*length))?;
    *rest = behind;
    Some(bytes)
}

fn role_number(role: Role) -> u8 {
    match role {
        Role::Other => 0,
        Role::Node => 1,
        Role::View => 2,
        Role::Proxy => 3,
        Role::Exit => 4,
        Role::Rebuild => 5,
    }
}

fn role_of(number: u8) -> Role {
    match number {
        1 => Role::Node,
        2 => Role::View,
        3 => Role::Proxy,
        4 => Role::Exit,
        5 => Role::Rebuild,
        _ => Role::Other,
    }
}

fn proof_number(proof: Proof) -> u8 {
    match proof {
        Proof::None => 0,
        Proof::Observed => 1,
        Proof::Answered => 2,
    }
}

fn proof_of(number: u8) -> Option<Proof> {
    match number {
        0 => Some(Proof::None),
        1 => Some(Proof::Observed),
        2 => Some(Proof::Answered),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let claim = |text: &str, proof| Claim { announced: text.parse().expect("an address"), proof };
        Facts {
            observed: "2001:db8::1".parse().expect("an address"),
            membership_seq: Some(UnixMicros::new(77)),
            name: "bobby".parse().expect("a name"),
            roles: vec![Role::Proxy, Role::Node],
            claims: vec![claim("0.0.0.0:6001", Proof::Observed), claim("example.org:6001", Proof::Answered)],
        }
    }

    #[test]
    fn packing_loses_nothing() {
        let facts = facts();
        assert_eq!(Facts::unpack(&facts.pack()), Some(facts.clone()));
        assert!(!facts.is_settled());
        let bare = Facts { observed: IpAddr::V4(Ipv4Addr::LOCALHOST), membership_seq: None, claims: vec![], ..facts };
        assert_eq!(Facts::unpack(&bare.pack()), Some(bare.clone()));
        assert!(bare.is_settled());
    }

    #[test]
    fn a_packed_form_that_was_cut_is_none() {
        let packed = facts().pack();
        let whole_claims = |length: usize| Facts::unpack(&packed[..length]).is_some();
        let readable: Vec<usize> = (0..packed.len()).filter(|length| whole_claims(*length)).collect();
        assert_eq!(readable.len(), 2, "only between claims: {readable:?}");
    }
}
