//! `cargo xtask bench signal`: what the signal server answers a second from one core, beside a bare hyper, nginx and
//! opentracker on that core in turn; the load comes from `wrk` on the other one.
//!
//! Refreshes are those of members that announced themselves before, with fifty members in the answer. First
//! announcements carry two signatures each that nobody has verified yet.

mod load;
mod servers;

use std::path::PathBuf;

use super::scratch::Scratch;
use super::table::Row;
use super::{Bench, Figure, median};
use load::{Load, Seen};
use servers::{Contender, Crowd};

pub(super) const FIGURES: &[Figure] = &[run];

/// Entries of the registry, by name.
const CROWDS: [(&str, usize); 3] = [("1 k", 1_000), ("100 k", 100_000), ("1 M", 1_000_000)];

/// First announcements that are there to be sent: more than are verified in all rounds.
const NEWCOMERS: usize = 150_000;

/// What one contender did in all rounds.
struct Figures {
    name: String,
    seen: Vec<Seen>,
}

impl Figures {
    fn of(&self, value: impl Fn(&Seen) -> f64) -> f64 {
        median(&self.seen.iter().map(value).collect::<Vec<_>>())
    }

    fn rate(&self) -> f64 {
        self.of(|seen| seen.rate)
    }

    /// The middle of the rounds' ratios: only what was measured in turn compares.
    fn ratio(&self, other: &Self) -> f64 {
        let pairs = self.seen.iter().zip(&other.seen);
        median(&pairs.map(|(ours, theirs)| ours.rate / theirs.rate).collect::<Vec<_>>())
    }

    fn text(&self) -> String {
        let (cpu, p99) = (self.of(|seen| seen.cpu_us), self.of(|seen| seen.p99_ms));
        format!("{:.0}/s, {cpu:.1} µs of processor, p99 {p99:.1} ms", self.rate())
    }
}

fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    load::check()?;
    let scratch = Scratch::new("signal")?;
    let crowds: Vec<Crowd> = CROWDS
        .iter()
        .take(bench.size(3, 2))
        .map(|(name, count)| Crowd::start(bench, &scratch, name, *count))
        .collect::<Result<_, _>>()?;
    let mut rows: Vec<Row> = crowds.iter().filter_map(Crowd::memory).collect();
    rows.extend(kept(bench, &scratch, &crowds)?);
    rows.extend(single(bench, &scratch, &crowds)?);
    drop(crowds);
    rows.extend(first(bench, &scratch)?);
    Ok(rows)
}

/// Each contender in turn, so many times.
fn rounds(bench: &Bench, contenders: &[(&Contender, Load)]) -> Result<Vec<Figures>, String> {
    let mut all: Vec<Figures> =
        contenders.iter().map(|(who, _)| Figures { name: who.name.clone(), seen: Vec::new() }).collect();
    for round in 1..=bench.rounds(5, 2) {
        for ((who, load), figures) in contenders.iter().zip(&mut all) {
            let seen = load.run(who, bench.size(3, 1))?;
            println!("{}, round {round}: {:.0}/s, {:.1} µs", who.name, seen.rate, seen.cpu_us);
            figures.seen.push(seen);
        }
    }
    Ok(all)
}

fn beside(rows: &mut Vec<Row>, figure: &str, ours: &Figures, others: &[Figures], aims: &[(&str, &'static str)]) {
    for other in others {
        let aim = aims.iter().find(|(name, _)| other.name.starts_with(name)).map_or("", |(_, aim)| *aim);
        let text = format!("{}: {}", other.name, other.text());
        rows.push(Row::new(figure, ours.text(), aim).beside(text, ours.ratio(other)));
    }
}

/// Connections that are kept.
fn kept(bench: &Bench, scratch: &Scratch, crowds: &[Crowd]) -> Result<Vec<Row>, String> {
    let size = crowds.first().map_or(5_000, |crowd| crowd.answer);
    let others = servers::beside(bench, scratch, size, false)?;
    let mut turns: Vec<(&Contender, Load)> =
        crowds.iter().map(|crowd| (&crowd.server, Load::kept(&crowd.bodies))).collect();
    turns.extend(others.iter().map(|other| (other, Load::kept_as(other))));
    let mut all = rounds(bench, &turns)?;
    let rest = all.split_off(crowds.len());
    let mut rows = Vec::new();
    for (crowd, ours) in crowds.iter().zip(&all) {
        let figure = format!("Refresh and 50 of {} back ({size} bytes), kept connections", crowd.name);
        beside(&mut rows, &figure, ours, &rest, &[("hyper", "≥ 0.55 ×")]);
    }
    if let [_, middle, large] = all.as_slice() {
        let text = format!("{}: {}", middle.name, middle.text());
        rows.push(Row::new("1 M entries against 100 k", large.text(), "≥ 0.8 ×").beside(text, large.ratio(middle)));
    }
    Ok(rows)
}

/// A connection for each request.
fn single(bench: &Bench, scratch: &Scratch, crowds: &[Crowd]) -> Result<Vec<Row>, String> {
    let Some(crowd) = crowds.get(1) else { return Ok(Vec::new()) };
    let others = servers::beside(bench, scratch, crowd.answer, true)?;
    let mut turns = vec![(&crowd.server, Load::single(&crowd.bodies))];
    turns.extend(others.iter().map(|other| (other, Load::single_as(other))));
    let mut all = rounds(bench, &turns)?;
    let rest = all.split_off(1);
    let mut rows = Vec::new();
    if let Some(ours) = all.first() {
        let figure = format!("The same with {}, one request a connection", crowd.name);
        beside(&mut rows, &figure, ours, &rest, &[("hyper", "≥ 0.95 ×"), ("opentracker", "≥ 1 ×")]);
    }
    Ok(rows)
}

/// Members that nobody has heard of.
fn first(bench: &Bench, scratch: &Scratch) -> Result<Vec<Row>, String> {
    let file = scratch.path().join("newcomers");
    let count = bench.size(NEWCOMERS, NEWCOMERS / 10);
    let signatures = servers::newcomers(bench, count, &file)?;
    let server = servers::empty(bench, scratch)?;
    let bodies = load::parts(&file, bench.rounds(5, 2))?;
    let mut seen = Vec::new();
    for part in &bodies {
        seen.push(Load::once(part).run(&server, bench.size(3, 1))?.rate);
    }
    let (rate, limit) = (median(&seen), signatures / 2.0);
    let value = format!("{rate:.0}/s");
    let text = format!("two signatures each, verified one after the other: {limit:.0}/s");
    Ok(vec![Row::new("First announcements, kept connections", value, "≥ 0.8 ×").beside(text, rate / limit)])
}

/// A file with a request body on each line.
type Bodies = PathBuf;
