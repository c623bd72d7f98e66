//! Questions to others: where do you see me? Asked over UDP, again after 100 ms and 200 ms more, given up after a second.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use meshline_protocol::frame::encode_datagram;
use meshline_protocol::limits::PROTOCOL_VERSION;
use meshline_protocol::message::TimeFrame;
use meshline_protocol::stun::{TransactionId, stun_request};
use meshline_protocol::{Message, Ping, UnixMicros};

use super::answers::send;
use super::picture::{Sighting, Witness};
use crate::input::SocketId;
use crate::now::Mono;
use crate::shared::Shared;
use crate::time::Reading;

/// A question is padded to this, because it is answered by at most as many bytes as it has: an answer has 350 with the
/// longest ids and addresses.
pub(crate) const QUESTION_BYTES: usize = 400;

/// From one try to the next: a round trip round the world is shorter than all of them together.
const RETRIES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(200)];

/// How often one address is asked, with the first time.
const TRIES: u32 = 3;

/// An answer later than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Questions under way at once: all witnesses of a round and a few more.
pub(crate) const MAX_QUESTIONS: usize = 16;

/// Destinations whose place in the order of asking is remembered, the latest.
const MAX_ORDERED: usize = 64;

/// One try.
#[derive(Clone, Copy, Debug)]
struct Sent {
    mono: Mono,
    wall: UnixMicros,
}

/// A question under way.
#[derive(Debug)]
struct Question {
    by: Witness,
    to: SocketAddr,
    exchange: u32,
    transaction: TransactionId,
    tries: Vec<Sent>,
    /// How many there may be,
    most: u32,
    /// and of those how many are counted as sent to a host that is only named.
    named: u32,
    next_at: Mono,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pending: Vec<Question>,
    /// Destinations in the order in which they were first asked.
    ordered: VecDeque<(SocketAddr, u64)>,
    last_order: u64,
    /// Witnesses that did not answer when last asked.
    silent: BTreeMap<SocketAddr, Mono>,
}

impl Questions {
    /// Asks, unless the same is being asked.
    pub(crate) fn ask(&mut self, by: Witness, to: SocketAddr, shared: &mut Shared) {
        if self.may_ask(to) {
            self.begin((by, to), (TRIES, 0), shared);
        }
    }

    /// Asks at an address of which nothing shows that it is the witness's; says whether it does.
    pub(super) fn ask_named(&mut self, by: Witness, to: SocketAddr, shared: &mut Shared) -> bool {
        let now = shared.now.mono;
        let named = if self.may_ask(to) { shared.named.take(to.ip(), TRIES, now) } else { 0 };
        if named > 0 {
            self.begin((by, to), (named, named), shared);
        }
        named > 0
    }

    fn may_ask(&self, to: SocketAddr) -> bool {
        self.pending.len() < MAX_QUESTIONS && !self.is_asking(&to)
    }

    fn begin(&mut self, (by, to): (Witness, SocketAddr), (most, named): (u32, u32), shared: &mut Shared) {
        self.note_order(to);
        let mut transaction = [0; 12];
        let secret = shared.secret();
        transaction.iter_mut().zip(secret).for_each(|(byte, random)| *byte = random);
        let exchange = shared.random_u32();
        let (tries, next_at) = (Vec::with_capacity(RETRIES.len() + 1), shared.now.mono);
        self.pending.push(Question { by, to, exchange, transaction, tries, most, named, next_at });
        self.handle_timeout(shared);
    }

    pub(crate) fn is_asking(&self, to: &SocketAddr) -> bool {
        self.pending.iter().any(|question| question.to == *to)
    }

    /// Whether an address was silent when it was last asked.
    pub(super) fn is_silent(&self, to: &SocketAddr) -> bool {
        self.silent.contains_key(to)
    }

    /// Witnesses that did not answer, and when that was clear.
    pub(crate) fn silent(&self) -> impl Iterator<Item = (&SocketAddr, &Mono)> {
        self.silent.iter()
    }

    /// Starts anew, after the addresses of this host have changed.
    pub(super) fn clear(&mut self) {
        (self.pending, self.silent, self.ordered) = (Vec::new(), BTreeMap::new(), VecDeque::new());
    }

