//! Running a scenario: what is due by the file is done when its time has come, and what must hold is looked at between.

use std::collections::BTreeMap;

use meshline_mesh::Config;
use meshline_protocol::Address;

use super::outcome::{MessageRow, Outcome, RecoveryRow, RestRow, StateRow, Traffic};
use super::types::{Deed, Fault, KillHow, Scenario, StartBy};
use crate::{MS, SECOND, SIGNAL, Spoiling, World};

/// How often it is looked whether the nodes are one mesh, while that is waited for.
const LOOK: u64 = 100 * MS;

/// They are one mesh if they stay it for so long; the time counts from the beginning of that.
const HOLDS_FOR: u64 = 5 * SECOND;

/// How long is waited for one mesh beyond what is allowed: the time is worth knowing if it comes late, too.
const PATIENCE: u64 = 120 * SECOND;

/// Nodes whose state is looked at, at most: asking one for all it knows takes as long as it knows much.
const SAMPLED: usize = 32;

/// Where the address groups of honest nodes begin, and of an attacker's: `11.0/16`, `120.0/16`.
const HONEST_GROUPS: usize = 11 << 8;
const SYBIL_GROUPS: usize = 120 << 8;

/// Honest addresses that each of an attacker's nodes is given.
const SYBIL_TARGETS: usize = 16;

/// Something to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Start(usize),
    Begin(usize),
    Heal(usize),
    Settle(usize),
    Rebuilt(usize, u64),
    Die(KillHow, u64),
    Return(usize),
    Say(usize),
    Judge(usize),
    Weigh,
    Weighed,
}

/// Something that is to become one mesh.
#[derive(Clone, Debug)]
struct Wait {
    what: String,
    since: u64,
    within: Option<u64>,
    until: u64,
    whole_since: Option<u64>,
}

/// A text that was said.
#[derive(Debug)]
pub(super) struct Said {
    group: usize,
    number: usize,
    /// Who should be shown it: those that run, with their runs.
    audience: Vec<(usize, u64)>,
}

/// Of more nodes nothing is kept that no node of the scenario ever reads.
const MANY_NODES: usize = 500;

/// A scenario under way.
#[derive(Debug)]
pub struct Play {
    pub(super) scenario: Scenario,
    seed: u64,
    pub(super) world: World,
    agenda: BTreeMap<(u64, u64), Act>,
    entered: u64,
    waits: Vec<Wait>,
    said: Vec<Said>,
    /// Texts judged, by group of the file.
    judged: BTreeMap<usize, Vec<(usize, super::outcome::Reach)>>,
    /// What had been sent when the first text of a group was said, and since then until the last one was judged.
    sent_before: BTreeMap<usize, Traffic>,
    sent_for: BTreeMap<usize, Traffic>,
    weighed: Option<(u64, Traffic)>,
    outcome: Outcome,
    checked_at: u64,
}

impl Play {
    /// Builds the network of a scenario; nothing runs yet. As many threads as the machine has cores share the work.
    #[must_use]
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        Self::with_threads(scenario, seed, std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }

    /// The same with so many threads, which changes nothing of what comes out.
    #[must_use]
    pub fn with_threads(scenario: Scenario, seed: u64, threads: usize) -> Self {
        let mut world = if scenario.closed { World::closed(seed) } else { World::new(seed) };
        world =
            world.verified_once().latency(scenario.network.least_ms.get() * MS, scenario.network.jitter_ms.get() * MS);
        world.keep_no_log();
        if scenario.nodes.size() > MANY_NODES
            && !scenario.faults.iter().any(|fault| matches!(fault.what, Deed::Churn(_)))
        {
            world.keep_no_disks(scenario.nodes.size());
        }
        world.in_windows(threads);
        world.set_spread(scenario.network.spread_ms.get() * MS);
        world.set_loss(scenario.network.loss_percent.get());
        let micros = |row: &Vec<u32>| row.iter().map(|ms| u64::from(*ms) * MS).collect();
        world.set_regions(scenario.network.regions.iter().map(micros).collect());
        let outcome = Outcome::new(&scenario, seed);
        let mut play = Self {
            seed,
            world,
            agenda: BTreeMap::new(),
            entered: 0,
            waits: Vec::new(),
            said: Vec::new(),
            judged: BTreeMap::new(),
            sent_before: BTreeMap::new(),
            sent_for: BTreeMap::new(),
            weighed: None,
            outcome,
            checked_at: 0,
            scenario,
        };
        play.people();
        play.plan();
        play
    }

