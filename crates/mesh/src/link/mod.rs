//! Links: from a connection that carries frames to a peer that is up, and to its end.

mod duplicate;
mod echo;
mod hello;
mod liveness;
mod probe;
mod round_trips;
mod table;

use std::sync::Arc;
use std::time::Duration;

use meshline_identity::Member;
use meshline_protocol::message::Hello;
use meshline_protocol::{Address, NodeId};

pub(crate) use duplicate::{Contender, is_upgrade, newer_wins};
pub(crate) use echo::Echoes;
pub(crate) use hello::Verdict;
pub(crate) use hello::{check_header, hello, judge};
pub(crate) use liveness::{Liveness, answer_time, is_carried, is_traffic};
pub(crate) use probe::{Probed, Probes};
pub(crate) use round_trips::RoundTripCounts;
pub(crate) use table::{LinkDue, Links};

use crate::event::Direction;
use crate::input::{DialId, LinkId, LinkMeasured, Transport};
use crate::now::Mono;
use crate::time::LinkClock;

/// From the connection to the accepted hello, everything together. Honest handshakes take milliseconds; a
/// stranger that sends a byte a second is gone after this.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_millis(4_500);

/// Connections without an accepted hello. More are closed at once; honest members retry.
pub(crate) const MAX_HANDSHAKES: usize = 256;

/// Invalid messages a link may bring within [`FAULTS_WITHIN`] before it is closed: a newer peer may err now and
/// then, a fuzzer errs all the time.
pub(crate) const MAX_FAULTS: u32 = 32;
pub(crate) const FAULTS_WITHIN: Duration = Duration::from_secs(60);

/// What is lost on TCP twice over is sent again after 200 ms and 400 ms more, and its round trips, and until then nothing
/// behind it is read.
const STALLED: Duration = Duration::from_secs(1);

/// Before the first round trip is measured an answer may take as long as on the longest lines there are.
const UNMEASURED: Duration = Duration::from_secs(2);

/// What told a goodput.
const TRAFFIC: &str = "traffic";
const PROBE: &str = "probe";

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Nothing came yet.
    Opened,
    /// The hello came, and this many revocations are still to come before it is judged.
    Hello(Box<Hello>, u16),
    /// We accepted it; the peer's first message will show that it accepted ours.
    Accepted(Arc<Member>),
    /// Both accepted.
    Up(Arc<Member>),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) dial: Option<DialId>,
    pub(crate) transport: Transport,
    pub(crate) local: Address,
    pub(crate) remote: Address,
    pub(crate) proved: Option<NodeId>,
    /// The member through whose exit it goes.
    pub(crate) through: Option<NodeId>,
    /// The proxy that carries it, of a relayed link.
    pub(crate) via: Option<NodeId>,
    /// It is up beside the one in use, for when that breaks.
    pub(crate) standby: bool,
    /// A better one took its place, and it ends then.
    pub(crate) retires_at: Option<Mono>,
    /// Both sides opened it at once.
    pub(crate) met: bool,
    pub(crate) stage: Stage,
    /// Until then the hello must be accepted.
    pub(crate) deadline: Mono,
    pub(crate) since: Mono,
    pub(crate) faults: u32,
    /// Since when they are counted.
    pub(crate) faults_since: Mono,
    pub(crate) liveness: Liveness,
    pub(crate) clock: LinkClock,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) measured: LinkMeasured,
    pub(crate) probed: Probed,
}

impl Link {
    pub(crate) fn direction(&self) -> Direction {
        if self.dial.is_some() { Direction::Outbound } else { Direction::Inbound }
    }

    /// Who counts as the one that dialled it, where both sides must see the same: the smaller id, if both did.
    pub(crate) fn direction_of(&self, own: NodeId, peer: NodeId) -> Direction {
        match (self.met, own < peer) {
            (true, true) => Direction::Outbound,
            (true, false) => Direction::Inbound,
            (false, _) => self.direction(),
        }
    }

    /// The member at the other end, once its hello was accepted.
    pub(crate) fn member(&self) -> Option<&Member> {
        match &self.stage {
            Stage::Accepted(member) | Stage::Up(member) => Some(member),
            Stage::Opened | Stage::Hello(..) => None,
        }
    }

