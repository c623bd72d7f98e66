//! Connections between hosts: two queues each, and the rules by which they are held up, cut and refused.
//!
//! What is sent while a path is blocked waits, as it would in TCP, and arrives after the path is healed. What
//! is sent on a connection that was cut is gone, and nobody is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meshline_mesh::{LinkId, LinkOpened, RelayConnection};
use meshline_protocol::{Address, Code, Encoding, Frame};

use crate::config::Reach;
use crate::rng::Rng;
use crate::schedule::{Due, Run, Schedule};
use crate::udp::UdpEnd;
use crate::wire::{Cargo, Codec, Wire};

/// The node index of an end that no node holds: a stranger played by a test.
pub(crate) const PUPPET: usize = usize::MAX;

/// The least time after which TCP sends again what nobody confirmed.
const LEAST_RETRANSMISSION: u64 = 200 * crate::MS;

/// Something on its way to one end of a connection.
#[derive(Debug)]
pub(crate) enum Content {
    Opened(Box<LinkOpened>),
    Frame(Cargo),
    Closed(Code),
}

#[derive(Debug)]
struct Parcel {
    at: u64,
    content: Content,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) run: Run,
    pub(crate) open: bool,
    inbox: VecDeque<Parcel>,
    last_arrival: u64,
    pub(crate) codec: Option<Codec>,
}

/// A connection. Its ends are the links `2 × number` and `2 × number + 1`.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) ends: [End; 2],
    /// The proxy in the middle, and the two relay connections it joined.
    pub(crate) via: Option<(Run, [RelayConnection; 2])>,
    cut: bool,
    /// The sockets at its ends, if UDP bears it.
    udp: Option<[UdpEnd; 2]>,
}

/// All connections, and what keeps hosts from each other.
#[derive(Debug)]
pub(crate) struct Network {
    /// By number; those that are over leave a gap.
    connections: Vec<Option<Box<Connection>>>,
    open: usize,
    /// Numbers of the connections of each node.
    of_node: BTreeMap<usize, BTreeSet<u64>>,
    /// How many a proxy carries.
    carried: usize,
    /// One way, from `0` up to `1` more.
    pub(crate) latency: (u64, u64),
    pub(crate) wire: Wire,
    blocked: BTreeSet<(usize, usize)>,
    /// Pairs between which there is a cable; `None` if there is one between all.
    cables: Option<BTreeSet<(usize, usize)>>,
    /// What a cable adds to the latency, one way.
    distances: BTreeMap<(usize, usize), u64>,
    /// What the way from one region to another adds, one way; nodes are dealt to the regions in turn.
    pub(crate) regions: Vec<Vec<u64>>,
    /// What the way between two hosts adds, one way, at most: by chance, but always the same for the same two.
    pub(crate) spread: u64,
    /// Of a hundred frames so many are sent a second time by what bears them.
    pub(crate) loss: u64,
    /// While the network is parted, the part of each node.
    pub(crate) parts: Option<Vec<u8>>,
    stalled: BTreeSet<LinkId>,
    pub(crate) reach: BTreeMap<Address, Reach>,
}

fn sides(link: LinkId) -> (u64, usize) {
    (link.0 / 2, usize::from(link.0 % 2 == 1))
}

impl Network {
    pub(crate) fn new() -> Self {
        Self {
            connections: vec![None],
            open: 0,
            of_node: BTreeMap::new(),
            carried: 0,
            latency: (500, 1_500),
            wire: Wire::Typed,
            blocked: BTreeSet::new(),
            cables: None,
            distances: BTreeMap::new(),
            regions: Vec::new(),
            spread: 0,
            loss: 0,
            parts: None,
            stalled: BTreeSet::new(),
            reach: BTreeMap::new(),
        }
    }

