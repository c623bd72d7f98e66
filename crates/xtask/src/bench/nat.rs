//! `cargo xtask bench nat`: two members behind NATs, cell by cell: whether they are linked directly, and how soon.
//!
//! Each run is a network of its own in the lab, on network namespaces; the program `lab-nat` takes the times.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{build, machine};
use crate::Outcome;

const USAGE: &str = "usage: cargo xtask bench nat [--cell A,B]... [--all] [--runs N] [--delay MS] [--loss PERCENT] [--at-once N] [--bin FOLDER]";

/// The cells unless others are named: each row of the acceptance table that can be run without being in the way.
const CELLS: &[(&str, &str)] = &[
    ("none", "port"),
    ("full", "port"),
    ("addr", "port"),
    ("port", "port"),
    ("fw", "port"),
    ("cg", "port"),
    ("cg", "cg"),
    ("rst", "rst"),
    ("lax", "port"),
    ("lax", "lax"),
    ("full", "sym"),
    ("addr", "sym"),
    ("port", "sym"),
    ("port", "symadm"),
    ("cg", "sym"),
    ("port", "symseq"),
    ("symseq", "symseq"),
    ("sym", "sym"),
    ("noudp", "port"),
    ("noudp", "noudp"),
    ("noudp", "sym"),
    ("rstnoudp", "rstnoudp"),
];

/// With `--all` also these: the acceptance table without a cell left out, as far as two routers alone make one.
const FURTHER: &[(&str, &str)] = &[
    ("none", "none"),
    ("none", "full"),
    ("none", "addr"),
    ("none", "fw"),
    ("full", "full"),
    ("full", "addr"),
    ("full", "fw"),
    ("addr", "addr"),
    ("addr", "fw"),
    ("fw", "fw"),
    ("cg", "none"),
    ("cg", "full"),
    ("cg", "addr"),
    ("cg", "fw"),
    ("none", "sym"),
    ("none", "symseq"),
    ("none", "symadm"),
    ("full", "symseq"),
    ("full", "symadm"),
    ("addr", "symseq"),
    ("addr", "symadm"),
    ("fw", "sym"),
    ("fw", "symadm"),
    ("fw", "symseq"),
    ("cg", "symadm"),
    ("noudp", "fw"),
    ("noudp", "lax"),
    ("noudp", "cg"),
];

/// What a table for the documents rests on.
const RUNS: u64 = 20;

/// How long after they know of each other they may take to be linked directly: longer than any cell is given.
const PATIENCE_S: u64 = 15;

struct Wanted {
    cells: Vec<(String, String)>,
    runs: u64,
    delay_ms: u64,
    loss_percent: f64,
    /// Runs of one cell beside each other: they mostly wait.
    at_once: u64,
    /// The folder with programs that are built already.
    bin: Option<PathBuf>,
}

pub(super) fn run(root: &Path, words: &[&str]) -> Outcome {
    let wanted = wanted(words)?;
    let bin = wanted.bin.clone().map_or_else(|| build(root, "nat"), Ok)?;
    let mut rows = Vec::new();
    for (one, other) in &wanted.cells {
        let row = cell(&bin, &wanted, one, other)?;
        println!("{row}");
        rows.push(row);
    }
    println!("\n{}\n", machine::describe());
    println!("Delay {} ms and loss {} % on each leg, both ways:\n", wanted.delay_ms, wanted.loss_percent);
    println!(
        "| Cell | Runs | Direct by UDP | Direct by TCP | Relayed | First byte p50 / p95 | Direct p50 / p95 | After S p50 / p95 | Clock error p50 / p95 | … four seconds later | Beyond its bound |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|\n{}", rows.join("\n"));
    Ok(())
}

