//! `cargo xtask bench routing`: how long a stream is interrupted when something in the middle breaks, beside babeld and
//! tinc on the same hosts and cables; what one node in the middle forwards; how fast a network finds its ways.

pub(super) mod arrivals;
mod figures;
pub(super) mod hosts;
mod idle;
pub(super) mod rivals;

use std::time::Duration;

use super::table::Row;
use super::{Bench, Figure, median};
use arrivals::{longest_gap_ms, now_us, trouble_ms, wait_for_calm};
use hosts::Square;
use rivals::Who;

pub(super) const FIGURES: &[Figure] = &[outages, idle::run, figures::forward, figures::cold_start];

/// For rounds that are measured a few at a time.
pub(super) const OUTAGES: &[Figure] = &[outages];

/// How long the stream flows before something breaks.
const BEFORE: Duration = Duration::from_millis(1_500);

/// Looks at which way is in use, until two in a row agree.
const SETTLING: usize = 30;

/// So long undisturbed, and the fault is over.
const CALM: Duration = Duration::from_secs(2);

/// Whoever has not mended it by then does not mend it.
const LIMIT: Duration = Duration::from_secs(20);

/// What breaks, of the host in the middle that the stream passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Cut,
    Degrade,
}

impl Fault {
    const ALL: [Self; 3] = [Self::Kill, Self::Cut, Self::Degrade];

    fn figure(self) -> &'static str {
        match self {
            Self::Kill => "Longest gap of the stream, the process in the middle killed",
            Self::Cut => "Longest gap of the stream, cable in use cut silently",
            Self::Degrade => "Until the stream is in time again, cable in use degraded to 5 %",
        }
    }

    fn aim(self) -> &'static str {
        match self {
            Self::Kill => "≤ 50 ms",
            Self::Cut => "≤ 500 ms",
            Self::Degrade => "≤ 3 s",
        }
    }
}

/// One who carries, and what was measured of it: a list of milliseconds a fault, infinite where it did not recover.
struct Contender {
    name: &'static str,
    program: Option<&'static str>,
    who: Who,
    took: [Vec<f64>; 3],
}

fn contenders() -> Vec<Contender> {
    let contender = |name, program, who| Contender { name, program, who, took: Default::default() };
    vec![
        contender("meshline", None, Who::Mesh),
        contender("babeld", Some("babeld"), Who::Babel("hello-interval 4", Duration::from_secs(12))),
        contender(
            "babeld, hello 0.1 s",
            Some("babeld"),
            Who::Babel("hello-interval 0.1 update-interval 0.4", Duration::from_secs(3)),
        ),
        contender("tinc, ping 1 s", Some("tincd"), Who::Tinc),
    ]
}

fn outages(bench: &Bench) -> Result<Vec<Row>, String> {
    if let Err(why) = Square::new() {
        println!("skipped: outages: {why}");
        return Ok(Vec::new());
    }
    let mut contenders = contenders();
    contenders.truncate(if bench.alone { 1 } else { contenders.len() });
    contenders.retain(|contender| {
        let is_there = contender.program.is_none_or(has_program);
        if !is_there {
            println!("skipped: {}: it is not installed", contender.name);
        }
        is_there
    });
    let rounds = bench.rounds.unwrap_or_else(|| bench.size(20, 3));
    for round in 1..=rounds {
        let (mesh, rivals) = contenders.split_at_mut(1);
        for mesh in mesh {
            for (fault, took) in Fault::ALL.into_iter().zip(&mut mesh.took) {
                break_once(bench, (mesh.name, mesh.who), (fault, round), took);
            }
        }
        // The rivals mostly wait: they do so at the same time, each fault of each in a square of its own.
        std::thread::scope(|scope| {
            for rival in rivals {
                let (name, who) = (rival.name, rival.who);
                for (fault, took) in Fault::ALL.into_iter().zip(&mut rival.took) {
                    scope.spawn(move || break_once(bench, (name, who), (fault, round), took));
                }
            }
        });
    }
    Ok(Fault::ALL.into_iter().flat_map(|fault| rows(&contenders, fault, rounds)).collect())
}

/// Measures one fault, and says what came of it.
fn break_once(bench: &Bench, (name, who): (&str, Who), (fault, round): (Fault, usize), took: &mut Vec<f64>) {
    match measure(bench, who, fault) {
        Ok(millis) => {
            println!("{fault:?}, round {round}: {name}: {}", one(millis));
            took.push(millis);
        }
        Err(why) => println!("{fault:?}, round {round}: {name}: no figure: {why}"),
    }
}

/// Breaks something once.
fn measure(bench: &Bench, who: Who, fault: Fault) -> Result<f64, String> {
    let square = Square::new()?;
    let mut carrying = who.start(bench, &square)?;
    if !wait_for_calm(&carrying.heard, now_us(), BEFORE, LIMIT) {
        return Err("the stream does not flow".to_owned());
    }
    let middle = settled(&square)?;
    let began = now_us();
    match fault {
        Fault::Kill => drop(carrying.hosts.get_mut(middle).and_then(Option::take)),
        Fault::Cut => square.cut(0, middle)?,
        Fault::Degrade => square.degrade(0, middle)?,
    }
    let is_calm = wait_for_calm(&carrying.heard, began, CALM, LIMIT);
    let arrivals = carrying.heard.arrivals(began - 100_000);
    Ok(match fault {
        _ if !is_calm => f64::INFINITY,
        Fault::Kill | Fault::Cut => longest_gap_ms(&arrivals, now_us()),
        Fault::Degrade => trouble_ms(&arrivals, began),
    })
}

/// The host in the middle that the stream passes, once that stays the same.
fn settled(square: &Square) -> Result<usize, String> {
    let mut last = None;
    for _ in 0..SETTLING {
        let now = square.in_use()?;
        match (last, now) {
            (Some(last), Some(now)) if last == now => return Ok(now),
            _ => last = now,
        }
    }
    Err("the way changes all the time".to_owned())
}

/// The row of the mesh beside each rival.
fn rows(contenders: &[Contender], fault: Fault, rounds: usize) -> Vec<Row> {
    let of = |contender: &Contender| contender.took.get(fault as usize).cloned().unwrap_or_default();
    let Some((mesh, rivals)) = contenders.split_first() else { return Vec::new() };
    let own = of(mesh);
    let figure = format!("{}, {} of {rounds} rounds", fault.figure(), own.len());
    let mut rows = vec![Row::new(figure, worded(&own), fault.aim())];
    for rival in rivals {
        let theirs = of(rival);
        let row = Row::new("… beside", worded(&own), "");
        let ratio = Some(median(&own) / median(&theirs)).filter(|ratio| ratio.is_finite());
        rows.push(Row { rival: format!("{}: {}", rival.name, worded(&theirs)), ratio, ..row });
    }
    rows
}

fn one(millis: f64) -> String {
    match millis {
        _ if millis.is_infinite() => format!("not within {} s", LIMIT.as_secs()),
        _ if millis.is_nan() => "no figure".to_owned(),
        _ if millis >= 2_000.0 => format!("{:.1} s", millis / 1e3),
        _ => format!("{millis:.0} ms"),
    }
}

/// Median and worst.
fn worded(millis: &[f64]) -> String {
    let worst = millis.iter().copied().fold(f64::NAN, f64::max);
    format!("{}, worst {}", one(median(millis)), one(worst))
}

pub(super) fn has_program(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).is_file())
}
