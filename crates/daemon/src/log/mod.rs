//! Logs: one line an event, to standard error or a file, as text or as JSON.
//!
//! Three rules hold for every line. What came from outside is escaped, so that a name cannot start a line
//! of its own or turn the terminal upside down. One source writes at most [`MAX_LINES_PER_SECOND`]; the
//! surplus is counted and reported. And writing never holds up the program: lines go through a bounded
//! queue to a thread of their own, so a stopped terminal costs lines and not links.
//!
//! The last lines are kept in memory as well ([`Tail`]), for those who look at a member from outside.
//!
//! Text: `15:58:43.214573 INF ~ message key=value`, local time. JSON: an object with `time`, `level`,
//! `target`, `message` and the fields.

mod escape;
mod filter;
mod limiter;
mod line;
mod subscriber;
mod tail;
mod writer;

pub use escape::escape;
pub(crate) use filter::{LEVELS, parse as parse_level, parse_for_tail};
pub use tail::{MAX_TAIL_LINES, Tail, TailLayer};

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{LogConfig, LogLevel};

/// Events of this target may hold line breaks: texts shown on the console below their heading. Whoever
/// writes one escapes what is foreign in it with [`escape`].
pub const CONSOLE: &str = "meshline::console";

/// Lines one source (a peer, an address, or else a place in the program) may write within a second.
/// More than a person can read, and few enough that a thousand hostile peers do not fill a disk within a day.
pub const MAX_LINES_PER_SECOND: u32 = 100;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log file cannot be opened.
    #[error("{path}: cannot open the log file: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The thread that writes cannot be started.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(io::Error),
    /// A second start in one process.
    #[error("the log was started twice")]
    Started,
}

/// The running log. Dropped at the end of the program, it waits (half a second at most) until what was
/// logged is written.
#[derive(Debug)]
pub struct Log {
    filter: reload::Handle<Targets, Registry>,
    tail: Arc<Tail>,
    _writer: writer::Flush,
}

/// Starts the log of this process.
///
/// # Errors
/// If the file cannot be opened, or a log was started before.
pub fn start(config: &LogConfig) -> Result<Log, LogError> {
    let sink = open(config)?;
    let limiter = limiter::shared();
    let form = line::Form::new(config.format);
    let (queue, flush) = writer::start(sink, limiter.clone(), form.clone()).map_err(LogError::Thread)?;
    let (filter, handle) = reload::Layer::new(config.level.targets());
    let lines = subscriber::Lines::new(form, limiter, queue).with_filter(filter).boxed();
    let (tail, kept) = Tail::new(&config.level);
    let registry = Registry::default().with(vec![lines, kept]);
    tracing::subscriber::set_global_default(registry).map_err(|_| LogError::Started)?;
    Ok(Log { filter: handle, tail, _writer: flush })
}

impl Log {
    /// Changes what is logged from now on.
    pub fn set_level(&self, level: &LogLevel) {
        // It fails only if the subscriber is gone, and with it whoever could read the log.
        let _ = self.filter.reload(level.targets());
        self.tail.set_level(level);
    }

    /// The last lines.
    #[must_use]
    pub fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.tail)
    }
}

fn open(config: &LogConfig) -> Result<Box<dyn Write + Send>, LogError> {
    let Some(path) = &config.file else { return Ok(Box::new(io::stderr())) };
    let file = OpenOptions::new().create(true).append(true).open(path);
    match file {
        Ok(file) => Ok(Box::new(file)),
        Err(source) => Err(LogError::File { path: path.clone(), source }),
    }
}

#[cfg(test)]
mod tests;
