//! The last lines of the log, in memory, for those who look at a member from outside.
//!
//! Kept is what is logged, and meshline's own events from `debug` up even where fewer are written: what a person asks
//! for when something went wrong is what led to it. A line is made into JSON once, when it is logged. The share of one
//! source is the same as in the log itself, counted apart: lines that are only kept cost none that are written.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::{Layer, Registry, reload};

use super::limiter::{self, lock};
use super::line::{Line, members};
use super::subscriber::{Fields, source};
use super::writer::suppressed;
use crate::config::LogLevel;
use crate::feed::{Bounds, Entry, Feed, Reader, TooManyReaders};

/// Lines kept: half an hour of a member in trouble, which logs one a second.
pub const MAX_TAIL_LINES: usize = 2_000;

/// Bytes kept: lines with an id and two addresses take 250. With the longest lines it is fifty of them.
const MAX_TAIL_BYTES: usize = 512 * 1024;

/// Readers at once: pages and terminals of the owner, not programs by the hundred.
const MAX_TAIL_READERS: usize = 32;

const BOUNDS: Bounds = Bounds { entries: MAX_TAIL_LINES, bytes: MAX_TAIL_BYTES, readers: MAX_TAIL_READERS };

/// A layer that keeps lines.
pub type TailLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The kept lines.
#[derive(Debug)]
pub struct Tail {
    feed: Arc<Feed>,
    level: Mutex<LogLevel>,
    filter: reload::Handle<Targets, Registry>,
}

impl Tail {
    /// An empty tail that keeps what this level says, and the layer that fills it.
    #[must_use]
    pub fn new(level: &LogLevel) -> (Arc<Self>, TailLayer) {
        // The ids of an earlier run are lower in this way, and who comes back with such an id is told so.
        let first = u64::try_from(jiff::Timestamp::now().as_microsecond()).unwrap_or(1);
        let feed = Feed::new(String::new(), first, BOUNDS);
        let (filter, handle) = reload::Layer::new(level.tail_targets());
        let capture = Capture { feed: Arc::clone(&feed), limiter: limiter::shared() };
        let tail = Self { feed, level: Mutex::new(level.clone()), filter: handle };
        (Arc::new(tail), capture.with_filter(filter).boxed())
    }

    /// Changes what is kept from now on.
    pub(super) fn set_level(&self, level: &LogLevel) {
        // It fails only if the subscriber is gone, and with it what could be kept.
        let _ = self.filter.reload(level.tail_targets());
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = level.clone();
    }

    /// The configured level, which is that of the written log.
    pub(crate) fn level(&self) -> String {
        self.level.lock().unwrap_or_else(PoisonError::into_inner).to_string()
    }

    /// The last `count` lines of this level or a more severe one, oldest first.
    pub(crate) fn last(&self, count: usize, level: Level) -> Vec<Entry> {
        self.feed.last(count, rank(level))
    }

    /// A reader of the lines to come, or of all after the line with the id `last`.
    ///
    /// # Errors
    /// If there are as many readers as there may be.
    pub(crate) fn read(&self, last: Option<&str>, level: Level) -> Result<Reader, TooManyReaders> {
        self.feed.read(last, rank(level))
    }
}

/// The more severe, the lower.
fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

struct Capture {
    feed: Arc<Feed>,
    limiter: limiter::Shared,
}

impl Capture {
    fn keep(&self, line: &Line) {
        let members = members(line);
        self.feed.push("log", rank(line.level), |id, data| {
            data.push_str("{\"id\":");
            data.push_str(&id.to_string());
            data.push(',');
            data.push_str(&members);
            data.push('}');
        });
    }

    /// Whether this line has a place, and how many before it had none.
    fn admit(&self, source: &str) -> Option<u64> {
        let mut limiter = lock(&self.limiter);
        limiter.admit(Instant::now(), source).then(|| limiter.take_suppressed())
    }
}

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = Fields::of(event);
        let Some(lost) = self.admit(&source(event.metadata(), &fields)) else { return };
        if lost > 0 {
            self.keep(&suppressed(lost));
        }
        self.keep(&fields.into_line(event.metadata()));
    }
}
