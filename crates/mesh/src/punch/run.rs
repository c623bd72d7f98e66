//! One attempt under way: its packets, and the ways that were found to work.
//!
//! A packet counts only if its code fits and its exchange is new. Then its source is an address of the other side,
//! whatever was told of it, and is answered at once. A way is found when a round trip on it was measured: by step 1 at the
//! side that asked, by step 2 at the other.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use meshline_identity::{AttemptKeys, open, seal};
use meshline_protocol::message::{PunchMapping, TimeFrame};
use meshline_protocol::{Code, NodeId};

use super::Cx;
use super::offer::Told;
use super::plan::{
    Aim, BATCH, BATCH_EVERY, HEAD_START, MAX_PROBES, Ports, Search, Shot, Volley, opener_ttl, shots, volleys,
};
use super::window::Window;
use crate::input::{DialId, SocketId};
use crate::now::Mono;
use crate::output::Output;
use crate::time::{LinkClock, StepContext};

/// Packets an address gets before something came from it, and afterwards on top of what came: an address may be a
/// victim's.
pub(crate) const UNHEARD: u32 = 3;

/// Addresses of one attempt: those told, and those that packets came from. A search adds only those that answer.
const MAX_ADDRESSES: usize = 64;

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

/// What the attempt wants of those around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A way was found, or a better one.
    Found(Way),
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
    /// Whether the dear kind of search is due.
    pub(super) may_search: bool,
}

/// An attempt.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) start: Start,
    plan: VecDeque<(Mono, Volley)>,
    addresses: BTreeMap<SocketAddr, Traffic>,
    asked: BTreeMap<u32, Asked>,
    last_exchange: u32,
    window: Window,
    ways: BTreeMap<(SocketId, SocketAddr), LinkClock>,
    pub(super) best: Option<Way>,
    found_at: Option<Mono>,
    pub(super) probes: u32,
    pub(super) search: Search,
    queue: VecDeque<Shot>,
    pub(super) sockets: Vec<SocketId>,
    /// Connections being opened over what was found, and by TCP.
    pub(super) dials: Vec<DialId>,
    pub(super) stage: &'static str,
    pub(super) over: bool,
}

