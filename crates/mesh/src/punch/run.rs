//! One attempt under way: its packets, and the ways that were found to work.
//!
//! A packet counts only if its code fits and its exchange is new. Then its source is an address of the other side,
//! whatever was told of it, and is answered at once. A way is found when a round trip on it was measured: by step 1 at the
//! side that asked, by step 2 at the other. Exchanges are random, so that a measured round trip proves that the packets
//! got where they were sent: anybody can write a source that is not its own.

mod begin;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshline_identity::{AttemptKeys, open, seal};
use meshline_protocol::message::{PunchMapping, TimeFrame};
use meshline_protocol::{Code, NodeId};

use super::Cx;
use super::hosts::{CHEAP, DEAR};
use super::offer::Told;
use super::plan::{Aim, BATCH, BATCH_EVERY, HEAD_START, MAX_PROBES, Manner, Search, Shot, Volley, shots, volleys};
use super::pursuit::Supply;
use crate::input::{DialId, SocketId};
use crate::now::Mono;
use crate::output::{DialTarget, Output};
use crate::time::{LinkClock, StepContext};
use begin::Begun;

/// Packets an address gets before something came from it, and afterwards on top of what came: an address may be a
/// victim's. Of a host that is not confirmed to be the peer's all addresses together get as many.
pub(crate) const UNHEARD: u32 = 3;

/// Addresses of one attempt: those told, and those that packets came from. A search adds only those that answer.
const MAX_ADDRESSES: usize = 64;

/// Exchanges of the other side that are remembered, so that none counts twice. Of a search among as many few arrive.
pub(super) const MAX_TAKEN: usize = 2_000;

/// An ask that was not answered for so long will not be.
const ASK_LIMIT: Duration = Duration::from_secs(4);

/// A better way may take over for so long after the first was found.
const TAKE_OVER: Duration = Duration::from_secs(2);

/// Better is what takes less than so many per cent of the time, and is faster by this at least.
const BETTER_PERCENT: u64 = 70;
const BETTER_BY_US: u64 = 2_000;

/// Until there is a link the way is kept open with a packet so often.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// How an address became one of the other side's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Told(Told),
    /// A search hit it.
    Searched,
    /// A packet came from it.
    Heard,
}

/// What was sent to an address and what came from it.
#[derive(Clone, Copy, Debug)]
struct Traffic {
    known: Known,
    sent: u32,
    heard: u32,
}

impl Traffic {
    fn new(known: Known) -> Self {
        Self { known, sent: 0, heard: 0 }
    }

    fn has_room(&self) -> bool {
        self.sent < self.heard.saturating_add(UNHEARD)
    }

    fn with(self, other: &Self) -> Self {
        let (sent, heard) = (self.sent.saturating_add(other.sent), self.heard.saturating_add(other.heard));
        Self { sent, heard, ..self }
    }
}

/// A step 0 of ours that is on its way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: Mono,
    socket: SocketId,
    to: SocketAddr,
}

/// A way that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) socket: SocketId,
    pub(super) remote: SocketAddr,
    pub(super) rtt_us: u64,
    pub(super) kind: &'static str,
}

impl Way {
    /// The connection over it.
    pub(super) fn target(&self, peer: NodeId) -> DialTarget {
        let rtt_us = Some(self.rtt_us).filter(|rtt_us| *rtt_us > 0);
        DialTarget::Quic { socket: self.socket, remote: self.remote, peer, rtt_us }
    }
}

/// What the attempt wants of those around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A way was found, or a better one.
    Found(Way),
    /// A connection may be begun there: it costs no round trip if the way is one.
    Begin(Way),
    /// TCP connections should set out.
    Meet,
}

/// With what an attempt begins.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) peer: NodeId,
    pub(super) number: u32,
    pub(super) keys: AttemptKeys,
    /// When the instant is.
    pub(super) at: Mono,
    pub(super) targets: Vec<(SocketAddr, Told)>,
    /// Where TCP may meet.
    pub(super) meets: Vec<SocketAddr>,
    /// Where others saw the peer last.
    pub(super) seen: Option<SocketAddr>,
    /// And the time before that.
    pub(super) before: Option<SocketAddr>,
    pub(super) mappings: (PunchMapping, PunchMapping),
    /// Attempts with this peer that failed before.
    pub(super) earlier: u32,
    /// The peer says that nobody sees it: its datagrams do not pass, and no search will find it.
    pub(super) unseen: bool,
    /// From which told addresses are tried that are not next door.
    pub(super) socket: SocketId,
    /// The round trip to the peer as things are, in microseconds.
    pub(super) rtt_us: Option<u64>,
}

