//! Catching up: when to compare histories with whom, and with how many at once.

mod answer;
mod digest;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use meshline_mesh::{Bucket, Mono, Node, Rate};
use meshline_protocol::message::{Chat as Message, ChatMessages};
use meshline_protocol::{Fault, NodeId, SignedRecord};

use super::history::History;
use super::message::Key;
use session::Session;

/// Members asked at the same time: most have the same to tell.
const MAX_SESSIONS: usize = 2;

/// Members waiting to be asked. When a node joins a large mesh the first few know everything; the others are
/// asked by and by.
const MAX_WAITING: usize = 6;

/// Between two looks at what one member has.
const INTERVAL: Duration = Duration::from_secs(30);

/// Questions answered to one member: a history of ten thousand messages takes fewer than two hundred.
const QUESTIONS: Rate = Rate { per_second: 64, burst: 512 };

/// Names hashed for all who ask: a few hundredths of a processor. A comparison counts as the whole history.
const HASHED: Rate = Rate { per_second: 500_000, burst: 4_000_000 };

/// What becomes of a message of this area.
#[derive(Debug)]
pub(super) enum Heard {
    /// Nothing more to do.
    Done,
    /// Messages came that were asked for: they are to be taken in, then the session goes on.
    Messages(Box<ChatMessages>),
}

/// Who is linked, and what we want of them.
#[derive(Debug, Default)]
pub(super) struct Sync {
    /// Linked members, with what they may still ask.
    linked: BTreeMap<NodeId, Bucket>,
    waiting: VecDeque<NodeId>,
    sessions: BTreeMap<NodeId, Session>,
    /// Whom the last regular look was at.
    last: Option<NodeId>,
    /// Names that may still be hashed for others.
    budget: Option<Bucket>,
    next_at: Option<Mono>,
}

impl Sync {
    /// A link came up.
    pub(super) fn link_up(&mut self, peer: NodeId, history: &History, node: &mut Node, now: Mono) {
        self.linked.insert(peer, Bucket::new(QUESTIONS, now));
        if self.waiting.len() < MAX_WAITING && !self.waiting.contains(&peer) {
            self.waiting.push_back(peer);
        }
        self.next_at.get_or_insert_with(|| now.after(INTERVAL));
        self.begin(history, node, now);
    }

    /// Linked members.
    pub(super) fn linked(&self) -> impl Iterator<Item = &NodeId> {
        self.linked.keys()
    }

    /// A link is gone.
    pub(super) fn link_down(&mut self, peer: &NodeId, history: &History, node: &mut Node, now: Mono) {
        self.linked.remove(peer);
        self.waiting.retain(|waiting| waiting != peer);
        self.sessions.remove(peer);
        self.begin(history, node, now);
    }

    fn begin(&mut self, history: &History, node: &mut Node, now: Mono) {
        while self.sessions.len() < MAX_SESSIONS {
            let Some(peer) = self.waiting.pop_front() else { return };
            if self.linked.contains_key(&peer) && !self.sessions.contains_key(&peer) {
                let (session, question) = Session::begin(history, now);
                node.send_to(&peer, question);
                self.sessions.insert(peer, session);
            }
        }
    }

    /// Answers a question, or takes in an answer.
    pub(super) fn handle(
        &mut self,
        peer: NodeId,
        message: Message,
        around: Around<'_>,
        now: Mono,
    ) -> Result<Heard, Fault> {
        let Around { history, node, is_new, record_of } = around;
        match message {
            // Whoever asks faster than anybody needs to gets no answer.
            Message::Compare(_) | Message::Want(_) if !self.may_ask(&peer, now) => {}
            Message::Compare(asked) => {
                let length = u64::try_from(history.len()).unwrap_or(u64::MAX);
                if self.budget.get_or_insert_with(|| Bucket::new(HASHED, now)).take_many(length, now) {
                    node.send_to(&peer, answer::compare(history, &asked));
                }
            }
            Message::Want(asked) => {
                let frame = answer::want(history, &asked, record_of);
                node.send_to(&peer, frame);
            }
            Message::Ranges(answer) => {
                let Some(session) = self.sessions.get_mut(&peer) else { return Ok(Heard::Done) };
                session.take_ranges(&answer, history)?;
                self.go_on(peer, history, node, now);
            }
            Message::Keys(answer) => {
                let Some(session) = self.sessions.get_mut(&peer) else { return Ok(Heard::Done) };
                session.take_keys(&answer, is_new)?;
                self.go_on(peer, history, node, now);
            }
            Message::Messages(messages) => {
                let came: Vec<Key> =
                    messages.messages.iter().map(|entry| Key { seq: entry.seq, author: entry.by }).collect();
                // An answer that came after our patience ended is thrown away: it will be asked for again.
                let Some(session) = self.sessions.get_mut(&peer) else { return Ok(Heard::Done) };
                session.take_messages(&came, now)?;
                return Ok(Heard::Messages(Box::new(messages)));
            }
        }
        Ok(Heard::Done)
    }

    fn may_ask(&mut self, peer: &NodeId, now: Mono) -> bool {
        self.linked.get_mut(peer).is_some_and(|bucket| bucket.take(now))
    }

    /// The next question of a session, or the next session.
    pub(super) fn go_on(&mut self, peer: NodeId, history: &History, node: &mut Node, now: Mono) {
        match self.sessions.get_mut(&peer).and_then(|session| session.next(history, now)) {
            Some(question) => node.send_to(&peer, question),
            None => {
                self.sessions.remove(&peer);
                self.begin(history, node, now);
            }
        }
    }

    /// A member answered what it was not asked, or with what cannot be.
    pub(super) fn give_up(&mut self, peer: &NodeId) {
        self.sessions.remove(peer);
    }

    /// Gives up who does not answer, and looks at the next member when it is time.
    pub(super) fn handle_timeout(&mut self, history: &History, node: &mut Node, now: Mono) {
        self.sessions.retain(|_, session| session.deadline() > now);
        if self.next_at.is_some_and(|at| at <= now) {
            let after = self.last.and_then(|last| self.linked.keys().find(|peer| **peer > last));
            let next = after.or_else(|| self.linked.keys().next()).copied();
            self.last = next;
            self.next_at = next.map(|_| now.after(INTERVAL));
            self.waiting.extend(next.filter(|next| !self.waiting.contains(next)));
        }
        self.begin(history, node, now);
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.sessions.values().map(Session::deadline).chain(self.next_at).min()
    }
}

/// What is around when a message comes.
pub(super) struct Around<'a> {
    pub(super) history: &'a History,
    pub(super) node: &'a mut Node,
    /// Whether a message is neither kept nor about to be.
    pub(super) is_new: &'a dyn Fn(&Key) -> bool,
    /// The announcement of an author.
    pub(super) record_of: &'a dyn Fn(&NodeId) -> Option<SignedRecord>,
}
