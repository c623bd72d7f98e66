//! Two ends and the paths between them, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use meshline_mesh::Mono;
use meshline_protocol::NodeId;
use meshline_tunnel::{Arrival, Config, Connection, PathInfo, Read, Role, StreamId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::session::Fake;

/// What a path does to packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathModel {
    /// One way.
    pub(crate) delay: Duration,
    /// Bytes a second.
    pub(crate) rate: u64,
    /// Bytes that may wait; more are dropped.
    pub(crate) queue: u64,
    /// Packets lost, in thousandths.
    pub(crate) loss: u32,
    /// Packets doubled, in thousandths.
    pub(crate) doubled: u32,
    /// Swallows everything.
    pub(crate) is_black_hole: bool,
}

impl PathModel {
    pub(crate) fn new(mbit: u64, delay_ms: u64) -> Self {
        let rate = mbit * 125_000;
        let delay = Duration::from_millis(delay_ms);
        Self { delay, rate, queue: 1024 * 1024, loss: 0, doubled: 0, is_black_hole: false }
    }
}

/// Which end.
pub(crate) const A: usize = 0;
/// The other one.
pub(crate) const B: usize = 1;

struct Path {
    model: PathModel,
    /// When each direction has sent what was put on it.
    free_at: [Mono; 2],
}

/// Packets under way, by the time of their arrival and a number that keeps their order.
type UnderWay = BTreeMap<(Mono, u64), (usize, Arrival, BytesMut)>;

/// Two ends, their paths, and what was read.
pub(crate) struct Network {
    pub(crate) now: Mono,
    pub(crate) ends: [Connection; 2],
    paths: BTreeMap<NodeId, Path>,
    under_way: UnderWay,
    serial: u64,
    rng: ChaCha8Rng,
    pub(crate) received: [BTreeMap<StreamId, Vec<u8>>; 2],
    pub(crate) ended: [BTreeMap<StreamId, Read>; 2],
    pub(crate) flows: [Vec<(u32, Vec<u8>)>; 2],
    pub(crate) events: [VecDeque<meshline_tunnel::Event>; 2],
    /// Ends that do not read.
    pub(crate) is_deaf: [bool; 2],
    /// Packets each end sent.
    /// Streams that neither end reads.
    pub(crate) unread: Vec<StreamId>,
    pub(crate) packets: [u64; 2],
    /// How long the machine of an end runs others' programs at a time, and how long the end's own, on average.
    pub(crate) busy: Option<(Duration, Duration)>,
    /// When each end did not run, as far as anybody asked.
    still: [Vec<(Mono, Mono)>; 2],
    /// What happens to a packet on its way, if anything.
    pub(crate) meddle: Option<fn(&mut BytesMut, &mut ChaCha8Rng)>,
}

