//! The messages of the chat in the order that all members show, within bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshline_mesh::SignedText;
use meshline_protocol::{NodeId, UnixMicros};

use super::message::{Delivery, Key, Message, Place};

/// Messages kept unless the configuration says otherwise: ten thousand fill a page for days.
pub const DEFAULT_MAX_MESSAGES: usize = 10_000;

/// Bytes of signed texts kept unless the configuration says otherwise: ten thousand messages of 16 KiB would take 160 MiB.
pub const DEFAULT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Messages, at least 1.
    pub max_messages: usize,
    /// Bytes of signed texts.
    pub max_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { max_messages: DEFAULT_MAX_MESSAGES, max_bytes: DEFAULT_MAX_BYTES }
    }
}

/// A message with the bytes its author signed, for those who were away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// As it is shown.
    pub message: Message,
    /// As it was signed.
    pub signed: Arc<SignedText>,
}

/// Which messages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// Those that arrived here after this cursor, the first ones of them.
    After(u64),
    /// Those that stand before the message with this cursor, the last ones of them.
    Before(u64),
}

/// Messages in the common order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The messages.
    pub messages: Vec<Message>,
    /// Everything that arrived up to this cursor is known to whoever went through the pages: read on after it.
    pub cursor: u64,
    /// Whether there are more on the side that was asked for.
    pub more: bool,
}

/// The messages of the chat.
#[derive(Debug, Default)]
pub struct History {
    bounds: Bounds,
    by_cursor: BTreeMap<u64, Kept>,
    by_place: BTreeMap<Place, u64>,
    by_key: BTreeMap<Key, u64>,
    bytes: usize,
    last_cursor: u64,
    /// Nothing up to this key is taken in: it was kept once and had to give way.
    floor: Option<Key>,
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Goes on where an earlier run ended: cursors are not used twice, and what gave way stays away.
    pub(super) fn resume(&mut self, last_cursor: u64, floor: Option<Key>) {
        self.last_cursor = self.last_cursor.max(last_cursor);
        self.floor = self.floor.max(floor);
    }

    /// Puts back a message of an earlier run.
    pub(super) fn restore(&mut self, kept: Kept) {
        if self.is_new(&kept.message.key()) {
            self.insert(kept);
        }
    }

    /// Whether a message may be taken in: it is neither kept nor has it given way.
    #[must_use]
    pub fn is_new(&self, key: &Key) -> bool {
        self.floor.is_none_or(|floor| *key > floor) && !self.by_key.contains_key(key)
    }

    /// Takes in a message under the cursor it has.
    pub(super) fn insert(&mut self, kept: Kept) {
        let (cursor, message) = (kept.message.cursor, &kept.message);
        self.last_cursor = self.last_cursor.max(cursor);
        self.bytes += kept.signed.body.len();
        self.by_place.insert(message.place(), cursor);
        self.by_key.insert(message.key(), cursor);
        self.by_cursor.insert(cursor, kept);
    }

    /// Forgets the oldest messages beyond the bounds; their cursors and authors are returned.
    pub(super) fn prune(&mut self) -> Vec<(u64, NodeId)> {
        let mut gone = Vec::new();
        while self.by_key.len() > self.bounds.max_messages || self.bytes > self.bounds.max_bytes {
            let Some((key, cursor)) = self.by_key.pop_first() else { break };
            self.floor = Some(key);
            if let Some(kept) = self.by_cursor.remove(&cursor) {
                self.bytes -= kept.signed.body.len();
                self.by_place.remove(&kept.message.place());
            }
            gone.push((cursor, key.author));
        }
        gone
    }

    /// Messages in the common order, at most `limit`.
    #[must_use]
    pub fn list(&self, page: Page, limit: usize) -> Listing {
        match page {
            Page::Newest => self.before(self.by_place.iter(), limit),
            Page::Before(cursor) => match self.by_cursor.get(&cursor) {
                Some(kept) => self.before(self.by_place.range(..kept.message.place()), limit),
                None => Listing { cursor: self.last_cursor, ..Listing::default() },
            },
            Page::After(cursor) => self.after(cursor, limit),
        }
    }

    fn before<'a>(&self, places: impl DoubleEndedIterator<Item = (&'a Place, &'a u64)>, limit: usize) -> Listing {
        let mut places = places.rev();
        let found = places.by_ref().take(limit).filter_map(|(_, cursor)| self.by_cursor.get(cursor));
        let mut messages: Vec<Message> = found.map(|kept| kept.message.clone()).collect();
        messages.reverse();
        Listing { messages, cursor: self.last_cursor, more: places.next().is_some() }
    }

    fn after(&self, cursor: u64, limit: usize) -> Listing {
        let mut arrived = self.by_cursor.range(cursor.saturating_add(1)..);
        let mut messages: Vec<Message> = arrived.by_ref().take(limit).map(|(_, kept)| kept.message.clone()).collect();
        let more = arrived.next().is_some();
        let last = if more { messages.last().map_or(cursor, |message| message.cursor) } else { self.last_cursor };
        messages.sort_by_key(Message::place);
        Listing { messages, cursor: last, more }
    }

    /// A message.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Kept> {
        self.by_key.get(key).and_then(|cursor| self.by_cursor.get(cursor))
    }

    /// Notes how far an own message has come; `None` if it is forgotten already.
    pub(super) fn deliver(&mut self, own: NodeId, seq: UnixMicros, delivery: Delivery) -> Option<&Message> {
        let cursor = self.by_key.get(&Key { seq, author: own })?;
        let kept = self.by_cursor.get_mut(cursor)?;
        kept.message.delivery = delivery;
        Some(&kept.message)
    }

    /// Every message, by arrival.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Kept> {
        self.by_cursor.values()
    }

    /// The names of messages between two keys, in their order.
    pub(super) fn keys(&self, from: Option<Key>, to: Option<Key>) -> impl DoubleEndedIterator<Item = &Key> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        // An empty range must not be asked of a map.
        let to = to.map(|to| from.map_or(to, |from| to.max(from)));
        self.by_key.range((from.map_or(Unbounded, Included), to.map_or(Unbounded, Excluded))).map(|(key, _)| key)
    }

    /// How many messages are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Bytes of signed texts kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bounds in force.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The cursor of the last message that arrived.
    #[must_use]
    pub fn last_cursor(&self) -> u64 {
        self.last_cursor
    }

    /// What gave way last.
    #[must_use]
    pub fn floor(&self) -> Option<Key> {
        self.floor
    }
}
