//! The world: nodes, the network between them, and the time.

use std::collections::BTreeMap;

use meshline_identity::{KeyPair, Verifier};
use meshline_mesh::{Config, Input as Mesh, Node, Saved};
use meshline_protocol::{Address, NetworkId, NodeId, UnixMicros};
use meshline_services::{Event, Input, Settings, Stack};

use crate::config::{Reach, address};
use crate::host::{Host, Logged, WallClock};
use crate::network::{Network, PUPPET};
use crate::relay::Relays;
use crate::rng::Rng;
use crate::schedule::{Due, Run, Schedule};
use crate::shelf::Shelf;
use crate::signal::Signals;
use crate::spoil::Spoiling;
use crate::udp::Udp;
use crate::watch::Watch;
use crate::windows::Windows;
use crate::wire::Wire;

/// The URL under which the signal server of a world is known.
pub const SIGNAL: &str = "http://signal";

/// A network of simulated nodes.
#[derive(Debug)]
pub struct World {
    seed: u64,
    pub(crate) rng: Rng,
    pub(crate) now: u64,
    pub(crate) schedule: Schedule,
    pub(crate) windows: Windows,
    pub(crate) hosts: Vec<Host>,
    pub(crate) network: Network,
    pub(crate) relays: Relays,
    pub(crate) signals: Signals,
    /// The key of the closed network, or the name of the open one.
    key: Option<KeyPair>,
    pub(crate) requests: u64,
    verifier: Verifier,
    /// The nodes by their ids.
    ids: BTreeMap<NodeId, usize>,
    /// Whether what nodes tell is kept.
    pub(crate) keeps_log: bool,
    /// Whether what nodes keep on disk is kept.
    pub(crate) keeps_disks: bool,
    /// If not, whether what they tell of services is.
    pub(crate) keeps_service_news: bool,
    /// Of so many nodes one is weighed.
    pub(crate) weighs_one_of: usize,
    pub(crate) watch: Watch,
    pub(crate) shelf: Shelf,
    pub(crate) spoilers: BTreeMap<usize, Spoiling>,
    /// Who listens where; empty until somebody dials.
    pub(crate) listeners: BTreeMap<Address, usize>,
    /// Whether frames are weighed as they would be written.
    pub(crate) weighed: bool,
    /// Whether frames and events are printed as they happen.
    pub(crate) traced: bool,
    pub(crate) udp: Udp,
    /// Whether packets that arrive are kept, and those that were.
    pub(crate) overhears: bool,
    pub(crate) overheard: Vec<(usize, std::net::SocketAddr, bytes::Bytes)>,
    pub(crate) puppet_mail: Vec<(meshline_mesh::LinkId, meshline_protocol::Frame)>,
    /// How often each node sent a datagram on: by source, destination and flow.
    pub(crate) crossings: BTreeMap<(NodeId, NodeId, u32), BTreeMap<usize, u32>>,
}

