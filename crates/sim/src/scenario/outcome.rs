//! What came of a run.

use std::collections::BTreeMap;
use std::fmt;

use meshline_mesh::Status;
use serde::{Deserialize, Serialize};

use super::types::{Deed, KillHow, Messages, Scenario, SpoilHow};
use crate::world::World;

/// Frames and bytes by kind.
pub(super) type Traffic = BTreeMap<&'static str, (u64, u64)>;

/// What came of a run. Everything but `machine` follows from scenario and seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `meshline/scenario/1`.
    pub schema: String,
    /// What the scenario shows.
    pub about: String,
    /// The seed.
    pub seed: u64,
    /// Honest nodes.
    pub nodes: u64,
    /// Links a node may have.
    pub max_links: u64,
    /// Virtual seconds.
    pub virtual_s: f64,
    /// When those that lived became one mesh.
    pub recoveries: Vec<RecoveryRow>,
    /// How messages went, by group of the file.
    pub messages: Vec<MessageRow>,
    /// Traffic at rest.
    pub rest: Option<RestRow>,
    /// What nodes hold.
    pub state: Option<StateRow>,
    /// The most links a node ever had, by looks a second apart.
    pub most_links: usize,
    /// What did not hold, in sentences.
    pub broken: Vec<String>,
    /// Events that happened.
    pub events: u64,
    /// All of them as one number.
    pub digest: String,
    /// What the run took of this machine.
    pub machine: Option<Machine>,
}

/// What a run took of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Processor time in seconds.
    pub cpu_s: f64,
    /// Time on the wall in seconds.
    pub wall_s: f64,
    /// Memory at most, in bytes.
    pub peak_rss_bytes: u64,
}

/// How long it took to become one mesh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecoveryRow {
    /// After what.
    pub what: String,
    /// Since when it counts, in seconds.
    pub from_s: f64,
    /// How long it took; `None` if it did not happen.
    pub whole_s: Option<f64>,
    /// Honest nodes that ran.
    pub nodes: usize,
    /// The pieces they were in when it was looked last.
    pub pieces: usize,
}

/// How far one text came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reach {
    audience: usize,
    reached: usize,
    copies: u64,
    repairs: u64,
    hops: Vec<u32>,
    took_us: Vec<u64>,
}

impl Reach {
    pub(super) fn of(world: &World, number: usize, audience: &[usize]) -> Self {
        let Some(text) = world.watch.text(number) else { return Self::default() };
        let arrivals = || audience.iter().filter_map(|node| text.arrivals.get(*node));
        let shown: Vec<u64> = arrivals().filter_map(|one| one.shown_at).collect();
        Self {
            audience: audience.len(),
            reached: shown.len(),
            copies: text.copies,
            repairs: text.repairs,
            hops: arrivals().filter(|one| one.shown_at.is_some()).filter_map(|one| one.hops).collect(),
            took_us: shown.into_iter().map(|at| at.saturating_sub(text.said_at)).collect(),
        }
    }
}

/// How the messages of one group went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageRow {
    /// When the first was sent.
    pub at_s: u64,
    /// How many.
    pub count: usize,
    /// Who should have been shown the last of them.
    pub audience: usize,
    /// Of a hundred that should be shown a message so many were; of the worst message.
    pub coverage_percent: f64,
    /// Times the text was sent in broadcasts for each node it reached: on average, and of the worst message.
    pub copies_mean: f64,
    /// The same of the worst.
    pub copies_most: f64,
    /// Times it was sent while histories were compared, for each node.
    pub repairs_mean: f64,
    /// Links on the way to the last node, at most.
    pub hops_most: u32,
    /// Links on the way to the last node of a message, on average.
    #[serde(default)]
    pub hops_last_mean: f64,
    /// Links on the way, on average.
    pub hops_mean: f64,
    /// Until half of the nodes were shown it, in milliseconds.
    pub p50_ms: f64,
    /// Until 99 of a hundred were.
    pub p99_ms: f64,
    /// Until the last was.
    pub last_ms: f64,
    /// Frames by kind, for each message and node, from the first message until the last was judged: of those that carry
    /// messages and the news of members.
    #[serde(default)]
    pub frames: BTreeMap<String, f64>,
}

