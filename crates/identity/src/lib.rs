//! Who a node is and who may say so: keys, signed records, membership, revocation.
//!
//! The id of a node is its ed25519 public key. A closed network is a key too; who holds a membership
//! record signed by it is a member. Everything here is a function of its arguments: the time at which
//! validity is judged is one of them.

mod admission;
mod attempt;
mod join;
mod keys;
mod listing;
mod place;
mod rebuild;
mod record;
mod revocation;
mod sealed;
mod sequence;
mod verifier;

pub use admission::{Member, admit, admit_by};
pub use attempt::{AttemptKeys, Ephemeral};
pub use join::{JoinRequest, JoinRequestText};
pub use keys::{KeyError, KeyPair, verify_bytes};
pub use listing::{Listing, admit_to_list};
pub use place::place_of;
pub use rebuild::{MAX_REBUILD_AHEAD, MAX_REBUILD_LATE, MAX_REBUILD_REASON, RebuildRecord, RebuildWord, judge_rebuild};
pub use record::{RecordError, sign, verify};
pub use revocation::{RevocationList, Revoked};
pub use sealed::{open, seal};
pub use sequence::Sequence;
pub use verifier::Verifier;

#[cfg(test)]
mod rebuild_tests;
#[cfg(test)]
mod sealed_tests;
#[cfg(test)]
mod tests;