    /// Whether nothing is being asked.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Tries again what is due, gives up what is over; says whether anything was.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) -> bool {
        let now = shared.now;
        for question in self.pending.iter_mut().filter(|question| question.next_at <= now.mono) {
            if question.is_over() {
                continue;
            }
            let bytes = question.bytes(shared);
            send(shared, (SocketId::MAIN, question.to), bytes);
            question.tries.push(Sent { mono: now.mono, wall: now.wall });
            question.next_at = match RETRIES.get(question.tries.len() - 1) {
                Some(pause) if !question.is_over() => now.mono.after(*pause),
                Some(_) | None => question.given_up_at(),
            };
        }
        let over = |question: &Question| question.is_over() && question.next_at <= now.mono;
        for question in self.pending.iter().filter(|question| over(question)) {
            self.silent.insert(question.to, now.mono);
        }
        let asked = self.pending.len();
        self.pending.retain(|question| !over(question));
        while self.silent.len() > MAX_QUESTIONS {
            self.silent.pop_first();
        }
        self.pending.len() < asked
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.pending.iter().map(|question| question.next_at).min()
    }

    /// Step 1 of a time frame: an answer, if it is to a question of ours and comes from where that went.
    pub(super) fn time(&mut self, from: SocketAddr, answer: &TimeFrame, shared: &mut Shared) -> Option<Sighting> {
        let is_answered = |question: &Question| {
            question.exchange == answer.exchange
                && question.to == from
                && question.by == Witness::Member(answer.id)
                && answer.network == shared.config.network
        };
        let at = self.pending.iter().position(is_answered)?;
        let seen = answer.seen.as_ref()?.as_str().parse().ok()?;
        let clock = self.pending.get(at).and_then(|question| question.clock(answer, shared.now.mono));
        self.answered(at, seen, shared, clock)
    }

    /// A STUN answer, likewise.
    pub(super) fn stun(
        &mut self,
        from: SocketAddr,
        id: TransactionId,
        seen: SocketAddr,
        shared: &mut Shared,
    ) -> Option<Sighting> {
        let is_answered = |question: &Question| {
            question.transaction == id && question.to == from && matches!(question.by, Witness::Server(_))
        };
        let at = self.pending.iter().position(is_answered)?;
        self.answered(at, seen, shared, None)
    }

    /// An address that cannot be anybody's is no answer; neither is one of another family.
    fn answered(
        &mut self,
        at: usize,
        seen: SocketAddr,
        shared: &mut Shared,
        clock: Option<Reading>,
    ) -> Option<Sighting> {
        let to = self.pending.get(at)?.to;
        if seen.is_ipv4() != to.is_ipv4() || seen.port() == 0 || seen.ip().is_unspecified() || seen.ip().is_multicast()
        {
            return None;
        }
        let question = self.pending.remove(at);
        shared.named.answered(to.ip(), question.named);
        self.silent.remove(&to);
        let order = self.ordered.iter().find(|(address, _)| *address == to).map_or(0, |(_, order)| *order);
        Some(Sighting { by: question.by, asked: to, seen, at: shared.now.mono, order, clock })
    }

    fn note_order(&mut self, to: SocketAddr) {
        if self.ordered.iter().any(|(address, _)| *address == to) {
            return;
        }
        self.last_order += 1;
        self.ordered.push_back((to, self.last_order));
        if self.ordered.len() > MAX_ORDERED {
            self.ordered.pop_front();
        }
    }
}

impl Question {
    /// Whether it was asked as often as it may be.
    fn is_over(&self) -> bool {
        self.tries.len() >= usize::try_from(self.most).unwrap_or(usize::MAX)
    }

    fn bytes(&self, shared: &Shared) -> Vec<u8> {
        match self.by {
            Witness::Member(_) => time_question(self.exchange, shared),
            Witness::Server(_) => stun_request(self.transaction),
        }
    }

    fn given_up_at(&self) -> Mono {
        self.tries.first().map_or(Mono(0), |first| first.mono.after(PATIENCE))
    }

    /// The witness's clock. The stamp it echoes only tells which of the tries it answers.
    fn clock(&self, answer: &TimeFrame, now: Mono) -> Option<Reading> {
        let stamps = answer.stamps?;
        let sent = self.tries.iter().find(|sent| sent.wall == stamps.origin)?;
        Reading::measure(answer, sent.mono, now).map(|(_, reading)| reading)
    }
}

/// Step 0 of a time frame as it goes to somebody who is not known to have agreed to anything.
pub(super) fn time_question(exchange: u32, shared: &Shared) -> Vec<u8> {
    let frame = TimeFrame {
        network: shared.config.network.clone(),
        version: PROTOCOL_VERSION,
        id: shared.id,
        time: shared.now.wall,
        ping: Ping::UNKNOWN,
        exchange,
        step: 0,
        stamps: None,
        seen: None,
        attempt: None,
        mac: None,
    };
    let mut bytes = encode_datagram(&Message::Time(Box::new(frame)).into()).unwrap_or_default();
    // Blanks behind the object and before the LF that ends the line.
    bytes.pop();
    bytes.resize(bytes.len().max(QUESTION_BYTES - 1), b' ');
    bytes.push(b'\n');
    bytes
}
