//! Signed records: the one form, and the texts that are signed in it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::limits::{MAX_ADDRESSES, MAX_RECORD_TEXT, MAX_ROLES};
use crate::{Address, Bounded, Name, NetworkId, NodeId, ServiceName, UnixMicros};

/// The one form of every signed record. The signature covers the exact bytes of `signed`, which is itself
/// JSON and always holds `type`, `network`, `seq` and `expires`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedRecord {
    /// The JSON text that was signed, at most 2,048 bytes.
    #[serde(deserialize_with = "record_text")]
    #[schemars(length(max = "MAX_RECORD_TEXT"))]
    pub signed: String,
    /// The key that signed it.
    pub by: NodeId,
    /// The ed25519 signature (64 bytes), base64 with padding.
    pub sig: String,
}

fn record_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() <= MAX_RECORD_TEXT {
        Ok(text)
    } else {
        Err(serde::de::Error::custom("record text longer than 2048 bytes"))
    }
}

/// What every signed text says of itself.
pub trait RecordText: Serialize + for<'de> Deserialize<'de> {
    /// The value of `type`.
    const TYPE: &'static str;
    /// The network it belongs to.
    fn network(&self) -> &NetworkId;
    /// Increases with every record of one author and type.
    fn seq(&self) -> UnixMicros;
    /// When it ends.
    fn expires(&self) -> UnixMicros;
    /// The value of `type` as read.
    fn kind(&self) -> &str;
}

macro_rules! record_text {
    ($name:ident, $type:literal) => {
        impl RecordText for $name {
            const TYPE: &'static str = $type;
            fn network(&self) -> &NetworkId {
                &self.network
            }
            fn seq(&self) -> UnixMicros {
                self.seq
            }
            fn expires(&self) -> UnixMicros {
                self.expires
            }
            fn kind(&self) -> &str {
                &self.kind
            }
        }
    };
}

/// The network key says: this node is a member. Type `membership`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// `membership`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network whose key signs this.
    pub network: NetworkId,
    /// Increases with every membership the network signs.
    pub seq: UnixMicros,
    /// When the membership ends, a year after its making by default.
    pub expires: UnixMicros,
    /// The member.
    pub node: NodeId,
    /// The name that is the member's alone.
    pub name: Name,
    /// What it may be.
    pub roles: Bounded<Role, MAX_ROLES>,
}
record_text!(Membership, "membership");

/// The network key says: this node is a member no more. Type `revocation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revocation {
    /// `revocation`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network whose key signs this.
    pub network: NetworkId,
    /// Increases with every revocation the network signs. Memberships of the node with a lower `seq` are ended;
    /// a new invitation, made later, is not.
    pub seq: UnixMicros,
    /// When what it ends has expired anyway, so that it need not be kept any longer.
    pub expires: UnixMicros,
    /// The node that is expelled.
    pub node: NodeId,
}
record_text!(Revocation, "revocation");

/// A member says: here I am. Type `announcement`; travels in `hello`, in gossip and to the signal server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Announcement {
    /// `announcement`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Increases with every announcement of the member, over restarts too.
    pub seq: UnixMicros,
    /// When it ends unless renewed.
    pub expires: UnixMicros,
    /// The name the member goes by; on a closed network the one in its membership.
    pub name: Name,
    /// What it does.
    pub roles: Bounded<Role, MAX_ROLES>,
    /// Where it listens; empty for one that only connects out.
    pub addresses: Bounded<Address, MAX_ADDRESSES>,
    /// Ring mode: the address of the configured successor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Address>,
    /// Closed networks: the member's membership record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<SignedRecord>,
}
record_text!(Announcement, "announcement");

/// A member says: I left. Type `departure`; ends announcements of the member with a lower `seq`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Departure {
    /// `departure`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Above the `seq` of the announcement it ends.
    pub seq: UnixMicros,
    /// When it need not be known any longer.
    pub expires: UnixMicros,
}
record_text!(Departure, "departure");

/// A member's message to all, in the body of a broadcast. Type `broadcast`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedBroadcast {
    /// `broadcast`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Increases with every broadcast of the author, over restarts too.
    pub seq: UnixMicros,
    /// When it is too late to deliver it.
    pub expires: UnixMicros,
    /// The author's clock when it was written.
    pub time: UnixMicros,
    /// The hybrid clock (Kulkarni and others, "Logical Physical Clocks", 2014): the members' time when it was
    /// written, and above that of every message its author had seen. All members show messages in this order.
    pub clock: UnixMicros,
    /// The service it is for, such as `chat`.
    pub service: ServiceName,
    /// What the service wants said, at most 16 KiB.
    pub text: String,
}
record_text!(SignedBroadcast, "broadcast");