    /// The seed of this run.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The world, to look at.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The world, to ask and to meddle with.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// Adds the nodes.
    fn people(&mut self) {
        let count = self.scenario.nodes.size();
        let groups = self.scenario.groups.map_or(count, |groups| groups.size());
        let max_links = self.scenario.max_links.size();
        for node in 0..count {
            let known = self.known(node);
            let by_signal = self.scenario.start.by == StartBy::Signal;
            self.world.add(|config| {
                config.listen = vec![address(HONEST_GROUPS, groups, node)];
                config.max_links = max_links;
                config.peers = known;
                if by_signal {
                    config.signal = vec![SIGNAL.to_owned()];
                }
            });
            self.skew(node);
        }
        let Some(sybils) = self.scenario.sybils else { return };
        for member in 0..sybils.members.size() {
            let targets: Vec<Address> = (0..SYBIL_TARGETS.min(count))
                .map(|_| address(HONEST_GROUPS, groups, self.world.rng().index(count)))
                .collect();
            let node = self.world.add(|config: &mut Config| {
                config.listen = vec![address(SYBIL_GROUPS, sybils.groups.size(), member)];
                config.max_links = sybils.links.size();
                config.peers = targets;
                config.signal = vec![SIGNAL.to_owned()];
            });
            self.world.spoil(node, Spoiling::Conspire);
        }
    }

    fn known(&mut self, node: usize) -> Vec<Address> {
        let count = self.scenario.nodes.size();
        let groups = self.scenario.groups.map_or(count, |groups| groups.size());
        let at = |node: usize| address(HONEST_GROUPS, groups, node);
        match self.scenario.start.by {
            StartBy::Signal => Vec::new(),
            StartBy::First => (node > 0).then(|| at(0)).into_iter().collect(),
            StartBy::Chain => node.checked_sub(1).map(at).into_iter().collect(),
            StartBy::Random => (0..3).map(|_| at(self.world.rng().index(count))).collect(),
        }
    }

    /// Sets the clock of a node wrong, if clocks are.
    fn skew(&mut self, node: usize) {
        let Some(clocks) = self.scenario.clocks else { return };
        let most = clocks.within_s.get() * SECOND;
        let ahead = self.world.rng().below(2 * most + 1);
        let offset_us = i64::try_from(ahead).unwrap_or(0) - i64::try_from(most).unwrap_or(0);
        self.world.set_clock(node, crate::WallClock { offset_us, drift_ppm: 0 });
    }

    /// Enters what the file says into the agenda.
    fn plan(&mut self) {
        let spread = self.scenario.start.over_s.get() * SECOND;
        let count = u64::try_from(self.world.len()).unwrap_or(u64::MAX);
        for node in 0..self.world.len() {
            let at = spread * u64::try_from(node).unwrap_or(0) / count.max(1);
            self.enter(at, Act::Start(node));
        }
        let within = self.scenario.expect.whole_within_s.map(|limit| limit.get() * SECOND);
        self.wait("the start".to_owned(), spread, within);
        for (number, fault) in self.scenario.faults.clone().iter().enumerate() {
            self.enter(fault.at_s.get() * SECOND, Act::Begin(number));
        }
        for (number, group) in self.scenario.messages.clone().iter().enumerate() {
            for turn in 0..group.count.get() {
                self.enter(group.at_s.get() * SECOND + turn * group.every_ms.get() * MS, Act::Say(number));
            }
        }
        if let Some(rest) = self.scenario.rest {
            self.enter(rest.from_s.get() * SECOND, Act::Weigh);
            self.enter((rest.from_s.get() + rest.for_s.get()) * SECOND, Act::Weighed);
        }
    }

    pub(super) fn enter(&mut self, at: u64, act: Act) {
        self.entered += 1;
        self.agenda.insert((at, self.entered), act);
    }

    /// Waits for one mesh from a time on.
    pub(super) fn wait(&mut self, what: String, since: u64, within: Option<u64>) {
        let until = since + within.unwrap_or(0) + PATIENCE;
        self.waits.push(Wait { what, since, within, until, whole_since: None });
    }

    /// Honest nodes that run.
    pub(super) fn honest(&self) -> Vec<usize> {
        let count = self.scenario.nodes.size();
        (0..count).filter(|node| self.world.is_running(*node)).collect()
    }

    pub(super) fn fault(&self, number: usize) -> Option<Fault> {
        self.scenario.faults.get(number).cloned()
    }

