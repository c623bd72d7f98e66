//! Who is linked with whom and how well, told to all, so that everybody knows the ways.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SummaryEntry;
use super::record::{RecordText, record_text};
use crate::limits::{MAX_ADVERTISED_LINKS, MAX_ADVERTISEMENTS, MAX_AVOIDED, MAX_IDS, MAX_PATH, MAX_WAY};
use crate::{Bounded, NetworkId, NodeId, ServiceName, UnixMicros};

/// Link-state routing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// The links of one member, signed by it (see [`LinkState`]). Passed on by whoever has an older one. Has a body.
    Advertisement(RoutingAdvertisement),
    /// Advertisements of several members at once, while much changes. Has a body: their signed texts, one behind the other.
    Advertisements(RoutingAdvertisements),
    /// These advertisements, or newer ones, are here: they need not be sent again, and can be asked for.
    Ack(RoutingAck),
    /// What the sender holds, when a link comes up and from time to time.
    Summary(RoutingSummary),
    /// Asks for the advertisements of these members.
    Want(RoutingWant),
}

impl Routing {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Advertisement(_) => "routing.advertisement",
            Self::Advertisements(_) => "routing.advertisements",
            Self::Ack(_) => "routing.ack",
            Self::Summary(_) => "routing.summary",
            Self::Want(_) => "routing.want",
        }
    }
}

/// The line of an advertisement; its body is the signed text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoutingAdvertisement {
    /// The author, whose key signed the body.
    pub by: NodeId,
    /// The author's sequence, as in the body: receivers drop what they have by these two without a look inside.
    pub seq: UnixMicros,
    /// The signature over the exact bytes of the body, base64.
    pub sig: String,
}

/// The lines of several advertisements; the body is their signed texts in the same order, nothing between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoutingAdvertisements {
    /// One line for each.
    pub entries: Bounded<AdvertisementPart, MAX_ADVERTISEMENTS>,
}

/// The line of one of several advertisements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdvertisementPart {
    /// The author, whose key signed the text.
    pub by: NodeId,
    /// The author's sequence, as in the text.
    pub seq: UnixMicros,
    /// The signature over the exact bytes of the text, base64.
    pub sig: String,
    /// Bytes of the body that belong to it.
    pub len: u32,
}

/// What need not be sent again and can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoutingAck {
    /// Author and sequence.
    pub entries: Bounded<SummaryEntry, MAX_IDS>,
}

/// What the sender holds. With equal digests there is nothing to do; otherwise the receiver says with `ack` what is newer
/// here, and asks for what is newer there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoutingSummary {
    /// A hash over all (id, seq) pairs held, as 16 hex digits.
    pub digest: String,
    /// The pairs, by id; empty in a summary that only compares digests. A full list goes on in the next summary.
    #[serde(default)]
    pub entries: Bounded<SummaryEntry, MAX_IDS>,
    /// Whether the receiver should answer with its own entries if the digests differ.
    #[serde(default)]
    pub reply: bool,
    /// The sender keeps the advertisements of members up to so many links away from it: those of others need not be sent to
    /// it, and what is not listed is not missing here. Absent, it keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<u8>,
}

/// Asks for advertisements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoutingWant {
    /// Whose.
    pub ids: Bounded<NodeId, MAX_IDS>,
}

/// A member's links, in the body of an advertisement. Type `links`. A link counts only if both ends advertise it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkState {
    /// `links`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The network.
    pub network: NetworkId,
    /// Increases with every advertisement of the author, over restarts too.
    pub seq: UnixMicros,
    /// When it ends unless renewed.
    pub expires: UnixMicros,
    /// Whether the author carries what others send to others.
    pub carries: bool,
    /// The links, by the id of the peer.
    pub links: Bounded<AdvertisedLink, MAX_ADVERTISED_LINKS>,
}
record_text!(LinkState, "links");

impl LinkState {
    /// Whether the author says that it is linked with a member.
    #[must_use]
    pub fn lists(&self, peer: &NodeId) -> bool {
        self.links.iter().any(|link| link.peer == *peer)
    }
}

/// One link as its one end measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdvertisedLink {
    /// The member at the other end.
    pub peer: NodeId,
    /// Smoothed round trip in microseconds.
    pub rtt_us: u32,
    /// Its mean deviation.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter_us: u32,
    /// Share of what is lost on the way there, in millionths.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub loss_ppm: u32,
    /// Bits a second that get there, in thousands; 0 while that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub goodput_kbps: u32,
    /// Whether the author would rather use it (below 100) or rather not (above): its cost in per cent.
    #[serde(default = "neutral", skip_serializing_if = "is_neutral")]
    pub weight: u16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn neutral() -> u16 {
    100
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn is_neutral(value: &u16) -> bool {
    *value == neutral()
}

/// A datagram: carried from member to member, unordered, at most once, perhaps not at all. Its content is the raw body
/// behind the line. Members on the way change `ttl`, `path` and `detours` and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Datagram {
    /// Who sent it.
    pub src: NodeId,
    /// Whom it is for.
    pub dst: NodeId,
    /// What it belongs to: datagrams of one flow take the same way while that lasts and wait in one queue.
    pub flow: u32,
    /// Which service at the destination takes it.
    pub service: ServiceName,
    /// Links it may still cross.
    pub ttl: u8,
    /// The members it still has to pass, the next one first; the destination is left out.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub path: Bounded<NodeId, MAX_PATH>,
    /// How often a member on the way found the next link broken and chose another path. Each path is without loops, and
    /// a second detour is refused: so nothing passes a member more than twice.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub detours: u8,
    /// What may bear it on each link it crosses. Absent, it is as `tcp`.
    #[serde(default, skip_serializing_if = "is_by_tcp")]
    pub over: Over,
    /// Its source knows no way to the destination, which lies beyond the area of which it does: members on the way choose
    /// where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seek: Option<Box<Seek>>,
}

/// How a datagram finds a destination whose way its source does not know. Whoever has a way to the destination sends it
/// there. Whoever has none sends it towards a member that is nearer to the destination on the ring of ids than itself and
/// than whoever it was sent towards so far; so it comes nearer with each choice, and does not run in circles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seek {
    /// The member at the end of `path`; absent where `path` leads to the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toward: Option<NodeId>,
    /// The members it passed, its source first. Whoever finds itself in it twice passes it on no more.
    pub way: Bounded<NodeId, MAX_WAY>,
    /// Members it is not to be sent over, because it was lost there before.
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub avoid: Bounded<NodeId, MAX_AVOIDED>,
}

/// What may bear a datagram where a link over TCP has UDP beside it. What does not fit into one packet goes over TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The link itself.
    #[default]
    Tcp,
    /// UDP where it works, else the link.
    Udp,
    /// UDP where it works; else it is dropped, because late it would be of no use.
    Drop,
    /// Something this version does not know: as `tcp`.
    #[serde(other)]
    Other,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn is_by_tcp(over: &Over) -> bool {
    matches!(over, Over::Tcp | Over::Other)
}

fn is_empty(path: &Bounded<NodeId, MAX_PATH>) -> bool {
    path.is_empty()
}

fn is_nobody(avoided: &Bounded<NodeId, MAX_AVOIDED>) -> bool {
    avoided.is_empty()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde wants")]
fn is_none_yet(detours: &u8) -> bool {
    *detours == 0
}
