//! How late a reading of another topic comes, alone and while one view tells ten thousand readings a second: at the node
//! that reads both, and at one that has nothing to do with it.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::at_share;
use super::readings::is_known;
use crate::bench::Bench;
use crate::bench::process::{Running, wait};
use crate::bench::ring::Ring;
use crate::bench::table::Row;

/// Readings of the fast topic in each of its steps, and how long one is.
const BURST: u32 = 100;
const STEP: Duration = Duration::from_millis(10);

/// Between two readings of the slow one.
const PACE: Duration = Duration::from_millis(10);

fn micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| u64::try_from(passed.as_micros()).unwrap_or(0))
}

fn piped(command: &mut Command) -> Result<(Running, ChildStdin), String> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| error.to_string())?;
    let input = child.stdin.take().ok_or("no input")?;
    Ok((Running::from(child), input))
}

/// A reader, and how many microseconds each reading took that said when it was; of others their count.
struct Reader {
    late: Arc<Mutex<Vec<f64>>>,
    count: Arc<AtomicU64>,
    missed: Arc<AtomicU64>,
    _running: Running,
}

impl Reader {
    fn start(bench: &Bench, ring: &Ring, topic: &str, node: u16) -> Result<Self, String> {
        let mut command = Command::new(bench.bin.join("node"));
        command.args(["read", topic, "--follow", "--json", "--config"]).arg(ring.file(&format!("node-{node}.json")));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.map_err(|error| error.to_string())?;
        let out = child.stdout.take().ok_or("no output")?;
        let (late, count, missed): (Arc<Mutex<Vec<f64>>>, Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let (lates, counts, misses) = (Arc::clone(&late), Arc::clone(&count), Arc::clone(&missed));
        let is_stamped = topic == "slow";
        std::thread::spawn(move || {
            // It ends with the process.
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                counts.fetch_add(1, Ordering::Relaxed);
                if is_stamped || line.contains("\"missed\"") {
                    let now = micros();
                    let line: Value = serde_json::from_str(&line).unwrap_or_default();
                    misses.fetch_add(line.get("missed").and_then(Value::as_u64).unwrap_or(0), Ordering::Relaxed);
                    if let (Some(at), Ok(mut lates)) = (line.get("value").and_then(Value::as_u64), lates.lock()) {
                        lates.push(now.saturating_sub(at) as f64);
                    }
                }
            }
        });
        Ok(Self { late, count, missed, _running: child.into() })
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Those since the last time.
    fn take(&self) -> Vec<f64> {
        self.late.lock().map(|mut late| std::mem::take(&mut *late)).unwrap_or_default()
    }
}

/// Says a line that often while told so, as if nothing had waited: what is due is said at once.
fn pace(mut input: ChildStdin, is_on: Arc<AtomicBool>, step: Duration, line: impl Fn() -> String + Send + 'static) {
    std::thread::spawn(move || {
        let mut next = Instant::now();
        loop {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            next = Instant::now().checked_sub(Duration::from_millis(50)).map_or(next, |floor| next.max(floor)) + step;
            if is_on.load(Ordering::Relaxed) && input.write_all(line().as_bytes()).is_err() {
                return;
            }
        }
    });
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, 3, true)?;
    let _signal = ring.start_signal()?;
    let _nodes = [ring.start(1)?, ring.start(3)?];
    let topic = |program: &str, name: &str, config: &str| {
        let mut command = Command::new(bench.bin.join(program));
        command.args(["run", "--topic", name, "--stdin", "--config"]).arg(ring.file(config));
        piped(&mut command)
    };
    let (_slow, slow_input) = topic("node", "slow", "node-2.json")?;
    let (fast, fast_input) = topic("view", "fast", "view.json")?;
    ring.wait_linked()?;
    for (node, name) in [(1, "slow"), (1, "fast"), (3, "slow")] {
        let socket = ring.socket(node);
        wait("the topics are known", Duration::from_millis(50), || is_known(&socket, name))?;
    }
    let (on, is_fast): (Arc<AtomicBool>, Arc<AtomicBool>) = (Arc::new(true.into()), Arc::default());
    pace(slow_input, on, PACE, || format!("{}\n", micros()));
    pace(fast_input, Arc::clone(&is_fast), STEP, || "{\"value\":21.53}\n".repeat(BURST as usize));
    let slow = [Reader::start(bench, &ring, "slow", 1)?, Reader::start(bench, &ring, "slow", 3)?];
    is_fast.store(true, Ordering::Relaxed);
    let taker = Reader::start(bench, &ring, "fast", 1)?;
    wait("all read", Duration::from_millis(20), || slow.iter().chain([&taker]).all(|reader| reader.count() > 0))?;
    let seconds = if bench.small { 1.0 } else { 3.0 };
    // Of each node alone and beside the fast one.
    let mut late = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    let (mut rate, mut cpu) = (Vec::new(), Vec::new());
    for round in 0..2 * bench.rounds(5, 2) {
        let is_beside = round % 2 == 1;
        is_fast.store(is_beside, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(500));
        slow.iter().for_each(|reader| drop(reader.take()));
        let (before, cpu_before) = (taker.count(), fast.cpu_s());
        std::thread::sleep(Duration::from_secs_f64(seconds));
        for (reader, late) in slow.iter().zip(&mut late) {
            let [alone, beside] = late;
            if is_beside { beside } else { alone }.extend(reader.take());
        }
        if is_beside {
            rate.push((taker.count() - before) as f64 / seconds);
            cpu.push((fast.cpu_s() - cpu_before) / seconds * 100.0);
        }
    }
    let missed = taker.missed.load(Ordering::Relaxed);
    let fast = format!(
        "{:.0} readings/s arrive, {missed} missed, view {:.0} % of a core",
        at_share(&rate, 0.5),
        at_share(&cpu, 0.5)
    );
    println!("{fast}");
    Ok(["that reads both", "that reads this one alone"]
        .iter()
        .zip(&late)
        .flat_map(|(node, late)| rows(node, late, &fast))
        .collect())
}

fn rows(node: &str, [alone, beside]: &[Vec<f64>; 2], fast: &str) -> Vec<Row> {
    let row = |(name, share): (&str, f64)| {
        let (alone, beside) = (at_share(alone, share) / 1e3, at_share(beside, share) / 1e3);
        let figure = format!("Reading of another topic to a node {node}, beside 10,000 readings/s of a view, {name}");
        println!("{figure}: {beside:.2} ms, alone {alone:.2} ms");
        Row::new(figure, format!("{beside:.2} ms ({fast})"), "")
            .beside(format!("without them: {alone:.2} ms"), beside / alone)
    };
    [("p50", 0.5), ("p99", 0.99)].map(row).into()
}
