//! How soon payments and blocks are everywhere among many nodes, and what a payment costs.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::process::Running;
use super::super::ring::Ring;
use super::super::scratch::Scratch;
use super::super::table::Row;
use super::super::{Bench, api, median};
use super::chain::GENESIS;
use super::{PATIENCE, copy, made, number_at, status, wait_for};

/// Payments in the block whose way is measured.
const FULL: usize = 2_000;
/// Payments that are sent one after the other.
const SINGLE: usize = 20;
/// How long the nodes are left alone to see what they say without a ledger's work.
const IDLE: Duration = Duration::from_secs(3);
const MINE: &str = "/api/v1/ledger/mine";
const PASSPHRASE: &str = "bench";

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
pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let count = u16::try_from(bench.size(20, 6)).unwrap_or(20);
    let (full, rounds) = (bench.size(FULL, FULL / 10), bench.rounds(3, 2));
    let mut town = Town::start(bench, (count, full), rounds)?;
    let (mut blocks, mut relayed) = (Ways::default(), Vec::new());
    for round in 0..rounds {
        relayed.push(town.bring(round)?);
        town.mine(&mut blocks, true)?;
    }
    let mut later = Ways::default();
    for _ in 0..SINGLE {
        town.mine(&mut later, false)?;
    }
    let payments = town.payments()?;
    let figure = |what: &str| format!("{what}, {count} nodes all linked");
    let aim = if bench.small { "" } else { "p99 ≤ 500 ms" };
    let bytes: Vec<f64> = relayed.iter().map(|(bytes, _)| *bytes).collect();
    let times: Vec<f64> = relayed.iter().map(|(_, time)| time.as_secs_f64()).collect();
    Ok(vec![
        Row::new(figure(&format!("A block of {full} payments everywhere, {rounds} of them")), blocks.text(), aim),
        Row::new(figure(&format!("A block without payments everywhere, {SINGLE} of them")), later.text(), ""),
        Row::new(figure(&format!("A payment everywhere, {SINGLE} of them")), payments.text(), ""),
        Row::new(
            figure(&format!("Bytes sent for a relayed payment by a node, {full} at once")),
            format!("{:.0} bytes, all of them everywhere after {:.1} s", median(&bytes), median(&times)),
            "",
        ),
    ])
}

/// The nodes. The first one brings payments and blocks.
struct Town {
    chain: Scratch,
    ring: Ring,
    count: u16,
    full: usize,
    first: Option<Running>,
    _others: Vec<Running>,
    tell: Sender<Told>,
    told: Receiver<Told>,
}

impl Town {
    fn start(bench: &Bench, (count, full): (u16, usize), rounds: usize) -> Result<Self, String> {
        let (chain, ring) = (Scratch::new("chain")?, Ring::write(bench, count, false)?);
        made(bench, &["waiting", &chain.path().to_string_lossy(), &full.to_string(), &rounds.to_string()])?;
        for number in ring.numbers() {
            copy(chain.path(), &ring.ledger(number)?, &[GENESIS, ("chain.redb", "chain.redb")])?;
        }
        let others = (2..=count).map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
        let (tell, told) = channel();
        let town = Self { chain, ring, count, full, first: None, _others: others, tell, told };
        town.wait_linked(2, usize::from(count) - 2)?;
        for number in 2..=count {
            follow(&town.ring, number, &town.tell)?;
        }
        Ok(town)
    }

    fn wait_linked(&self, from: u16, peers: usize) -> Result<(), String> {
        let of =
            |number| status(&self.ring, number).pointer("/sync/peers").and_then(Value::as_array).map_or(0, Vec::len);
        (from..=self.count).try_for_each(|number| wait_for("all are linked", || of(number) == peers))
    }

    /// The first node comes, or comes again, with payments that nobody else has. Bytes that a node sends for each, and when
    /// all of them are everywhere.
    fn bring(&mut self, round: usize) -> Result<(f64, Duration), String> {
        if self.first.take().is_some() {
            self.wait_linked(2, usize::from(self.count) - 2)?;
        }
        copy(self.chain.path(), &self.ring.ledger(1)?, &[(&format!("mempool-{round}.dat"), "mempool.dat")])?;
        let others = || sent(&self.ring, 2..=self.count);
        let quiet = others();
        std::thread::sleep(IDLE);
        let (idle, began) = (others(), Instant::now());
        self.first = Some(self.ring.start(1)?);
        for number in self.ring.numbers() {
            wait_for("all payments are everywhere", || {
                number_at(&status(&self.ring, number), "/mempool/transactions") == self.full as u64
            })?;
        }
        let relayed = began.elapsed();
        let alone = (idle - quiet) * relayed.as_secs_f64() / IDLE.as_secs_f64();
        let all = sent(&self.ring, self.ring.numbers()) - idle - alone;
        self.wait_linked(1, usize::from(self.count) - 1)?;
        follow(&self.ring, 1, &self.tell)?;
        Ok((all / (self.full as f64 * f64::from(self.count)), relayed))
    }

    /// The first node searches until it has found a block. Only the first counts where there are more.
    fn mine(&self, ways: &mut Ways, full: bool) -> Result<(), String> {
        let socket = self.ring.socket(1);
        let refused = || "the first node does not mine".to_owned();
        let made = api::post(&socket, "/api/v1/wallet/new", &json!({"passphrase": PASSPHRASE})).ok_or_else(refused)?;
        let before = ways.0.len();
        api::post(&socket, MINE, &json!({"on": true, "to": made.get("address")})).ok_or_else(refused)?;
        ways.gather(&self.told, ("ledger_tip", "hash"), usize::from(self.count), || {
            // One at a time: whether it was switched off in time shows in the number of blocks only.
            let _ = api::post(&socket, MINE, &json!({"on": false}));
        })?;
        if full {
            ways.0.truncate(before + 1);
        }
        Ok(())
    }

    /// The first node pays itself, one payment after the other.
    fn payments(&self) -> Result<Ways, String> {
        let socket = self.ring.socket(1);
        let refused = || "the first node does not pay".to_owned();
        let made = api::post(&socket, "/api/v1/wallet/new", &json!({"passphrase": PASSPHRASE})).ok_or_else(refused)?;
        let order = json!({"passphrase": PASSPHRASE, "to": made.get("address"), "amount": "1"});
        let mut ways = Ways::default();
        for _ in 0..SINGLE {
            api::post(&socket, "/api/v1/wallet/send", &order).ok_or_else(refused)?;
            ways.gather(&self.told, ("ledger_transaction", "txid"), usize::from(self.count), || {})?;
        }
        Ok(ways)
    }
}
