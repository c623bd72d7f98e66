//! Who may be a peer: the one place that judges an announcement together with its membership.

use std::sync::Arc;

use meshline_protocol::message::{Announcement, Membership, Role};
use meshline_protocol::{Address, Name, NetworkId, NodeId, SignedRecord, UnixMicros};

use crate::record::{RecordError, verify_by};
use crate::revocation::RevocationList;
use crate::verifier::Verifier;

/// A member as its announcement describes it, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its name; on an open network only claimed.
    pub name: Name,
    /// Its roles; on a closed network those its membership grants.
    pub roles: Vec<Role>,
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// Ring mode: the address of its configured successor.
    pub next: Option<Address>,
    /// The sequence of the announcement.
    pub seq: UnixMicros,
    /// When the announcement ends, or the membership under it if that is earlier.
    pub expires: UnixMicros,
    /// Closed networks: the sequence of the membership, which a later revocation ends.
    pub membership_seq: Option<UnixMicros>,
    /// The record itself, to be passed on.
    pub record: SignedRecord,
}

impl Member {
    /// Whether the member has a role.
    #[must_use]
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// Judges an announcement at `now`.
///
/// # Errors
/// The reason it is refused: of the announcement itself, of its membership, or that the member was revoked.
pub fn admit(
    record: &SignedRecord,
    network: &NetworkId,
    revoked: &RevocationList,
    now: UnixMicros,
) -> Result<Member, RecordError> {
    judge(&Verifier::default(), record, network, revoked, now)
}

/// As [`admit`], with signatures checked by `verifier`. One that remembers gives the same member to all who ask.
///
/// # Errors
/// As [`admit`].
pub fn admit_by(
    verifier: &Verifier,
    record: &SignedRecord,
    network: &NetworkId,
    revoked: &RevocationList,
    now: UnixMicros,
) -> Result<Arc<Member>, RecordError> {
    if let Some(member) = verifier.member(record, network) {
        if member.membership_seq.is_some_and(|seq| revoked.ends(&member.id, seq)) {
            return Err(RecordError::Revoked);
        }
        return if member.expires <= now { Err(RecordError::Expired) } else { Ok(member) };
    }
    let member = Arc::new(judge(verifier, record, network, revoked, now)?);
    verifier.note_member(&member, network);
    Ok(member)
}

fn judge(
    verifier: &Verifier,
    record: &SignedRecord,
    network: &NetworkId,
    revoked: &RevocationList,
    now: UnixMicros,
) -> Result<Member, RecordError> {
    let announcement: Announcement = verify_by(verifier, record, network, now)?;
    let membership = match network {
        NetworkId::Open(_) => None,
        NetworkId::Closed(key) => Some(membership_of(verifier, record.by, &announcement, *key, now)?),
    };
    describe(record, announcement, membership.as_ref(), revoked)
}

/// The member that texts describe whose signatures are good.
pub(crate) fn describe(
    record: &SignedRecord,
    announcement: Announcement,
    membership: Option<&Membership>,
    revoked: &RevocationList,
) -> Result<Member, RecordError> {
    let membership_seq = membership.map(|membership| membership.seq);
    let membership_end = membership.map(|membership| membership.expires);
    if membership_seq.is_some_and(|seq| revoked.ends(&record.by, seq)) {
        return Err(RecordError::Revoked);
    }
    let granted = |role: &Role| membership.is_none_or(|membership| membership.roles.contains(role));
    Ok(Member {
        id: record.by,
        roles: announcement.roles.iter().copied().filter(granted).collect(),
        name: announcement.name,
        addresses: announcement.addresses.into_vec(),
        next: announcement.next,
        seq: announcement.seq,
        expires: membership_end.map_or(announcement.expires, |end| end.min(announcement.expires)),
        membership_seq,
        record: record.clone(),
    })
}

fn membership_of(
    verifier: &Verifier,
    member: NodeId,
    announcement: &Announcement,
    key: NodeId,
    now: UnixMicros,
) -> Result<Membership, RecordError> {
    let record = membership_record(announcement, key)?;
    check_membership(verify_by(verifier, record, &NetworkId::Closed(key), now)?, member, announcement)
}

/// The membership in the network of this key that an announcement shows.
pub(crate) fn membership_record(announcement: &Announcement, key: NodeId) -> Result<&SignedRecord, RecordError> {
    let record = announcement.membership.as_ref().ok_or(RecordError::NotMember)?;
    if record.by == key { Ok(record) } else { Err(RecordError::Foreign) }
}

pub(crate) fn check_membership(
    membership: Membership,
    member: NodeId,
    announcement: &Announcement,
) -> Result<Membership, RecordError> {
    if membership.node != member || membership.name != announcement.name {
        return Err(RecordError::Foreign);
    }
    Ok(membership)
}