    fn get(&self, number: u64) -> Option<&Connection> {
        self.connections.get(usize::try_from(number).ok()?)?.as_deref()
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Connection> {
        self.connections.get_mut(usize::try_from(number).ok()?)?.as_deref_mut()
    }

    fn remove(&mut self, number: u64) -> Option<Box<Connection>> {
        let connection = self.connections.get_mut(usize::try_from(number).ok()?)?.take()?;
        self.open -= 1;
        self.carried -= usize::from(connection.via.is_some());
        for end in &connection.ends {
            self.of_node.get_mut(&end.run.node).map(|numbers| numbers.remove(&number));
        }
        Some(connection)
    }

    fn iter(&self) -> impl Iterator<Item = (u64, &Connection)> {
        (0_u64..).zip(&self.connections).filter_map(|(number, connection)| Some((number, connection.as_deref()?)))
    }

    /// One latency.
    pub(crate) fn delay(&self, rng: &mut Rng) -> u64 {
        self.latency.0 + rng.below(self.latency.1 + 1)
    }

    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        let has_cable =
            |cables: &BTreeSet<(usize, usize)>| from == PUPPET || to == PUPPET || cables.contains(&(from, to));
        let is_parted = |parts: &Vec<u8>| parts.get(from) != parts.get(to);
        self.parts.as_ref().is_some_and(is_parted)
            || self.blocked.contains(&(from, to))
            || !self.cables.as_ref().is_none_or(has_cable)
    }

    /// From now on there are cables between these pairs only.
    pub(crate) fn lay(&mut self, pairs: &[(usize, usize)]) {
        self.cables = Some(pairs.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect());
    }

    /// What the cable between two hosts adds to the latency in this direction.
    pub(crate) fn set_distance(&mut self, from: usize, to: usize, micros: u64) {
        self.distances.insert((from, to), micros);
    }

    /// What is added to the latency of what is sent from this end.
    pub(crate) fn distance(&self, from: LinkId) -> u64 {
        let (number, side) = sides(from);
        if self.distances.is_empty() && self.regions.is_empty() && self.spread == 0 {
            return 0;
        }
        let Some(connection) = self.get(number) else { return 0 };
        let [one, other] = connection.ends.each_ref().map(|end| end.run.node);
        let way = if side == 0 { (one, other) } else { (other, one) };
        self.distances.get(&way).copied().unwrap_or(0) + self.apart(one, other)
    }

    /// What the places of two hosts add to the latency, one way.
    fn apart(&self, one: usize, other: usize) -> u64 {
        let pair = [one.min(other), one.max(other)].map(|node| u64::try_from(node).unwrap_or(u64::MAX));
        let chance = Rng::new(pair[0].wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ pair[1]).below(self.spread + 1);
        chance + self.between_regions(one, other).unwrap_or(0)
    }

    fn between_regions(&self, from: usize, to: usize) -> Option<u64> {
        let count = self.regions.len();
        self.regions.get(from.checked_rem(count)?)?.get(to.checked_rem(count)?).copied()
    }

    /// How much later a frame arrives because what bore it was lost, and sent again after two latencies or more.
    pub(crate) fn lost(&self, rng: &mut Rng) -> u64 {
        if self.loss == 0 || !rng.chance(self.loss) {
            return 0;
        }
        LEAST_RETRANSMISSION.max(2 * (self.latency.0 + self.latency.1 + self.spread))
    }

    /// The node at the other end of a link.
    pub(crate) fn other_end(&self, link: LinkId) -> Option<usize> {
        let (number, side) = sides(link);
        let end = self.get(number)?.ends.get(1 - side)?;
        Some(end.run.node).filter(|node| *node != PUPPET)
    }

    pub(crate) fn block(&mut self, from: usize, to: usize) {
        if from != to {
            self.blocked.insert((from, to));
        }
    }

    /// Takes all blocks away; what waited sets out again.
    pub(crate) fn heal(&mut self, now: u64, rng: &mut Rng, schedule: &mut Schedule) {
        self.blocked.clear();
        self.parts = None;
        for link in std::mem::take(&mut self.stalled) {
            schedule.enter(now + self.delay(rng), Due::Parcel(link));
        }
    }

