//! `cargo xtask bench ledger`: what the ledger does in a second, each figure beside the limit that the same run measured.
//!
//! The work is in the example `ledger_bench` of `crates/ledger`. That crate has no clock, so the example says when a
//! figure's work begins and ends, and the time is taken here.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::Running;
use super::scratch::Scratch;
use super::table::Row;
use super::{Bench, Figure, median};

/// By the name that `--only` takes.
pub(super) const PARTS: &[(&str, Figure)] =
    &[("connect", connect), ("admit", admit), ("headers", headers), ("million", million)];

const LIMIT: &str = "limit_signatures_two_threads";

/// How often a second each figure's work was done, and how long it took in all, by the rounds.
#[derive(Default)]
struct Times(BTreeMap<String, Vec<Time>>);

struct Time {
    seconds: f64,
    count: f64,
}

impl Times {
    /// Runs the example with these words and takes the times, until it ends or says that it waits: then it is killed.
    fn take(&mut self, bench: &Bench, words: &[&str]) -> Result<(), String> {
        let mut command = Command::new(bench.bin.join("examples/ledger_bench"));
        let child = command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("the example cannot be started: {error}"))?;
        let out = child.stdout.take().ok_or("the example says nothing")?;
        // Ended by SIGKILL, like a node that loses its power.
        let _running = Running::from(child);
        let mut open: Option<(Instant, String, f64)> = None;
        for line in BufReader::new(out).lines() {
            let line = line.map_err(|error| format!("ledger_bench: {error}"))?;
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["begin", name, count] => {
                    let count = count.parse().map_err(|_| format!("no count: {line}"))?;
                    open = Some((Instant::now(), name.to_owned(), count));
                }
                ["end"] => {
                    let (began, name, count) = open.take().ok_or("an end without a beginning")?;
                    let seconds = began.elapsed().as_secs_f64();
                    println!("{name}: {:.1} ms, {:.0} /s", seconds * 1e3, count / seconds);
                    self.0.entry(name).or_default().push(Time { seconds, count });
                }
                ["waiting"] => return Ok(()),
                _ => return Err(format!("not understood: {line}")),
            }
        }
        if open.is_some() { Err("the example ended in the middle".to_owned()) } else { Ok(()) }
    }

    fn of(&self, name: &str, value: impl Fn(&Time) -> f64) -> Spread {
        Spread(self.0.get(name).into_iter().flatten().map(value).collect())
    }

    fn rate(&self, name: &str) -> Spread {
        self.of(name, |time| time.count / time.seconds)
    }

    fn seconds(&self, name: &str) -> Spread {
        self.of(name, |time| time.seconds)
    }

    /// A row with how much was done a second, beside a limit.
    fn row(&self, figure: &str, name: &str, aim: &'static str, (limit, what): (&str, &str)) -> Row {
        let (rate, limit) = (self.rate(name), self.rate(limit));
        let row = Row::new(figure, format!("{} a second", rate.text(1.0, 0)), aim);
        row.beside(format!("{what}: {} a second", limit.text(1.0, 0)), rate.median() / limit.median())
    }
}

/// What all rounds gave.
struct Spread(Vec<f64>);

impl Spread {
    fn median(&self) -> f64 {
        median(&self.0)
    }

    /// The middle, and the smallest and largest behind it.
    fn text(&self, unit: f64, digits: usize) -> String {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let show = |value: f64| thousands(&format!("{:.digits$}", value * unit));
        format!("{} ({} to {})", show(self.median()), show(least), show(most))
    }
}

