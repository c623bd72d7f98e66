//! The messages of the chat in the order that all members show, within bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meshline_mesh::SignedText;
use meshline_protocol::limits::MAX_TEXT;
use meshline_protocol::{NodeId, UnixMicros};

use super::message::{Delivery, Key, Message, Place};

/// Messages kept unless the configuration says otherwise: ten thousand fill a page for days.
pub const DEFAULT_MAX_MESSAGES: usize = 10_000;

/// Bytes of signed texts kept unless the configuration says otherwise: ten thousand messages of 16 KiB would take 160 MiB.
pub const DEFAULT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Messages of one author kept of a minute by its own sequences: what everybody takes of it in one, 25 a second and 512 at
/// once, which is more than it sends. However late they come, an honest author never has more; whoever makes messages up
/// has to spread them over as much time as writing them would have taken.
pub(super) const MAX_OF_A_MINUTE: usize = 25 * 60 + 512;

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
    floors: Floors,
    /// Authors who were expelled: what they wrote stays here and is told to nobody any more.
    hidden: BTreeSet<NodeId>,
    /// Messages and bytes of each author.
    shares: BTreeMap<NodeId, Share>,
    /// Messages of each author by the minute of their sequences.
    minutes: BTreeMap<(NodeId, u64), usize>,
}

/// Up to where messages gave way: what lies below is not taken in again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floors {
    /// Of all authors.
    pub all: Option<Key>,
    /// Of authors who had more than their share.
    pub authors: BTreeMap<NodeId, UnixMicros>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    messages: usize,
    bytes: usize,
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Goes on where an earlier run ended: cursors are not used twice, and what gave way stays away.
    pub(super) fn resume(&mut self, last_cursor: u64, floors: Floors) {
        self.last_cursor = self.last_cursor.max(last_cursor);
        self.floors = floors;
    }

    /// Puts back a message of an earlier run.
    pub(super) fn restore(&mut self, kept: Kept) {
        if self.is_new(&kept.message.key()) {
            self.insert(kept);
        }
    }

    /// Whether a message may be taken in: it is neither kept, nor has it given way, nor would it at once, nor has its author
    /// written too much at that time.
    #[must_use]
    pub fn is_new(&self, key: &Key) -> bool {
        let is_above = self.floors.all.is_none_or(|floor| *key > floor)
            && self.floors.authors.get(&key.author).is_none_or(|floor| key.seq > *floor);
        let has_place = !self.is_full() || self.by_key.first_key_value().is_none_or(|(first, _)| key > first);
        let of_minute = self.minutes.get(&minute(*key)).copied().unwrap_or_default();
        is_above && has_place && of_minute < MAX_OF_A_MINUTE && !self.by_key.contains_key(key)
    }

    /// Whether there is no room for one more of the longest messages.
    fn is_full(&self) -> bool {
        let longest = 2 * MAX_TEXT;
        self.by_key.len() >= self.bounds.max_messages || self.bytes + longest > self.bounds.max_bytes
    }

    /// Takes in a message under the cursor it has.
    pub(super) fn insert(&mut self, kept: Kept) {
        let (cursor, message) = (kept.message.cursor, &kept.message);
        self.last_cursor = self.last_cursor.max(cursor);
        self.bytes += kept.signed.body.len();
        let share = self.shares.entry(message.author).or_default();
        share.messages += 1;
        share.bytes += kept.signed.body.len();
        *self.minutes.entry(minute(message.key())).or_default() += 1;
        self.by_place.insert(message.place(), cursor);
        self.by_key.insert(message.key(), cursor);
        self.by_cursor.insert(cursor, kept);
    }

    /// Forgets the oldest messages beyond the bounds; their cursors and authors are returned.
    pub(super) fn prune(&mut self) -> Vec<(u64, NodeId)> {
        let mut gone = Vec::new();
        while self.by_key.len() > self.bounds.max_messages || self.bytes > self.bounds.max_bytes {
            let greedy = self.shares.iter().find(|(_, share)| self.is_too_much(**share)).map(|(author, _)| *author);
            let of_greedy = greedy.and_then(|author| self.by_key.keys().find(|key| key.author == author));
            let Some(key) = of_greedy.or_else(|| self.by_key.keys().next()).copied() else { break };
            match greedy {
                Some(author) => {
                    let floor = self.floors.authors.entry(author).or_default();
                    *floor = key.seq.max(*floor);
                }
                None => self.floors.all = self.floors.all.max(Some(key)),
            }
            gone.extend(self.remove(key).map(|cursor| (cursor, key.author)));
        }
        gone
    }

    /// Whether an author has more than half of the room while others have something to say too.
    fn is_too_much(&self, share: Share) -> bool {
        self.shares.len() > 1
            && (share.messages > self.bounds.max_messages / 2 || share.bytes > self.bounds.max_bytes / 2)
    }

    fn remove(&mut self, key: Key) -> Option<u64> {
        let cursor = self.by_key.remove(&key)?;
        let kept = self.by_cursor.remove(&cursor)?;
        let bytes = kept.signed.body.len();
        self.bytes -= bytes;
        self.by_place.remove(&kept.message.place());
        if let Some(count) = self.minutes.get_mut(&minute(key)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.minutes.remove(&minute(key));
            }
        }
        if let Some(share) = self.shares.get_mut(&key.author) {
            share.messages = share.messages.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(bytes);
            if share.messages == 0 {
                self.shares.remove(&key.author);
            }
        }
        Some(cursor)
    }

    /// An author was expelled, or is a member again.
    pub(super) fn hide(&mut self, author: NodeId, hidden: bool) {
        if hidden {
            self.hidden.insert(author);
        } else {
            self.hidden.remove(&author);
        }
    }

    /// Whether an author was expelled.
    pub(super) fn is_hidden(&self, author: &NodeId) -> bool {
        self.hidden.contains(author)
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

    /// The names of messages between two keys, in their order, without those of expelled authors.
    pub(super) fn keys(&self, from: Option<Key>, to: Option<Key>) -> impl DoubleEndedIterator<Item = &Key> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        // An empty range must not be asked of a map.
        let to = to.map(|to| from.map_or(to, |from| to.max(from)));
        let range = self.by_key.range((from.map_or(Unbounded, Included), to.map_or(Unbounded, Excluded)));
        range.map(|(key, _)| key).filter(|key| !self.hidden.contains(&key.author))
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

    /// What gave way.
    #[must_use]
    pub fn floors(&self) -> &Floors {
        &self.floors
    }

    /// The first key that may be kept, if some gave way.
    pub(super) fn lowest(&self) -> Option<Key> {
        let floor = self.floors.all?;
        Some(self.by_key.keys().next().copied().filter(|first| *first > floor).unwrap_or(floor))
    }
}

/// The author and the minute in which a message was written, by its sequence.
fn minute(key: Key) -> (NodeId, u64) {
    (key.author, key.seq.get() / 60_000_000)
}
