//! A newcomer fetches a chain from four nodes, all on this machine: four honest ones, and one honest one among three that
//! fail it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::super::process::Running;
use super::super::ring::Ring;
use super::super::table::Row;
use super::super::{Bench, api};
use super::chain::{FILES, FORGED, GENESIS, Made, wait_calm};
use super::{copy, number_at, status, wait_for};

/// Those a newcomer fetches from.
const SERVING: u16 = 4;
const NEWCOMER: u16 = SERVING + 1;
/// Of the faulty run, by number: one stands still, one has a forged chain, one dies. The first one is honest.
const STALLING: u16 = 2;
const LYING: u16 = 3;
const DYING: u16 = 4;

/// The same blocks without any network.
pub(super) fn limit(bench: &Bench) -> Result<Vec<Row>, String> {
    let made = Made::get(bench)?;
    let took = timed(bench, &["replay", &made.text()])?;
    let figure =
        format!("{} blocks, {} transactions, judged and written in one process", made.blocks, made.transactions());
    Ok(vec![Row::new(figure, format!("{took:.1} s"), "")])
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let made = Made::get(bench)?;
    let town = Town::start(bench, &made, false)?;
    let (value, _) = town.newcomer_has_all(made.blocks, |_, _| Ok(()))?;
    let figure =
        format!("First sync of {} blocks, {} transactions, from {SERVING} peers", made.blocks, made.transactions());
    Ok(vec![Row::new(figure, value, if made.blocks == 100_000 { "≤ 90 s" } else { "" })])
}

pub(super) fn faulty(bench: &Bench) -> Result<Vec<Row>, String> {
    let made = Made::get(bench)?;
    let town = Town::start(bench, &made, true)?;
    let (value, sync) = town.newcomer_has_all(made.blocks, |town, height| {
        if height >= made.blocks as u64 / 10 {
            town.signal(STALLING, "-STOP")?;
        }
        if height >= made.blocks as u64 / 3 {
            town.signal(DYING, "-KILL")?;
        }
        Ok(())
    })?;
    let offences = sync.get("offences").cloned().unwrap_or_default();
    let figure = format!("The same of {} blocks: one stands still, one lies, one dies, one is honest", made.blocks);
    Ok(vec![Row::new(figure, value, "≤ 1.5 ×").with(format!("offences that the newcomer counted: {offences}"))])
}

/// The serving nodes, at rest.
struct Town {
    ring: Ring,
    serving: Vec<Running>,
}

impl Town {
    fn start(bench: &Bench, made: &Made, faulty: bool) -> Result<Self, String> {
        let ring = Ring::write(bench, NEWCOMER, false)?;
        for number in ring.numbers() {
            let files = match number {
                NEWCOMER => &[GENESIS][..],
                LYING if faulty => &FORGED,
                _ => &FILES,
            };
            copy(made.path(), &ring.ledger(number)?, files)?;
        }
        let serving = (1..=SERVING).map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
        for number in 1..=SERVING {
            wait_for("the serving nodes are linked", || api::links(&ring.socket(number)) == usize::from(SERVING) - 1)?;
        }
        let town = Self { ring, serving };
        wait_calm(&town.serving.iter().collect::<Vec<_>>())?;
        Ok(town)
    }

    /// What a newcomer needs until it has all of it; `at` is told its height again and again.
    fn newcomer_has_all(
        &self,
        blocks: usize,
        mut at: impl FnMut(&Self, u64) -> Result<(), String>,
    ) -> Result<(String, Value), String> {
        let busy = || self.serving.iter().map(Running::cpu_s).sum::<f64>();
        let before = busy();
        let began = Instant::now();
        let newcomer = self.ring.start(NEWCOMER)?;
        let mut failed = Ok(());
        wait_for("the newcomer has it all", || {
            let height = number_at(&status(&self.ring, NEWCOMER), "/height");
            failed = at(self, height);
            failed.is_err() || height >= blocks as u64
        })?;
        failed?;
        let took = began.elapsed().as_secs_f64();
        let sync = status(&self.ring, NEWCOMER).get("sync").cloned().unwrap_or_default();
        println!("first sync: {took:.1} s; {sync}");
        let (own, others, peak) = (newcomer.cpu_s(), busy() - before, newcomer.peak_mib());
        Ok((format!("{took:.1} s; CPU {own:.1} s, of the serving {others:.1} s, peak {peak:.0} MiB"), sync))
    }

    fn signal(&self, number: u16, signal: &str) -> Result<(), String> {
        let node = self.serving.get(usize::from(number) - 1).ok_or("no such node")?;
        node.signal(signal)
    }
}

/// Seconds between the two lines of the example's only figure.
fn timed(bench: &Bench, words: &[&str]) -> Result<f64, String> {
    let mut command = Command::new(bench.bin.join("examples/ledger_bench"));
    let child = command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("the example cannot be started: {error}"))?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("the example says nothing")?).lines();
    let _running = Running::from(child);
    lines.next().ok_or("no beginning")?.map_err(|error| error.to_string())?;
    let began = Instant::now();
    lines.next().ok_or("no end")?.map_err(|error| error.to_string())?;
    Ok(began.elapsed().as_secs_f64())
}
