//! The documents of the signal server. They travel over HTTP, not over links.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_ADDRESSES, MAX_RECORD_TEXT};
use crate::message::Role;
use crate::{Address, Bounded, Name, NetworkId, NodeId, SignedRecord};

/// Longest body of a request to the signal server: a record and its frame.
pub const MAX_REQUEST: usize = 8 * 1024;

/// Longest list document a node reads: a thousand members at a kilobyte each.
pub const MAX_LIST: usize = 1024 * 1024;

/// Rows of one list a node takes.
pub const MAX_ROWS: usize = 1_024;

/// The value of [`NodeList::schema`].
pub const LIST_SCHEMA: &str = "meshline/nodes/1";

/// The body of `POST /v1/nodes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, try_from = "AnnounceBody")]
#[schemars(!try_from)]
pub enum AnnounceRequest {
    /// A signed record of type `announcement`.
    Announcement(SignedRecord),
    /// Prolongs an entry that the caller announced before.
    Refresh {
        /// The entry and the proof that the caller made it.
        refresh: RefreshRequest,
    },
}

/// What may stand in the body, read in one pass: an untagged enum would first be read into a tree of anything,
/// and say of every fault no more than that nothing fits.
#[derive(Deserialize)]
struct AnnounceBody {
    signed: Option<String>,
    by: Option<NodeId>,
    sig: Option<String>,
    refresh: Option<RefreshRequest>,
}

impl TryFrom<AnnounceBody> for AnnounceRequest {
    type Error = &'static str;

    fn try_from(body: AnnounceBody) -> Result<Self, Self::Error> {
        match (body.signed, body.by, body.sig, body.refresh) {
            (None, None, None, Some(refresh)) => Ok(Self::Refresh { refresh }),
            (Some(signed), Some(by), Some(sig), None) if signed.len() <= MAX_RECORD_TEXT => {
                Ok(Self::Announcement(SignedRecord { signed, by, sig }))
            }
            (Some(_), Some(_), Some(_), None) => Err("record text longer than 2048 bytes"),
            _ => Err("expected a record (`signed`, `by`, `sig`), or `refresh` alone"),
        }
    }
}

/// Prolongs an entry without a signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefreshRequest {
    /// The network of the entry.
    pub network: NetworkId,
    /// The member of the entry.
    pub id: NodeId,
    /// The secret from the answer to the announcement.
    pub secret: String,
}

/// The answer to an announcement or refresh, and the form of a static list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeList {
    /// `meshline/nodes/1`.
    #[serde(default)]
    pub schema: String,
    /// Members, proxies among them.
    #[serde(default)]
    pub nodes: Bounded<ListedNode, MAX_ROWS>,
    /// Those of the members that relay.
    #[serde(default)]
    pub proxies: Bounded<ListedNode, MAX_ROWS>,
    /// Closed networks: signed records of type `revocation` in force.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub revocations: Bounded<SignedRecord, { crate::limits::MAX_REVOCATIONS }>,
    /// The address the request came from, as `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Address>,
    /// Seconds until the entry ends unless refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_s: Option<u32>,
    /// The secret for [`RefreshRequest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
}

/// One member in a list. Only `addresses` is needed: the rest is proved when the member is linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedNode {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<NodeId>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its roles.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub roles: Bounded<Role, 8>,
    /// Where it was seen or answered; of what it announces only what was checked.
    #[serde(default)]
    pub addresses: Bounded<Address, MAX_ADDRESSES>,
    /// Its announcement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<SignedRecord>,
}
