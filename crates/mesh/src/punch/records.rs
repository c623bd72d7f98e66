//! Calls, answers and withdrawals: both sides agree before a packet leaves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshline_identity::{AttemptKeys, Ephemeral};
use meshline_protocol::message::{Punch as Message, PunchEnd, PunchInstant, PunchMapping, PunchOffer, PunchReason};
use meshline_protocol::{Code, NodeId, SignedRecord, UnixMicros};

use super::offer::{Heading, Own, is_near, meeting_places, read, targets, write_end, write_offer};
use super::plan::{MEETING, Search, own_port};
use super::pursuit::{Call, Held, Pursuit, REFUSED_PAUSE};
use super::run::{Run, Start};
use super::{MAX_RUNS, Punch, Wanted, Wish};
use crate::input::SocketId;
use crate::now::Mono;
use crate::output::{DialTarget, Output};
use crate::shared::Shared;

/// An answer that takes longer will not come.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// The answer must be there before the instant, and both must have time to get ready.
const LEAST_LEAD: Duration = Duration::from_millis(150);

/// Further ahead lies no honest instant: links with half of this for a round trip are dead.
const MOST_LEAD: Duration = Duration::from_secs(10);

/// Hosts of one member that others are asked about in an attempt: where it was seen, and where TCP may meet.
const MAX_HOSTS: usize = 3;

/// The round trip where none is known: a way over several members.
const USUAL_RTT_US: u64 = 300_000;

/// What both records of an attempt say together.
struct Agreed<'a> {
    theirs: &'a PunchOffer,
    keys: AttemptKeys,
    at: Mono,
    called: bool,
    /// From which this side sends.
    socket: Option<SocketId>,
    /// The round trip to the member as things are, in microseconds.
    rtt_us: Option<u64>,
}

impl Punch {
    fn heading(&mut self, to: NodeId, attempt: u32, shared: &Shared) -> Heading {
        Heading { seq: self.seq.next(shared.steady()), to, attempt }
    }

    /// What this node brings to the next attempt with a member, and the socket opened for it alone.
    fn bring(&self, peer: &NodeId, shared: &mut Shared) -> Option<(Own, Option<SocketId>)> {
        let own = self.own.as_ref()?;
        let port = own_port(shared.random_u32());
        let wants = self.pursuits.get(peer).is_some_and(Pursuit::wants_socket);
        let Some(with_socket) = own.with_socket(port).filter(|_| wants) else { return Some((own.clone(), None)) };
        let socket = shared.next_socket();
        shared.push(Output::OpenSocket { socket, port: Some(port) });
        Some((with_socket, Some(socket)))
    }

    /// Asks a member for an attempt.
    pub(super) fn call(&mut self, peer: NodeId, shared: &mut Shared) {
        let Some((own, socket)) = self.bring(&peer, shared) else { return };
        let (secret, number) = (Ephemeral::from_secret(shared.secret()), shared.random_u32());
        let heading = self.heading(peer, number, shared);
        let record = write_offer(shared, heading, &own, secret.public(), None);
        let Some(pursuit) = self.pursuits.get_mut(&peer) else { return };
        let until = shared.now.mono.after(CALL_LIMIT);
        pursuit.call = Some(Call { number, secret, sent: shared.now, until, socket });
        pursuit.called = true;
        self.wishes.push(Wish::Tell(peer, Message::Call(record)));
    }

    /// A message of a member. `refusal` is why this node takes no part, if it takes none.
    ///
    /// # Errors
    /// Why the record is refused. Nothing of a refused one has any effect.
    pub(crate) fn handle(
        &mut self,
        from: Wanted,
        message: &Message,
        refusal: Option<PunchReason>,
        shared: &mut Shared,
    ) -> Result<(), Code> {
        let done = match message {
            Message::Call(record) => self.on_call(from, record, refusal, shared),
            Message::Answer(record) => self.on_answer(from.peer, record, shared),
            Message::Withdraw(record) => self.on_withdraw(from.peer, record, shared),
        };
        done.map_err(|code| self.refuse(code))
    }