fn wanted(words: &[&str]) -> Result<Wanted, String> {
    let mut wanted = Wanted { cells: Vec::new(), runs: RUNS, delay_ms: 20, loss_percent: 0.0, at_once: 1, bin: None };
    let (all, words): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| **word == "--all");
    for pair in words.chunks(2) {
        match pair {
            ["--cell", cell] => {
                let (one, other) = cell.split_once(',').ok_or_else(|| format!("no cell A,B: {cell}"))?;
                wanted.cells.push((one.to_owned(), other.to_owned()));
            }
            ["--runs", runs] => wanted.runs = number(runs)?,
            ["--delay", delay_ms] => wanted.delay_ms = number(delay_ms)?,
            ["--at-once", count] => wanted.at_once = number::<u64>(count)?.clamp(1, 20),
            ["--bin", folder] => wanted.bin = Some(PathBuf::from(folder)),
            ["--loss", percent] => wanted.loss_percent = number(percent)?,
            _ => return Err(USAGE.to_owned()),
        }
    }
    if wanted.cells.is_empty() {
        let further = if all.is_empty() { &[] } else { FURTHER };
        wanted.cells =
            CELLS.iter().chain(further).map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect();
    }
    Ok(wanted)
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("no number: {word}\n{USAGE}"))
}

/// Runs a cell; its row of the table.
fn cell(bin: &Path, wanted: &Wanted, one: &str, other: &str) -> Result<String, String> {
    let mut started = Vec::new();
    for part in 0..wanted.at_once {
        let [begin, end] = [part, part + 1].map(|part| wanted.runs * part / wanted.at_once);
        let numbers = [begin + 1, end - begin, wanted.delay_ms].map(|number| number.to_string());
        let mut command = Command::new(bin.join("lab-nat"));
        command.args([one, other]).args(numbers).args([wanted.loss_percent.to_string(), PATIENCE_S.to_string()]);
        let child = command.env("MESHLINE_BIN_DIR", bin).stdout(Stdio::piped()).spawn();
        started.push(child.map_err(|error| format!("lab-nat cannot be started: {error}"))?);
    }
    let mut lines = String::new();
    for child in started {
        let output = child.wait_with_output().map_err(|error| format!("lab-nat: {error}"))?;
        lines.push_str(&String::from_utf8_lossy(&output.stdout));
    }
    let runs: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let count = |wanted: fn(&str) -> bool| runs.iter().filter(|run| wanted(by(run))).count();
    let clocks: Vec<(f64, f64)> = runs.iter().filter_map(|run| clock(run, "clock")).collect();
    let settled: Vec<(f64, f64)> = runs.iter().filter_map(|run| clock(run, "settled")).collect();
    let times = |key: &str| spread(runs.iter().filter_map(|run| run.get(key)?.as_f64()).collect());
    Ok(format!(
        "| {one} × {other} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        runs.len(),
        count(|by| matches!(by, "quic" | "udp")),
        count(|by| matches!(by, "tcp" | "plain")),
        count(|by| by == "relay"),
        times("first_byte_us"),
        times("direct_us"),
        spread(runs.iter().filter_map(|run| Some(run.get("after_agreed_ms")?.as_f64()? * 1e3)).collect()),
        // Both clocks are those of this machine.
        spread(clocks.iter().map(|(error, _)| *error).collect()),
        spread(settled.iter().map(|(error, _)| *error).collect()),
        clocks.iter().chain(&settled).filter(|(error, bound)| error > bound).count(),
    ))
}

/// How far off the clock was thought to be that is our own, and how far off that may be.
fn clock(run: &Value, when: &str) -> Option<(f64, f64)> {
    let of = |what: &str| run.get(format!("{when}_{what}_us"))?.as_f64();
    Some((of("offset")?.abs(), of("error")?))
}

fn by(run: &Value) -> &str {
    run.get("by").and_then(Value::as_str).unwrap_or("none")
}

/// Microseconds as milliseconds, with as many places as mean something.
fn millis(micros: f64) -> String {
    if micros < 10_000.0 { format!("{:.2}", micros / 1e3) } else { format!("{:.0}", micros / 1e3) }
}

/// The middle and the slow end of some times in microseconds.
fn spread(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1));
    match (at(50), at(95)) {
        (Some(middle), Some(slow)) => format!("{} / {} ms", millis(*middle), millis(*slow)),
        _ => "–".to_owned(),
    }
}
