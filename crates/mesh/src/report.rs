//! What a node says of itself: the documents behind `status`, `peers`, `routes` and `explain`.

use std::collections::BTreeMap;

use meshline_protocol::{Address, NetworkId, NodeId, UnixMicros};
use schemars::JsonSchema;
use serde::Serialize;

use crate::lan::LanReport;

/// The document of `status`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Status {
    /// `meshline/status/1`.
    pub schema: &'static str,
    /// This node.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: NetworkId,
    /// The program's version.
    pub version: &'static str,
    /// `idle`, `punching` or `connected`.
    pub state: &'static str,
    /// `mesh` or `ring`.
    pub topology: &'static str,
    /// Roles.
    pub roles: Vec<&'static str>,
    /// Where it listens.
    pub listen: Vec<Address>,
    /// Time since start.
    pub uptime_ms: u64,
    /// Ready, and why or why not.
    pub ready: Readiness,
    /// Links that are up.
    pub links: Vec<LinkRow>,
    /// The ring, in ring mode.
    pub ring: Option<RingReport>,
    /// What is known of address translation between here and the others.
    pub nat: NatReport,
    /// The clock.
    pub time: TimeReport,
    /// Bounds in force and how full they are.
    pub limits: LimitsReport,
    /// The ways.
    pub routing: RoutingReport,
    /// The proxies that are known, the best first.
    pub proxies: Vec<ProxyRow>,
    /// What a proxy relays; `None` for other members.
    pub relay: Option<RelayReport>,
    /// Messages to all.
    pub spread: SpreadReport,
    /// Links chosen anew by all at an agreed instant.
    pub rebuild: crate::rebuild::RebuildReport,
    /// Direct ways through address translation.
    pub punch: PunchReport,
    /// Nodes on the local segment; `None` while none announced itself there.
    pub lan: Option<LanReport>,
    /// Refusals by name, since start.
    pub refused: BTreeMap<&'static str, u64>,
}

/// A proxy as this member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProxyRow {
    /// Who.
    pub peer: NodeId,
    /// Its name.
    pub name: String,
    /// Whether there is a link to it.
    pub linked: bool,
    /// The least round trip measured lately.
    pub rtt_us: Option<u64>,
    /// Whether it is one of the two that are kept for relayed links.
    pub warm: bool,
}

/// What a proxy relays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RelayReport {
    /// Links relayed now.
    pub pairs: usize,
    /// Links asked for and not there yet.
    pub waiting: usize,
    /// Those it relayed for, or refused.
    pub members: Vec<RelayMemberRow>,
}

/// What a proxy did for one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RelayMemberRow {
    /// Who.
    pub member: NodeId,
    /// Its name.
    pub name: String,
    /// Its links that are relayed now.
    pub pairs: usize,
    /// Bytes relayed for it, both ways together.
    pub bytes: u64,
    /// Its requests that were refused, by name.
    pub refused: BTreeMap<&'static str, u64>,
}

/// Messages to all, in figures since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SpreadReport {
    /// Links on which messages are handed over; on the others they are announced.
    pub eager_links: usize,
    /// Messages that were announced and are not here yet.
    pub missing: usize,
    /// Copies of messages sent.
    pub copies_sent: u64,
    /// Copies received.
    pub copies_received: u64,
    /// Copies received of what was here already.
    pub copies_again: u64,
    /// Names announced to others.
    pub announcements_sent: u64,
    /// Names that others announced.
    pub announcements_received: u64,
    /// Messages asked for that were announced and did not come.
    pub asked: u64,
    /// Links taken into the tree.
    pub grafts_sent: u64,
    /// The same by the other side.
    pub grafts_received: u64,
    /// Links taken out of the tree.
    pub prunes_sent: u64,
    /// The same by the other side.
    pub prunes_received: u64,
    /// What the peers linked now announced and did not hand over, less what they handed over.
    pub broken_promises: u64,
    /// Most links that a message had passed when it came here.
    pub hops: u64,
    /// The root of the tree, the least id of the mesh; this member itself where it stands alone.
    pub root: Option<NodeId>,
    /// Links from here to the root.
    pub root_links: u8,
    /// The peer on the way there.
    pub parent: Option<NodeId>,
}

/// Attempts at direct ways, in figures since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PunchReport {
    /// Whether they are made and granted.
    pub enabled: bool,
    /// Attempts called for or under way.
    pub under_way: usize,
    /// Packets sent of our own accord.
    pub probes_sent: u64,
    /// Attempts by how they ended.
    pub attempts: BTreeMap<&'static str, u64>,
    /// Packets and records refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

