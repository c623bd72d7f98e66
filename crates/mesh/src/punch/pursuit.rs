//! What is remembered of a member to whom a direct way is wanted: when to try next, and how it went before.

use std::collections::VecDeque;
use std::time::Duration;

use meshline_identity::Ephemeral;
use meshline_protocol::UnixMicros;
use meshline_protocol::message::{PunchMapping, PunchOffer};

use super::plan::{Manner, Ports};
use super::run::Run;
use crate::bucket::{Bucket, Rate};
use crate::input::SocketId;
use crate::now::{Mono, Now};
use crate::output::Output;
use crate::shared::Shared;

/// Between attempts that failed, one after the other. Nearly all that ever succeed do so at the first; what changes later is
/// told by new addresses, and those are tried at once.
const PAUSES_S: [u64; 6] = [1, 2, 4, 8, 16, 64];

/// And from then on, for ever.
const LONG_PAUSE: Duration = Duration::from_secs(600);

/// A member that wants no direct way is not asked again before this.
pub(super) const REFUSED_PAUSE: Duration = LONG_PAUSE;

/// If both call at once one attempt is wasted, so the larger id lets the smaller one begin.
const LARGER_WAITS: Duration = Duration::from_secs(1);

/// The dear kind of search is made at the first attempts, and then so often.
pub(super) const SEARCHES_AT_ONCE: u32 = 2;
pub(super) const SEARCH_PAUSE: Duration = Duration::from_secs(600);

/// Calls of one member that are answered: it calls a few times when its network has changed, and never faster.
const ANSWERS: Rate = Rate { per_second: 1, burst: 4 };

/// Attempts remembered, for `explain`.
const MAX_ROWS: usize = 8;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) at: Mono,
    pub(super) called: bool,
    pub(super) stage: &'static str,
    pub(super) outcome: &'static str,
    /// How the routers of this node and the peer choose ports.
    pub(super) mappings: Option<(PunchMapping, PunchMapping)>,
    pub(super) address: String,
    pub(super) probes: u32,
    /// From the agreed instant on, in microseconds; `None` if none was agreed.
    pub(super) took_us: Option<u64>,
}

/// A call that waits for its answer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) secret: Ephemeral,
    pub(super) sent: Now,
    pub(super) until: Mono,
    /// The one of the attempt, if it is not the main one.
    pub(super) socket: Option<SocketId>,
}

/// A call of a member that is to be answered.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) offer: PunchOffer,
    /// The round trip to the member, if it is known.
    pub(super) rtt_us: Option<u64>,
    /// When it came.
    pub(super) received: UnixMicros,
}

/// What searches of one member's ports may still take.
#[derive(Debug)]
pub(super) struct Supply {
    pub(super) ports: Ports,
    searches: u32,
    search_at: Mono,
}

/// One member.
#[derive(Debug)]
pub(super) struct Pursuit {
    /// Attempts that failed since the last direct link, or since something changed.
    pub(super) failures: u32,
    pub(super) next_at: Mono,
    pub(super) call: Option<Call>,
    /// The member's call, until this node knows where it may be reached.
    pub(super) held: Option<Held>,
    pub(super) run: Option<Box<Run>>,
    /// Whether we called for the attempt under way.
    pub(super) called: bool,
    /// When the attempt under way is over at the latest.
    pub(super) ends_at: Mono,
    /// The newest record of the member, and until when one that is not newer could still be replayed.
    pub(super) newest: (UnixMicros, UnixMicros),
    pub(super) answers: Bucket,
    pub(super) supply: Supply,
    /// Links in a row that did not last.
    pub(super) shaky: u32,
    pub(super) log: VecDeque<Ended>,
}

impl Pursuit {
    pub(super) fn new(is_larger: bool, shared: &mut Shared) -> Self {
        let now = shared.now.mono;
        Self {
            failures: 0,
            next_at: if is_larger { now.after(LARGER_WAITS) } else { now },
            call: None,
            held: None,
            run: None,
            called: false,
            ends_at: now,
            newest: (UnixMicros::new(0), UnixMicros::new(0)),
            answers: Bucket::new(ANSWERS, now),
            supply: Supply { ports: Ports::new(shared.random_u32()), searches: 0, search_at: now },
            shaky: 0,
            log: VecDeque::new(),
        }
    }

    /// Whether the next attempt is to have a socket of its own, as far as this side knows.
    pub(super) fn wants_socket(&self) -> bool {
        let last = self.log.back().filter(|last| last.outcome == "no_way").and_then(|last| last.mappings);
        last.is_some_and(|mappings| Manner::choose(mappings, self.failures).careful)
    }