    /// A new connection between two runs; returns its links.
    pub(crate) fn connect(&mut self, runs: [Run; 2], via: Option<(Run, [RelayConnection; 2])>) -> [LinkId; 2] {
        let number = u64::try_from(self.connections.len()).unwrap_or(u64::MAX);
        let codec = || (self.wire == Wire::Bytes).then(Codec::new);
        let ends = runs.map(|run| End { run, open: true, inbox: VecDeque::new(), last_arrival: 0, codec: codec() });
        self.connections.push(Some(Box::new(Connection { ends, via, cut: false, udp: None })));
        self.open += 1;
        self.carried += usize::from(via.is_some());
        for run in runs {
            self.of_node.entry(run.node).or_default().insert(number);
        }
        [LinkId(number * 2), LinkId(number * 2 + 1)]
    }

    /// UDP bears a connection from now on.
    pub(crate) fn bear(&mut self, link: LinkId, ends: [UdpEnd; 2]) {
        if let Some(connection) = self.get_mut(sides(link).0) {
            connection.udp = Some(ends);
        }
    }

    /// The sockets at the other end and at this one.
    pub(crate) fn borne(&self, to: LinkId) -> Option<[UdpEnd; 2]> {
        let (number, side) = sides(to);
        let [first, second] = self.get(number)?.udp?;
        Some(if side == 0 { [second, first] } else { [first, second] })
    }

    /// Whether a connection that is open at an end uses a socket.
    pub(crate) fn uses(&self, node: usize, port: u16) -> bool {
        let is_it = |ends: &[UdpEnd; 2]| ends.iter().any(|end| (end.node, end.port) == (node, port));
        self.connections.iter().flatten().any(|connection| connection.udp.as_ref().is_some_and(is_it))
    }

    pub(crate) fn end(&mut self, link: LinkId) -> Option<&mut End> {
        let (number, side) = sides(link);
        self.get_mut(number)?.ends.get_mut(side)
    }

    fn other_link(link: LinkId) -> LinkId {
        LinkId(link.0 ^ 1)
    }

    /// Puts something on its way to the end `to`, behind whatever is under way already.
    pub(crate) fn post(&mut self, to: LinkId, at: u64, content: Content, schedule: &mut Schedule) {
        let Some(end) = self.end(to) else { return };
        let at = at.max(end.last_arrival);
        end.last_arrival = at;
        let first = end.inbox.is_empty();
        end.inbox.push_back(Parcel { at, content });
        if first {
            schedule.enter(at, Due::Parcel(to));
        }
    }

    /// Sends a frame from the end `from`.
    pub(crate) fn send(&mut self, from: LinkId, frame: &std::sync::Arc<Frame>, at: u64, schedule: &mut Schedule) {
        let Some(end) = self.end(from).filter(|end| end.open) else { return };
        let cargo = match &end.codec {
            Some(codec) => codec.write(frame),
            None => Cargo::Frame(std::sync::Arc::clone(frame)),
        };
        self.post(Self::other_link(from), at, Content::Frame(cargo), schedule);
    }

    pub(crate) fn accept(&mut self, link: LinkId, encoding: Encoding) {
        if let Some(codec) = self.end(link).and_then(|end| end.codec.as_mut()) {
            codec.accept(encoding);
        }
    }

    /// Closes the end `from`; the other one learns of it behind what was sent before.
    pub(crate) fn close(&mut self, from: LinkId, at: u64, schedule: &mut Schedule) {
        let Some(end) = self.end(from).filter(|end| end.open) else { return };
        end.open = false;
        self.post(Self::other_link(from), at, Content::Closed(Code::ConnectionLost), schedule);
        self.forget_if_over(from);
    }

    /// Removes a connection that is closed at both ends, and says which proxy carried it.
    pub(crate) fn forget_if_over(&mut self, link: LinkId) -> Option<(Run, [RelayConnection; 2])> {
        let (number, _) = sides(link);
        let over = self.get(number).is_some_and(|one| one.ends.iter().all(|end| !end.open));
        let connection = over.then(|| self.remove(number)).flatten()?;
        connection.via
    }