impl MessageRow {
    pub(super) fn of(messages: &Messages, reaches: &[Reach]) -> Self {
        let ratio = |part: u64, of: usize| part as f64 / (of.max(1) as f64);
        let coverage = |reach: &Reach| 100.0 * ratio(u64::try_from(reach.reached).unwrap_or(0), reach.audience);
        let copies = |reach: &Reach| ratio(reach.copies, reach.reached);
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let mut took: Vec<u64> = reaches.iter().flat_map(|reach| reach.took_us.iter().copied()).collect();
        took.sort_unstable();
        let farthest = |reach: &Reach| reach.hops.iter().copied().max().map_or(0.0, f64::from);
        let hops: Vec<u32> = reaches.iter().flat_map(|reach| reach.hops.iter().copied()).collect();
        Self {
            at_s: messages.at_s.get(),
            count: reaches.len(),
            audience: reaches.last().map_or(0, |reach| reach.audience),
            coverage_percent: reaches.iter().map(coverage).fold(100.0, f64::min),
            copies_mean: mean(reaches.iter().map(copies).collect()),
            copies_most: reaches.iter().map(copies).fold(0.0, f64::max),
            repairs_mean: mean(reaches.iter().map(|reach| ratio(reach.repairs, reach.reached)).collect()),
            hops_most: hops.iter().copied().max().unwrap_or(0),
            hops_last_mean: mean(reaches.iter().map(farthest).collect()),
            hops_mean: mean(hops.iter().map(|hops| f64::from(*hops)).collect()),
            p50_ms: quantile(&took, 0.5) / 1e3,
            p99_ms: quantile(&took, 0.99) / 1e3,
            last_ms: quantile(&took, 1.0) / 1e3,
            frames: BTreeMap::new(),
        }
    }

    /// Notes what was sent meanwhile.
    pub(super) fn count_frames(&mut self, before: &Traffic, after: &Traffic) {
        let each = (self.count * self.audience).max(1) as f64;
        let is_meant = |kind: &str| kind.starts_with("broadcast.") || kind.starts_with("gossip.");
        for (kind, (frames, _)) in after.iter().filter(|(kind, _)| is_meant(kind)) {
            let frames = frames - before.get(kind).map_or(0, |(frames, _)| *frames);
            if frames > 0 {
                self.frames.insert((*kind).to_owned(), frames as f64 / each);
            }
        }
    }

    /// What was expected of them and does not hold.
    pub(super) fn broken(&self, messages: &Messages) -> Vec<String> {
        let at = format!("messages at {} s", self.at_s);
        let mut broken = Vec::new();
        if let Some(least) = messages.coverage_percent.filter(|least| self.coverage_percent < *least) {
            broken.push(format!("{at}: {:.2} % were shown one of them, not {least}", self.coverage_percent));
        }
        if let Some(most) = messages.copies_at_most.filter(|most| self.copies_mean > *most) {
            broken.push(format!("{at}: {:.3} copies for each node, not {most}", self.copies_mean));
        }
        if let Some(most) = messages.hops_at_most.filter(|most| self.hops_most > *most) {
            broken.push(format!("{at}: {} links to the last, not {most}", self.hops_most));
        }
        broken
    }
}

fn quantile(sorted: &[u64], part: f64) -> f64 {
    let at = (part * sorted.len().saturating_sub(1) as f64).ceil();
    sorted.get(at as usize).map_or(0.0, |value| *value as f64)
}

/// Traffic at rest, a node and minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RestRow {
    /// Bytes of all frames, as JSON without TLS.
    pub bytes_a_minute: f64,
    /// Frames.
    pub frames_a_minute: f64,
    /// Both by kind: frames, bytes.
    pub kinds: BTreeMap<String, (f64, f64)>,
}

