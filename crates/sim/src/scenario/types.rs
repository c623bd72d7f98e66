//! The file of a scenario. Times are seconds of virtual time since the world began, unless their name says otherwise.

use serde::{Deserialize, Serialize};

use super::units::{Count, Nodes, Percent, Seconds};

/// A network, what happens to it, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Honest nodes.
    pub nodes: Nodes,
    /// Links a node.
    #[serde(default = "default_links")]
    pub max_links: Count,
    /// Whether members hold records signed by the network's key.
    #[serde(default)]
    pub closed: bool,
    /// Address groups (IPv4 /16) that the nodes are spread over; each has its own if none are told.
    #[serde(default)]
    pub groups: Option<Count>,
    /// The network between them.
    #[serde(default)]
    pub network: Paths,
    /// How they start and find each other.
    #[serde(default)]
    pub start: Start,
    /// How far clocks are off.
    #[serde(default)]
    pub clocks: Option<Clocks>,
    /// Members that all belong to one attacker.
    #[serde(default)]
    pub sybils: Option<Sybils>,
    /// At least so long it runs; longer if something is under way.
    #[serde(default = "default_run")]
    pub run_s: Seconds,
    /// What happens.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What is said.
    #[serde(default)]
    pub messages: Vec<Messages>,
    /// When traffic is weighed while nothing happens.
    #[serde(default)]
    pub rest: Option<Rest>,
    /// What must hold of the whole run.
    #[serde(default)]
    pub expect: Expect,
}

impl Scenario {
    /// Its start alone, with so many nodes and for so long: nothing is said, and no fault befalls them.
    #[must_use]
    pub fn left_alone(self, nodes: Nodes, run_s: Seconds) -> Self {
        Self { nodes, run_s, messages: Vec::new(), faults: Vec::new(), rest: None, ..self }
    }
}

fn default_links() -> Count {
    Count::clamped(8)
}

fn default_run() -> Seconds {
    Seconds::clamped(60)
}

/// The network between nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// Least one-way latency in milliseconds.
    pub least_ms: Count,
    /// So much more at most between two nodes, always the same for the same two.
    pub spread_ms: Seconds,
    /// So much more at most for a frame.
    pub jitter_ms: Seconds,
    /// Packets lost of a hundred: what was sent in one arrives a retransmission later.
    pub loss_percent: Percent,
    /// One-way latency in milliseconds added between regions, row by row; nodes are dealt to the regions in turn.
    pub regions: Vec<Vec<u32>>,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            least_ms: Count::clamped(10),
            spread_ms: Seconds::clamped(30),
            jitter_ms: Seconds::clamped(2),
            loss_percent: Percent::clamped(0),
            regions: Vec::new(),
        }
    }
}

/// How nodes start and find each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Start {
    /// Whom they know.
    pub by: StartBy,
    /// They start within so many seconds, one by one.
    pub over_s: Seconds,
}

impl Default for Start {
    fn default() -> Self {
        Self { by: StartBy::Signal, over_s: Seconds::clamped(10) }
    }
}

/// Whom a starting node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartBy {
    /// A signal server.
    Signal,
    /// The address of node 0.
    First,
    /// The address of the node before it.
    Chain,
    /// The addresses of three nodes, by chance.
    Random,
}

/// How far clocks are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// Each by chance, up to so many seconds before or after the right time.
    pub within_s: Seconds,
}

/// Members of an attacker: they dial honest nodes first, pass on nothing that honest nodes sent, and tell of nobody but
/// each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sybils {
    /// How many.
    pub members: Count,
    /// Address groups (IPv4 /16) they have.
    pub groups: Count,
    /// Links each of them has.
    #[serde(default = "sybil_links")]
    pub links: Count,
}

fn sybil_links() -> Count {
    Count::clamped(64)
}

/// Something happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    pub at_s: Seconds,
    /// What.
    pub what: Deed,
    /// Those that live must be one mesh again so soon after it happened, or after its end if it lasts.
    #[serde(default)]
    pub whole_within_s: Option<Seconds>,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Nodes die at once.
    Kill(Kill),
    /// The network parts in halves and heals.
    Part(Part),
    /// Nodes die and come back all the time.
    Churn(Churn),
    /// Nodes spoil what they should pass on, from then on.
    Spoil(Spoil),
    /// The signal server goes or comes back.
    Signal(SignalDeed),
    /// All choose their links anew at an instant, by an order of the network's key.
    Rebuild(RebuildDeed),
}

/// Nodes die at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// So many of a hundred that run.
    pub percent: Percent,
    /// How.
    pub how: KillHow,
}

/// How a node dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillHow {
    /// Its host lives and resets its connections.
    Reset,
    /// Its host loses power: nobody is told.
    Silent,
}

/// The network parts in halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// For so long.
    pub for_s: Seconds,
}

/// Nodes die and come back all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// So many of a hundred die in a minute, at any moment of it, every second one silently.
    pub percent_a_minute: Percent,
    /// For so long.
    pub for_s: Seconds,
    /// Each is away for so long.
    pub away_s: Seconds,
}

/// Nodes spoil what they should pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spoil {
    /// So many of a hundred that run.
    pub percent: Percent,
    /// How.
    pub how: SpoilHow,
    /// For how long what they delay is held, in milliseconds.
    #[serde(default = "default_delay")]
    pub delay_ms: Count,
}

fn default_delay() -> Count {
    Count::clamped(2_000)
}

/// What becomes of what should be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpoilHow {
    /// It is lost.
    Drop,
    /// It is late.
    Delay,
}

/// The signal server goes or comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalDeed {
    /// Whether it is gone from then on.
    pub down: bool,
}

/// Messages to all, each by an honest node that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// When the first is sent.
    pub at_s: Seconds,
    /// How many.
    #[serde(default = "one")]
    pub count: Count,
    /// Milliseconds from one to the next.
    #[serde(default = "default_pause")]
    pub every_ms: Count,
    /// Characters of each.
    #[serde(default = "default_bytes")]
    pub bytes: Count,
    /// They are looked at so long after each was sent.
    #[serde(default = "default_within")]
    pub within_s: Seconds,
    /// Of those that ran all the time so many of a hundred must have each of them by then, and be shown it once.
    #[serde(default)]
    pub coverage_percent: Option<f64>,
    /// So often, at most, the text itself may be sent for each node it reached, on average.
    #[serde(default)]
    pub copies_at_most: Option<f64>,
    /// Over so many links, at most, the text may have come to the last node.
    #[serde(default)]
    pub hops_at_most: Option<u32>,
}

fn one() -> Count {
    Count::clamped(1)
}

fn default_pause() -> Count {
    Count::clamped(1_000)
}

fn default_bytes() -> Count {
    Count::clamped(100)
}

fn default_within() -> Seconds {
    Seconds::clamped(30)
}

/// All choose their links anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebuildDeed {
    /// So long after the order is given to a node.
    pub in_s: Seconds,
    /// So far apart they may begin, in milliseconds.
    pub apart_ms: Count,
}

/// When traffic is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// From when.
    pub from_s: Seconds,
    /// For how long.
    pub for_s: Seconds,
}

/// What must hold of the whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// All are one mesh so soon after the last one started.
    pub whole_within_s: Option<Seconds>,
    /// At rest a node sends so many bytes a minute at most, on average.
    pub rest_bytes_a_minute: Option<f64>,
    /// At the end each honest node has so many links to honest ones, at least, that it made itself: nobody else decides who
    /// these lead to.
    pub own_honest_links: Option<u32>,
}