/// Attempts at a direct way to one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PunchState {
    /// `idle`, `punching` or `connected`.
    pub state: &'static str,
    /// How far the one under way is.
    pub stage: Option<&'static str>,
    /// When the next is due, in milliseconds, if none is under way and the member is not linked directly.
    pub next_attempt_ms: Option<u64>,
    /// The last ones, oldest first.
    pub attempts: Vec<PunchRow>,
    /// What would help, if the last one failed.
    pub advice: Option<String>,
}

/// One attempt at a direct way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PunchRow {
    /// Milliseconds ago.
    pub ago_ms: u64,
    /// Whether this node called for it.
    pub called: bool,
    /// How far it came: `call`, `waiting`, `told addresses`, `search` or `connecting`.
    pub stage: &'static str,
    /// `near`, `told`, `seen`, `predicted`, `birthday`, `tcp`, `linked`; or why it failed.
    pub outcome: &'static str,
    /// The other end, if one was found.
    pub address: String,
    /// Packets this node sent of its own accord.
    pub probes: u32,
    /// Milliseconds from the agreed instant until it ended; `null` if none was agreed.
    pub took_ms: Option<u64>,
}

/// Whether the node is ready, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Readiness {
    /// Listeners up and one link, or two seconds alone.
    pub ready: bool,
    /// Why, or why not.
    pub reason: String,
}

/// One link that is up.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LinkRow {
    /// The member at the other end.
    pub peer: NodeId,
    /// Its name.
    pub name: String,
    /// `tcp`, `quic`, `relay` or `plain`.
    pub transport: &'static str,
    /// `inbound` or `outbound`.
    pub direction: &'static str,
    /// The address at the other end.
    pub address: Address,
    /// What this node keeps it for: `all`, or of `ring`, `near`, `far`, `configured`, `entry`; empty for nothing.
    pub purposes: Vec<&'static str>,
    /// What the other end keeps it for, as it told.
    pub their_purposes: Vec<&'static str>,
    /// The member through whose exit it goes, where the configuration says `via`.
    pub via: Option<NodeId>,
    /// Its name.
    pub via_name: Option<String>,
    /// Smoothed round trip in microseconds, once measured.
    pub rtt_us: Option<u64>,
    /// Its mean deviation.
    pub jitter_us: Option<u64>,
    /// The least round trip measured lately: what the line itself takes, without what waits in it.
    pub min_rtt_us: Option<u64>,
    /// Share of what is lost on the way there, 0 to 1.
    pub loss: f64,
    /// Bits a second that get there, as measured when more was sent than got there, or tried out; 0 until then.
    pub goodput_bps: u64,
    /// What told it: `traffic` or `probe`.
    pub goodput_by: Option<&'static str>,
    /// Bits a second received, likewise.
    pub goodput_in_bps: u64,
    /// What told it.
    pub goodput_in_by: Option<&'static str>,
    /// The peer's clock less ours.
    pub clock_offset_us: Option<i64>,
    /// Bound on the error of that.
    pub clock_error_us: Option<u64>,
    /// Bytes sent in frames.
    pub sent_bytes: u64,
    /// Bytes received in frames.
    pub received_bytes: u64,
    /// Time since it came up.
    pub up_ms: u64,
    /// Further connections to the same peer.
    pub bearers: Vec<Bearer>,
}

/// A further connection to a linked peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bearer {
    /// `udp`: beside a link over TCP; otherwise what stands by: `relay`, `quic`, …
    pub transport: &'static str,
    /// The address at the other end.
    pub address: Address,
    /// Packets pass both ways now.
    pub works: bool,
    /// The smoothed round trip in microseconds.
    pub rtt_us: Option<u64>,
}

/// The ring as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RingReport {
    /// The successor.
    pub next: Option<NodeId>,
    /// The predecessor.
    pub previous: Option<NodeId>,
    /// Live members of the closed ring, oneself included.
    pub length: usize,
    /// Whether one's own token came round.
    pub complete: bool,
}