impl Run {
    pub(super) fn new(start: Start) -> Self {
        let first = Mono(start.at.0.saturating_sub(u64::try_from(HEAD_START.as_micros()).unwrap_or(0)));
        let mut plan: Vec<(Mono, Volley)> = volleys().map(|(at, volley)| (first.after(at), volley)).collect();
        plan.sort_by_key(|(at, _)| *at);
        let addresses = start.targets.iter().map(|(address, told)| (*address, Traffic::new(Known::Told(*told))));
        Self {
            addresses: addresses.take(MAX_ADDRESSES).collect(),
            plan: plan.into(),
            search: Search::choose(start.mappings.0, start.mappings.1, start.earlier),
            start,
            asked: BTreeMap::new(),
            last_exchange: 0,
            window: Window::default(),
            ways: BTreeMap::new(),
            best: None,
            found_at: None,
            probes: 0,
            queue: VecDeque::new(),
            sockets: Vec::new(),
            dials: Vec::new(),
            stage: "waiting",
            over: false,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.plan.front().map(|(at, _)| *at)
    }

    /// Sends what is due.
    pub(super) fn handle_timeout(&mut self, ports: &mut Ports, cx: &mut Cx<'_>) -> Vec<Step> {
        let now = cx.shared.now.mono;
        self.asked.retain(|_, asked| now.since(asked.at) < ASK_LIMIT);
        let mut steps = Vec::new();
        while self.plan.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, volley)) = self.plan.pop_front() else { break };
            if !self.over {
                steps.extend(self.fire(volley, ports, cx));
            }
        }
        steps
    }

    fn fire(&mut self, volley: Volley, ports: &mut Ports, cx: &mut Cx<'_>) -> Option<Step> {
        match volley {
            Volley::Near => self.try_told(Told::Near, None, cx),
            Volley::Openers => self.try_told(Told::Far, Some(opener_ttl(self.start.earlier)), cx),
            Volley::Far => self.try_told(Told::Far, None, cx),
            Volley::Heard => self.try_heard(cx),
            Volley::Meet => return self.best.is_none().then_some(Step::Meet),
            Volley::Open => self.open_sockets(cx),
            Volley::Search => self.search(ports, cx),
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
        let is_wanted = |traffic: &Traffic| traffic.known == Known::Told(wanted) && traffic.has_room();
        let due: Vec<SocketAddr> =
            self.addresses.iter().filter(|(_, traffic)| is_wanted(traffic)).map(|(to, _)| *to).collect();
        for to in due {
            self.ask(Shot { socket: SocketId::MAIN, to, ttl }, cx);
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

    fn open_sockets(&mut self, cx: &mut Cx<'_>) {
        let is_dear = self.search.is_birthday();
        let peer = self.start.peer;
        let is_free = cx.searching.is_none_or(|other| other == peer);
        if self.best.is_some() || self.start.seen.is_none() || (is_dear && !(self.start.may_search && is_free)) {
            self.search = Search::None;
            return;
        }
        if is_dear {
            *cx.searching = Some(peer);
        }
        for _ in 0..self.search.sockets() {
            let socket = cx.shared.next_socket();
            self.sockets.push(socket);
            cx.shared.push(Output::OpenSocket { socket });
        }
    }

    /// A batch of the search; the first one makes the list.
    fn search(&mut self, ports: &mut Ports, cx: &mut Cx<'_>) {
        let Some(seen) = self.start.seen.filter(|_| self.best.is_none()) else { return };
        if self.stage != "search" && self.search != Search::None {
            self.stage = "search";
            let (ttl, earlier) = (opener_ttl(self.start.earlier), self.start.earlier);
            let aim = Aim { seen, before: self.start.before, sockets: &self.sockets, ttl, earlier };
            self.queue = shots(self.search, &aim, ports);
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
        let room = self.is_search(shot.socket) || self.addresses.get(&shot.to).is_none_or(Traffic::has_room);
        if !room || self.probes >= MAX_PROBES || !cx.pace.take(now.mono) {
            return;
        }
        self.last_exchange += 1;
        let exchange = self.last_exchange;
        let context = StepContext { network: &cx.shared.config.network, id: cx.shared.id, now };
        let frame = LinkClock::default().ask(exchange, context);
        self.asked.insert(exchange, Asked { at: now.mono, socket: shot.socket, to: shot.to });
        self.probes += 1;
        cx.counts.probes += 1;
        self.send(frame, shot, None, cx);
    }

    /// Whether what leaves a socket is part of a search, which has caps of its own: many sockets aim at one address then,
    /// with packets that are not meant to arrive or of which one is to fit. From the main one it gets no more for that.
    fn is_search(&self, socket: SocketId) -> bool {
        socket != SocketId::MAIN && self.stage == "search"
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
            0 if !self.window.take(frame.exchange) => return Err(Code::RecordOutdated),
            0 => None,
            1 => Some(self.take_asked(&frame, at)?),
            _ if self.ways.contains_key(&at) => None,
            _ => return Err(Code::RecordOutdated),
        };
        if !self.note_heard(at.1, sent.is_some()) {
            return Err(Code::RateLimited);
        }
        Ok(self.advance(at, &frame, sent, cx))
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
    fn note_heard(&mut self, from: SocketAddr, was_asked: bool) -> bool {
        if !self.addresses.contains_key(&from) {
            if self.addresses.len() >= MAX_ADDRESSES {
                return false;
            }
            let known = if was_asked { Known::Searched } else { Known::Heard };
            self.addresses.insert(from, Traffic::new(known));
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
        let has_room = self.addresses.get(&at.1).is_some_and(Traffic::has_room);
        if let Some(answer) = answer.filter(|_| has_room) {
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
        let was_told = socket == SocketId::MAIN && matches!(known, Some(Known::Told(_)));
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
    }
}
