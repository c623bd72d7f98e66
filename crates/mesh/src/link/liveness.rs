//! Whether the other end is still there.

use std::time::Duration;

use meshline_protocol::Message;
use meshline_protocol::limits::{MAX_BODY, MAX_LINE};
use meshline_protocol::message::{Broadcast, Chat};

use crate::input::Transport;
use crate::now::Mono;

/// Between asks on a link with traffic.
const ACTIVE_INTERVAL: Duration = Duration::from_secs(3);

/// Between asks on a link without.
const IDLE_INTERVAL: Duration = Duration::from_secs(15);

/// The same on a QUIC link: some routers forget UDP after ten seconds without a packet, and with it the way.
const IDLE_INTERVAL_UDP: Duration = Duration::from_secs(8);

/// The end that dialled asks so much sooner on an idle link, so that it alone does: the other one has been asked by then.
const LEAD: Duration = Duration::from_millis(500);

/// A QUIC link on which a message was sent is asked after this unless something comes back: a router between the two may
/// have forgotten the way, and then nothing says so. The same goes for a relayed link: its proxy acknowledges what it need not
/// pass on. With [`DEAD_AFTER`] it is left seven seconds after the message. Other links over TCP are not: there the system says
/// that nothing is acknowledged, and most messages of a large mesh go over them.
const SILENT_AFTER_WORD: Duration = Duration::from_millis(500);

/// How long after the last message a link counts as one with traffic.
const ACTIVE_FOR: Duration = Duration::from_secs(15);

/// An ask unanswered for so long, with nothing else heard, and the link is dead. With the idle interval this
/// makes 21.5 s until a silent cut of an idle link shows.
const DEAD_AFTER: Duration = Duration::from_millis(6_500);

/// A link that carries datagrams is asked so often, for so long after the last one.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
const PROBED_FOR: Duration = Duration::from_secs(1);

/// It is dead after an ask that stayed unanswered for so long, at least.
const LEAST_PATIENCE: Duration = Duration::from_millis(300);

/// The first exchange of a link is held up by whatever is lost of it, and what it tells of the other clock is off by as
/// much. So where a round trip takes long enough to matter the next ones follow it soon: of four one is good in nearly all
/// cases, even where every tenth packet is lost.
const FIRST_ASKS: u8 = 4;
const FIRST_INTERVAL: Duration = Duration::from_millis(200);

/// For the next of the first asks of the end that dialled the other one waits so long at most, whatever a round trip takes.
const LONGEST_TURN: Duration = Duration::from_secs(2);

/// A clock is off by half of a round trip at most: below this the next ask can wait.
const SHORT_US: u64 = 20_000;

/// More patience than with an idle link it does not get.
const MOST_PATIENCE: Duration = DEAD_AFTER;

/// Who has not looked for so long was stopped itself, and what arrived meanwhile has not been read yet.
const STOPPED: Duration = Duration::from_millis(200);

/// To read it, and what comes of one ask more, takes so long at least.
const LEAST_GRACE: Duration = Duration::from_millis(100);

/// Who was stopped for so long slept with the whole machine, and perhaps others with it: all is asked anew.
const SLEPT: Duration = Duration::from_secs(1);

/// The longest frame: what a probe may wait for that came just behind it.
const FULL_FRAME_BITS: u64 = 8 * (MAX_LINE + MAX_BODY) as u64;

/// Whether somebody waits for a message, so that its link is worth asking more often. What nodes tell each other about
/// themselves is not: an idle network would keep itself awake by it.
pub(crate) fn is_traffic(message: &Message) -> bool {
    if let Message::Ledger(message) = message {
        return message.takes_body();
    }
    let is_own = matches!(
        message,
        Message::Time(_)
            | Message::Probe(_)
            | Message::Gossip(_)
            | Message::Routing(_)
            | Message::Punch(_)
            | Message::Peers(_)
            | Message::Rebuild(_)
            | Message::Broadcast(
                Broadcast::Have(_)
                    | Broadcast::Want(_)
                    | Broadcast::Graft(_)
                    | Broadcast::Prune(_)
                    | Broadcast::Place(_)
                    | Broadcast::Compare(_)
            )
            | Message::Chat(Chat::Compare(_) | Chat::Ranges(_) | Chat::Keys(_) | Chat::Want(_))
            | Message::Services(_)
    );
    !is_own && !is_upkeep(message)
}