/// What is known of address translation between here and the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NatReport {
    /// Where requests to signal servers came from.
    pub observed: Vec<Address>,
    /// Addresses of this host at which it takes datagrams.
    pub host: Vec<Address>,
    /// Addresses at which others saw its datagrams, the latest first, without those of this host.
    pub udp: Vec<Address>,
    /// How ports outside follow from the destination: `unknown`, `independent` or `dependent`.
    pub mapping: &'static str,
    /// From one destination's port to the next, if they are counted.
    pub step: Option<i32>,
    /// From where datagrams get in: `unknown`, `independent` (from everywhere), `address` (from hosts that were sent
    /// something) or `port` (from ports that were).
    pub filtering: &'static str,
    /// Whether this node reaches itself at the address others see; `null` if there is none or it was not tried.
    pub hairpin: Option<bool>,
    /// Ports that routers say they forward here.
    pub mapped: Vec<MappedPortRow>,
    /// Addresses this node announces or has mapped, as members found them.
    pub reached: Vec<ReachedRow>,
    /// What all this rests on.
    pub evidence: Vec<NatEvidence>,
    /// The same in words, a sentence each.
    pub summary: Vec<String>,
}

/// A port that a router says it forwards here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MappedPortRow {
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// The router's address on the other side.
    pub address: Address,
    /// How it was asked: `pcp`, `nat_pmp` or `upnp`.
    pub by: &'static str,
    /// Whether a member came in there.
    pub verified: bool,
}

/// An address as a member found it when it was asked to come there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReachedRow {
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// The address.
    pub address: Address,
    /// Whether it came.
    pub reached: bool,
    /// The name of the member.
    pub by: String,
    /// How long ago.
    pub ago_ms: u64,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NatEvidence {
    /// Who says it: the name of a member, a STUN server, or the address that was asked in vain.
    pub by: String,
    /// What: `seen` at an address, `no answer`, or how a call went.
    pub what: &'static str,
    /// The address it is about.
    pub address: Option<Address>,
    /// How long ago.
    pub ago_ms: u64,
    /// Its clock less ours in microseconds, if the answer tells.
    pub clock_offset_us: Option<i64>,
    /// Bound on the error of that.
    pub clock_error_us: Option<u64>,
}

/// Network time against this node's clock. It is the median of the clocks of all that are linked, or were lately, and of
/// this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TimeReport {
    /// Network time less this node's clock; 0 without peers.
    pub offset_us: i64,
    /// Bound on the error of that. 2^53 − 1 where the own clock is known to be wrong and no other is known.
    pub error_us: u64,
    /// Members whose clocks are in it.
    pub members: usize,
    /// Network time when this was written: the one to agree on things by.
    pub network_us: UnixMicros,
}

/// Bounds in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LimitsReport {
    /// Links at most.
    pub max_links: usize,
    /// Links up.
    pub links: usize,
    /// Connections without an accepted hello.
    pub handshakes: usize,
    /// Members known.
    pub members: usize,
    /// What the links are for.
    pub link_set: LinkSetReport,
}

/// The links by what they are for. A link may be for several things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LinkSetReport {
    /// Whether there are more members than links, so that not all are linked.
    pub bounded: bool,
    /// Neighbours in the order of ids.
    pub ring: usize,
    /// The nearest by round trip.
    pub near: usize,
    /// Long links that this node chose.
    pub far: usize,
    /// Links that this node does not need itself.
    pub others: usize,
    /// Newcomers that are linked for a moment.
    pub guests: usize,
    /// Links at the places of newcomers that bring one end nearer to the root of the tree.
    pub shortcuts: usize,
    /// Links that stay at most; what is left is for newcomers.
    pub room: usize,
    /// Members in the book of addresses that this node found there itself.
    pub tried: usize,
    /// Members in it that it only heard of.
    pub heard: usize,
}

/// One row of `peers`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PeerRow {
    /// The member.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its roles.
    pub roles: Vec<&'static str>,
    /// Whether anything can be sent to it now.
    pub reachable: bool,
    /// Whether there is a link of our own that no proxy carries; what is sent may still go another way, if that is better.
    pub direct: bool,
    /// The first hop, unless that is the direct link.
    pub via: Option<NodeId>,
    /// The way that datagrams take there: without oneself, ending with the member.
    pub path: Vec<NodeId>,
    /// Links on the way.
    pub hops: usize,
    /// Expected delivery time in microseconds, if reachable and measured.
    pub cost: Option<u64>,
    /// Bits a second that get there over the link of our own, as in `status`; 0 without one and while nobody knows.
    pub goodput_bps: u64,
    /// What told it: `traffic` or `probe`.
    pub goodput_by: Option<&'static str>,
    /// Bits a second received over it, likewise.
    pub goodput_in_bps: u64,
    /// What told it.
    pub goodput_in_by: Option<&'static str>,
    /// Where it listens.
    pub addresses: Vec<Address>,
    /// Whether it said goodbye.
    pub left: bool,
}