    fn on_call(
        &mut self,
        from: Wanted,
        record: &SignedRecord,
        refusal: Option<PunchReason>,
        shared: &mut Shared,
    ) -> Result<(), Code> {
        let peer = from.peer;
        let theirs: PunchOffer = read(record, peer, |offer: &PunchOffer| offer.to, shared)?;
        if theirs.answer.is_some() {
            return Err(Code::InvalidMessage);
        }
        let is_larger = shared.id > peer;
        let busy = self.pursuits.values().filter(|pursuit| pursuit.is_trying()).count() >= MAX_RUNS;
        let pursuit = self.pursuits.entry(peer).or_insert_with(|| Pursuit::new(is_larger, shared));
        accept(pursuit, theirs.seq, theirs.expires, shared)?;
        if !pursuit.answers.take(shared.now.mono) {
            return Err(Code::RateLimited);
        }
        // Both called: the smaller id's call counts.
        if pursuit.call.is_some() && !is_larger && refusal.is_none() {
            return Ok(());
        }
        let full = (busy && !pursuit.is_trying()).then_some(PunchReason::Busy);
        let own = self.own.clone().filter(Own::has_udp);
        let refusal = refusal.or(full).or_else(|| own.is_none().then_some(PunchReason::Busy));
        if let Some(reason) = refusal {
            self.withdraw(peer, theirs.attempt, reason, shared);
            return Ok(());
        }
        let call = Held { offer: theirs, rtt_us: from.rtt_us, received: shared.now.wall };
        if self.is_ready(shared) {
            return self.answer(peer, &call, shared);
        }
        if let Some(pursuit) = self.pursuits.get_mut(&peer) {
            pursuit.held = Some(call);
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, peer: NodeId, call: &Held, shared: &mut Shared) -> Result<(), Code> {
        let theirs = &call.offer;
        let secret = Ephemeral::from_secret(shared.secret());
        let keys = agree(&secret, peer, theirs, shared)?;
        let Some((own, socket)) = self.bring(&peer, shared) else { return Ok(()) };
        let rtt = Duration::from_micros(call.rtt_us.unwrap_or(USUAL_RTT_US));
        let lead = rtt.saturating_mul(2).clamp(LEAST_LEAD, MOST_LEAD);
        let (now, lead_us) = (shared.now, i64::try_from(lead.as_micros()).unwrap_or(0));
        let instant = PunchInstant { receive: call.received, at: now.wall.offset(lead_us) };
        let heading = self.heading(peer, theirs.attempt, shared);
        let record = write_offer(shared, heading, &own, secret.public(), Some(instant));
        self.wishes.push(Wish::Tell(peer, Message::Answer(record)));
        let (at, rtt_us) = (now.mono.after(lead), call.rtt_us);
        self.start(peer, Agreed { theirs, keys, at, called: false, socket, rtt_us }, shared);
        Ok(())
    }

    fn on_answer(&mut self, peer: NodeId, record: &SignedRecord, shared: &mut Shared) -> Result<(), Code> {
        let theirs: PunchOffer = read(record, peer, |offer: &PunchOffer| offer.to, shared)?;
        let instant = theirs.answer.ok_or(Code::InvalidMessage)?;
        let pursuit = self.pursuits.get_mut(&peer).ok_or(Code::RecordOutdated)?;
        accept(pursuit, theirs.seq, theirs.expires, shared)?;
        let call = pursuit.call.take_if(|call| call.number == theirs.attempt).ok_or(Code::RecordOutdated)?;
        let clock = shared.network_time.clock_of(&peer, shared.now.mono);
        let at = instant_here(&theirs, instant, (&call, clock), shared.now.mono).ok_or(Code::InvalidMessage);
        let agreed = at.and_then(|at| Ok((at, agree(&call.secret, peer, &theirs, shared)?)));
        let socket = call.socket;
        if let (Err(_), Some(socket)) = (&agreed, socket) {
            shared.push(Output::CloseSocket { socket });
        }
        let (at, keys) = agreed?;
        let rtt_us = round_trip(&theirs, instant, &call, shared.now.mono);
        self.start(peer, Agreed { theirs: &theirs, keys, at, called: true, socket, rtt_us }, shared);
        Ok(())
    }

    fn start(&mut self, peer: NodeId, agreed: Agreed<'_>, shared: &mut Shared) {
        let Some(own) = &self.own else { return };
        let Some(pursuit) = self.pursuits.get_mut(&peer) else { return };
        let Agreed { theirs, keys, at, called, socket, rtt_us } = agreed;
        pursuit.called = called;
        let mappings = (own.mapping, theirs.mapping);
        let earlier = pursuit.failures;
        let seen = seen_at(theirs).next();
        let start = Start {
            peer,
            number: theirs.attempt,
            keys,
            at,
            targets: targets(&theirs.candidates, &own.candidates),
            meets: meeting_places(&theirs.candidates, &own.candidates),
            seen,
            before: seen_at(theirs).nth(1),
            mappings,
            earlier,
            unseen: is_unseen(theirs),
            socket: socket.unwrap_or(SocketId::MAIN),
            rtt_us,
        };
        for host in start.hosts().take(MAX_HOSTS).filter(|host| self.hosts.is_open(peer, *host, shared.now.mono)) {
            self.wishes.push(Wish::Confirm(peer, host));
        }
        let ends_at = at.after(Search::end(mappings.0, mappings.1, earlier).max(MEETING));
        self.begin(peer, Run::new(start), ends_at, shared);
    }

    /// TCP connections to where the peer's may come from, if that is confirmed: all of it, or the host for which it just was.
    pub(super) fn meet(&mut self, peer: NodeId, host: Option<IpAddr>, shared: &Shared) {
        let Some(local) = self.own.as_ref().and_then(|own| own.tcp.clone()) else { return };
        let Some(run) = self.pursuits.get(&peer).and_then(|pursuit| pursuit.run.as_ref()) else { return };
        let (client, rtt_us) = (shared.id > peer, run.start.rtt_us);
        let is_met = |remote: &&SocketAddr| {
            host.is_none_or(|host| host.to_canonical() == remote.ip().to_canonical())
                && self.hosts.is_confirmed(peer, remote.ip(), shared.now.mono)
        };
        for remote in run.start.meets.iter().filter(is_met) {
            let target = DialTarget::Meet { local: local.clone(), remote: *remote, peer, client, rtt_us };
            self.wishes.push(Wish::Dial(peer, target));
        }
    }

    fn on_withdraw(&mut self, peer: NodeId, record: &SignedRecord, shared: &mut Shared) -> Result<(), Code> {
        let end: PunchEnd = read(record, peer, |end: &PunchEnd| end.to, shared)?;
        let pursuit = self.pursuits.get_mut(&peer).ok_or(Code::RecordOutdated)?;
        accept(pursuit, end.seq, end.expires, shared)?;
        if pursuit.held.take_if(|held| held.offer.attempt == end.attempt).is_some() {
            return Ok(());
        }
        let called = pursuit.call.as_ref().is_some_and(|call| call.number == end.attempt);
        let running = pursuit.run.as_ref().is_some_and(|run| !run.over && run.start.number == end.attempt);
        if !(called || running) {
            return Err(Code::RecordOutdated);
        }
        let pause = (end.reason == PunchReason::Off).then_some(REFUSED_PAUSE);
        self.end(peer, name_of(end.reason), pause, shared);
        Ok(())
    }

    fn withdraw(&mut self, peer: NodeId, attempt: u32, reason: PunchReason, shared: &Shared) {
        let heading = self.heading(peer, attempt, shared);
        let record = write_end(shared, heading, reason);
        self.wishes.push(Wish::Tell(peer, Message::Withdraw(record)));
    }

    /// This node leaves: whoever it tries with need not wait.
    pub(crate) fn leave(&mut self, reason: PunchReason, shared: &mut Shared) {
        let trying = self.pursuits.iter().filter_map(|(peer, pursuit)| {
            let run = pursuit.run.as_ref().filter(|run| !run.over);
            let number = run.map(|run| run.start.number).or_else(|| pursuit.call.as_ref().map(|call| call.number));
            number.map(|number| (*peer, number))
        });
        for (peer, number) in trying.collect::<Vec<_>>() {
            self.withdraw(peer, number, reason, shared);
        }
        self.stop(shared);
    }
}

fn accept(pursuit: &mut Pursuit, seq: UnixMicros, expires: UnixMicros, shared: &Shared) -> Result<(), Code> {
    if pursuit.is_new(seq, expires, shared.judged()) { Ok(()) } else { Err(Code::RecordOutdated) }
}

fn agree(secret: &Ephemeral, peer: NodeId, theirs: &PunchOffer, shared: &Shared) -> Result<AttemptKeys, Code> {
    let network = &shared.config.network;
    secret.agree(&theirs.key, (shared.id, peer), network, theirs.attempt).ok_or(Code::InvalidMessage)
}

/// When the instant is by our clock.
fn instant_here(
    theirs: &PunchOffer,
    instant: PunchInstant,
    (call, clock): (&Call, Option<(UnixMicros, u64)>),
    now: Mono,
) -> Option<Mono> {
    let round_trip = round_trip(theirs, instant, call, now)?;
    let lead =
        u64::try_from(instant.at.since(theirs.time)).ok().filter(|us| u128::from(*us) <= MOST_LEAD.as_micros())?;
    Some(now.after(Duration::from_micros(lead.saturating_sub(passed(theirs.time, round_trip, clock)))))
}

/// From the call to its answer, without what the other side took.
fn round_trip(theirs: &PunchOffer, instant: PunchInstant, call: &Call, now: Mono) -> Option<u64> {
    let held = u64::try_from(theirs.time.since(instant.receive)).ok()?;
    now.micros_since(call.sent.mono).checked_sub(held)
}

/// How long an answer was on its way: no longer than the round trip, so half of that is off by as much at most. What
/// time frames told of the clock it was stamped with counts where that is known better.
pub(super) fn passed(stamp: UnixMicros, round_trip_us: u64, clock: Option<(UnixMicros, u64)>) -> u64 {
    match clock {
        Some((clock, error_us)) if error_us < round_trip_us / 2 => {
            u64::try_from(clock.since(stamp)).unwrap_or(0).min(round_trip_us)
        }
        Some(_) | None => round_trip_us / 2,
    }
}

/// Where others saw the peer last, or where a router forwards to it; without translation, an address of its own.
fn seen_at(theirs: &PunchOffer) -> impl Iterator<Item = SocketAddr> {
    let lists = &theirs.candidates;
    let own = lists.host.iter().filter(|address| !is_near(**address));
    lists.reflexive.iter().chain(lists.mapped.iter()).chain(own).filter(|address| address.is_ipv4()).copied()
}

/// Whether a peer tells of no address outside and of no router: those that it asked are silent.
fn is_unseen(theirs: &PunchOffer) -> bool {
    let lists = &theirs.candidates;
    theirs.mapping == PunchMapping::Unknown && lists.reflexive.is_empty() && lists.mapped.is_empty()
}

fn name_of(reason: PunchReason) -> &'static str {
    match reason {
        PunchReason::Off => "off",
        PunchReason::Linked => "linked_already",
        PunchReason::Busy => "busy",
        PunchReason::Leaving => "leaving",
        PunchReason::Other => "refused",
    }
}
