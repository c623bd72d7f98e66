//! One line on the terminal that says how far long work is; nothing where nobody looks.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::ledger::{rate, span};

/// How often the line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// Nothing is drawn of what is over sooner.
const QUIET_FOR: Duration = Duration::from_millis(300);

/// Characters of the bar.
const WIDTH: usize = 24;

/// The line. It is wiped when this is dropped.
#[derive(Debug)]
pub(super) struct Bar {
    label: &'static str,
    shown: bool,
    drawn: bool,
    began: Instant,
    last: Option<Instant>,
}

impl Bar {
    /// A line, if standard error is a terminal.
    pub(super) fn new(label: &'static str) -> Self {
        Self { label, shown: io::stderr().is_terminal(), drawn: false, began: Instant::now(), last: None }
    }

    /// So much of so much is behind it.
    pub(super) fn at(&mut self, done: f64, of: f64) {
        if self.is_due() {
            let elapsed = self.began.elapsed().as_secs_f64();
            self.draw(&steps(self.label, (done, of), elapsed));
        }
    }

    /// So many hashes of those that are expected; it may take more.
    pub(super) fn hashes(&mut self, done: f64, expected: f64) {
        if self.is_due() {
            let elapsed = self.began.elapsed().as_secs_f64();
            self.draw(&search(self.label, (done, expected), elapsed));
        }
    }

    /// A line of one's own.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.is_due() {
            let line = line();
            self.draw(&line);
        }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let quiet = now.saturating_duration_since(self.began) < QUIET_FOR;
        let soon = self.last.is_some_and(|last| now.saturating_duration_since(last) < DRAW_EVERY);
        if !self.shown || quiet || soon {
            return false;
        }
        self.last = Some(now);
        true
    }

    fn draw(&mut self, line: &str) {
        self.drawn = true;
        let _ = write!(io::stderr().lock(), "\r\x1b[K{line}");
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn steps(label: &str, (done, of): (f64, f64), elapsed_s: f64) -> String {
    let share = if of > 0.0 { (done / of).clamp(0.0, 1.0) } else { 0.0 };
    let left = if share > 0.0 { format!(", {} left", span(elapsed_s * (1.0 - share) / share)) } else { String::new() };
    format!("{label} {} {:.0} of {:.0} ({:.0} %{left})", bar(share), done, of, share * 100.0)
}

fn search(label: &str, (done, expected): (f64, f64), elapsed_s: f64) -> String {
    let rate_now = if elapsed_s > 0.0 { done / elapsed_s } else { 0.0 };
    let expected_s = if rate_now > 0.0 { expected / rate_now } else { 0.0 };
    // Each hash may be the one: what is behind makes what is to come no shorter.
    format!("{label}: {}, {} so far, one expected every {}", rate(rate_now), span(elapsed_s), span(expected_s))
}

fn bar(share: f64) -> String {
    let filled = ((share * WIDTH as f64) as usize).min(WIDTH);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(WIDTH - filled))
}

#[cfg(test)]
mod tests {
    use super::{search, steps};

    #[test]
    fn a_line_says_how_far_it_is_and_how_long_it_takes() {
        assert_eq!(
            steps("verify", (25.0, 100.0), 10.0),
            "verify [######..................] 25 of 100 (25 %, 30 s left)"
        );
        assert_eq!(steps("verify", (0.0, 0.0), 0.0), format!("verify [{}] 0 of 0 (0 %)", ".".repeat(24)));
        assert_eq!(search("mining", (2e6, 4e6), 2.0), "mining: 1.00 MH/s, 2 s so far, one expected every 4 s");
    }
}
