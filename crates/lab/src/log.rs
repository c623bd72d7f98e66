//! The lines a process wrote, each with its time, and waiting for one.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines shown of each process when a test fails.
const SHOWN: usize = 120;

/// All that one process wrote to standard output and standard error.
#[derive(Debug, Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<(Duration, String)>>,
    more: Condvar,
}

/// One clock for all logs of a run, so that they can be read side by side.
fn since_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

impl Log {
    /// Reads a stream to its end on a thread of its own.
    pub(crate) fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                log.push(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned());
                line.clear();
            }
        })
    }

    /// Another line.
    pub(crate) fn push(&self, line: String) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push((since_start(), line));
        self.more.notify_all();
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The lines from `from` on.
    pub(crate) fn since(&self, from: usize) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(from).map(|(_, line)| line.clone()).collect()
    }

    /// Waits for a line from `from` on that `wanted` accepts; its number and text.
    pub(crate) fn wait(&self, from: usize, limit: Duration, wanted: impl Fn(&str) -> bool) -> Option<(usize, String)> {
        let begin = Instant::now();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = from;
        loop {
            if let Some((at, (_, line))) = lines.iter().enumerate().skip(seen).find(|(_, (_, line))| wanted(line)) {
                return Some((at, line.clone()));
            }
            seen = lines.len().max(from);
            let left = limit.checked_sub(begin.elapsed())?;
            lines = self.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The last lines, for somebody who wants to know why a test failed.
    pub(crate) fn tail(&self, name: &str) -> String {
        self.last(SHOWN, name)
    }

    /// So many of the last lines.
    pub(crate) fn last(&self, count: usize, name: &str) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let from = lines.len().saturating_sub(count);
        let shown = lines.iter().skip(from).map(|(at, line)| format!("[{:8.3} {name}] {line}\n", at.as_secs_f64()));
        format!("--- {name}: the last {} of {} lines\n{}", lines.len() - from, lines.len(), shown.collect::<String>())
    }
}