/// With a comma before every three digits of the whole part.
fn thousands(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

fn rounds(bench: &Bench) -> String {
    bench.rounds(5, 1).to_string()
}

fn connect(bench: &Bench) -> Result<Vec<Row>, String> {
    let (mut times, scratch) = (Times::default(), Scratch::new("ledger")?);
    times.take(bench, &["connect", &scratch.path().to_string_lossy(), &rounds(bench)])?;
    let signatures = (LIMIT, "signatures on two threads");
    let mut rows = vec![
        times.row("Transactions connected, 1 in, 2 out, in memory", "connect_memory", "≥ 30,000", signatures),
        times.row("The same, redb, durable by time and size", "connect_by_size", "≥ 30,000", signatures),
        times.row("The same, redb, every block of 1,000 durable at once", "connect_each_block", "", signatures),
    ];
    for (figure, off, on) in [
        ("Reorganisation, 100 blocks of 1,000 transactions, signatures not seen before", "off", "on"),
        ("The same, signatures remembered", "off_known", "on_known"),
    ] {
        let both: Vec<f64> = times.seconds(off).0.iter().zip(&times.seconds(on).0).map(|(off, on)| off + on).collect();
        let parts = format!("{:.2} s off, {:.2} s on", times.seconds(off).median(), times.seconds(on).median());
        let least = 100_000.0 / times.rate(LIMIT).median();
        let both = Spread(both);
        let row = Row::new(figure, format!("{} s: {parts}", both.text(1.0, 2)), "≤ 10 s");
        rows.push(row.beside(format!("100,000 signatures on two threads: {least:.2} s"), both.median() / least));
    }
    Ok(rows)
}

fn admit(bench: &Bench) -> Result<Vec<Row>, String> {
    let mut times = Times::default();
    times.take(bench, &["admit", &rounds(bench)])?;
    let single = ("limit_signatures_one_by_one", "signatures one by one, one thread");
    let template = times.seconds("template").text(1e3, 1);
    Ok(vec![
        times.row(
            "Admissions to the mempool, in batches of 1,000",
            "admit_in_batches",
            "≥ 15,000",
            (LIMIT, "signatures on two threads"),
        ),
        times.row("The same, one by one on one thread", "admit_one_by_one", "", single),
        Row::new("Template of a full block out of 20,000 waiting", format!("{template} ms"), "≤ 100 ms"),
    ])
}

fn headers(bench: &Bench) -> Result<Vec<Row>, String> {
    let mut times = Times::default();
    times.take(bench, &["headers", &rounds(bench)])?;
    let hashed = ("limit_header_hashes", "the hashes of the same headers");
    let asked = times.of("missing_blocks", |time| time.seconds / time.count).text(1e6, 1);
    Ok(vec![
        times.row("Bitcoin headers verified, of a stream", "headers_of_a_stream", "≥ 1,000,000", hashed),
        times.row("Headers taken into the tree", "headers_into_the_tree", "", hashed),
        Row::new("What to fetch next, 1,024 of 100,000 missing blocks", format!("{asked} µs"), ""),
        times.row(
            "Hashes of a miner, one core",
            "hashes_of_a_miner",
            "",
            ("limit_hashes", "SHA-256 of a long text, two blocks each"),
        ),
    ])
}

fn million(bench: &Bench) -> Result<Vec<Row>, String> {
    let (mut times, scratch) = (Times::default(), Scratch::new("ledger")?);
    let folder = scratch.path().to_string_lossy().into_owned();
    times.take(bench, &["fill", &folder])?;
    let size = std::fs::metadata(scratch.path().join("million")).map_or(f64::NAN, |file| file.len() as f64);
    // Each is killed before the next one opens what it left.
    for _ in 0..bench.rounds(5, 1) {
        times.take(bench, &["open", &folder])?;
    }
    let balance = times.of("balance_among_million", |time| time.seconds / time.count).text(1e6, 1);
    Ok(vec![
        Row::new(
            "Open with 1 M unspent outputs after SIGKILL",
            format!("{} ms", times.seconds("open_million").text(1e3, 1)),
            "≤ 2 s",
        )
        .with(format!("its file: {:.0} MB", size / 1e6)),
        Row::new("Balance among 1 M owners", format!("{balance} µs"), "≤ 5 ms"),
        Row::new("Hash of 1 M unspent outputs", format!("{} s", times.seconds("set_hash_of_million").text(1.0, 2)), ""),
        Row::new(
            "1 M unspent outputs made and written",
            format!("{} s", times.seconds("write_million_outputs").text(1.0, 1)),
            "",
        ),
    ])
}