impl Start {
    /// The hosts that the peer says are its own, the one where ports may be searched among first, then those where TCP may
    /// meet.
    pub(super) fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        let told = self.targets.iter().map(|(address, _)| *address);
        let mut hosts: Vec<IpAddr> = Vec::new();
        for address in self.seen.into_iter().chain(self.meets.iter().copied()).chain(told) {
            let host = address.ip().to_canonical();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts.into_iter()
    }
}

/// An attempt.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) start: Start,
    manner: Manner,
    plan: VecDeque<(Mono, Volley)>,
    addresses: BTreeMap<SocketAddr, Traffic>,
    asked: BTreeMap<u32, Asked>,
    /// Exchanges of the other side that were answered.
    taken: BTreeSet<u32>,
    ways: BTreeMap<(SocketId, SocketAddr), LinkClock>,
    pub(super) best: Option<Way>,
    found_at: Option<Mono>,
    pub(super) probes: u32,
    pub(super) search: Search,
    /// Ports would have been searched among, but nobody sees the peer where it says it is.
    pub(super) unconfirmed: bool,
    /// TCP has set out to meet.
    pub(super) has_met: bool,
    queue: VecDeque<Shot>,
    pub(super) sockets: Vec<SocketId>,
    /// Connections being opened over what was found, and by TCP.
    pub(super) dials: Vec<DialId>,
    /// Which of them is by QUIC.
    pub(super) quic: Option<DialId>,
    begun: Option<Begun>,
    pub(super) stage: &'static str,
    pub(super) over: bool,
}

