//! Where the ledger, which runs on a thread of its own, meets the links: its frames in and out, and who is linked.
//!
//! Nobody waits for anybody here. What a peer sends faster than the ledger takes it fills that peer's own room, and what
//! does not fit is dropped and counted; what the ledger sends waits in the link's class for bulk, behind everything else,
//! and the ledger hears when it is gone. Both rooms are larger than what the ledger asks for and hands out at once, so
//! that only whoever sends unasked loses something. Members have their turns, and one whose frames cost the ledger much
//! waits a while where others have something, too.

mod budget;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use meshline_mesh::{LinkId, Mono};
use meshline_protocol::message::Ledger;
use meshline_protocol::{Frame, Message, NodeId};

use self::budget::Budgets;
use crate::clock::Clock;
use crate::forwarder::Forwarder;
use crate::limits::{LEDGER_FRAME_OVERHEAD, MAX_LEDGER_INBOX, MAX_LEDGER_INBOXES};

/// What the ledger is told.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerNews {
    /// A member is linked. If one that was linked already comes again, its link is another one.
    LinkUp {
        /// Who.
        peer: NodeId,
    },
    /// A member is linked no more.
    LinkDown {
        /// Who.
        peer: NodeId,
    },
    /// A message of the ledger came.
    Frame {
        /// From whom.
        peer: NodeId,
        /// What.
        message: Ledger,
        /// The bytes behind it.
        body: Option<Bytes>,
    },
    /// What was handed to the link of a member has left its queue: more may follow.
    Drained {
        /// Whose.
        peer: NodeId,
    },
}

impl LedgerNews {
    /// The member it is about.
    #[must_use]
    pub const fn peer(&self) -> &NodeId {
        match self {
            Self::LinkUp { peer } | Self::LinkDown { peer } | Self::Frame { peer, .. } | Self::Drained { peer } => peer,
        }
    }
}

type Wake = Arc<dyn Fn() + Send + Sync>;

/// The ledger's end. Clones are the same one.
#[derive(Clone)]
pub struct LedgerPort {
    inbox: Arc<LedgerInbox>,
    forwarder: Arc<Forwarder>,
    clock: Clock,
}

impl std::fmt::Debug for LedgerPort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LedgerPort").finish_non_exhaustive()
    }
}

/// What waits for the ledger.
#[derive(Default)]
pub(crate) struct LedgerInbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    linked: BTreeMap<NodeId, LinkId>,
    /// Called when there is something to take; without it nothing is kept.
    wake: Option<Wake>,
    waiting: BTreeMap<NodeId, Waiting>,
    /// Members with something waiting, in the order of their turns.
    turns: VecDeque<NodeId>,
    budgets: Budgets,
    bytes: usize,
    dropped: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
struct Waiting {
    news: VecDeque<LedgerNews>,
    bytes: usize,
    is_drained: bool,
}

impl LedgerPort {
    pub(crate) fn new(inbox: Arc<LedgerInbox>, forwarder: Arc<Forwarder>, clock: Clock) -> Self {
        Self { inbox, forwarder, clock }
    }

    /// Takes what comes from now on, links that are up first. `wake` is called when there is something to take, from any
    /// thread, and must not block; it may be called when there is nothing any more.
    pub fn listen(&self, wake: impl Fn() + Send + Sync + 'static) {
        let mut state = self.inbox.lock();
        let peers: Vec<NodeId> = state.linked.keys().copied().collect();
        state.wake = Some(Arc::new(wake));
        for peer in peers {
            state.push(peer, LedgerNews::LinkUp { peer }, 0);
        }
        state.wake_up();
    }

    /// The next news, of each member in its turn.
    pub fn take(&self) -> Option<LedgerNews> {
        self.inbox.lock().take(self.clock.mono())
    }

    /// What was taken from a member cost so much, in units of about a microsecond. From whom more came than half of what a
    /// thread does, nothing is taken for a while unless nobody else has anything.
    pub fn charge(&self, peer: &NodeId, units: u64) {
        self.inbox.lock().budgets.charge(*peer, units, self.clock.mono());
    }

