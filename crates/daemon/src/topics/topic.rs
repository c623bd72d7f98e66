//! One topic: its last readings, for any number of readers that pull them.
//!
//! A reading is kept once, whoever reads. A reader keeps its place and nothing else: one that is slow falls out, is told
//! how many readings it missed, and holds up neither the source nor anybody else.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use meshline_protocol::{ServiceName, UnixMicros};
use tokio::sync::Notify;

/// Readings kept for readers that are slow or ask for what came before: a tenth of a second of a fast source.
pub(super) const MAX_KEPT: usize = 1_024;

/// Bytes of them.
pub(super) const MAX_KEPT_BYTES: usize = 256 * 1024;

/// Longest reading. A device that measures more has a file to serve.
pub(super) const MAX_READING: usize = 4 * 1024;

/// One reading as it is sent, a line of JSON with its LF.
#[derive(Clone, Debug)]
struct Reading {
    line: Box<str>,
}

#[derive(Debug, Default)]
struct Kept {
    readings: VecDeque<Reading>,
    bytes: usize,
    /// The number of the next reading.
    next: u64,
}

impl Kept {
    fn oldest(&self) -> u64 {
        self.next - u64::try_from(self.readings.len()).unwrap_or(0)
    }
}

/// What became of readings.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Too long, or control characters in it.
    pub(super) refused: AtomicU64,
    /// Readings that readers missed because they were slow, all together.
    pub(super) missed: AtomicU64,
    /// Readers at the moment.
    pub(super) readers: AtomicU64,
}

/// A topic of this member.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: ServiceName,
    /// What numbers of readings belong to: they begin again with the member.
    pub(super) run: String,
    pub(super) counts: Counts,
    kept: Mutex<Kept>,
    news: Notify,
}

/// What a reader takes at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// Lines as they are sent.
    pub(super) text: String,
    /// Where to go on.
    pub(super) place: u64,
    /// How many were lost before the first of them.
    pub(super) missed: u64,
}