/// Whether a message is a datagram that others wait for: its link is watched closely while it goes on.
pub(crate) fn is_carried(message: &Message) -> bool {
    matches!(message, Message::Datagram(_)) && !is_upkeep(message)
}

fn is_upkeep(message: &Message) -> bool {
    matches!(message, Message::Datagram(datagram) if datagram.service.as_str() == crate::find::UPKEEP)
}

/// Before the goodput is known, what waits is thought to go at this many bits a second: half of what the slowest line
/// carries that is worth sending bulk over.
const SLOWEST_BPS: u64 = 500_000;

/// What an answer takes at worst on a link that carries datagrams: the round trip and, on a link of a known goodput, a
/// full frame or what stands before the ask, whichever is more; on another, what stands before it on a slow line.
pub(crate) fn answer_time(rtt_us: u64, jitter_us: u64, goodput_bps: Option<u64>, waiting_bytes: u64) -> Duration {
    let waiting_bits = waiting_bytes.saturating_mul(8);
    let (bits, bps) = match goodput_bps {
        Some(bps) => (waiting_bits.max(FULL_FRAME_BITS), bps.max(1)),
        None => (waiting_bits, SLOWEST_BPS),
    };
    let sending_us = bits.saturating_mul(1_000_000) / bps;
    let micros = rtt_us.saturating_mul(3).saturating_add(jitter_us.saturating_mul(4)).saturating_add(sending_us);
    Duration::from_micros(micros).min(MOST_PATIENCE)
}

/// What the end that did not dial leaves the other one for the next of the first asks, and it takes to show here.
fn turn(rtt_us: u64) -> Duration {
    Duration::from_micros(rtt_us).saturating_add(2 * FIRST_INTERVAL).min(LONGEST_TURN)
}

/// A time in which a link carries datagrams.
#[derive(Clone, Copy, Debug)]
struct Carrying {
    since: Mono,
    last: Mono,
    /// What an answer takes at worst.
    answer: Duration,
}

impl Carrying {
    /// How long an ask may stay unanswered.
    fn patience(self) -> Duration {
        self.answer.max(LEAST_PATIENCE)
    }

    /// What is granted on top to one who was stopped itself for so long.
    fn grace(self, stopped: Duration) -> Duration {
        if stopped >= SLEPT { self.patience() } else { self.answer.max(LEAST_GRACE) }
    }
}

/// What the timer of a link asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send a time frame.
    Ask,
    /// Give the link up.
    Dead,
}

/// The timers of one link.
#[derive(Debug)]
pub(crate) struct Liveness {
    last_heard: Mono,
    last_traffic: Option<Mono>,
    next_ask: Mono,
    unanswered: Option<Mono>,
    /// The last ask, until it is answered.
    outstanding: Option<Mono>,
    carrying: Option<Carrying>,
    looked: Mono,
    /// After a stop of our own nobody is given up before this.
    spared: Mono,
    asks: u64,
    answers: u64,
    /// Of the first asks those that were not answered yet.
    first_asks: u8,
    /// This end dialled, and asks where one is enough.
    leads: bool,
    idle_interval: Duration,
    /// Whether a message that nothing comes back after is asked after.
    minds_silence: bool,
    /// The first message sent since anything was heard.
    spoken: Option<Mono>,
}

impl Liveness {
    /// Of a link that something bears.
    pub(crate) fn of(transport: Transport, now: Mono) -> Self {
        let idle_interval = if transport == Transport::Quic { IDLE_INTERVAL_UDP } else { IDLE_INTERVAL };
        let minds_silence = matches!(transport, Transport::Quic | Transport::Relay);
        Self { idle_interval, minds_silence, ..Self::new(now) }
    }

