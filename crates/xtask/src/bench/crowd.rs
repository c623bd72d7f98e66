//! Many real processes in one mesh, each with few links: what one of them takes, and when all have seen a message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Running, wait_longer};
use super::ring::Ring;
use super::table::Row;
use super::{Bench, Figure, api, median};

/// Links of each node: those of the simulated networks of docs/SCALE.md.
const MAX_LINKS: &str = "8";

/// All processes share the processors of this machine: the last of them may be late.
const START: Duration = Duration::from_secs(240);

/// Between two looks at all nodes, whose answers cost them what they need to link up.
const PAUSE: Duration = Duration::from_secs(2);

/// Links are chosen so long after all are one mesh, before anything is measured.
const SETTLE: Duration = Duration::from_secs(30);

/// Messages, one after the other, from nodes in turn; the first ones shape the tree.
const MESSAGES: usize = 40;
const WARM_UP: usize = 10;

/// Who has not seen a message by then misses it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const FIGURES: &[Figure] = &[run];

fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let nodes = u16::try_from(bench.size(200, 12)).unwrap_or(200);
    let ring = Ring::write(bench, nodes, true)?;
    let _signal = ring.start_signal()?;
    let began = Instant::now();
    let start = |number| ring.start_with(number, &["--max-links", MAX_LINKS]);
    let running = ring.numbers().map(start).collect::<Result<Vec<_>, _>>()?;
    let now_s = || began.elapsed().as_secs_f64();
    wait_longer("all nodes listen", (PAUSE, START), || ring.all_listening())?;
    let listening_s = now_s();
    println!("{nodes} nodes listen after {listening_s:.1} s");
    wait_longer("all nodes are one mesh", (PAUSE, START), || is_one(&ring))?;
    let one_s = now_s();
    println!("one mesh after {one_s:.1} s, {:.0} CPU-s", running.iter().map(Running::cpu_s).sum::<f64>());
    std::thread::sleep(SETTLE);
    let rss: Vec<f64> = running.iter().map(Running::rss_mib).collect();
    let cpu_before: f64 = running.iter().map(Running::cpu_s).sum();
    let idle = Instant::now();
    std::thread::sleep(SETTLE);
    let cpu: f64 = running.iter().map(Running::cpu_s).sum::<f64>() - cpu_before;
    let idle_ms = cpu * 1e3 / f64::from(nodes) / (idle.elapsed().as_secs_f64() / 60.0);
    println!("at rest {idle_ms:.0} CPU-ms a node and minute");
    let seen = messages(&ring)?;
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Row::new(
            format!("{nodes} processes, {MAX_LINKS} links each, until all listen"),
            format!("{listening_s:.1} s"),
            "",
        ),
        Row::new("… until they are one mesh", format!("{one_s:.1} s"), ""),
        Row::new("RSS of each", format!("{:.1} MiB (at most {:.1})", median(&rss), most(&rss)), ""),
        Row::new("… processor time of each at rest, a minute", format!("{idle_ms:.0} CPU-ms"), ""),
        Row::new(
            format!("A message seen by a node, {} of them", seen.delays.len()),
            format!("p50 {:.0}, p99 {:.0}, last {:.0} ms", seen.at(50), seen.at(99), seen.at(100)),
            "",
        ),
        Row::new(
            "A message seen by all",
            format!("p50 {:.0}, slowest of all {:.0} ms; missed {}", median(&seen.last), most(&seen.last), seen.missed),
            "",
        ),
    ])
}

/// Whether the links of all nodes connect them.
fn is_one(ring: &Ring) -> bool {
    let status = |number| -> Option<(String, Vec<String>)> {
        let status: Value = serde_json::from_str(&api::document(&ring.socket(number), "/api/v1/status")?).ok()?;
        let peer = |link: &Value| Some(link.get("peer")?.as_str()?.to_owned());
        let peers = status.get("links")?.as_array()?.iter().filter_map(peer).collect();
        Some((status.get("id")?.as_str()?.to_owned(), peers))
    };
    let Some(linked) = ring.numbers().map(status).collect::<Option<BTreeMap<_, _>>>() else { return false };
    let mut seen: BTreeSet<&String> = BTreeSet::new();
    let mut ahead: Vec<&String> = linked.keys().take(1).collect();
    while let Some(id) = ahead.pop() {
        if seen.insert(id) {
            ahead.extend(linked.get(id).into_iter().flatten());
        }
    }
    seen.len() == linked.len()
}

/// How long messages took, in milliseconds.
#[derive(Debug)]
struct Seen {
    /// To each node but the author, in order.
    delays: Vec<f64>,
    /// To the last node, of each message.
    last: Vec<f64>,
    missed: usize,
}

impl Seen {
    /// So many in a hundred took no longer.
    fn at(&self, percent: usize) -> f64 {
        let place = (self.delays.len() * percent).div_ceil(100).saturating_sub(1);
        self.delays.get(place).copied().unwrap_or(f64::NAN)
    }
}

/// Has nodes in turn say something, and waits each time until all others have told of it.
fn messages(ring: &Ring) -> Result<Seen, String> {
    let (tell, told) = channel();
    for number in ring.numbers() {
        let lines = api::events(&ring.socket(number)).ok_or_else(|| format!("node {number} tells nothing"))?;
        let tell: Sender<(u16, String, Instant)> = tell.clone();
        std::thread::spawn(move || {
            for line in lines.filter(|line| line.contains(WORD)) {
                if tell.send((number, line, Instant::now())).is_err() {
                    return;
                }
            }
        });
    }
    let mut seen = Seen { delays: Vec::new(), last: Vec::new(), missed: 0 };
    let numbers: Vec<u16> = ring.numbers().collect();
    for (turn, author) in numbers.iter().cycle().step_by(7).take(WARM_UP + MESSAGES).enumerate() {
        let text = format!("{WORD}-{turn}.");
        let said = Instant::now();
        if !api::say(&ring.socket(*author), &text) {
            return Err(format!("node {author} takes no message"));
        }
        let delays = arrivals(&told, &text, (numbers.len() - 1, *author), said);
        if turn >= WARM_UP {
            seen.missed += numbers.len() - 1 - delays.len();
            seen.last.push(delays.iter().copied().fold(0.0, f64::max));
            seen.delays.extend(delays);
        }
    }
    seen.delays.sort_by(f64::total_cmp);
    Ok(seen)
}

/// What all messages begin with.
const WORD: &str = "crowd-message";

/// When others than its author told of a message, in milliseconds after it was said.
fn arrivals(
    told: &Receiver<(u16, String, Instant)>,
    text: &str,
    (others, author): (usize, u16),
    said: Instant,
) -> Vec<f64> {
    let mut arrived: BTreeMap<u16, f64> = BTreeMap::new();
    while arrived.len() < others {
        let left = PATIENCE.saturating_sub(said.elapsed());
        let Ok((number, line, at)) = told.recv_timeout(left) else { break };
        if number != author && line.contains(text) {
            let took_ms = at.duration_since(said).as_secs_f64() * 1e3;
            arrived.entry(number).or_insert(took_ms);
        }
    }
    arrived.into_values().collect()
}