/// The member in the middle of a path.
pub(crate) fn middle(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

impl Network {
    pub(crate) fn new(seed: u64, models: &[PathModel]) -> Self {
        Self::with_config(seed, models, Config::default())
    }

    pub(crate) fn with_config(seed: u64, models: &[PathModel], config: Config) -> Self {
        let now = Mono(1_000_000);
        let patience = Duration::from_secs(60);
        let ends = [Role::Opener, Role::Acceptor].map(|role| {
            let session = Box::new(Fake::new(role));
            Connection::new((seed, role), config, patience, session, now)
        });
        let paths =
            models.iter().zip(1..).map(|(model, number)| (middle(number), Path { model: *model, free_at: [now; 2] }));
        let mut network = Self {
            now,
            ends,
            paths: paths.collect(),
            under_way: BTreeMap::new(),
            serial: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            received: [BTreeMap::new(), BTreeMap::new()],
            ended: [BTreeMap::new(), BTreeMap::new()],
            flows: [vec![], vec![]],
            events: [VecDeque::new(), VecDeque::new()],
            is_deaf: [false; 2],
            unread: vec![],
            packets: [0; 2],
            busy: None,
            still: [vec![], vec![]],
            meddle: None,
        };
        network.tell_paths(&(1..=u8::try_from(models.len()).unwrap()).collect::<Vec<_>>());
        network
    }

    /// Routing knows these paths from now on.
    pub(crate) fn tell_paths(&mut self, numbers: &[u8]) {
        for (number, end) in self.ends.iter_mut().enumerate() {
            let infos: Vec<PathInfo> = numbers
                .iter()
                .map(|path| PathInfo {
                    hops: Arc::from([middle(*path), NodeId::from_bytes([100 + u8::try_from(number).unwrap(); 32])]),
                    cost_us: 10_000,
                    is_private: false,
                })
                .collect();
            end.set_paths(&infos, self.now);
        }
    }

    pub(crate) fn model(&mut self, number: u8) -> &mut PathModel {
        &mut self.paths.get_mut(&middle(number)).unwrap().model
    }

    fn put(&mut self, from: usize, hop: NodeId, packet: &[u8]) {
        self.packets[from] += 1;
        let path = self.paths.get_mut(&hop).unwrap();
        let model = path.model;
        let length = u64::try_from(packet.len()).unwrap() + 300;
        let begin = path.free_at[from].max(self.now);
        let waiting = begin.micros_since(self.now) * model.rate / 1_000_000;
        if model.is_black_hole || waiting + length > model.queue + 65_536 || self.rng.next_u32() % 1_000 < model.loss {
            return;
        }
        let sent = Mono(begin.0 + length * 1_000_000 / model.rate);
        path.free_at[from] = sent;
        let copies = 1 + u32::from(self.rng.next_u32() % 1_000 < model.doubled);
        let mut body = BytesMut::from(packet);
        if let Some(meddle) = self.meddle {
            meddle(&mut body, &mut self.rng);
        }
        let taken = self.runs_at(1 - from, sent.after(model.delay));
        for _ in 0..copies {
            self.serial += 1;
            let arrival = Arrival { from: hop, is_private: false };
            self.under_way.insert((taken, self.serial), (1 - from, arrival, body.clone()));
        }
    }

    /// When an end takes what arrives at a time: at once, or when its machine lets it run again.
    fn runs_at(&mut self, end: usize, time: Mono) -> Mono {
        let Some((still, runs)) = self.busy else { return time };
        while self.still[end].last().is_none_or(|(_, until)| *until <= time) {
            let mut up_to = |mean: Duration| mean * (self.rng.next_u32() % 2_000) / 1_000;
            let from = self.still[end].last().map_or(self.now, |(_, until)| *until).after(up_to(runs));
            let until = from.after(up_to(still).max(Duration::from_micros(1)));
            self.still[end].push((from, until));
        }
        let next = self.still[end].partition_point(|(_, until)| *until <= time);
        let (from, until) = self.still[end][next];
        if from <= time { until } else { time }
    }

    fn flush(&mut self) {
        for number in [A, B] {
            while let Some(event) = self.ends[number].poll_event() {
                self.events[number].push_back(event);
            }
            if !self.is_deaf[number] {
                self.read(number);
            }
            while let Some(transmit) = self.ends[number].poll_transmit(self.now) {
                self.put(number, transmit.hops[0], &transmit.packet);
            }
        }
    }

    fn read(&mut self, number: usize) {
        let end = &mut self.ends[number];
        for id in end.stream_ids().into_iter().filter(|id| !self.unread.contains(id)) {
            while !self.ended[number].contains_key(&id) {
                match end.read(id, 64 * 1024, self.now) {
                    Read::Data(data) => self.received[number].entry(id).or_default().extend_from_slice(&data),
                    Read::Blocked => break,
                    other @ (Read::Finished | Read::Reset(_)) => {
                        self.ended[number].insert(id, other);
                    }
                }
            }
        }
        while let Some((id, data)) = end.poll_flow() {
            self.flows[number].push((id, data.to_vec()));
        }
    }

    /// Lets time pass until the next thing happens, but not beyond `until`. Says whether anything did.
    fn step(&mut self, until: Mono) -> bool {
        self.flush();
        let timers = self.ends.iter().filter_map(Connection::poll_timeout).min();
        let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = timers.into_iter().chain(arrival).min().filter(|next| *next <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(next);
        if arrival.is_some_and(|arrival| arrival <= self.now)
            && let Some((_, (to, arrival, packet))) = self.under_way.pop_first()
        {
            self.ends[to].handle_packet(packet, arrival, self.now);
        } else {
            for end in &mut self.ends {
                end.handle_timeout(self.now);
            }
            // A timer that is still due would be heard again at once.
            self.now = Mono(self.now.0 + 1);
        }
        true
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now.after(time);
        while self.step(until) {}
    }

    /// Lets time pass until a condition holds; `false` if it does not within `limit`.
    pub(crate) fn run_until(&mut self, limit: Duration, mut is_done: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.now.after(limit);
        loop {
            self.flush();
            if is_done(self) {
                return true;
            }
            if !self.step(until) {
                return is_done(self);
            }
        }
    }

    /// Lets both ends become known to each other.
    pub(crate) fn connect(&mut self) {
        assert!(self.run_until(Duration::from_secs(9), |network| network.ends.iter().all(Connection::is_up)));
    }

    /// Sends bytes of a known pattern over a new stream and waits until they are read; returns how long it took.
    pub(crate) fn transfer(&mut self, from: usize, bytes: usize, limit: Duration) -> Option<Duration> {
        let id = self.ends[from].open_stream(self.now).unwrap();
        let data = pattern(bytes, id);
        let (began, mut written) = (self.now, 0);
        let is_done = self.run_until(limit, |network| {
            while written < bytes {
                match network.ends[from].write(id, &data[written..], network.now).unwrap() {
                    0 => break,
                    more => written += more,
                }
            }
            if written == bytes {
                network.ends[from].finish(id, network.now);
            }
            network.ended[1 - from].contains_key(&id)
        });
        if is_done {
            assert_eq!(self.ended[1 - from][&id], Read::Finished);
            assert!(
                self.received[1 - from].get(&id).map_or(bytes == 0, |got| *got == data),
                "bytes are not those sent"
            );
        }
        is_done.then(|| self.now.since(began))
    }
}

/// Bytes that differ by place and by stream.
pub(crate) fn pattern(bytes: usize, id: StreamId) -> Vec<u8> {
    let mut value = u64::from(id) + 1;
    let mut next = || {
        value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (value >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}