    pub(crate) fn new(now: Mono) -> Self {
        Self {
            idle_interval: IDLE_INTERVAL,
            last_heard: now,
            last_traffic: None,
            next_ask: now,
            unanswered: None,
            outstanding: None,
            carrying: None,
            looked: now,
            spared: now,
            asks: 0,
            answers: 0,
            first_asks: FIRST_ASKS,
            leads: false,
            minds_silence: false,
            spoken: None,
        }
    }

    /// Something arrived; `is_traffic` if it was more than a sign of life.
    pub(crate) fn heard(&mut self, is_traffic: bool, now: Mono) {
        self.last_heard = self.last_heard.max(now);
        self.spoken = None;
        if is_traffic {
            self.traffic(now);
        }
    }

    /// More than a sign of life went either way. On a ring all goes one way, and it is the sender who must notice
    /// that nobody is there any more.
    pub(crate) fn traffic(&mut self, now: Mono) {
        let was_idle = !self.is_active(now);
        self.last_traffic = Some(now);
        if was_idle {
            self.next_ask = self.next_ask.min(now.after(ACTIVE_INTERVAL));
        }
    }

    /// More than a sign of life is sent.
    pub(crate) fn spoke(&mut self, now: Mono) {
        self.traffic(now);
        let is_asked = self.unanswered.is_some_and(|asked| asked >= self.last_heard);
        if self.minds_silence && !is_asked {
            self.spoken.get_or_insert(now);
        }
    }

    /// When the next ask is due.
    fn asks_at(&self) -> Mono {
        self.spoken.map_or(self.next_ask, |spoken| self.next_ask.min(spoken.after(SILENT_AFTER_WORD)))
    }

    /// When more than a sign of life went either way last.
    pub(crate) fn last_traffic(&self) -> Option<Mono> {
        self.last_traffic
    }

    /// A datagram went over the link. Others wait for it, so the link is asked at once and often.
    pub(crate) fn carry(&mut self, answer: Duration, now: Mono) {
        let since = self.carrying.filter(|_| self.is_carrying(now)).map(|carrying| carrying.since);
        if since.is_none() {
            self.next_ask = self.next_ask.min(now);
            self.looked = now;
        }
        self.carrying = Some(Carrying { since: since.unwrap_or(now), last: now, answer });
    }

    /// An answer takes longer than was thought.
    pub(crate) fn wait_for(&mut self, answer: Duration) {
        if let Some(carrying) = &mut self.carrying {
            carrying.answer = carrying.answer.max(answer);
        }
    }

    /// The answer to an ask arrived.
    pub(crate) fn answered(&mut self) {
        self.outstanding = None;
        if self.unanswered.take().is_some() {
            self.answers += 1;
        }
    }

    /// Which end dialled is known.
    pub(crate) fn lead(&mut self, leads: bool) {
        self.leads = leads;
    }

    /// The answer told a round trip.
    pub(crate) fn measured(&mut self, rtt_us: u64, now: Mono) {
        self.count_first(rtt_us);
        if self.first_asks > 0 {
            let pause = if self.leads { FIRST_INTERVAL } else { turn(rtt_us) };
            self.next_ask = self.next_ask.min(now.after(pause));
        }
    }

    /// The other end asked, and its answer to our answer shows as much as an own ask would, the round trip as well: of the
    /// first asks, and on an idle link, those of the end that leads are enough. The other one asks when they stay away.
    pub(crate) fn asked(&mut self, rtt_us: u64, now: Mono) {
        if self.leads || self.unanswered.is_some() {
            return;
        }
        if self.first_asks > 0 && !self.is_carrying(now) {
            self.count_first(rtt_us);
            self.next_ask = now.after(turn(rtt_us));
        }
        if self.first_asks == 0 && self.interval(now) == self.idle_interval {
            self.next_ask = self.next_ask.max(now.after(self.idle_interval));
        }
    }