    /// The call that waits is given up.
    pub(super) fn drop_call(&mut self, shared: &mut Shared) {
        if let Some(socket) = self.call.take().and_then(|call| call.socket) {
            shared.push(Output::CloseSocket { socket });
        }
    }

    /// Whether an attempt is under way.
    pub(super) fn is_trying(&self) -> bool {
        self.call.is_some() || self.run.as_ref().is_some_and(|run| !run.over)
    }

    /// Takes a record's sequence; says whether it may be acted on.
    pub(super) fn is_new(&mut self, seq: UnixMicros, expires: UnixMicros, judged: UnixMicros) -> bool {
        let (newest, until) = self.newest;
        // What could be replayed has ended by itself when its author's clock was set back.
        if seq <= newest && judged < until {
            return false;
        }
        self.newest = (seq, expires);
        true
    }

    /// The attempt under way succeeded: the next one begins without a pause.
    pub(super) fn succeed(&mut self, row: Ended) {
        (self.failures, self.next_at) = (0, row.at);
        (self.supply.searches, self.supply.search_at) = (0, row.at);
        self.note(row);
    }

    /// It failed.
    pub(super) fn fail(&mut self, row: Ended, pause: Option<Duration>, is_larger: bool, shared: &mut Shared) {
        self.pause(pause, is_larger, shared);
        self.note(row);
    }

    fn pause(&mut self, pause: Option<Duration>, is_larger: bool, shared: &mut Shared) {
        let nth = usize::try_from(self.failures).unwrap_or(usize::MAX);
        let usual = PAUSES_S.get(nth).map_or(LONG_PAUSE, |seconds| Duration::from_secs(*seconds));
        self.failures = self.failures.saturating_add(1);
        let waits = if is_larger { LARGER_WAITS } else { Duration::ZERO };
        self.next_at = shared.jittered(pause.unwrap_or(usual)).after(waits);
    }

    /// The link that came of it did not last.
    pub(super) fn rest(&mut self, is_larger: bool, shared: &mut Shared) {
        self.failures = self.shaky;
        self.shaky = self.shaky.saturating_add(1);
        self.pause(None, is_larger, shared);
    }

    /// Something changed: what was in vain so far may succeed now.
    pub(super) fn hurry(&mut self, is_larger: bool, shared: &mut Shared) {
        self.failures = 0;
        let soon = shared.jittered(Duration::from_millis(200));
        self.next_at = self.next_at.min(if is_larger { soon.after(LARGER_WAITS) } else { soon });
    }

    fn note(&mut self, row: Ended) {
        self.log.push_back(row);
        if self.log.len() > MAX_ROWS {
            self.log.pop_front();
        }
    }
}

impl Supply {
    /// Whether the dear kind of search is due.
    pub(super) fn has_search(&self, now: Mono) -> bool {
        self.searches < SEARCHES_AT_ONCE || now >= self.search_at
    }

    /// It is made.
    pub(super) fn take_search(&mut self, now: Mono) {
        self.searches = self.searches.saturating_add(1);
        self.search_at = now.after(SEARCH_PAUSE);
    }
}

impl Pursuit {
    /// Whether something under way has taken as long as it may.
    pub(super) fn is_late(&self, now: Mono) -> bool {
        self.call.as_ref().is_some_and(|call| call.until <= now) || (self.run.is_some() && self.ends_at <= now)
    }

    /// When the attempt under way begins or began to send; without one, now.
    pub(super) fn begun_at(&self) -> Mono {
        self.run.as_ref().map_or(self.next_at, |run| run.start.at)
    }

    /// What is remembered of the attempt under way.
    pub(super) fn row(&self, outcome: &'static str, now: Mono) -> Ended {
        let run = self.run.as_ref();
        let address = run.and_then(|run| run.best).map_or_else(String::new, |way| way.remote.to_string());
        Ended {
            at: now,
            called: self.called,
            stage: run.map_or("call", |run| run.stage),
            outcome,
            mappings: run.map(|run| run.start.mappings),
            address,
            probes: run.map_or(0, |run| run.probes),
            took_us: run.map(|run| now.micros_since(run.start.at)),
        }
    }
}

impl Ended {
    /// The same, with where the link goes.
    pub(super) fn at(self, remote: &meshline_protocol::Address) -> Self {
        Self { address: remote.to_string(), ..self }
    }
}
