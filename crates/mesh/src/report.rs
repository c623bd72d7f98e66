//! What a node says of itself: the documents behind `status`, `peers`, `routes` and `explain`.

use std::collections::BTreeMap;

use meshline_protocol::{Address, NetworkId, NodeId};
use schemars::JsonSchema;
use serde::Serialize;

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
    /// Refusals by name, since start.
    pub refused: BTreeMap<&'static str, u64>,
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
    /// `tcp`, `relay` or `plain`.
    pub transport: &'static str,
    /// `inbound` or `outbound`.
    pub direction: &'static str,
    /// The address at the other end.
    pub address: Address,
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
    /// `udp`: beside a link over TCP.
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

/// What is known of address translation. Filled by hole punching; empty until then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NatReport {
    /// Addresses others saw us at.
    pub observed: Vec<Address>,
}

/// The clock against the others'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TimeReport {
    /// Median of the peers' clocks less ours; 0 without peers.
    pub offset_us: i64,
    /// Bound on the error of that.
    pub error_us: u64,
    /// Peers it rests on.
    pub members: usize,
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
    /// How: `tcp`, `relay`, `plain` or `inbound`.
    pub transport: &'static str,
    /// Where to.
    pub address: String,
    /// `up`, or the name of the refusal.
    pub outcome: &'static str,
    /// More about it.
    pub detail: String,
}