    /// One of the first asks was answered.
    fn count_first(&mut self, rtt_us: u64) {
        self.first_asks = if rtt_us < SHORT_US { 0 } else { self.first_asks.saturating_sub(1) };
    }

    /// Share of asks that stayed unanswered, the pending one left out.
    pub(crate) fn loss(&self) -> f64 {
        let settled = self.asks.saturating_sub(u64::from(self.unanswered.is_some()));
        let lost = settled.saturating_sub(self.answers);
        if settled == 0 {
            0.0
        } else {
            u32::try_from(lost).map_or(1.0, f64::from) / u32::try_from(settled).map_or(1.0, f64::from)
        }
    }

    /// What is due now, if anything.
    pub(crate) fn due(&mut self, now: Mono) -> Option<Due> {
        self.spare(now);
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            return Some(Due::Dead);
        }
        if now < self.asks_at() {
            return None;
        }
        self.spoken = None;
        let interval = self.interval(now);
        let sooner = if self.leads && interval == self.idle_interval { LEAD } else { Duration::ZERO };
        self.next_ask = now.after(interval - sooner);
        if interval == PROBE_INTERVAL && self.waits(now) {
            return None;
        }
        // On a link that carries datagrams silence counts from what was heard anyway.
        let is_carrying = self.is_carrying(now);
        if self.unanswered.is_none_or(|asked| asked < self.last_heard && !is_carrying) {
            self.unanswered = Some(now);
        }
        self.outstanding = Some(now);
        self.asks += 1;
        Some(Due::Ask)
    }

    /// Who was stopped itself reads first what came, and asks once more.
    fn spare(&mut self, now: Mono) {
        let stopped = now.since(self.looked);
        self.looked = now;
        let Some(carrying) = self.carrying.filter(|_| stopped > STOPPED && self.is_carrying(now)) else { return };
        if self.unanswered.is_some() {
            self.spared = now.after(carrying.grace(stopped));
            (self.outstanding, self.next_ask) = (None, now);
        }
    }

    fn interval(&self, now: Mono) -> Duration {
        match (self.is_carrying(now), self.is_active(now)) {
            (true, _) => PROBE_INTERVAL,
            (false, true) => ACTIVE_INTERVAL,
            (false, false) => self.idle_interval,
        }
    }

    /// Whether an answer is still to be waited for: another ask before it would only make it useless as a measurement.
    fn waits(&self, now: Mono) -> bool {
        let patience = self.carrying.map_or(LEAST_PATIENCE, Carrying::patience);
        self.outstanding.is_some_and(|asked| now.since(asked) < patience)
    }

    /// When [`Liveness::due`] should be called next.
    pub(crate) fn next_timeout(&self) -> Mono {
        let asks_at = self.asks_at();
        self.deadline().map_or(asks_at, |deadline| deadline.min(asks_at))
    }

    /// An idle link has until its ask has been unanswered for long enough and nothing else was heard. On one that carries
    /// datagrams silence counts from what was heard last, perhaps after the ask that will not be answered.
    fn deadline(&self) -> Option<Mono> {
        let asked = self.unanswered?;
        let idle = Some(asked.after(DEAD_AFTER)).filter(|_| self.last_heard <= asked);
        let Some(carrying) = self.carrying else { return idle };
        let silent = asked.max(carrying.since).max(self.last_heard).after(carrying.patience()).max(self.spared);
        if silent > carrying.last.after(PROBED_FOR) {
            return idle;
        }
        Some(idle.map_or(silent, |idle| idle.min(silent)))
    }

    /// Whether a datagram went over it within the last second.
    pub(crate) fn is_carrying(&self, now: Mono) -> bool {
        self.carrying.is_some_and(|carrying| now.since(carrying.last) < PROBED_FOR)
    }

    pub(crate) fn is_active(&self, now: Mono) -> bool {
        self.last_traffic.is_some_and(|last| now.since(last) < ACTIVE_FOR)
    }
}
