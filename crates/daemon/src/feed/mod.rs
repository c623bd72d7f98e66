//! A bounded memory of encoded server-sent events, and any number of readers that pull from it.
//!
//! An entry is encoded once and shared by all readers. A reader keeps nothing but its place: one that is slow falls out
//! of the memory, is told how much it missed, and holds nobody up. One that comes back names the last id it saw and goes
//! on there, as long as the memory still has what follows.

mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use axum::body::Bytes;
use meshline_protocol::UnixMicros;

use crate::config::now;
pub(crate) use stream::Reader;

/// How much is kept, and for how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Entries at most.
    pub(crate) entries: usize,
    /// Bytes of all entries together at most.
    pub(crate) bytes: usize,
    /// Readers at once.
    pub(crate) readers: usize,
}

/// One thing that happened, encoded.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// How much it matters; readers take what is at most their own rank.
    rank: u8,
    /// The whole event.
    text: Bytes,
    /// Where in it the data are.
    data: Range<usize>,
    /// Its name.
    name: String,
    /// When it was kept.
    at: UnixMicros,
}

impl Entry {
    /// The data alone.
    pub(crate) fn data(&self) -> &[u8] {
        self.text.get(self.data.clone()).unwrap_or_default()
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// When it was kept, by this host's clock.
    pub(crate) const fn at(&self) -> UnixMicros {
        self.at
    }
}

/// As many readers as there may be are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyReaders;

/// The memory.
#[derive(Debug)]
pub(crate) struct Feed {
    /// What stands before the number in an id: the name of this run, so that an id of another is known as such.
    prefix: String,
    bounds: Bounds,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The number of the next entry; that of the oldest kept follows from the length.
    next: u64,
    /// Readers by a number of their own, with what wakes those that wait.
    readers: BTreeMap<u64, Option<Waker>>,
    next_reader: u64,
}

impl Kept {
    fn oldest(&self) -> u64 {
        self.next - u64::try_from(self.entries.len()).unwrap_or(0)
    }

    fn forget_beyond(&mut self, bounds: Bounds) {
        while self.entries.len() > bounds.entries || self.bytes > bounds.bytes {
            let Some(entry) = self.entries.pop_front() else { return };
            self.bytes -= entry.text.len();
        }
    }
}

impl Feed {
    /// An empty memory whose first entry has the number `first`, which is at least 1.
    pub(crate) fn new(prefix: String, first: u64, bounds: Bounds) -> Arc<Self> {
        let kept =
            Kept { entries: VecDeque::new(), bytes: 0, next: first.max(1), readers: BTreeMap::new(), next_reader: 0 };
        Arc::new(Self { prefix, bounds, kept: Mutex::new(kept) })
    }

    /// Keeps an event. `data` writes its data, one line, and is told the number of the entry.
    pub(crate) fn push(&self, name: &str, rank: u8, data: impl FnOnce(u64, &mut String)) {
        let mut kept = self.lock();
        let mut text = self.head(name, kept.next);
        let start = text.len();
        data(kept.next, &mut text);
        let data = start..text.len();
        text.push_str("\n\n");
        kept.next += 1;
        kept.bytes += text.len();
        kept.entries.push_back(Entry { rank, text: text.into(), data, name: name.to_owned(), at: now() });
        kept.forget_beyond(self.bounds);
        let waiting: Vec<Waker> = kept.readers.values_mut().filter_map(Option::take).collect();
        drop(kept);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The last `count` entries of at most this rank, oldest first.
    pub(crate) fn last(&self, count: usize, rank: u8) -> Vec<Entry> {
        newest(&self.lock(), count, rank)
    }

    /// The same, with the id of the newest of all: a reader with it goes on behind them without a gap.
    pub(crate) fn last_with_id(&self, count: usize, rank: u8) -> (Vec<Entry>, String) {
        let kept = self.lock();
        (newest(&kept, count, rank), format!("{}{}", self.prefix, kept.next - 1))
    }

    /// A reader of what comes from now on, or of all that came after the event with the id `last`.
    ///
    /// # Errors
    /// If there are as many readers as there may be.
    pub(crate) fn read(self: &Arc<Self>, last: Option<&str>, rank: u8) -> Result<Reader, TooManyReaders> {
        let mut kept = self.lock();
        if kept.readers.len() >= self.bounds.readers {
            return Err(TooManyReaders);
        }
        let (place, reset) = match last.map(|last| self.place(last, &kept)) {
            None => (kept.next, None),
            Some(Ok(place)) => (place, None),
            Some(Err(reason)) => (kept.next, Some(reason)),
        };
        let key = kept.next_reader;
        kept.next_reader += 1;
        kept.readers.insert(key, None);
        drop(kept);
        Ok(Reader::new(Arc::clone(self), key, place, rank, self.greeting(place, reset)))
    }

    /// Whether anybody reads.
    pub(crate) fn is_read(&self) -> bool {
        !self.lock().readers.is_empty()
    }

    /// Where to go on after the event with this id, or why that cannot be told.
    fn place(&self, last: &str, kept: &Kept) -> Result<u64, &'static str> {
        let number = last.strip_prefix(self.prefix.as_str()).and_then(|number| number.parse::<u64>().ok());
        let place = number.and_then(|number| number.checked_add(1)).ok_or("unknown_id")?;
        if place > kept.next {
            Err("unknown_id")
        } else if place < kept.oldest() {
            Err("too_old")
        } else {
            Ok(place)
        }
    }

    /// What a reader gets first: how soon to come back after a break, and an id to come back with.
    fn greeting(&self, place: u64, reset: Option<&str>) -> Bytes {
        let last = place - 1;
        let mut text = format!("retry: 1000\nid: {}{last}\n\n", self.prefix);
        if let Some(reason) = reset {
            text.push_str(&self.head("reset", last));
            let _ = write!(text, "{{\"reason\":\"{reason}\"}}\n\n");
        }
        text.into()
    }

    fn head(&self, name: &str, number: u64) -> String {
        format!("id: {}{number}\nevent: {name}\ndata: ", self.prefix)
    }

    /// A panic while the lock was held leaves at worst a wrong count of bytes.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newest(kept: &Kept, count: usize, rank: u8) -> Vec<Entry> {
    let mut found: Vec<Entry> =
        kept.entries.iter().rev().filter(|entry| entry.rank <= rank).take(count).cloned().collect();
    found.reverse();
    found
}