    /// Who it is, as far as proved or accepted.
    pub(crate) fn peer(&self) -> Option<NodeId> {
        self.member().map(|member| member.id).or(self.proved)
    }

    /// Who it is; on a plain link, which proves nothing, who it says it is.
    pub(crate) fn introduced(&self) -> Option<NodeId> {
        let said = match &self.stage {
            Stage::Hello(hello, _) if self.transport == Transport::Plain => Some(hello.id),
            Stage::Opened | Stage::Hello(..) | Stage::Accepted(_) | Stage::Up(_) => None,
        };
        self.peer().or(said)
    }

    /// A datagram went over it: it is watched closely for a while, with as much patience as its round trip wants.
    pub(crate) fn carry(&mut self, now: Mono) {
        self.liveness.carry(self.answer_time(), now);
    }

    /// What an answer takes at worst.
    fn answer_time(&self) -> Duration {
        let (rtt_us, jitter_us) = (self.clock.rtt_us().unwrap_or(0), self.clock.jitter_us().unwrap_or(0));
        let goodput_bps = self.goodput().map(|(bps, _)| bps);
        if self.clock.rtt_us().is_none() {
            return UNMEASURED;
        }
        let answer = answer_time(rtt_us, jitter_us, goodput_bps, self.measured.waiting_bytes);
        if self.measured.stalled { answer.max(STALLED) } else { answer }
    }

    /// Whether another one took its place.
    pub(crate) fn is_retired(&self) -> bool {
        self.retires_at.is_some()
    }

    /// The bearer told what it knows.
    pub(crate) fn measure(&mut self, measured: LinkMeasured, now: Mono) {
        self.measured = measured;
        if let Some(at) = measured.heard {
            self.liveness.heard(false, at);
        }
        if measured.carried {
            self.liveness.traffic(now);
            self.carry(now);
        } else if measured.stalled {
            self.liveness.wait_for(self.answer_time());
        }
    }

    /// Bits a second that get to the other end, and what told it: traffic if there was enough, else a probe.
    pub(crate) fn goodput(&self) -> Option<(u64, &'static str)> {
        let by_probe = || self.probed.bps.map(|bps| (bps, PROBE));
        self.measured.goodput_bps.map(|bps| (bps, TRAFFIC)).or_else(by_probe)
    }

    /// Bits a second that came, likewise. Traffic shows what was sent, which may be less than what a probe showed.
    pub(crate) fn goodput_in(&self) -> Option<(u64, &'static str)> {
        let by_traffic = self.measured.goodput_in_bps.map(|bps| (bps, TRAFFIC));
        [by_traffic, self.probed.in_bps.map(|bps| (bps, PROBE))].into_iter().flatten().max()
    }

    /// Share of what is lost on the way there: as the bearer counts it, else of the asks.
    pub(crate) fn loss(&self) -> f64 {
        self.measured.loss_ppm.map_or_else(|| self.liveness.loss(), |ppm| f64::from(ppm) / 1e6)
    }

    /// The least round trip that was measured lately.
    pub(crate) fn min_rtt_us(&self) -> Option<u64> {
        [self.clock.min_rtt_us(), self.measured.min_rtt_us].into_iter().flatten().min()
    }

    /// The round trip that tells how far the other end is: the least, once there is one.
    pub(crate) fn rtt_us(&self) -> Option<u64> {
        self.min_rtt_us().or_else(|| self.clock.rtt_us())
    }

    /// Something that others wait for went over it lately.
    pub(crate) fn is_active(&self, now: Mono) -> bool {
        self.liveness.is_active(now)
    }

    /// Both sides accepted it, and it is the one in use.
    pub(crate) fn is_up(&self) -> bool {
        self.is_complete() && !self.standby
    }

    /// Both sides accepted it.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.stage, Stage::Up(_))
    }

    /// Whether two links to one member stay beside each other: those through two proxies, so that the death of one of
    /// these is no loss.
    pub(crate) fn stands_beside(&self, other: &Self) -> bool {
        let relayed = |link: &Self| link.transport == Transport::Relay && link.via.is_some();
        relayed(self) && relayed(other) && self.via != other.via
    }
}
