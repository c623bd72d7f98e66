//! Asking one member for what it has and we have not: ranges that differ, then names, then messages.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use meshline_mesh::Mono;
use meshline_protocol::limits::MAX_CHAT_ENTRIES;
use meshline_protocol::message::{Chat as Message, ChatCompare, ChatKeys, ChatRange, ChatRanges, ChatWant};
use meshline_protocol::{Bounded, Code, Fault, Frame, Message as Wire};

use super::digest::{Range, key, summarise, wire};
use crate::chat::history::History;
use crate::chat::message::Key;

/// An answer that takes longer will not come: the link is too full, or the member does not want to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A session without a new message for so long ends, whatever is still said to differ.
const SESSION_LIMIT: Duration = Duration::from_secs(30);

/// Ranges still to be looked into: a million messages in pieces of 256. What is beyond is looked into the next time.
const MAX_RANGES: usize = 4_096;

/// Questions in one session: enough for a hundred thousand messages. A member that always has one more difference is
/// asked again only after others were.
const MAX_QUESTIONS: u32 = 4_096;

/// What was asked and not answered yet.
#[derive(Debug)]
enum Asked {
    Range(Range),
    Messages(BTreeSet<Key>),
}

/// What we still want of one member.
#[derive(Debug)]
pub(super) struct Session {
    asked: Asked,
    deadline: Mono,
    /// When it ends unless messages come.
    ends_at: Mono,
    questions: u32,
    /// Ranges that differ, the newest last.
    ranges: Vec<Range>,
    /// Names of messages that we lack, the newest first.
    missing: VecDeque<Key>,
}

impl Session {
    /// Begins with the whole history, as far as it is kept here.
    pub(super) fn begin(history: &History, now: Mono) -> (Self, Frame) {
        let range = Range { from: history.lowest(), to: None };
        let (deadline, ends_at) = (now.after(PATIENCE), now.after(SESSION_LIMIT));
        let asked = Asked::Range(range);
        let session = Self { asked, deadline, ends_at, questions: 1, ranges: Vec::new(), missing: VecDeque::new() };
        (session, compare(history, range))
    }

    pub(super) fn deadline(&self) -> Mono {
        self.deadline
    }

    /// The next question; `None` at the end.
    pub(super) fn next(&mut self, history: &History, now: Mono) -> Option<Frame> {
        self.questions += 1;
        if self.questions > MAX_QUESTIONS || now > self.ends_at {
            return None;
        }
        self.deadline = now.after(PATIENCE);
        if !self.missing.is_empty() {
            let count = self.missing.len().min(MAX_CHAT_ENTRIES);
            let keys: Vec<Key> = self.missing.drain(..count).collect();
            self.asked = Asked::Messages(keys.iter().copied().collect());
            let want = ChatWant { keys: Bounded::from_first(keys.into_iter().map(wire)) };
            return Some(Wire::Chat(Message::Want(want)).into());
        }
        let range = self.ranges.pop()?;
        self.asked = Asked::Range(range);
        Some(compare(history, range))
    }

    fn check_range(&self, from: Option<Key>, to: Option<Key>) -> Result<Range, Fault> {
        match &self.asked {
            Asked::Range(range) if *range == (Range { from, to }) => Ok(*range),
            Asked::Range(_) | Asked::Messages(_) => Err(unasked("an answer to another question")),
        }
    }

    /// Pieces of the range that was compared: those that differ are looked into.
    pub(super) fn take_ranges(&mut self, answer: &ChatRanges, history: &History) -> Result<(), Fault> {
        let whole = self.check_range(answer.from.map(key), answer.to.map(key))?;
        let Some((last, others)) = answer.ranges.split_last() else { return Ok(()) };
        if others.is_empty() || last.to.map(key) != whole.to {
            return Err(unasked("pieces that do not make up the range"));
        }
        let mut from = whole.from;
        let mut differing = Vec::new();
        for piece in others {
            let to = piece.to.map(key).filter(|to| from.is_none_or(|from| *to > from) && whole.holds(*to));
            let range = Range { from, to: Some(to.ok_or_else(|| unasked("pieces out of order"))?) };
            differing.extend(Some(range).filter(|range| differs(piece, history, *range)));
            from = range.to;
        }
        let rest = Range { from, to: whole.to };
        differing.extend(Some(rest).filter(|range| differs(last, history, *range)));
        self.ranges.extend(differing);
        let surplus = self.ranges.len().saturating_sub(MAX_RANGES);
        self.ranges.drain(..surplus);
        Ok(())
    }

    /// The names of all messages in the range that was compared.
    pub(super) fn take_keys(&mut self, answer: &ChatKeys, is_new: impl Fn(&Key) -> bool) -> Result<(), Fault> {
        let whole = self.check_range(answer.from.map(key), answer.to.map(key))?;
        let keys: BTreeSet<Key> = answer.keys.iter().copied().map(key).collect();
        if keys.iter().any(|key| !whole.holds(*key)) {
            return Err(unasked("names outside the range"));
        }
        self.missing.extend(keys.into_iter().rev().filter(is_new));
        Ok(())
    }

    /// The names of messages that came. Says whether all of them were asked for; what did not come although others did
    /// is asked for again, and what was asked for in vain is not kept there any more.
    pub(super) fn take_messages(&mut self, came: &[Key], now: Mono) -> Result<(), Fault> {
        let Asked::Messages(asked) = &mut self.asked else { return Err(unasked("messages that nobody asked for")) };
        if came.iter().any(|key| !asked.remove(key)) {
            return Err(unasked("messages that nobody asked for"));
        }
        if !came.is_empty() {
            self.ends_at = now.after(SESSION_LIMIT);
            let rest = std::mem::take(asked);
            self.missing.extend(rest.into_iter().rev());
            self.missing.make_contiguous().sort_unstable_by(|a, b| b.cmp(a));
        }
        Ok(())
    }
}

/// Whether a member has messages in a range that we may lack.
fn differs(piece: &ChatRange, history: &History, range: Range) -> bool {
    piece.count > 0 && summarise(history, range).digest != piece.digest
}

fn compare(history: &History, range: Range) -> Frame {
    let own = summarise(history, range);
    let compare =
        ChatCompare { from: range.from.map(wire), to: range.to.map(wire), count: own.count, digest: own.digest };
    Wire::Chat(Message::Compare(compare)).into()
}

fn unasked(detail: &str) -> Fault {
    Fault::new(Code::UnexpectedMessage, detail)
}