impl World {
    /// An empty world with an open network.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: Rng::new(seed),
            now: 0,
            schedule: Schedule::default(),
            windows: Windows::default(),
            hosts: Vec::new(),
            network: Network::new(),
            relays: Relays::default(),
            signals: Signals::default(),
            key: None,
            requests: 0,
            verifier: Verifier::default(),
            ids: BTreeMap::new(),
            keeps_log: true,
            keeps_disks: true,
            keeps_service_news: false,
            weighs_one_of: 1,
            watch: Watch::default(),
            shelf: Shelf::default(),
            spoilers: BTreeMap::new(),
            listeners: BTreeMap::new(),
            weighed: false,
            traced: crate::seed::traced(),
            udp: Udp::default(),
            overhears: false,
            overheard: Vec::new(),
            puppet_mail: Vec::new(),
            crossings: BTreeMap::new(),
        }
    }

    /// An empty world with a closed network, whose members all hold records.
    #[must_use]
    pub fn closed(seed: u64) -> Self {
        let mut world = Self::new(seed);
        world.key = Some(KeyPair::from_secret(world.rng.bytes()));
        world
    }

    /// Frames pass the codec from now on.
    #[must_use]
    pub fn wire(mut self) -> Self {
        self.network.wire = Wire::Bytes;
        self
    }

    /// All nodes remember together which signatures are good: each is verified once in the whole world instead of once
    /// a node. For measuring what else a large network costs.
    #[must_use]
    pub fn verified_once(mut self) -> Self {
        self.verifier = Verifier::remembering();
        self
    }

    /// From now on UDP packets that arrive are kept for [`World::overheard`].
    pub fn overhear(&mut self) {
        self.overhears = true;
    }

    /// From now on the bytes of frames are counted by kind, as they would be written in JSON.
    pub fn weigh(&mut self) {
        self.weighed = true;
    }

    /// Frames sent by all nodes, and their bytes since [`World::weigh`], by kind.
    #[must_use]
    pub fn traffic(&self) -> BTreeMap<&'static str, (u64, u64)> {
        let mut sum: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
        for host in &self.hosts {
            for (kind, count) in &host.sent {
                sum.entry(kind).or_default().0 += count;
            }
            for (kind, bytes) in &host.sent_bytes {
                sum.entry(kind).or_default().1 += bytes;
            }
        }
        sum
    }

    /// One-way latency between hosts: `least` microseconds and up to `jitter` more.
    #[must_use]
    pub fn latency(mut self, least: u64, jitter: u64) -> Self {
        self.network.latency = (least, jitter);
        self
    }

    /// The network's id.
    ///
    /// # Panics
    /// Never: the name is one.
    #[must_use]
    pub fn network_id(&self) -> NetworkId {
        match (&self.key, "lab".parse()) {
            (Some(key), _) => NetworkId::Closed(key.id()),
            (None, Ok(name)) => NetworkId::Open(name),
            (None, Err(error)) => panic!("{error}"),
        }
    }

    /// The key of a closed network.
    #[must_use]
    pub fn network_key(&self) -> Option<&KeyPair> {
        self.key.as_ref()
    }

    /// Adds a node that is not started yet. `configure` changes its settings: it listens on [`address`] of its
    /// index, knows nobody, and is a member of the network.
    ///
    /// # Panics
    /// Never: the name is one.
    pub fn add(&mut self, configure: impl FnOnce(&mut Config)) -> usize {
        let index = self.hosts.len();
        let key = KeyPair::from_secret(self.rng.bytes());
        let name = match format!("n{index}").parse() {
            Ok(name) => name,
            Err(error) => panic!("{error}"),
        };
        let mut config = Config::new(self.network_id(), name);
        config.listen = vec![address(index)];
        config.verifier = self.verifier.clone();
        configure(&mut config);
        config.membership = config.membership.take().or_else(|| self.membership(key.id(), &config));
        self.listeners.clear();
        self.ids.insert(key.id(), index);
        self.hosts.push(Host::new(config, key));
        index
    }

    pub(crate) fn host(&self, node: usize) -> &Host {
        match self.hosts.get(node) {
            Some(host) => host,
            None => panic!("there is no node {node}"),
        }
    }

    pub(crate) fn host_mut(&mut self, node: usize) -> &mut Host {
        match self.hosts.get_mut(node) {
            Some(host) => host,
            None => panic!("there is no node {node}"),
        }
    }

    /// How many nodes there are, running or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The virtual time in microseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The right calendar time.
    #[must_use]
    pub fn wall(&self) -> UnixMicros {
        WallClock::default().at(self.now)
    }

    /// The random numbers of this world, for tests that draw their own.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// A node's id.
    #[must_use]
    pub fn id(&self, node: usize) -> NodeId {
        self.host(node).key.id()
    }

    /// A node's key.
    #[must_use]
    pub fn node_key(&self, node: usize) -> &KeyPair {
        &self.host(node).key
    }

    /// The node with an id.
    #[must_use]
    pub fn index(&self, id: NodeId) -> Option<usize> {
        self.ids.get(&id).copied()
    }

    /// Whether a node runs.
    #[must_use]
    pub fn is_running(&self, node: usize) -> bool {
        self.host(node).stack.is_some()
    }

    /// The nodes that run.
    #[must_use]
    pub fn running(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|node| self.is_running(*node)).collect()
    }

    /// What a node keeps on disk, in a world that keeps no log without the announcements.
    #[must_use]
    pub fn saved(&self, node: usize) -> &Saved {
        &self.host(node).saved
    }

    /// Changes what a node keeps on disk, or its settings, for its next start.
    pub fn edit(&mut self, node: usize, change: impl FnOnce(&mut Config, &mut Saved)) {
        self.listeners.clear();
        let host = self.host_mut(node);
        host.take_from_shelf();
        change(&mut host.config, &mut host.saved);
    }

    /// Sets the calendar clock of a node's host.
    pub fn set_clock(&mut self, node: usize, clock: WallClock) {
        self.host_mut(node).clock = clock;
    }

    /// The calendar clock of a node's host.
    #[must_use]
    pub fn clock(&self, node: usize) -> WallClock {
        self.host(node).clock
    }

    /// Says what happens to those who dial an address.
    pub fn set_reach(&mut self, address: &Address, reach: Reach) {
        self.network.reach.insert(address.clone(), reach);
    }

    /// Everything a node told, in all its runs.
    #[must_use]
    pub fn log(&self, node: usize) -> &[Logged] {
        &self.host(node).log
    }

    /// The events of the mesh a node told.
    pub fn mesh_events(&self, node: usize) -> impl Iterator<Item = &meshline_mesh::Event> {
        self.log(node).iter().filter_map(|logged| match &logged.event {
            Event::Mesh(event) => Some(event),
            Event::Chat(_) | Event::Discovery(_) => None,
        })
    }

    /// Frames of a kind a node has sent in all its runs.
    #[must_use]
    pub fn sent(&self, node: usize, kind: &str) -> u64 {
        self.host(node).sent.get(kind).copied().unwrap_or(0)
    }

    /// How many peers are linked with a node, as its events told.
    #[must_use]
    pub fn links(&self, node: usize) -> usize {
        self.host(node).up.len()
    }

    /// Whether a node's events told that a link to another one is up.
    #[must_use]
    pub fn is_linked(&self, node: usize, other: usize) -> bool {
        self.host(node).up.contains_key(&self.id(other))
    }

    /// The signal server answers no more, or again.
    pub fn set_signal_down(&mut self, down: bool) {
        self.signals.at(SIGNAL).down = down;
    }

    /// The signal server serves a revocation.
    pub fn revoke_at_signal(&mut self, node: usize, record: meshline_protocol::SignedRecord) {
        let id = self.id(node);
        self.signals.at(SIGNAL).revoke(id, record);
    }

    /// Starts a node with what it kept on disk.
    ///
    /// # Panics
    /// If it runs already.
    pub fn start(&mut self, node: usize) {
        self.trace(|| format!("node {node} starts"));
        let seed = self.rng.bytes();
        let now = self.now;
        let host = self.host_mut(node);
        assert!(host.stack.is_none(), "node {node} runs already");
        host.boot += 1;
        (host.booted_at, host.powered) = (now, true);
        (host.spins, host.spun_at) = (0, now);
        host.up.clear();
        host.table = std::sync::Arc::default();
        host.delivered.clear();
        host.take_from_shelf();
        let mut config = host.config.clone();
        config.saved = host.saved.clone();
        let core = Node::new(config, host.key.clone(), seed, host.now(now));
        let settings = Settings { chat: host.bounds, stored: host.disk.stored(), ..Settings::default() };
        host.stack = Some(Stack::new(core, settings, host.now(now)));
        let listen = host.config.listen.clone();
        self.collect(node);
        for address in listen {
            self.input(node, Mesh::Listening { address });
        }
        self.tell_addresses(node);
        self.input(node, Mesh::Timeout);
    }

    /// Starts all nodes that do not run.
    pub fn start_all(&mut self) {
        for node in 0..self.hosts.len() {
            if !self.is_running(node) {
                self.start(node);
            }
        }
    }

    /// Gives a node something to handle.
    pub(crate) fn input(&mut self, node: usize, input: Mesh) {
        self.stack_input(node, Input::Mesh(input));
    }

    pub(crate) fn stack_input(&mut self, node: usize, input: Input) {
        let Some(input) = self.put_down(node, input) else { return };
        let now = self.now;
        let Some(host) = self.hosts.get_mut(node) else { return };
        let at = host.now(now);
        if let Some(stack) = host.stack.as_mut() {
            stack.handle_input(input, at);
            self.collect(node);
        }
    }

    /// Takes what a node wants done, and when it wants to be woken.
    pub(crate) fn collect(&mut self, node: usize) {
        while let Some(output) = self.hosts.get_mut(node).and_then(|host| host.stack.as_mut()?.poll_output()) {
            self.output(node, output);
        }
        self.set_timer(node);
    }

    pub(crate) fn set_timer(&mut self, node: usize) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(node) else { return };
        let at = host.due_at(now);
        if host.timer.map(|(at, _)| at) == at {
            return;
        }
        if let Some(place) = host.timer.take() {
            self.schedule.cancel(place, node);
        }
        if let Some(at) = at {
            host.timer = Some(self.schedule.enter(at, Due::Timer(node)));
        }
    }

    /// Lets everything happen that is due within a time.
    pub fn run_for(&mut self, micros: u64) {
        let end = self.now + micros;
        if self.has_windows() {
            return self.run_windows(end);
        }
        while let Some((at, due)) = self.schedule.pop(end) {
            self.now = self.now.max(at);
            self.happen(due);
        }
        self.now = end;
    }

    /// Runs until a condition holds, looking every `step` of virtual time; the time it took, or `None` after `limit`.
    pub fn run_until(&mut self, limit: u64, step: u64, mut holds: impl FnMut(&mut Self) -> bool) -> Option<u64> {
        let start = self.now;
        loop {
            if holds(self) {
                return Some(self.now - start);
            }
            if self.now - start >= limit {
                return None;
            }
            self.run_for(step.max(1));
        }
    }

    pub(crate) fn happen(&mut self, due: Due) {
        self.watch.digest.add(self.now);
        self.watch.digest.add(due.digest());
        match due {
            Due::Timer(node) => self.on_timer(node),
            Due::Parcel(link) => self.on_parcel(link),
            Due::Dial { run, dial, target } => self.on_dial(run, dial, target),
            Due::DialFailed { run, dial, code, detail } => {
                self.input_to(run, Mesh::DialFailed { dial, code, detail: detail.to_owned() });
            }
            Due::Packet { transit, bytes } => self.on_packet(transit, bytes),
            Due::QuicDial(dial) => self.on_quic_dial(dial),
            Due::RelayEnded { run, connection } => self.input_to(run, Mesh::RelayEnded { connection }),
            Due::Late { run, link, frame } => self.send_late(run, link, &frame),
            Due::Kept { run, ticket } => self.on_kept(run, ticket),
            Due::Signal { run, url, request } => self.on_signal(run, url, request),
            Due::SignalAnswer { run, url, result } => self.input_to(run, Mesh::SignalAnswer { url, result }),
        }
    }

    fn on_timer(&mut self, node: usize) {
        if self.leave_timer(node) {
            return;
        }
        let now = self.now;
        let host = self.host_mut(node);
        host.timer = None;
        host.count_spin(node, now);
        self.input(node, Mesh::Timeout);
    }

    /// Gives an input to the run of a node it is meant for, if that still goes on.
    pub(crate) fn input_to(&mut self, run: Run, input: Mesh) {
        if self.is_current(run) {
            self.input(run.node, input);
        }
    }

    pub(crate) fn is_current(&self, run: Run) -> bool {
        run.node == PUPPET || self.hosts.get(run.node).is_some_and(|host| host.is_running(run.boot))
    }

    pub(crate) fn run_of(&self, node: usize) -> Run {
        Run { node, boot: self.host(node).boot }
    }

    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if self.traced {
            eprintln!("{:>12} {}", self.now, line());
        }
    }

    /// Events waiting and connections held: what must not grow without bound.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.schedule.len(), self.network.len())
    }
}

impl Drop for World {
    /// Whatever made a test fail, the way to repeat it is printed.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at {} µs of virtual time: {}", self.now, crate::seed::repeat(self.seed));
        }
    }
}