impl Run {
    pub(super) fn new(start: Start) -> Self {
        let first = Mono(start.at.0.saturating_sub(u64::try_from(HEAD_START.as_micros()).unwrap_or(0)));
        let manner = Manner::choose(start.mappings, start.earlier);
        let mut plan: Vec<(Mono, Volley)> =
            volleys(manner.careful).map(|(at, volley)| (first.after(at), volley)).collect();
        plan.sort_by_key(|(at, _)| *at);
        let addresses = start.targets.iter().map(|(address, told)| (*address, Traffic::new(Known::Told(*told))));
        Self {
            addresses: addresses.take(MAX_ADDRESSES).collect(),
            manner,
            plan: plan.into(),
            search: Search::choose(start.mappings.0, start.mappings.1, start.earlier),
            start,
            asked: BTreeMap::new(),
            taken: BTreeSet::new(),
            ways: BTreeMap::new(),
            best: None,
            found_at: None,
            probes: 0,
            unconfirmed: false,
            has_met: false,
            queue: VecDeque::new(),
            sockets: Vec::new(),
            dials: Vec::new(),
            quic: None,
            begun: None,
            stage: "waiting",
            over: false,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.plan.front().map(|(at, _)| *at)
    }

    /// Sends what is due.
    pub(super) fn handle_timeout(&mut self, supply: &mut Supply, cx: &mut Cx<'_>) -> Vec<Step> {
        let now = cx.shared.now.mono;
        self.asked.retain(|_, asked| now.since(asked.at) < ASK_LIMIT);
        let mut steps = Vec::new();
        while self.plan.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, volley)) = self.plan.pop_front() else { break };
            if !self.over {
                steps.extend(self.fire(volley, supply, cx));
            }
        }
        steps
    }

    fn fire(&mut self, volley: Volley, supply: &mut Supply, cx: &mut Cx<'_>) -> Option<Step> {
        match volley {
            Volley::Near => self.try_told(Told::Near, None, cx),
            Volley::Openers => self.try_told(Told::Far, Some(self.manner.ttl), cx),
            Volley::Far => {
                self.try_told(Told::Far, None, cx);
                return self.begin_told(cx);
            }
            Volley::Heard => self.try_heard(cx),
            Volley::Meet => {
                self.has_met = true;
                return self.best.is_none().then_some(Step::Meet);
            }
            Volley::Open => self.open_sockets(supply, cx),
            Volley::Search => self.search(supply, cx),
            Volley::Keep => self.keep(cx),
        }
        None
    }

    /// Asks at addresses that were told, as long as no way was found.
    fn try_told(&mut self, wanted: Told, ttl: Option<u8>, cx: &mut Cx<'_>) {
        if self.best.is_some() {
            return;
        }
        self.stage = "told addresses";
        let is_wanted = |(_, told): &&(SocketAddr, Told)| *told == wanted;
        let told: Vec<SocketAddr> = self.start.targets.iter().filter(is_wanted).map(|(to, _)| *to).collect();
        let due = told.iter().enumerate().filter(|(nth, to)| {
            // What an unconfirmed host may get goes to the likeliest address there.
            let is_first = !told.iter().take(*nth).any(|earlier| earlier.ip() == to.ip());
            is_first || cx.hosts.is_confirmed(self.start.peer, to.ip(), cx.shared.now.mono)
        });
        let due: Vec<SocketAddr> = due.map(|(_, to)| *to).collect();
        let socket = if wanted == Told::Near { SocketId::MAIN } else { self.start.socket };
        for to in due {
            self.ask(Shot { socket, to, ttl }, cx);
        }
    }

    /// Asks again where something came from and no round trip was measured yet.
    fn try_heard(&mut self, cx: &mut Cx<'_>) {
        let unmeasured: Vec<(SocketId, SocketAddr)> =
            self.ways.iter().filter(|(_, clock)| clock.rtt_us().is_none()).map(|(way, _)| *way).collect();
        for (socket, to) in unmeasured {
            self.ask(Shot { socket, to, ttl: None }, cx);
        }
    }

    fn open_sockets(&mut self, supply: &mut Supply, cx: &mut Cx<'_>) {
        if self.best.is_some() || !self.may_search(supply, cx) {
            self.search = Search::None;
            return;
        }
        for _ in 0..self.search.sockets() {
            let socket = cx.shared.next_socket();
            self.sockets.push(socket);
            cx.shared.push(Output::OpenSocket { socket, port: None });
        }
    }

    /// Whether the search may be made. Where the peer is said to be may be somebody else's host.
    fn may_search(&mut self, supply: &mut Supply, cx: &mut Cx<'_>) -> bool {
        let (is_dear, peer, now) = (self.search.is_birthday(), self.start.peer, cx.shared.now.mono);
        let Some(host) = self.start.seen.map(|seen| seen.ip()).filter(|_| self.search != Search::None) else {
            return false;
        };
        // Searches are few, and each is one less for when datagrams pass again.
        if cx.silent || self.start.unseen {
            return false;
        }
        self.unconfirmed = !cx.hosts.is_confirmed(peer, host, now);
        let is_free = cx.searching.is_none_or(|other| other == peer) && supply.has_search(now);
        let units = if is_dear { DEAR } else { CHEAP };
        if (is_dear && !is_free) || !cx.hosts.take_search(peer, host, units, now) {
            return false;
        }
        if is_dear {
            *cx.searching = Some(peer);
            supply.take_search(now);
        }
        true
    }

    /// A batch of the search; the first one makes the list.
    fn search(&mut self, supply: &mut Supply, cx: &mut Cx<'_>) {
        let Some(seen) = self.start.seen.filter(|_| self.best.is_none()) else { return };
        if self.stage != "search" && self.search != Search::None {
            self.stage = "search";
            let (ttl, earlier) = (self.manner.ttl, self.start.earlier);
            let (before, own) = (self.start.before, self.start.socket);
            let aim = Aim { seen, before, own, sockets: &self.sockets, ttl, earlier };
            self.queue = shots(self.search, &aim, &mut supply.ports);
        }
        for _ in 0..BATCH {
            let Some(shot) = self.queue.pop_front() else { return };
            self.ask(shot, cx);
        }
        self.plan_at(cx.shared.now.mono.after(BATCH_EVERY), Volley::Search);
    }

    fn keep(&mut self, cx: &mut Cx<'_>) {
        if let Some(way) = self.best {
            self.ask(Shot { socket: way.socket, to: way.remote, ttl: None }, cx);
            self.plan_at(cx.shared.now.mono.after(KEEP_EVERY), Volley::Keep);
        }
    }

    fn plan_at(&mut self, at: Mono, volley: Volley) {
        let place = self.plan.partition_point(|(other, _)| *other <= at);
        self.plan.insert(place, (at, volley));
    }

    /// Step 0, if the caps allow it.
    fn ask(&mut self, shot: Shot, cx: &mut Cx<'_>) {
        let now = cx.shared.now;
        let is_left = self.probes < MAX_PROBES && cx.pace.has(now.mono);
        if !is_left || !(self.is_search(shot.socket) || self.has_room(shot.to, cx)) {
            return;
        }
        cx.pace.take(now.mono);
        let exchange = cx.shared.random_u32();
        let context = StepContext { network: &cx.shared.config.network, id: cx.shared.id, now };
        let frame = LinkClock::default().ask(exchange, context);
        self.asked.insert(exchange, Asked { at: now.mono, socket: shot.socket, to: shot.to });
        self.probes += 1;
        cx.counts.probes += 1;
        self.send(frame, shot, None, cx);
    }

    /// Whether an address may get another packet. An unknown one is part of a search, which is not begun unless the host is
    /// confirmed.
    fn has_room(&self, to: SocketAddr, cx: &mut Cx<'_>) -> bool {
        let Some(traffic) = self.addresses.get(&to) else { return true };
        let (host, now) = (to.ip(), cx.shared.now.mono);
        if !traffic.has_room() || cx.hosts.is_confirmed(self.start.peer, host, now) || self.is_reached(host) {
            return traffic.has_room();
        }
        let of_host = self.addresses.iter().filter(|(address, _)| address.ip() == host);
        let all = of_host.fold(Traffic::new(traffic.known), |all, (_, one)| all.with(one));
        if all.heard > 0 { all.has_room() } else { cx.shared.named.take(host, 1, now) > 0 }
    }

    /// Whether a round trip to a host was measured.
    fn is_reached(&self, host: IpAddr) -> bool {
        self.ways.iter().any(|((_, remote), clock)| remote.ip() == host && clock.rtt_us().is_some())
    }

    /// Whether what leaves a socket is part of a search, which has caps of its own: many sockets aim at one address then,
    /// with packets that are not meant to arrive or of which one is to fit. From the main one it gets no more for that.
    fn is_search(&self, socket: SocketId) -> bool {
        self.is_of_search(socket) && self.stage == "search"
    }

    /// Whether a socket was opened to search.
    fn is_of_search(&self, socket: SocketId) -> bool {
        ![SocketId::MAIN, self.start.socket].contains(&socket)
    }

    fn send(&mut self, frame: TimeFrame, shot: Shot, seen: Option<SocketAddr>, cx: &mut Cx<'_>) {
        let is_answer = frame.step > 0;
        let frame = TimeFrame { seen: seen.map(Into::into), attempt: Some(self.start.number), ..frame };
        let Some(bytes) = seal(frame, &self.start.keys) else { return };
        let counts = is_answer || !self.is_search(shot.socket);
        if let Some(traffic) = self.addresses.get_mut(&shot.to).filter(|_| counts) {
            traffic.sent = traffic.sent.saturating_add(1);
        }
        let Shot { socket, to, ttl } = shot;
        cx.shared.push(Output::SendPacket { socket, to, bytes: bytes.into(), ttl });
    }

    /// A packet with the number of this attempt.
    pub(super) fn handle(
        &mut self,
        at: (SocketId, SocketAddr),
        bytes: &[u8],
        cx: &mut Cx<'_>,
    ) -> Result<Option<Step>, Code> {
        let frame = open(bytes, &self.start.keys)?;
        if frame.id != self.start.peer || frame.network != cx.shared.config.network {
            return Err(Code::IdentityMismatch);
        }
        let sent = match frame.step {
            0 => {
                self.take_exchange(frame.exchange)?;
                None
            }
            1 => Some(self.take_asked(&frame, at)?),
            2 if self.ways.get(&at).is_some_and(|clock| clock.is_echo(&frame)) => None,
            3 if self.ways.contains_key(&at) => None,
            _ => return Err(Code::RecordOutdated),
        };
        if !self.note_heard(at, sent.is_some()) {
            return Err(Code::RateLimited);
        }
        let found = self.advance(at, &frame, sent, cx);
        Ok(if frame.step == 0 { found.or_else(|| self.begin_heard(at, cx)) } else { found })
    }

    /// An exchange of the other side counts once.
    fn take_exchange(&mut self, exchange: u32) -> Result<(), Code> {
        if self.taken.len() >= MAX_TAKEN {
            return Err(Code::RateLimited);
        }
        if self.taken.insert(exchange) { Ok(()) } else { Err(Code::RecordOutdated) }
    }

    /// The ask that an answer belongs to, if it came from where that went.
    fn take_asked(&mut self, frame: &TimeFrame, (socket, from): (SocketId, SocketAddr)) -> Result<Mono, Code> {
        let is_it = |asked: &Asked| asked.socket == socket && asked.to == from;
        if !self.asked.get(&frame.exchange).is_some_and(is_it) {
            return Err(Code::RecordOutdated);
        }
        self.asked.remove(&frame.exchange).map(|asked| asked.at).ok_or(Code::RecordOutdated)
    }

    /// Counts what came from an address; says whether there is room for it.
    fn note_heard(&mut self, (socket, from): (SocketId, SocketAddr), was_asked: bool) -> bool {
        if !self.addresses.contains_key(&from) {
            if self.addresses.len() >= MAX_ADDRESSES {
                return false;
            }
            let known = if was_asked { Known::Searched } else { Known::Heard };
            // What a search sent there counts as well.
            let is_here = |asked: &&Asked| asked.to == from && !self.is_of_search(asked.socket);
            let waiting = u32::try_from(self.asked.values().filter(is_here).count()).unwrap_or(u32::MAX);
            let sent = waiting.saturating_add(u32::from(was_asked && !self.is_of_search(socket)));
            self.addresses.insert(from, Traffic { sent, ..Traffic::new(known) });
        }
        if let Some(traffic) = self.addresses.get_mut(&from) {
            traffic.heard = traffic.heard.saturating_add(1);
        }
        true
    }

    /// Takes a step of an exchange to the clock of its way, and sends the next.
    fn advance(
        &mut self,
        at: (SocketId, SocketAddr),
        frame: &TimeFrame,
        sent: Option<Mono>,
        cx: &mut Cx<'_>,
    ) -> Option<Step> {
        let clock = self.ways.entry(at).or_default();
        if let Some(sent) = sent {
            clock.resume(frame.exchange, sent);
        }
        let measured_before = clock.measurements();
        let context = StepContext { network: &cx.shared.config.network, id: cx.shared.id, now: cx.shared.now };
        let answer = clock.handle(frame, context);
        let rtt_us = clock.last_rtt_us().filter(|_| clock.measurements() > measured_before);
        if let Some(reading) = clock.latest().filter(|_| rtt_us.is_some()) {
            // Nothing on the way sends a datagram again, so this one is mostly better than a link's first.
            cx.shared.network_time.read(self.start.peer, reading, cx.shared.now.mono);
        }
        if let Some(answer) = answer.filter(|_| self.has_room(at.1, cx)) {
            let seen = (answer.step < 3).then_some(at.1);
            self.send(answer, Shot { socket: at.0, to: at.1, ttl: None }, seen, cx);
        }
        self.judge(at, rtt_us?, cx.shared.now.mono)
    }

    /// Whether a measured way is the first, or better than the one so far.
    fn judge(&mut self, (socket, remote): (SocketId, SocketAddr), rtt_us: u64, now: Mono) -> Option<Step> {
        let found_at = *self.found_at.get_or_insert(now);
        let is_better = |best: Way| {
            let is_other = (best.socket, best.remote) != (socket, remote);
            let is_faster = rtt_us.saturating_mul(100) < best.rtt_us.saturating_mul(BETTER_PERCENT);
            is_other && is_faster && rtt_us.saturating_add(BETTER_BY_US) < best.rtt_us
        };
        let takes = match self.best {
            None => true,
            Some(best) => now.since(found_at) < TAKE_OVER && is_better(best),
        };
        if !takes || self.over {
            return None;
        }
        if self.best.is_none() {
            self.plan_at(now.after(KEEP_EVERY), Volley::Keep);
        }
        let way = Way { socket, remote, rtt_us, kind: self.kind(socket, remote) };
        self.best = Some(way);
        self.queue.clear();
        self.stage = "connecting";
        Some(Step::Found(way))
    }

    fn kind(&self, socket: SocketId, remote: SocketAddr) -> &'static str {
        let known = self.addresses.get(&remote).map(|traffic| traffic.known);
        let was_told = !self.is_of_search(socket) && matches!(known, Some(Known::Told(_)));
        match (known, self.search) {
            (_, Search::Sockets | Search::Ports) if self.stage == "search" && !was_told => "birthday",
            (_, Search::Aim(_) | Search::Counted(_)) if self.stage == "search" && !was_told => "predicted",
            (Some(Known::Told(Told::Near)), _) => "near",
            (Some(Known::Told(Told::Far)), _) => "told",
            (Some(Known::Searched | Known::Heard) | None, _) => "seen",
        }
    }

    /// A socket is there no more: nothing is sent from it.
    pub(super) fn socket_failed(&mut self, socket: SocketId) {
        self.sockets.retain(|other| *other != socket);
        self.queue.retain(|shot| shot.socket != socket);
        if self.start.socket == socket {
            self.start.socket = SocketId::MAIN;
        }
    }
}