impl Topic {
    pub(super) fn new(name: ServiceName, run: String) -> Self {
        Self { name, run, counts: Counts::default(), kept: Mutex::default(), news: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a source said on one line: JSON, or else a text.
    pub(super) fn push(&self, said: &str, time: UnixMicros) {
        let said = said.trim();
        if said.is_empty() {
            return;
        }
        if said.len() > MAX_READING {
            // Once: whoever says too much may say it every second. `/metrics` counts them.
            if self.counts.refused.fetch_add(1, Ordering::Relaxed) == 0 {
                let (name, bytes) = (&self.name, said.len());
                tracing::warn!(
                    target: "meshline",
                    "a reading of topic {name} has {bytes} bytes, more than {MAX_READING}: such are left out"
                );
            }
            return;
        }
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(said).is_ok();
        let value = if is_json { said.to_owned() } else { serde_json::Value::from(said).to_string() };
        let mut kept = self.lock();
        let mut line = String::with_capacity(value.len() + 64);
        // A String takes whatever is written into it.
        let _ = writeln!(line, "{{\"seq\":{},\"time\":{},\"value\":{value}}}", kept.next, time.get());
        kept.next += 1;
        kept.bytes += line.len();
        kept.readings.push_back(Reading { line: line.into() });
        while kept.readings.len() > MAX_KEPT || (kept.bytes > MAX_KEPT_BYTES && kept.readings.len() > 1) {
            let Some(oldest) = kept.readings.pop_front() else { break };
            kept.bytes -= oldest.line.len();
        }
        drop(kept);
        self.news.notify_waiters();
    }

    /// Readings so far.
    pub(super) fn count(&self) -> u64 {
        self.lock().next
    }

    /// The last one, as it is sent.
    pub(super) fn last(&self) -> Option<String> {
        self.lock().readings.back().map(|reading| reading.line.to_string())
    }

    /// Where a reader begins that wants so many readings of those before, at least the last.
    pub(super) fn begin(&self, history: usize) -> u64 {
        let kept = self.lock();
        let wanted = u64::try_from(history.max(1)).unwrap_or(u64::MAX);
        kept.next.saturating_sub(wanted).max(kept.oldest())
    }

    /// Where a reader goes on that has seen the reading of this number.
    pub(super) fn after(&self, seen: u64) -> u64 {
        seen.saturating_add(1).min(self.lock().next)
    }

    /// The newest reading, if a reader at `place` has not seen it. What lies between is not missed: it was not wanted.
    pub(super) fn newest(&self, place: u64) -> Option<Piece> {
        let kept = self.lock();
        let text = kept.readings.back().filter(|_| place < kept.next)?.line.to_string();
        Some(Piece { text, place: kept.next, missed: 0 })
    }

    /// As many readings from `place` on as `most` bytes hold, one at least if there is any.
    pub(super) fn take(&self, place: u64, most: usize) -> Option<Piece> {
        let kept = self.lock();
        let oldest = kept.oldest();
        let missed = oldest.saturating_sub(place);
        let mut place = place.max(oldest);
        let skip = usize::try_from(place - oldest).unwrap_or(usize::MAX);
        let mut text = String::new();
        for reading in kept.readings.range(skip.min(kept.readings.len())..) {
            if !text.is_empty() && text.len() + reading.line.len() > most {
                break;
            }
            text.push_str(&reading.line);
            place += 1;
        }
        self.counts.missed.fetch_add(missed, Ordering::Relaxed);
        (!text.is_empty()).then_some(Piece { text, place, missed })
    }

    /// Ends when there is a reading that a reader at `place` has not seen.
    pub(super) async fn wait(&self, place: u64) {
        loop {
            let news = self.news.notified();
            if self.lock().next > place {
                return;
            }
            news.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> Topic {
        Topic::new("temp".parse().expect("a name"), "one".to_owned())
    }

    const NOW: UnixMicros = UnixMicros::new(7);

    #[test]
    fn json_stays_as_it_is_and_everything_else_is_a_text() {
        let topic = topic();
        for said in ["21.5", r#"{"a":[1]}"#, "warm \"today\"", "  ", r#"{"a""#] {
            topic.push(said, NOW);
        }
        let lines = topic.take(0, 1_000).expect("four").text;
        let wanted = [
            r#"{"seq":0,"time":7,"value":21.5}"#,
            r#"{"seq":1,"time":7,"value":{"a":[1]}}"#,
            r#"{"seq":2,"time":7,"value":"warm \"today\""}"#,
            r#"{"seq":3,"time":7,"value":"{\"a\""}"#,
        ];
        assert_eq!(lines.lines().collect::<Vec<_>>(), wanted);
        assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn a_slow_reader_is_told_what_it_missed_and_the_last_reading_is_always_there() {
        let topic = topic();
        for number in 0..u64::try_from(MAX_KEPT).expect("small") + 10 {
            topic.push(&number.to_string(), NOW);
        }
        let piece = topic.take(0, 40).expect("some");
        assert_eq!((piece.missed, piece.place), (10, 11), "one line of forty bytes");
        assert_eq!(topic.counts.missed.load(Ordering::Relaxed), 10);
        assert!(piece.text.contains("\"value\":10}"), "{}", piece.text);
        let long = format!("\"{}\"", "x".repeat(MAX_READING - 2));
        for _ in 0..200 {
            topic.push(&long, NOW);
        }
        assert!(topic.lock().bytes <= MAX_KEPT_BYTES);
        assert!(topic.last().expect("the last").contains("\"seq\":1233,"));
    }

    #[test]
    fn what_is_too_long_is_counted_and_nothing_else_comes_of_it() {
        let topic = topic();
        topic.push(&"1".repeat(MAX_READING), NOW);
        topic.push(&"1".repeat(MAX_READING + 1), NOW);
        assert_eq!((topic.count(), topic.counts.refused.load(Ordering::Relaxed)), (1, 1));
    }

    #[test]
    fn readers_begin_where_they_want_and_may_skip() {
        let topic = topic();
        assert_eq!((topic.begin(10), topic.newest(0)), (0, None));
        for number in 0..5 {
            topic.push(&number.to_string(), NOW);
        }
        assert_eq!((topic.begin(0), topic.begin(3), topic.begin(99)), (4, 2, 0));
        let newest = topic.newest(1).expect("one");
        assert_eq!((newest.place, newest.missed), (5, 0));
        assert_eq!(topic.newest(5), None);
        assert_eq!(topic.take(5, 100), None);
    }

    #[test]
    fn whoever_comes_back_goes_on_behind_what_it_has_seen_and_no_number_is_too_great() {
        let topic = topic();
        for number in 0..5 {
            topic.push(&number.to_string(), NOW);
        }
        assert_eq!((topic.after(1), topic.after(4), topic.after(5), topic.after(u64::MAX)), (2, 5, 5, 5));
    }
}
