//! What arrives of a stream, and what that says of an outage.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::bench::process::Running;

/// A datagram of the stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Arrival {
    pub(in crate::bench) number: u64,
    /// In microseconds, as the two others.
    pub(in crate::bench) sent: u64,
    pub(in crate::bench) at: u64,
}

/// Later than this is too late: ten times the way over two undamaged cables, their buffers full.
const LATE_US: u64 = 100_000;

/// Between two datagrams.
const INTERVAL_US: u64 = 10_000;

/// The lines that a process writes, as they come.
pub(in crate::bench) struct Heard {
    lines: Arc<Mutex<Vec<String>>>,
    process: Running,
}

impl Heard {
    /// Starts a program and takes in what it writes; it ends when this is dropped.
    pub(in crate::bench) fn start(command: &mut Command) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child: Child = command.spawn().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        if let Some(out) = child.stdout.take() {
            let lines = Arc::clone(&lines);
            drop(std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            }));
        }
        Ok(Self { lines, process: Running::from(child) })
    }

    /// What it wrote so far that begins with a word.
    fn after(&self, word: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter_map(|line| line.strip_prefix(word)).map(|rest| rest.trim().to_owned()).collect()
    }

    /// The newest line that begins with a word, without it.
    pub(in crate::bench) fn last(&self, word: &str) -> Option<String> {
        self.after(word).pop()
    }

    /// What arrived from a time on.
    pub(in crate::bench) fn arrivals(&self, from: u64) -> Vec<Arrival> {
        let read = |line: &String| {
            let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().ok());
            Some(Arrival { number: numbers.next()??, sent: numbers.next()??, at: numbers.next()?? })
        };
        self.after("arrived ").iter().filter_map(read).filter(|arrival| arrival.at >= from).collect()
    }
}

/// Whoever only wants it to run.
impl From<Heard> for Running {
    fn from(heard: Heard) -> Self {
        heard.process
    }
}

/// Microseconds of this machine's clock, as the stream has them.
pub(in crate::bench) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}

/// The longest time in which nothing arrived, in milliseconds, up to `now`.
pub(in crate::bench) fn longest_gap_ms(arrivals: &[Arrival], now: u64) -> f64 {
    let times = arrivals.iter().map(|arrival| arrival.at);
    let gaps = times.clone().zip(times.skip(1).chain([now])).map(|(one, next)| next.saturating_sub(one));
    millis(gaps.max().unwrap_or(0))
}

/// From a fault to the sending of the last datagram that was lost or came late, in milliseconds.
pub(in crate::bench) fn trouble_ms(arrivals: &[Arrival], fault: u64) -> f64 {
    let mut by_number = arrivals.to_vec();
    by_number.sort_by_key(|arrival| arrival.number);
    let late = by_number.iter().filter(|arrival| arrival.at.saturating_sub(arrival.sent) > LATE_US);
    let late = late.map(|arrival| arrival.sent);
    let gaps = by_number.iter().zip(by_number.iter().skip(1));
    let lost = gaps.filter(|(one, next)| next.number > one.number + 1).map(|(_, next)| next.sent - INTERVAL_US);
    millis(late.chain(lost).max().unwrap_or(0).saturating_sub(fault))
}

/// Waits until the stream has flowed undisturbed for `calm` since the fault or later, or `limit` is over.
pub(in crate::bench) fn wait_for_calm(heard: &Heard, fault: u64, calm: Duration, limit: Duration) -> bool {
    let (began, calm_us) = (Instant::now(), u64::try_from(calm.as_micros()).unwrap_or(u64::MAX));
    while began.elapsed() < limit {
        let now = now_us();
        let from = now.saturating_sub(calm_us).max(fault);
        let lately = heard.arrivals(from);
        let has_lasted = lately.first().is_some_and(|first| now.saturating_sub(first.at) + 2 * LATE_US >= calm_us);
        let is_calm = longest_gap_ms(&lately, now) < millis(LATE_US) && trouble_ms(&lately, 0) == 0.0;
        if now.saturating_sub(fault) > calm_us && has_lasted && is_calm {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::{Arrival, longest_gap_ms, trouble_ms};

    fn arrival(number: u64, at: u64) -> Arrival {
        Arrival { number, sent: number * 10_000, at }
    }

    #[test]
    fn the_longest_gap_counts_the_silence_at_the_end() {
        let arrivals = [arrival(0, 1_000), arrival(1, 11_000), arrival(9, 91_000)];
        assert_eq!(longest_gap_ms(&arrivals, 100_000), 80.0);
        assert_eq!(longest_gap_ms(&arrivals, 300_000), 209.0);
        assert_eq!(longest_gap_ms(&[], 300_000), 0.0);
    }

    #[test]
    fn trouble_lasts_to_the_last_datagram_that_was_lost_or_late() {
        let calm = [arrival(0, 1_000), arrival(1, 11_000)];
        assert_eq!(trouble_ms(&calm, 0), 0.0);
        let late = [arrival(5, 160_000), arrival(6, 61_000)];
        assert_eq!(trouble_ms(&late, 20_000), 30.0);
        let lost = [arrival(5, 51_000), arrival(8, 81_000)];
        assert_eq!(trouble_ms(&lost, 20_000), 50.0);
    }
}