    /// Sends to a linked member, behind whatever else goes there; `false` if it is not linked or too much waits.
    pub fn send(&self, peer: &NodeId, message: Ledger, body: Option<Bytes>) -> bool {
        let frame = Frame { message: Message::Ledger(message), body };
        let sent = self.forwarder.send_bulk(peer, &frame);
        if !sent {
            self.inbox.lock().count("not_sent");
        }
        sent
    }

    /// What was dropped, by reason.
    #[must_use]
    pub fn dropped(&self) -> BTreeMap<&'static str, u64> {
        self.inbox.lock().dropped.clone()
    }
}

impl LedgerInbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link is up.
    pub(crate) fn link_up(&self, peer: NodeId, link: LinkId) {
        let mut state = self.lock();
        state.linked.insert(peer, link);
        state.forget_frames(&peer);
        state.push(peer, LedgerNews::LinkUp { peer }, 0);
        state.wake_up();
    }

    /// A link that was up is gone.
    pub(crate) fn link_down(&self, peer: NodeId, link: LinkId) {
        let mut state = self.lock();
        if state.linked.get(&peer) != Some(&link) {
            return;
        }
        state.linked.remove(&peer);
        state.forget_frames(&peer);
        state.push(peer, LedgerNews::LinkDown { peer }, 0);
        state.wake_up();
    }

    /// A frame came.
    pub(crate) fn push_frame(&self, peer: NodeId, message: Ledger, body: Option<Bytes>) {
        let size = LEDGER_FRAME_OVERHEAD + body.as_ref().map_or(0, Bytes::len);
        let mut state = self.lock();
        let held = state.waiting.get(&peer).map_or(0, |waiting| waiting.bytes);
        if held + size > MAX_LEDGER_INBOX {
            state.count("peer_full");
        } else if state.bytes + size > MAX_LEDGER_INBOXES {
            state.count("all_full");
        } else {
            state.push(peer, LedgerNews::Frame { peer, message, body }, size);
            state.wake_up();
        }
    }

    /// The bulk of a link has left its queue.
    pub(crate) fn drained(&self, link: LinkId) {
        let mut state = self.lock();
        let peer = state.linked.iter().find(|(_, own)| **own == link).map(|(peer, _)| *peer);
        let Some(peer) = peer.filter(|_| state.wake.is_some()) else { return };
        state.waiting.entry(peer).or_default().is_drained = true;
        if !state.turns.contains(&peer) {
            state.turns.push_back(peer);
        }
        state.wake_up();
    }
}

impl State {
    fn push(&mut self, peer: NodeId, news: LedgerNews, size: usize) {
        if self.wake.is_none() {
            return;
        }
        let waiting = self.waiting.entry(peer).or_default();
        waiting.news.push_back(news);
        waiting.bytes += size;
        self.bytes += size;
        if !self.turns.contains(&peer) {
            self.turns.push_back(peer);
        }
    }

    /// What came over a link that is gone is of no use.
    fn forget_frames(&mut self, peer: &NodeId) {
        let Some(waiting) = self.waiting.get_mut(peer) else { return };
        self.bytes -= waiting.bytes;
        waiting.bytes = 0;
        waiting.is_drained = false;
        waiting.news.retain(|news| !matches!(news, LedgerNews::Frame { .. }));
    }

    /// Whose turn it is: those who had more than their share come after those who did not, and keep their places.
    fn next_turn(&mut self, now: Mono) -> Option<NodeId> {
        let place = self.turns.iter().position(|peer| !self.budgets.is_overdrawn(peer, now));
        self.turns.remove(place.unwrap_or(0))
    }

