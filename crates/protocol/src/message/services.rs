//! The directory of services: what members offer, and how copies of it are compared.
//!
//! A member's services stand together in the text of one broadcast of the service `services` ([`ServiceList`]), which
//! replaces the one before. Whoever was away asks a linked member: digests of slices first, then the names of the lists
//! in the slices that differ, then the lists themselves, signed as their owners sent them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use crate::limits::{MAX_CHAT_AUTHORS, MAX_IDS, MAX_SERVICE_LISTS, MAX_SERVICES, MAX_SLICES};
use crate::{Bounded, NodeId, ServiceKind, ServiceName, ServiceText, UnixMicros};

/// Comparing copies of the directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Services {
    /// What the sender keeps. Answered by `names`.
    Compare(ServicesCompare),
    /// The names of the lists in all slices that differ.
    Names(ServicesNames),
    /// Asks for lists. Answered by `lists`.
    Want(ServicesWant),
    /// The first of the lists that were asked for, as many as fit. Has a body.
    Lists(ServicesLists),
}

impl Services {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Compare(_) => "services.compare",
            Self::Names(_) => "services.names",
            Self::Want(_) => "services.want",
            Self::Lists(_) => "services.lists",
        }
    }
}

/// What the sender keeps, one digest a slice. A list is in the slice of the last byte of its owner's id, modulo the
/// number of digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicesCompare {
    /// The first 16 bytes of SHA-256 over the names of a slice in the order of owners, each as the owner's id (32 bytes)
    /// and `seq` (8 bytes, big endian), as 32 hex digits. One digest at least.
    pub digests: Bounded<String, MAX_SLICES>,
}

/// The name of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ServicesName {
    /// Whose services they are.
    pub by: NodeId,
    /// The owner's sequence.
    pub seq: UnixMicros,
}

/// Names of lists that the sender keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicesNames {
    /// The names.
    pub names: Bounded<ServicesName, MAX_IDS>,
    /// Whether more of them follow in another message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// Asks for lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicesWant {
    /// Whose. The newest that is kept of each is wanted.
    pub owners: Bounded<NodeId, MAX_SERVICE_LISTS>,
}

/// Lists. The body holds their signed texts (see [`super::SignedBroadcast`]) one behind the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServicesLists {
    /// Where one text ends and the next begins, and who signed it.
    pub lists: Bounded<ServicesEntry, MAX_SERVICE_LISTS>,
    /// Announcements of owners, by which a receiver that does not know them sees that they are members.
    pub owners: Bounded<SignedRecord, MAX_CHAT_AUTHORS>,
}

/// One list of the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicesEntry {
    /// The owner, whose key signed it.
    pub by: NodeId,
    /// The owner's sequence, as in the text.
    pub seq: UnixMicros,
    /// The signature over the exact bytes of the text, base64.
    pub sig: String,
    /// Bytes of the text.
    pub len: u32,
}

/// All that a member offers: the `text` of a broadcast of the service `services`, as JSON. It holds until the `expires`
/// of that broadcast; an empty list ends what was offered before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceList {
    /// Network time when it was written.
    pub at: UnixMicros,
    /// For how many seconds it holds from when it was written; nobody keeps it longer after it came.
    pub ttl_s: u32,
    /// The services, each name once.
    pub services: Bounded<OfferedService, MAX_SERVICES>,
}

/// One service that a member offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedService {
    /// The name by which it is asked for. Members that offer the same name and kind offer the same thing.
    pub name: ServiceName,
    /// What is spoken there, as in DNS-SD.
    pub kind: ServiceKind,
    /// Its port at the member, 0 if it has none.
    pub port: u16,
    /// What else there is to say of it.
    #[serde(default, skip_serializing_if = "ServiceText::is_empty")]
    pub text: ServiceText,
    /// Whether it answered when its owner tried last.
    #[serde(default, skip_serializing_if = "Health::is_unknown")]
    pub health: Health,
}

/// Whether a service answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It answered.
    Up,
    /// It did not.
    Down,
    /// Nobody tried.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Health {
    /// The name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
    const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}
