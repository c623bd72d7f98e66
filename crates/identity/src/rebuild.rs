//! Who may have all members choose their links anew, and what such a record must look like.
//!
//! The network key may, and a member whose membership grants it the role `rebuild`. A proposal is any member's. A record
//! carries the membership of its author, so that it can be judged where the author is not known.

use meshline_protocol::message::{Membership, RebuildAbort, RebuildOrder, RebuildProposal, RecordText, Role};
use meshline_protocol::{NetworkId, NodeId, SignedRecord, UnixMicros};

use crate::record::{RecordError, verify_by};
use crate::revocation::RevocationList;
use crate::verifier::Verifier;

/// How long before its instant an order may be signed, in microseconds: a day. Who plans further ahead signs later.
pub const MAX_REBUILD_AHEAD: i64 = 24 * 3_600_000_000;

/// How long after its instant an order, or a proposal after its making, may hold, in microseconds: an hour.
pub const MAX_REBUILD_LATE: i64 = 3_600_000_000;

/// Characters of a reason: a sentence.
pub const MAX_REBUILD_REASON: usize = 200;

/// Digits of a nonce: 128 bits, which nobody can choose ids for beforehand.
const NONCE_DIGITS: usize = 32;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebuildWord {
    /// Links are to be chosen anew.
    Order(RebuildOrder),
    /// They are not.
    Abort(RebuildAbort),
    /// A member thinks that they should.
    Proposal(RebuildProposal),
}

/// A record that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildRecord {
    /// What it says.
    pub word: RebuildWord,
    /// The sequence of its author's membership; `None` for the network key.
    pub membership_seq: Option<UnixMicros>,
}

impl RebuildRecord {
    /// Its sequence.
    #[must_use]
    pub fn seq(&self) -> UnixMicros {
        match &self.word {
            RebuildWord::Order(order) => order.seq,
            RebuildWord::Abort(abort) => abort.seq,
            RebuildWord::Proposal(proposal) => proposal.seq,
        }
    }

    /// When it ends.
    #[must_use]
    pub fn expires(&self) -> UnixMicros {
        match &self.word {
            RebuildWord::Order(order) => order.expires,
            RebuildWord::Abort(abort) => abort.expires,
            RebuildWord::Proposal(proposal) => proposal.expires,
        }
    }
}

/// Judges a record at `now`.
///
/// # Errors
/// The reason it is refused: of the record itself, of its author's membership, or that the author may not say this.
pub fn judge_rebuild(
    verifier: &Verifier,
    record: &SignedRecord,
    network: &NetworkId,
    revoked: &RevocationList,
    now: UnixMicros,
) -> Result<RebuildRecord, RecordError> {
    // On an open network nobody is more than anybody else.
    let key = network.key().ok_or(RecordError::Foreign)?;
    let word = read(verifier, record, network, now)?;
    let (membership, needed) = match &word {
        RebuildWord::Order(order) => (&order.membership, Some(Role::Rebuild)),
        RebuildWord::Abort(abort) => (&abort.membership, Some(Role::Rebuild)),
        RebuildWord::Proposal(proposal) => (&proposal.membership, None),
    };
    if record.by == key && needed.is_some() {
        return Ok(RebuildRecord { word, membership_seq: None });
    }
    let membership = membership.as_ref().ok_or(RecordError::NotMember)?;
    if membership.by != key {
        return Err(RecordError::Foreign);
    }
    let membership: Membership = verify_by(verifier, membership, network, now)?;
    if revoked.ends(&record.by, membership.seq) {
        return Err(RecordError::Revoked);
    }
    let may = needed.is_none_or(|role| membership.roles.contains(&role));
    if membership.node != record.by || !may {
        return Err(RecordError::Foreign);
    }
    Ok(RebuildRecord { word, membership_seq: Some(membership.seq) })
}

/// Signature, form and dates of one of the three.
fn read(
    verifier: &Verifier,
    record: &SignedRecord,
    network: &NetworkId,
    now: UnixMicros,
) -> Result<RebuildWord, RecordError> {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    let Kind { kind } = serde_json::from_str(&record.signed).map_err(|_| RecordError::WrongForm)?;
    let word = match kind.as_str() {
        RebuildOrder::TYPE => RebuildWord::Order(verify_by(verifier, record, network, now)?),
        RebuildAbort::TYPE => RebuildWord::Abort(verify_by(verifier, record, network, now)?),
        RebuildProposal::TYPE => RebuildWord::Proposal(verify_by(verifier, record, network, now)?),
        _ => return Err(RecordError::WrongForm),
    };
    if is_well_formed(&word) { Ok(word) } else { Err(RecordError::WrongForm) }
}

fn is_well_formed(word: &RebuildWord) -> bool {
    match word {
        RebuildWord::Order(order) => {
            let (ahead, late) = (order.at.since(order.seq), order.expires.since(order.at));
            (1..=MAX_REBUILD_AHEAD).contains(&ahead)
                && (1..=MAX_REBUILD_LATE).contains(&late)
                && order.nonce.len() == NONCE_DIGITS
                && order.nonce.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                && order.reason.as_ref().is_none_or(|reason| is_sentence(reason))
        }
        RebuildWord::Abort(abort) => {
            abort.seq > abort.rebuild && abort.expires.since(abort.seq) <= MAX_REBUILD_AHEAD + MAX_REBUILD_LATE
        }
        RebuildWord::Proposal(proposal) => proposal.expires.since(proposal.seq) <= MAX_REBUILD_LATE,
    }
}

fn is_sentence(reason: &str) -> bool {
    reason.chars().count() <= MAX_REBUILD_REASON && !reason.chars().any(char::is_control)
}

impl RebuildWord {
    /// Whether `by` may end an order of `author` with this: the network key any, a member those of members.
    #[must_use]
    pub fn may_end(network: &NetworkId, by: &NodeId, author: &NodeId) -> bool {
        network.key() == Some(*by) || network.key() != Some(*author)
    }
}
