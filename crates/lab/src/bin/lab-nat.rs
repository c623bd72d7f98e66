//! One cell of the figures behind NATs, again and again: `lab-nat ONE OTHER FIRST RUNS DELAY_MS LOSS_PERCENT PATIENCE_S`,
//! the runs numbered from FIRST on. A line of JSON for each: how the two came together, or `null` if they did not.
//! With `MESHLINE_LAB_LOG=debug` the two log as much, and what runs without a direct link left behind is on standard error.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use meshline_lab::{Cell, Lab, Nat};

struct Wanted {
    nats: [Nat; 2],
    first: u64,
    runs: u64,
    delay_ms: u64,
    loss_percent: f64,
    patience: Duration,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(wanted) = wanted(&words) else {
        eprintln!("usage: lab-nat ONE OTHER FIRST RUNS DELAY_MS LOSS_PERCENT PATIENCE_S");
        return ExitCode::from(2);
    };
    match (wanted.first..wanted.first + wanted.runs).try_for_each(|seed| run(&wanted, seed)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-nat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(words: &[String]) -> Option<Wanted> {
    let [one, other, first, runs, delay_ms, loss_percent, patience_s] = words else { return None };
    Some(Wanted {
        nats: [one.parse().ok()?, other.parse().ok()?],
        first: first.parse().ok()?,
        runs: runs.parse().ok()?,
        delay_ms: delay_ms.parse().ok()?,
        loss_percent: loss_percent.parse().ok()?,
        patience: Duration::from_secs(patience_s.parse().ok()?),
    })
}

/// Everything anew for each run: what routers and members remember would make the second another cell.
fn run(wanted: &Wanted, seed: u64) -> Result<(), String> {
    let lab = Lab::with_nats().ok_or("the lab has no NATs here")?;
    let Wanted { nats, delay_ms, loss_percent, patience, .. } = wanted;
    let homes = nats.map(|nat| lab.behind(nat).delay_ms(*delay_ms).seed(seed).loss(*loss_percent));
    let mut cell = Cell::between(&lab, homes);
    let meeting = cell.meet(*patience);
    if let Err(why) = &meeting {
        eprintln!("lab-nat: run {seed}: {why}");
    }
    let is_direct = meeting.as_ref().is_ok_and(|meeting| meeting.direct_us.is_some());
    if let Some(told) = cell.told().filter(|_| !is_direct) {
        eprintln!("lab-nat: run {seed}:\n{told}");
    }
    let line = serde_json::to_string(&meeting.ok()).map_err(|error| error.to_string())?;
    writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())
}