    /// Goes on until the next thing is due or looked at; whether anything is left.
    pub fn step(&mut self) -> bool {
        let now = self.world.now();
        let end = self.scenario.run_s.get() * SECOND;
        let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
        if next.is_none() && self.waits.is_empty() && now >= end {
            return false;
        }
        let is_looked_for = self.waits.iter().any(|wait| wait.since <= now);
        let pause = if is_looked_for { LOOK } else { SECOND };
        let target = next.unwrap_or(u64::MAX).min(now + pause).max(now);
        self.world.run_for(target - now);
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= target) {
            let act = entry.remove();
            self.act(act);
        }
        self.look();
        if target >= self.checked_at + SECOND {
            self.checked_at = target;
            self.check();
        }
        true
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Start(node) | Act::Return(node) => {
                if !self.world.is_running(node) {
                    self.world.start(node);
                }
            }
            Act::Begin(number) => self.begin(number),
            Act::Heal(number) => self.heal(number),
            Act::Settle(number) => self.settle(number),
            Act::Rebuilt(number, since) => self.rebuilt(number, since),
            Act::Die(how, away) => self.one_dies(how, away),
            Act::Say(group) => self.say(group),
            Act::Judge(turn) => self.judge(turn),
            Act::Weigh => {
                let one_of = self.world.len() / 512;
                self.world.weigh_one_of(one_of);
                self.weighed = Some((self.world.now(), self.world.traffic()));
            }
            Act::Weighed => self.weighed(),
        }
    }

    fn say(&mut self, group: usize) {
        let Some(messages) = self.scenario.messages.get(group).cloned() else { return };
        let honest = self.honest();
        let sound: Vec<usize> = honest.iter().copied().filter(|node| !self.world.spoils(*node)).collect();
        let Some(author) = self.world.rng().pick(&sound).copied() else { return };
        let audience = honest.iter().filter(|node| **node != author).map(|node| (*node, self.world.boot(*node)));
        let audience = audience.collect();
        self.sent_before.entry(group).or_insert_with(|| self.world.traffic());
        let number = self.world.say_marked(author, messages.bytes.size());
        let turn = self.said.len();
        self.said.push(Said { group, number, audience });
        self.enter(self.world.now() + messages.within_s.get() * SECOND, Act::Judge(turn));
    }

    fn judge(&mut self, turn: usize) {
        let Some(said) = self.said.get(turn) else { return };
        let (group, number) = (said.group, said.number);
        let stayed = |(node, boot): &&(usize, u64)| self.world.is_running(*node) && self.world.boot(*node) == *boot;
        let audience: Vec<usize> = said.audience.iter().filter(stayed).map(|(node, _)| *node).collect();
        let reach = super::outcome::Reach::of(&self.world, number, &audience);
        self.judged.entry(group).or_default().push((turn, reach));
        self.sent_for.insert(group, self.world.traffic());
    }

    fn weighed(&mut self) {
        let Some((from, before)) = self.weighed.take() else { return };
        self.world.stop_weighing();
        let nodes = self.world.weighed_nodes();
        let minutes = (self.world.now() - from) as f64 / 60e6;
        let row = RestRow::of(&before, &self.world.traffic(), (nodes, self.world.running().len()), minutes);
        if let Some(most) = self.scenario.expect.rest_bytes_a_minute.filter(|most| row.bytes_a_minute > *most) {
            self.outcome
                .broken
                .push(format!("at rest a node sends {:.0} bytes a minute, not {most}", row.bytes_a_minute));
        }
        self.outcome.rest = Some(row);
        self.sample();
    }

    /// Looks at the state of some nodes.
    fn sample(&mut self) {
        let honest = self.honest();
        let stride = honest.len().div_ceil(SAMPLED).max(1);
        let sampled: Vec<usize> = honest.iter().copied().step_by(stride).collect();
        let mut row = StateRow::default();
        for node in &sampled {
            row.add(&self.world.status(*node));
        }
        row.links(honest.iter().map(|node| self.world.living_links(*node)));
        if self.scenario.sybils.is_some() {
            let own: Vec<usize> = honest.iter().map(|node| self.own_honest_links(*node)).collect();
            row.honest_links(&own, honest.iter().map(|node| self.world.peers_among(*node, &honest)));
        }
        self.outcome.state = Some(row);
    }

    /// Links of a node to honest ones that it made itself.
    fn own_honest_links(&mut self, node: usize) -> usize {
        let own = self.world.status(node).links.into_iter().filter(|link| link.direction == "outbound");
        own.filter(|link| self.world.index(link.peer).is_some_and(|peer| !self.world.conspires(peer))).count()
    }

    /// Whether every honest node has links that nobody else decided on.
    fn judge_own_links(&mut self) {
        let Some(wanted) = self.scenario.expect.own_honest_links else { return };
        for node in self.honest() {
            let links = self.own_honest_links(node);
            if links < usize::try_from(wanted).unwrap_or(usize::MAX) {
                self.complain(format!("node {node} has made {links} links to honest ones itself, not {wanted}"));
            }
        }
    }

    /// Whether what is waited for holds.
    fn look(&mut self) {
        let now = self.world.now();
        if self.waits.iter().all(|wait| wait.since > now) {
            return;
        }
        let pieces = self.world.pieces(&self.honest());
        for mut wait in std::mem::take(&mut self.waits) {
            if wait.since > now {
                self.waits.push(wait);
                continue;
            }
            wait.whole_since = (pieces.len() <= 1).then(|| wait.whole_since.unwrap_or(now));
            let held = wait.whole_since.filter(|since| now - since >= HOLDS_FOR);
            if held.is_some() || now >= wait.until {
                self.arrived(&wait, held, &pieces);
            } else {
                self.waits.push(wait);
            }
        }
    }

    fn arrived(&mut self, wait: &Wait, held: Option<u64>, pieces: &[usize]) {
        let took = held.map(|since| since - wait.since);
        let whole_s = took.map(|took| took as f64 / 1e6);
        if let Some(limit) = wait.within.filter(|limit| took.is_none_or(|took| took > *limit)) {
            let told = whole_s.map_or_else(|| format!("not at all ({pieces:?})"), |s| format!("after {s:.1} s"));
            let limit = limit / SECOND;
            self.outcome.broken.push(format!("{}: one mesh {told}, not within {limit} s", wait.what));
        }
        self.outcome.recoveries.push(RecoveryRow {
            what: wait.what.clone(),
            from_s: wait.since as f64 / 1e6,
            whole_s,
            nodes: pieces.iter().sum(),
            pieces: pieces.len(),
        });
    }

    /// Two links that part may stand above the limit until what was under way has arrived; while links are chosen anew there
    /// may be some more.
    fn most_links(&self) -> usize {
        let most = self.scenario.max_links.size();
        let is_rebuilt = self.scenario.faults.iter().any(|fault| matches!(fault.what, Deed::Rebuild(_)));
        most + if is_rebuilt { (most / 4).clamp(2, 16) } else { 2 }
    }

    /// Something does not hold.
    pub(super) fn complain(&mut self, what: String) {
        if self.outcome.broken.len() < 100 {
            self.outcome.broken.push(what);
        }
    }

    /// What must hold at any time.
    fn check(&mut self) {
        for node in self.honest() {
            let (links, most) = (self.world.links(node), self.most_links());
            self.outcome.most_links = self.outcome.most_links.max(links);
            if links > most && self.outcome.broken.len() < 100 {
                self.outcome.broken.push(format!("node {node} has {links} links at {} s", self.world.now() / SECOND));
            }
        }
    }

    /// What came of it. Nothing is left of it afterwards but the world.
    #[must_use]
    pub fn finish(&mut self) -> Outcome {
        if self.outcome.state.is_none() {
            self.sample();
        }
        self.judge_own_links();
        for (group, texts) in std::mem::take(&mut self.judged) {
            let Some(messages) = self.scenario.messages.get(group) else { continue };
            let reaches: Vec<_> = texts.into_iter().map(|(_, reach)| reach).collect();
            let mut row = MessageRow::of(messages, &reaches);
            if let (Some(before), Some(after)) = (self.sent_before.get(&group), self.sent_for.get(&group)) {
                row.count_frames(before, after);
            }
            self.outcome.broken.extend(row.broken(messages));
            self.outcome.messages.push(row);
        }
        self.outcome.virtual_s = self.world.now() as f64 / 1e6;
        self.outcome.events = self.world.happened();
        self.outcome.digest = format!("{:016x}", self.world.digest());
        self.outcome.clone()
    }
}

/// The address of a node that is spread over so many groups.
fn address(first_group: usize, groups: usize, node: usize) -> Address {
    let group = first_group + node % groups.max(1);
    let inside = node / groups.max(1) + 1;
    let text = format!("{}.{}.{}.{}:6000", group / 256, group % 256, inside / 250, 1 + inside % 250);
    match text.parse() {
        Ok(address) => address,
        Err(error) => panic!("{text}: {error}"),
    }
}