    fn take(&mut self, now: Mono) -> Option<LedgerNews> {
        loop {
            let peer = self.next_turn(now)?;
            let Some(waiting) = self.waiting.get_mut(&peer) else { continue };
            let news = if std::mem::take(&mut waiting.is_drained) {
                Some(LedgerNews::Drained { peer })
            } else {
                waiting.news.pop_front()
            };
            if let Some(LedgerNews::Frame { body, .. }) = &news {
                let size = LEDGER_FRAME_OVERHEAD + body.as_ref().map_or(0, Bytes::len);
                waiting.bytes -= size;
                self.bytes -= size;
            }
            if waiting.news.is_empty() && !waiting.is_drained {
                self.waiting.remove(&peer);
            } else {
                self.turns.push_back(peer);
            }
            if news.is_some() {
                return news;
            }
        }
    }

    fn wake_up(&self) {
        if let Some(wake) = &self.wake {
            wake();
        }
    }

    fn count(&mut self, reason: &'static str) {
        let count = self.dropped.entry(reason).or_default();
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use meshline_protocol::message::LedgerFee;

    use super::*;
    use crate::limits::{LEDGER_UNITS_A_SECOND, LEDGER_UNITS_AT_ONCE, MAX_LEDGER_UNITS};

    fn peer(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn said() -> Ledger {
        Ledger::Feefilter(LedgerFee { rate: 1 })
    }

    fn port() -> LedgerPort {
        LedgerPort::new(Arc::default(), Arc::default(), Clock::start())
    }

    #[test]
    fn whoever_listens_late_hears_of_the_links_and_is_woken() {
        let port = port();
        port.inbox.link_up(peer(1), LinkId(1));
        port.inbox.push_frame(peer(1), said(), None);
        assert_eq!(port.take(), None, "nobody listened");
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        port.listen(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(port.take(), Some(LedgerNews::LinkUp { peer: peer(1) }));
        port.inbox.push_frame(peer(1), said(), None);
        assert!(woken.load(Ordering::Relaxed) >= 2);
        assert!(matches!(port.take(), Some(LedgerNews::Frame { .. })));
        assert_eq!(port.take(), None);
    }

    #[test]
    fn one_who_floods_fills_its_own_room_and_others_have_their_turn() {
        let port = port();
        port.listen(|| {});
        for number in [1, 2] {
            port.inbox.link_up(peer(number), LinkId(number.into()));
        }
        let body = || Some(Bytes::from(vec![0; 64 * 1024]));
        for _ in 0..200 {
            port.inbox.push_frame(peer(1), said(), body());
        }
        let fitting = MAX_LEDGER_INBOX / (64 * 1024 + LEDGER_FRAME_OVERHEAD);
        assert_eq!(port.dropped(), BTreeMap::from([("peer_full", 200 - fitting as u64)]));
        port.inbox.push_frame(peer(2), said(), None);
        let first: Vec<LedgerNews> = (0..4).filter_map(|_| port.take()).collect();
        let of_second = |news: &&LedgerNews| matches!(news, LedgerNews::Frame { peer: from, .. } if *from == peer(2));
        assert_eq!(first.iter().filter(of_second).count(), 1, "in its turn");
        port.inbox.link_down(peer(1), LinkId(1));
        assert_eq!(port.take(), Some(LedgerNews::LinkDown { peer: peer(1) }), "the rest of it is of no use");
        assert_eq!((port.take(), port.inbox.lock().bytes), (None, 0));
    }

    #[test]
    fn all_rooms_together_are_bounded() {
        let port = port();
        port.listen(|| {});
        for number in 0..20 {
            port.inbox.link_up(peer(number), LinkId(number.into()));
            for _ in 0..100 {
                port.inbox.push_frame(peer(number), said(), Some(Bytes::from(vec![0; 64 * 1024])));
            }
        }
        assert!(port.inbox.lock().bytes <= MAX_LEDGER_INBOXES);
        assert!(port.dropped().contains_key("all_full"));
    }

    #[test]
    fn the_end_of_an_older_link_changes_nothing() {
        let port = port();
        port.listen(|| {});
        port.inbox.link_up(peer(1), LinkId(1));
        port.inbox.link_up(peer(1), LinkId(2));
        port.inbox.link_down(peer(1), LinkId(1));
        let news: Vec<LedgerNews> = std::iter::from_fn(|| port.take()).collect();
        assert_eq!(news, [LedgerNews::LinkUp { peer: peer(1) }, LedgerNews::LinkUp { peer: peer(1) }]);
    }
    /// Two that always have something waiting, of whom the frames of the first cost so much and those of the second so
    /// little; what each had of the thread in so many microseconds.
    fn shares(units: [u64; 2], micros: u64) -> [u64; 2] {
        let port = port();
        port.listen(|| {});
        let mut state = port.inbox.lock();
        let (mut now, mut had) = (0, [0; 2]);
        while now < micros {
            for number in [1, 2] {
                let is_short = state.waiting.get(&peer(number)).is_none_or(|waiting| waiting.news.len() < 4);
                if is_short && units[usize::from(number) - 1] > 0 {
                    state.push(
                        peer(number),
                        LedgerNews::Frame { peer: peer(number), message: said(), body: None },
                        256,
                    );
                }
            }
            let Some(news) = state.take(Mono(now)) else { break };
            let whose = usize::from(*news.peer() == peer(2));
            now += units[whose];
            had[whose] += units[whose];
            state.budgets.charge(*news.peer(), units[whose], Mono(now));
        }
        had
    }

    #[test]
    fn one_whose_frames_cost_much_has_half_of_the_thread_while_another_has_something_and_else_all_of_it() {
        let seconds = 10;
        let [dear, cheap] = shares([20_000, 100], seconds * 1_000_000);
        let most = seconds * LEDGER_UNITS_A_SECOND + LEDGER_UNITS_AT_ONCE + 20_000;
        assert!(dear <= most, "{dear} units of {most}");
        assert!(dear >= seconds * LEDGER_UNITS_A_SECOND - 20_000, "{dear} units: its half it has");
        assert!(cheap >= seconds * 1_000_000 - most, "{cheap} units");
        let [alone, _] = shares([20_000, 0], seconds * 1_000_000);
        assert_eq!(alone, seconds * 1_000_000, "nobody waits");
        let [one, other] = shares([20_000, 20_000], seconds * 1_000_000);
        assert_eq!((one + other, one.abs_diff(other) <= 40_000), (seconds * 1_000_000, true), "{one} and {other}");
    }

    #[test]
    fn what_is_over_the_budget_waits_at_the_bound_for_a_second_at_most_and_over_a_new_link_too() {
        let port = port();
        port.listen(|| {});
        let mut state = port.inbox.lock();
        let now = Mono(7);
        let mut first_after = |units: u64, micros: u64| {
            state.budgets = Budgets::default();
            state.turns.clear();
            state.waiting.clear();
            for number in [1, 2] {
                state.push(peer(number), LedgerNews::LinkUp { peer: peer(number) }, 0);
            }
            state.budgets.charge(peer(1), units, now);
            let at = Mono(now.0 + micros);
            let order: Vec<NodeId> = std::iter::from_fn(|| state.take(at)).map(|news| *news.peer()).collect();
            assert_eq!(order.len(), 2, "nobody is forgotten");
            order[0]
        };
        assert_eq!(first_after(LEDGER_UNITS_AT_ONCE, 0), peer(1));
        assert_eq!(first_after(LEDGER_UNITS_AT_ONCE + 1, 0), peer(2));
        assert_eq!(first_after(u64::MAX, 999_999), peer(2));
        assert_eq!(first_after(u64::MAX, 1_000_000), peer(1));
    }

    #[test]
    fn of_those_who_had_nothing_for_a_while_nothing_is_held() {
        let mut budgets = Budgets::default();
        let now = Mono(7);
        for number in 0..200 {
            budgets.charge(peer(number), MAX_LEDGER_UNITS, now);
        }
        assert_eq!(budgets.len(), 200);
        let micros = MAX_LEDGER_UNITS * 1_000_000 / LEDGER_UNITS_A_SECOND;
        budgets.charge(peer(201), 1, Mono(now.0 + micros));
        assert_eq!(budgets.len(), 1);
    }
}