    /// The proxy that carries a connection.
    pub(crate) fn via(&self, link: LinkId) -> Option<(Run, [RelayConnection; 2])> {
        self.get(sides(link).0)?.via
    }

    /// Takes the oldest parcel for an end, if it may arrive; the next one sets out.
    pub(crate) fn arrive(&mut self, to: LinkId, schedule: &mut Schedule) -> Option<Content> {
        let (number, side) = sides(to);
        let connection = self.get(number)?;
        let path = [connection.ends.get(1 - side)?, connection.ends.get(side)?].map(|end| end.run.node);
        let hops = match connection.via {
            Some((proxy, _)) => vec![(path[0], proxy.node), (proxy.node, path[1])],
            None => vec![(path[0], path[1])],
        };
        if hops.iter().any(|(from, to)| self.is_blocked(*from, *to)) {
            self.stalled.insert(to);
            return None;
        }
        let connection = self.get_mut(number)?;
        let cut = connection.cut;
        let end = connection.ends.get_mut(side)?;
        if cut {
            // That a connection is ready does not come over it: an attempt always has an outcome.
            let first = end.inbox.pop_front().map(|parcel| parcel.content);
            end.inbox.clear();
            return first.filter(|content| matches!(content, Content::Opened(_)));
        }
        let parcel = end.inbox.pop_front()?;
        if let Some(next) = end.inbox.front() {
            schedule.enter(next.at, Due::Parcel(to));
        }
        end.open.then_some(parcel.content)
    }

    /// Cuts every connection between two nodes without a word to anybody.
    pub(crate) fn cut(&mut self, one: usize, two: usize) {
        for connection in self.connections.iter_mut().flatten() {
            let nodes = [connection.ends[0].run.node, connection.ends[1].run.node];
            if nodes == [one, two] || nodes == [two, one] {
                connection.cut = true;
            }
        }
    }

    /// Cuts every connection that a proxy carries, likewise.
    pub(crate) fn cut_carried(&mut self, proxy: Run) {
        for connection in self.connections.iter_mut().flatten() {
            connection.cut |= connection.via.is_some_and(|(by, _)| by == proxy);
        }
    }

    /// The open links of a run, and those it carries as a proxy.
    pub(crate) fn links_of(&self, run: Run) -> (Vec<LinkId>, Vec<LinkId>) {
        let (mut own, mut carried) = (Vec::new(), Vec::new());
        for number in self.of_node.get(&run.node).into_iter().flatten().copied() {
            let Some(connection) = self.get(number) else { continue };
            for (end, link) in connection.ends.iter().zip([number * 2, number * 2 + 1]) {
                if end.open && end.run == run {
                    own.push(LinkId(link));
                }
            }
        }
        if self.carried > 0 {
            let of = |joined: &Connection| joined.via.is_some_and(|(proxy, _)| proxy == run);
            let found = self.iter().filter(|(_, joined)| of(joined));
            carried.extend(found.flat_map(|(number, _)| [LinkId(number * 2), LinkId(number * 2 + 1)]));
        }
        (own, carried)
    }

    /// The links joined from a relay connection.
    pub(crate) fn joined_from(&self, connection: RelayConnection) -> Vec<LinkId> {
        let of = |joined: &Connection| joined.via.is_some_and(|(_, legs)| legs.contains(&connection));
        let found = self.iter().filter(|(_, joined)| of(joined));
        found.flat_map(|(number, _)| [LinkId(number * 2), LinkId(number * 2 + 1)]).collect()
    }

    /// Forgets the connections of which no end is open at a run that goes on.
    pub(crate) fn forget_dead(&mut self, goes_on: impl Fn(Run) -> bool) {
        let is_dead = |one: &Connection| one.ends.iter().all(|end| !end.open || !goes_on(end.run));
        let dead: Vec<u64> = self.iter().filter(|(_, one)| is_dead(one)).map(|(number, _)| number).collect();
        for number in dead {
            self.remove(number);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open
    }
}
