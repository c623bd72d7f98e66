//! `cargo xtask bench ledger-net`: real nodes that share a ledger: how long a newcomer takes to have all of it, and how
//! soon payments and blocks are everywhere.
//!
//! Chains and waiting payments are made by the example `ledger_bench` of `crates/ledger` and put where the nodes look for
//! them. When something arrives is when the node's stream of events says so, read by a thread for each node here.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::process::Running;
use super::ring::Ring;
use super::scratch::Scratch;
use super::table::Row;
use super::{Bench, Figure, api, output};

/// By the name that `--only` takes.
pub(super) const PARTS: &[(&str, Figure)] = &[("sync", sync), ("spread", spread)];

/// Those a newcomer fetches from.
const SERVING: u16 = 4;
/// Payments in a block of the chain that is fetched.
const PAYMENTS: usize = 10;
/// Payments in the block whose way is measured.
const FULL: usize = 2_000;
/// Payments that are sent one after the other.
const SINGLE: usize = 20;
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at a node.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the nodes are left alone to see what they say without a ledger's work.
const IDLE: Duration = Duration::from_secs(3);

const LEDGER: &str = "/api/v1/ledger";
const MINE: &str = "/api/v1/ledger/mine";
const PASSPHRASE: &str = "bench";

fn made(bench: &Bench, words: &[&str]) -> Result<(), String> {
    output(Command::new(bench.bin.join("examples/ledger_bench")).args(words)).map(drop)
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

fn copy(from: &Path, to: &Path, names: &[&str]) -> Result<(), String> {
    for name in names {
        fs::copy(from.join(name), to.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn status(ring: &Ring, number: u16) -> Value {
    let text = api::document(&ring.socket(number), LEDGER).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn number_at(document: &Value, path: &str) -> u64 {
    document.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {} s", PATIENCE.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// A newcomer fetches a chain from four nodes, all on this machine.
fn sync(bench: &Bench) -> Result<Vec<Row>, String> {
    let blocks = bench.blocks.unwrap_or_else(|| bench.size(100_000, 2_000));
    let (chain, ring) = (Scratch::new("chain")?, Ring::write(bench, SERVING + 1, false)?);
    let folder = chain.path().to_string_lossy().into_owned();
    made(bench, &["chain", &folder, &blocks.to_string(), &PAYMENTS.to_string()])?;
    let limit = timed(bench, &["replay", &folder])?;
    for number in ring.numbers() {
        let names = if number > SERVING { &["genesis.json"][..] } else { &["genesis.json", "chain.redb"] };
        copy(chain.path(), &ring.ledger(number)?, names)?;
    }
    let serving = (1..=SERVING).map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    for number in 1..=SERVING {
        wait_for("the serving nodes see each other", || {
            status(&ring, number).pointer("/sync/peers").and_then(Value::as_array).map_or(0, Vec::len) == 3
        })?;
    }
    let busy = |nodes: &[Running]| nodes.iter().map(Running::cpu_s).sum::<f64>();
    let before = busy(&serving);
    let began = Instant::now();
    let newcomer = ring.start(SERVING + 1)?;
    wait_for("the newcomer has it all", || number_at(&status(&ring, SERVING + 1), "/height") >= blocks as u64)?;
    let took = began.elapsed().as_secs_f64();
    let last = status(&ring, SERVING + 1);
    println!("first sync: {took:.1} s; {}", last.get("sync").unwrap_or(&Value::Null));
    let (own, others) = (newcomer.cpu_s(), busy(&serving) - before);
    let figure = format!("First sync of {blocks} blocks, {} transactions, from {SERVING} peers", blocks * PAYMENTS);
    let value =
        format!("{took:.1} s; CPU {own:.1} s, of the serving {others:.1} s, peak {:.0} MiB", newcomer.peak_mib());
    let aim = if blocks == 100_000 { "≤ 90 s" } else { "" };
    let beside = format!("the same blocks judged and written in one process: {limit:.1} s");
    Ok(vec![Row::new(figure, value, aim).beside(beside, took / limit)])
}

/// Something that a node told, and when.
struct Told {
    node: u16,
    name: String,
    data: Value,
    at: Instant,
}

/// Reads the events of a node until it ends.
fn follow(ring: &Ring, node: u16, told: &Sender<Told>) -> Result<(), String> {
    let lines = api::events(&ring.socket(node)).ok_or_else(|| format!("node {node} tells nothing"))?;
    let told = told.clone();
    std::thread::spawn(move || {
        let mut name = String::new();
        for line in lines {
            if let Some(found) = line.strip_prefix("event: ") {
                found.clone_into(&mut name);
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| name.starts_with("ledger_")) {
                let data = serde_json::from_str(data).unwrap_or_default();
                if told.send(Told { node, name: name.clone(), data, at: Instant::now() }).is_err() {
                    return;
                }
            }
        }
    });
    Ok(())
}

/// When each of the nodes had each thing, in the order of the things.
#[derive(Default)]
struct Ways(Vec<(String, BTreeMap<u16, Instant>)>);

impl Ways {
    /// Takes what is told under this name, until all nodes have the last thing that any has. `found` is called when a new
    /// thing is seen. Nodes may leave out what came right before another one.
    fn gather(
        &mut self,
        told: &Receiver<Told>,
        (name, id): (&str, &str),
        nodes: usize,
        found: impl Fn(),
    ) -> Result<(), String> {
        let mut has_new = false;
        while !has_new || self.0.last().is_none_or(|(_, seen)| seen.len() < nodes) {
            let told = told.recv_timeout(PATIENCE).map_err(|_| format!("{name}: not everywhere"))?;
            let Some(id) = told.data.get(id).and_then(Value::as_str).filter(|_| told.name == name) else { continue };
            if let Some((_, seen)) = self.0.iter_mut().find(|(known, _)| known == id) {
                seen.entry(told.node).or_insert(told.at);
                continue;
            }
            has_new = true;
            self.0.push((id.to_owned(), BTreeMap::from([(told.node, told.at)])));
            found();
        }
        Ok(())
    }

    /// From the first node to each of the others.
    fn text(&self) -> String {
        let mut all: Vec<f64> = Vec::new();
        for (_, seen) in &self.0 {
            let Some(first) = seen.values().min() else { continue };
            let mut others: Vec<f64> = seen.values().map(|at| (*at - *first).as_secs_f64() * 1e3).collect();
            others.sort_by(f64::total_cmp);
            all.extend(others.into_iter().skip(1));
        }
        all.sort_by(f64::total_cmp);
        let at = |share: f64| all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1)));
        let show = |share| at(share).copied().unwrap_or(f64::NAN);
        format!("p50 {:.0} ms, p99 {:.0} ms, most {:.0} ms", show(0.5), show(0.99), show(1.0))
    }
}

/// Bytes that all these nodes have sent.
fn sent(ring: &Ring, nodes: impl Iterator<Item = u16>) -> f64 {
    let of = |number: u16| {
        let text = api::document(&ring.socket(number), "/api/v1/status").unwrap_or_default();
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        let links = status.get("links").and_then(Value::as_array).cloned().unwrap_or_default();
        links.iter().filter_map(|link| link.get("sent_bytes")?.as_f64()).sum::<f64>()
    };
    nodes.map(of).sum()
}

/// Many nodes, each linked to all: payments and blocks get around.
fn spread(bench: &Bench) -> Result<Vec<Row>, String> {
    let count = u16::try_from(bench.size(20, 6)).unwrap_or(20);
    let full = bench.size(FULL, FULL / 10);
    let (chain, ring) = (Scratch::new("chain")?, Ring::write(bench, count, false)?);
    made(bench, &["waiting", &chain.path().to_string_lossy(), &full.to_string()])?;
    for number in ring.numbers() {
        let names = ["genesis.json", "chain.redb", "mempool.dat"];
        // What waits is known to the first one only.
        copy(chain.path(), &ring.ledger(number)?, if number == 1 { &names } else { &names[..2] })?;
    }
    let mut nodes = (2..=count).map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    let peers_of = |number| status(&ring, number).pointer("/sync/peers").and_then(Value::as_array).map_or(0, Vec::len);
    for number in 2..=count {
        wait_for("all are linked", || peers_of(number) == usize::from(count) - 2)?;
    }
    let quiet = sent(&ring, 2..=count);
    std::thread::sleep(IDLE);
    let (idle, began) = (sent(&ring, 2..=count), Instant::now());
    nodes.push(ring.start(1)?);
    for number in ring.numbers() {
        wait_for("all payments are everywhere", || {
            number_at(&status(&ring, number), "/mempool/transactions") == full as u64
        })?;
    }
    let relayed = began.elapsed();
    let alone = (idle - quiet) * relayed.as_secs_f64() / IDLE.as_secs_f64();
    let bytes = (sent(&ring, ring.numbers()) - idle - alone) / (full as f64 * f64::from(count));
    let (tell, told) = channel();
    for number in ring.numbers() {
        follow(&ring, number, &tell)?;
    }
    let nodes_told = usize::from(count);
    let (block, later) = blocks(&ring, &told, nodes_told)?;
    let payments = payments(&ring, &told, nodes_told)?;
    let figure = |what: &str| format!("{what}, {count} nodes all linked");
    let aim = if bench.small { "" } else { "p99 ≤ 500 ms" };
    Ok(vec![
        Row::new(figure(&format!("A block of {full} payments everywhere")), block, aim),
        Row::new(figure("Blocks without payments everywhere"), later, ""),
        Row::new(figure(&format!("A payment everywhere, {SINGLE} of them")), payments, ""),
        Row::new(
            figure(&format!("Bytes sent for a relayed payment by a node, {full} at once")),
            format!("{bytes:.0} bytes, all of them everywhere after {:.1} s", relayed.as_secs_f64()),
            "",
        ),
    ])
}

/// The first node searches: its first block takes all that waits, those after it are empty.
fn blocks(ring: &Ring, told: &Receiver<Told>, nodes: usize) -> Result<(String, String), String> {
    let socket = ring.socket(1);
    let refused = || "the first node does not mine".to_owned();
    let made = api::post(&socket, "/api/v1/wallet/new", &json!({"passphrase": PASSPHRASE})).ok_or_else(refused)?;
    let order = json!({"on": true, "to": made.get("address")});
    let (mut first, mut later) = (Ways::default(), Ways::default());
    for number in 0..=SINGLE {
        api::post(&socket, MINE, &order).ok_or_else(refused)?;
        let ways = if number == 0 { &mut first } else { &mut later };
        ways.gather(told, ("ledger_tip", "hash"), nodes, || {
            // One at a time: whether it was switched off in time shows in the number of blocks only.
            let _ = api::post(&socket, MINE, &json!({"on": false}));
        })?;
    }
    first.0.truncate(1);
    Ok((first.text(), later.text()))
}

/// The first node pays itself, one payment after the other.
fn payments(ring: &Ring, told: &Receiver<Told>, nodes: usize) -> Result<String, String> {
    let socket = ring.socket(1);
    let refused = || "the first node does not pay".to_owned();
    let made = api::post(&socket, "/api/v1/wallet/new", &json!({"passphrase": PASSPHRASE})).ok_or_else(refused)?;
    let order = json!({"passphrase": PASSPHRASE, "to": made.get("address"), "amount": "1"});
    let mut ways = Ways::default();
    for _ in 0..SINGLE {
        api::post(&socket, "/api/v1/wallet/send", &order).ok_or_else(refused)?;
        ways.gather(told, ("ledger_transaction", "txid"), nodes, || {})?;
    }
    Ok(ways.text())
}
