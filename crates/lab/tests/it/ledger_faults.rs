//! What kills and full disks take from a ledger that is shared: nothing that was accepted, and nothing that was
//! acknowledged.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use meshline_lab::{Answer, Lab, Member, Ring, soak, until};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::ledger::{PASSPHRASE, new, send};

/// A block every few hundredths of a second on one thread.
const QUICK: &[&str] = &["--mine-empty", "true", "--template-from", "0", "--bits", "1f00ffff"];

/// Kills of a run unless MESHLINE_KILLS says how many, and where there is time.
const KILLS: u64 = 24;
const MANY_KILLS: u64 = 1_000;

/// Nodes with one chain, each with a wallet and mining for it; the address of the first one.
fn miners(ring: &Ring, nodes: &mut [Member]) -> String {
    let mut first = String::new();
    for (number, node) in (1..).zip(nodes.iter_mut()) {
        node.ask_with(PASSPHRASE.0, PASSPHRASE.1);
        let own = if number == 1 {
            first = new(node);
            let _ = node.json(&[&["ledger", "create", "--address", first.as_str()][..], QUICK].concat());
            first.clone()
        } else {
            new(node)
        };
        let genesis = ring.path().join("node-1.data/ledger/genesis.json");
        ring.configure(number, &json!({"ledger": {"genesis": genesis, "mine_to": own, "mine_threads": 1}}));
    }
    first
}

fn height(node: &Member) -> Result<u64, String> {
    node.try_json(&["ledger", "status"])?["height"].as_u64().ok_or_else(|| "no height".to_owned())
}

/// A number that the environment may set.
fn asked(name: &str, unless: u64) -> u64 {
    std::env::var(name).map_or(unless, |text| text.parse().expect("a number"))
}

/// Kills a node at a random moment and starts it again: it has the block that it told of as its last one, in its chain or
/// beside it, and is no lower. How often it replaced blocks by better ones in the life that ended.
fn kill(node: &mut Member, rng: &mut ChaCha8Rng) -> usize {
    let told = until("it tells its tip", || node.try_json(&["ledger", "status"]));
    // paced: the moment of the kill is what is tried
    std::thread::sleep(Duration::from_millis(rng.next_u64() % 250));
    node.process_mut().kill();
    let replaced = replaced(node);
    node.start();
    node.wait_for("ledger of the chain");
    let kept = until("it is back", || height(node));
    assert!(told["height"].as_u64() <= Some(kept), "{}: killed at {told}, it is back at {kept}", node.name());
    let tip = told["tip"].as_str().expect("a hash");
    let block = until("it tells of that block", || block(node, tip));
    assert_eq!((&block["hash"], &block["height"]), (&told["tip"], &told["height"]), "{}: {block}", node.name());
    replaced
}

/// How often a node replaced blocks since it was started, as its log says.
fn replaced(node: &Member) -> usize {
    let words = ["a better chain takes the place of", "blocks of the ledger were replaced by"];
    node.process().since(0).iter().filter(|line| words.iter().any(|word| line.contains(word))).count()
}

/// What a node has of a block, in its chain or not. That it has none is for good, and fails.
fn block(node: &Member, hash: &str) -> Result<Value, String> {
    let socket = node.config().with_extension("data").join("api.sock");
    let answer = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&socket)?;
        let path = format!("/api/v1/ledger/block/{hash}");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = answer().map_err(|error| error.to_string())?;
    assert!(!answer.starts_with("HTTP/1.1 404"), "{} has lost the block {hash}: {answer}", node.name());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(body).map_err(|error| format!("{error}: {answer}"))
}