/// One way to one member, a row of `routes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RouteRow {
    /// The destination.
    pub peer: NodeId,
    /// Its name.
    pub name: String,
    /// Its place among the ways to this destination: 1 is in use.
    pub rank: usize,
    /// The members on it: the first is linked with us, the last is the destination.
    pub path: Vec<NodeId>,
    /// Links on it.
    pub hops: usize,
    /// Expected delivery time in microseconds.
    pub cost: u64,
    /// What each link costs, in the order of the path.
    pub costs: Vec<u64>,
    /// Which part of the traffic it would get if all ways were used at once, in thousandths.
    pub share: u32,
}

/// The document of `explain`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Explanation {
    /// `meshline/explain/1`.
    pub schema: &'static str,
    /// The member's row as in `peers`.
    #[serde(flatten)]
    pub row: PeerRow,
    /// The state in a sentence.
    pub summary: String,
    /// When the next attempt is due, in milliseconds; `None` if none is planned.
    pub next_attempt_ms: Option<u64>,
    /// The last attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
    /// Attempts at a direct way through address translation, if there were any.
    pub punch: Option<PunchState>,
    /// The ways to it by the advertisements, the best first.
    pub ways: Vec<RouteRow>,
    /// Each link of the best way, as both of its ends advertise it.
    pub links: Vec<LinkEnds>,
    /// The link between this node and the member, if either end claims one.
    pub direct_link: Option<LinkEnds>,
    /// Whether that link came and went too often to be advertised here.
    pub damped: bool,
    /// Through whom the configuration wants it reached.
    pub steered_through: Option<NodeId>,
    /// Why the way is as it is, a sentence a reason.
    pub why: Vec<String>,
    /// What would help, a sentence each.
    pub advice: Vec<String>,
}

/// A link as both of its ends advertise it. It counts only if both do.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LinkEnds {
    /// Its one end.
    pub from: NodeId,
    /// The name of that.
    pub from_name: String,
    /// Its other end.
    pub to: NodeId,
    /// The name of that.
    pub to_name: String,
    /// Expected time from the one to the other in microseconds; `None` if the link does not count.
    pub cost: Option<u64>,
    /// As the one end measures it; `None` if it claims no such link.
    pub there: Option<LinkView>,
    /// As the other end does.
    pub back: Option<LinkView>,
}

/// A link as one end measures it, towards the other.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LinkView {
    /// Smoothed round trip in microseconds.
    pub rtt_us: u64,
    /// Its mean deviation.
    pub jitter_us: u64,
    /// Share of what is lost, 0 to 1.
    pub loss: f64,
    /// Bits a second that get to the other end; 0 while that is not known.
    pub goodput_bps: u64,
    /// What its author makes of the cost, in per cent: below 100 it is preferred, above avoided.
    pub weight: u16,
    /// Expected time to the other end in microseconds, weight included.
    pub cost: u64,
}

/// The ways in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoutingReport {
    /// Whether this node carries what others send to others.
    pub carries: bool,
    /// Members whose advertisement is here, this node among them.
    pub advertisements: usize,
    /// Links within which all members are known; absent if all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<u8>,
    /// Links that both ends claim, each direction counted.
    pub links: usize,
    /// Ways to all members together.
    pub routes: usize,
    /// Links that came and went too often to be advertised.
    pub damped: usize,
    /// How often the best way to a member became another one.
    pub changes: u64,
    /// Datagrams of others passed on.
    pub forwarded: u64,
    /// Datagrams that went no further here, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Round trips measured on links since the start.
    pub round_trips: RoundTrips,
}

/// How many round trips took how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoundTrips {
    /// By how long they took, the shortest first; the rest took longer than all.
    pub buckets: Vec<RoundTripBucket>,
    /// All.
    pub count: u64,
    /// All together, in microseconds.
    pub sum_us: u64,
}

/// Those that took so long at most, and longer than the bucket before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoundTripBucket {
    /// The bound in microseconds.
    pub up_to_us: u64,
    /// How many.
    pub count: u64,
}

/// One attempt to reach a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AttemptRow {
    /// Milliseconds ago.
    pub ago_ms: u64,
    /// How: `tcp`, `quic`, `relay`, `plain` or `inbound`.
    pub transport: &'static str,
    /// Where to.
    pub address: String,
    /// `up`, the name of the refusal, or why the link ended that was up.
    pub outcome: &'static str,
    /// More about it.
    pub detail: String,
    /// How long the link was up that ended so, in milliseconds; `null` of an attempt at one.
    pub lasted_ms: Option<u64>,
    /// The proxy that carried that link, or was to.
    pub via: Option<NodeId>,
}