impl RestRow {
    /// Frames are counted at `all` nodes, bytes at `weighed` of them.
    pub(super) fn of(before: &Traffic, after: &Traffic, nodes: (usize, usize), minutes: f64) -> Self {
        let (weighed, all) = nodes;
        let mut row = Self::default();
        for (kind, (frames, bytes)) in after {
            let (frames_before, bytes_before) = before.get(kind).copied().unwrap_or_default();
            let frames = (frames - frames_before) as f64 / (all.max(1) as f64 * minutes);
            let bytes = (bytes - bytes_before) as f64 / (weighed.max(1) as f64 * minutes);
            row.frames_a_minute += frames;
            row.bytes_a_minute += bytes;
            if frames > 0.0 {
                row.kinds.insert((*kind).to_owned(), (frames, bytes));
            }
        }
        row
    }
}

/// What nodes hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StateRow {
    /// Nodes that were asked.
    pub sampled: usize,
    /// Members known: on average and at most.
    pub members_mean: f64,
    /// At most.
    pub members_most: usize,
    /// Advertisements held: on average.
    pub advertisements_mean: f64,
    /// At most.
    pub advertisements_most: usize,
    /// Ways held: on average.
    pub routes_mean: f64,
    /// Links between living nodes: least, on average, most.
    pub links_least: usize,
    /// On average.
    pub links_mean: f64,
    /// Most.
    pub links_most: usize,
    /// Where there is an attacker: links to honest nodes that a node made itself, least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_honest_least: Option<usize>,
    /// On average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_honest_mean: Option<f64>,
    /// Links to honest nodes, whoever made them: least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub honest_least: Option<usize>,
    /// On average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub honest_mean: Option<f64>,
}

impl StateRow {
    pub(super) fn add(&mut self, status: &Status) {
        let before = self.sampled as f64;
        self.sampled += 1;
        let after = self.sampled as f64;
        let mean = |mean: f64, value: usize| (mean * before + value as f64) / after;
        self.members_mean = mean(self.members_mean, status.limits.members);
        self.members_most = self.members_most.max(status.limits.members);
        self.advertisements_mean = mean(self.advertisements_mean, status.routing.advertisements);
        self.advertisements_most = self.advertisements_most.max(status.routing.advertisements);
        self.routes_mean = mean(self.routes_mean, status.routing.routes);
    }

    pub(super) fn links(&mut self, links: impl Iterator<Item = usize>) {
        let links: Vec<usize> = links.collect();
        self.links_least = links.iter().copied().min().unwrap_or(0);
        self.links_most = links.iter().copied().max().unwrap_or(0);
        self.links_mean = mean(&links);
    }

    /// Links of each honest node to honest ones, those it made itself and all.
    pub(super) fn honest_links(&mut self, own: &[usize], all: impl Iterator<Item = usize>) {
        let all: Vec<usize> = all.collect();
        (self.own_honest_least, self.own_honest_mean) = (own.iter().copied().min(), Some(mean(own)));
        (self.honest_least, self.honest_mean) = (all.iter().copied().min(), Some(mean(&all)));
    }
}

fn mean(values: &[usize]) -> f64 {
    values.iter().sum::<usize>() as f64 / values.len().max(1) as f64
}

impl Outcome {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        Self {
            schema: "meshline/scenario/1".to_owned(),
            about: scenario.about.clone(),
            seed,
            nodes: scenario.nodes.get(),
            max_links: scenario.max_links.get(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(kill) => {
                let how = match kill.how {
                    KillHow::Reset => "with resets",
                    KillHow::Silent => "silently",
                };
                write!(out, "{} % die {how}", kill.percent)
            }
            Self::Part(part) => write!(out, "parted in halves for {} s", part.for_s),
            Self::Churn(churn) => {
                write!(out, "churn of {} % a minute for {} s", churn.percent_a_minute, churn.for_s)
            }
            Self::Spoil(spoil) => match spoil.how {
                SpoilHow::Drop => write!(out, "{} % drop what they should pass on", spoil.percent),
                SpoilHow::Delay => {
                    write!(out, "{} % delay what they should pass on by {} ms", spoil.percent, spoil.delay_ms)
                }
            },
            Self::Signal(signal) => write!(out, "the signal server is {}", if signal.down { "gone" } else { "back" }),
            Self::Rebuild(rebuild) => write!(out, "all choose their links anew in {} s", rebuild.in_s),
        }
    }
}