#[test]
fn kills_at_any_moment_take_neither_blocks_nor_payments() {
    let (seed, kills) = (asked("MESHLINE_SEED", 11), asked("MESHLINE_KILLS", if soak() { MANY_KILLS } else { KILLS }));
    // Two of those that mine are killed in each, and one that has nothing yet.
    let rounds = kills.div_ceil(3) as usize;
    eprintln!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let ring = Ring::write("--nodes 4 --no-signal");
    let mut nodes: Vec<Member> = (1..=3).map(|number| ring.node(number)).collect();
    let own = miners(&ring, &mut nodes);
    let to = new(&nodes[2]);
    let mut newcomer = ring.node(4);
    ring.configure(4, &json!({"ledger": {"genesis": ring.path().join("node-1.data/ledger/genesis.json")}}));
    nodes.iter_mut().for_each(Member::start);
    newcomer.start();
    newcomer.wait_for("ledger of the chain");
    until("there is money", || if height(&nodes[0])? > 0 { Ok(()) } else { Err(String::new()) });
    let (mut acknowledged, mut tried, mut reorganised) = (0_u32, 0_u32, 0);
    for round in 0..rounds {
        let mut asker = Member::new("node", nodes[0].config());
        asker.ask_with(PASSPHRASE.0, PASSPHRASE.1);
        let (own, to) = (own.clone(), to.clone());
        let sending = std::thread::spawn(move || -> Answer {
            asker.ask(&["wallet", "send", "--from", &own, "--to", &to, "--amount", "0.5"])
        });
        // Whoever sends is among them every other time.
        for number in [round % 2, 1 + round % 2] {
            reorganised += kill(&mut nodes[number], &mut rng);
        }
        // Every now and then it begins with nothing.
        if round % 4 == 0 {
            begin_anew(&ring, &mut newcomer);
        }
        reorganised += kill(&mut newcomer, &mut rng);
        let answer = sending.join().expect("an answer");
        tried += 1;
        acknowledged += u32::from(answer.code == Some(0));
    }
    assert!(acknowledged > 0, "not one payment came through");
    let paid = until("what was acknowledged is in the chain", || {
        let balance = nodes[2].try_json(&["wallet", "balance", &to])?;
        let coins: f64 = balance["balance"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        let waits = nodes[2].try_json(&["ledger", "status"])?["mempool"]["transactions"] != 0;
        if coins * 2.0 >= f64::from(acknowledged) && !waits { Ok(coins) } else { Err(balance.to_string()) }
    });
    assert!(paid * 2.0 <= f64::from(tried), "{paid} with {tried} payments of 0.5");
    for node in &nodes {
        node.ask(&["ledger", "mine", "off"]).done();
    }
    nodes.push(newcomer);
    // Of two blocks found at once both stay where they were found until another one decides: on one that lags it would not.
    equally_high(&nodes);
    send(&nodes[0], &own, &own, "0.5", true).done();
    one_tip(&nodes);
    let height = height(&nodes[0]).expect("it runs");
    reorganised += nodes.iter().map(replaced).sum::<usize>();
    // In a short run there may be none.
    assert!(reorganised > 0 || kills < MANY_KILLS, "no node ever replaced a block: reorganisations were not tried");
    for node in &mut nodes {
        node.process_mut().kill();
        has_what_its_blocks_lead_to(node);
    }
    eprintln!(
        "ledger-kills: {} kills, {acknowledged} of {tried} payments acknowledged, {} in the chain of {height} blocks, {reorganised} \
         reorganisations; nothing that was accepted or acknowledged is lost, and all {} sets of outputs are those of a rebuild",
        3 * rounds,
        paid * 2.0,
        nodes.len()
    );
}

/// The fourth node has no ledger any more, and starts.
fn begin_anew(ring: &Ring, newcomer: &mut Member) {
    newcomer.process_mut().kill();
    std::fs::remove_dir_all(ring.path().join("node-4.data/ledger")).expect("it was there");
    newcomer.start();
    newcomer.wait_for("ledger of the chain");
}

fn equally_high(nodes: &[Member]) {
    until("the same height", || {
        let heights: Vec<u64> = nodes.iter().map(height).collect::<Result<_, _>>()?;
        if heights.windows(2).all(|pair| pair[0] == pair[1]) { Ok(()) } else { Err(format!("{heights:?}")) }
    });
}

fn one_tip(nodes: &[Member]) {
    until("one tip", || {
        let tips: Result<Vec<Value>, String> =
            nodes.iter().map(|node| Ok(node.try_json(&["ledger", "status"])?["tip"].clone())).collect();
        let tips = tips?;
        if tips.iter().all(|tip| *tip == tips[0]) { Ok(()) } else { Err(format!("{tips:?}")) }
    });
}

/// Of a stopped node: every block is judged again, and the set of unspent outputs is that of a rebuild.
fn has_what_its_blocks_lead_to(node: &Member) {
    let verdict = node.json(&["ledger", "verify"]);
    assert_eq!(verdict["valid"], true, "{}: {verdict}", node.name());
    let rebuilt = node.json(&["ledger", "reindex"]);
    assert_eq!((&rebuilt["set_hash"], &rebuilt["outputs"]), (&verdict["set_hash"], &verdict["outputs"]));
}

#[test]
fn a_full_disk_stops_the_ledger_and_nothing_else_and_it_goes_on_where_it_was() {
    let Some(lab) = Lab::new() else { return };
    let sites = [lab.site(), lab.site()];
    let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
    let data = ring.path().join("host-1/node-1.data");
    std::fs::create_dir(&data).expect("writable");
    sites[0].run(&format!("mount -t tmpfs -o size=32m tmpfs {}", data.display()));
    let (mut full, mut miner) = (ring.node(1), ring.node(2));
    for node in [&mut full, &mut miner] {
        node.ask_with(PASSPHRASE.0, PASSPHRASE.1);
    }
    let own = new(&full);
    let made = full.json(&[&["ledger", "create", "--address", own.as_str()][..], QUICK].concat());
    // Out of the folder that only the first host sees.
    let genesis = ring.path().join("genesis.json");
    sites[0].run(&format!("cp {} {}", made["genesis"].as_str().expect("a path"), genesis.display()));
    ring.configure(2, &json!({"ledger": {"genesis": genesis}}));
    full.start();
    miner.start();
    full.wait_for_links(1);
    // It fills the disk and fails: just that is wanted.
    let fill = |name: &str| {
        let fill = format!(
            "dd if=/dev/zero of={}/{name} bs=1k count=40000 oflag=append conv=notrunc 2>/dev/null; true",
            data.display()
        );
        assert!(sites[0].command("sh").args(["-c", &fill]).status().is_ok_and(|status| status.success()));
    };
    fill("rest");
    let mark = full.process().mark();
    let to = new(&miner);
    miner.ask(&["ledger", "mine", "on", "--to", &to]).done();
    full.process().wait_after(mark, "the ledger could not be written");
    let refused = full.ask(&["wallet", "send", "--from", &own, "--to", &to, "--amount", "1"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    // What the ledger tries to write takes room and gives it back; a wallet may find its place in it.
    let mut known = Value::Null;
    until("a wallet without room", || {
        fill("more");
        known = full.json(&["wallet", "list"]);
        let refused = full.ask(&["wallet", "new"]);
        if refused.code == Some(1) { Ok(()) } else { Err(format!("{refused:?}")) }
    });
    assert_eq!(full.json(&["wallet", "list"]), known, "the wallet is what it was");
    miner.chat_to("the node itself goes on", 1);
    sites[0].run(&format!("rm {0}/rest {0}/more", data.display()));
    assert_ne!(new(&full), own, "with space there is another address");
    miner.ask(&["ledger", "mine", "off"]).done();
    let nodes = [full, miner];
    one_tip(&nodes);
    let [mut full, _miner] = nodes;
    full.process_mut().kill();
    has_what_its_blocks_lead_to(&full);
}
