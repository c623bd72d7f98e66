//! What a light wallet fetches to know its payments, beside what a full node fetches.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::ring::Ring;
use super::super::scratch::Scratch;
use super::super::table::Row;
use super::super::{Bench, api};
use super::chain::wait_calm;
use super::{LEDGER, copy, made, number_at, status, wait_for};

/// Payments in a block, among a hundred who are paid again and again.
const PAYMENTS: usize = 500;
/// Those with the chain: as many as a light client compares at least, and one more.
const SERVING: u16 = 3;
const NEWCOMER: u16 = SERVING + 1;
const LIGHT: &str = "/api/v1/ledger/light";
const PASSPHRASE: &str = "bench";
/// The phrase of the first test vector of BIP-39: an old wallet, so nothing of the chain can be left out.
const PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// A node counts the bytes of its links more often than that.
const COUNTED: Duration = Duration::from_secs(8);
/// Bytes that members say to each other in that time without having anything to say.
const STILL: f64 = 20_000.0;

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let blocks = bench.size(2_000, 200);
    let chain = Scratch::new("chain")?;
    let path = chain.path().to_string_lossy().into_owned();
    made(bench, &["chain", &path, &blocks.to_string(), &PAYMENTS.to_string()])?;
    let genesis = chain.path().join("genesis.json");
    let words = ["--no-signal", "--ledger", &genesis.to_string_lossy()];
    let ring = Ring::write_with(bench, NEWCOMER, &words)?;
    for number in 1..=SERVING {
        copy(chain.path(), &ring.ledger(number)?, &[("chain.redb", "chain.redb")])?;
    }
    let serving = (1..=SERVING).map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    // Their filters are made meanwhile.
    wait_calm(&serving.iter().collect::<Vec<_>>())?;

    let _view = ring.start_view()?;
    let view = ring.view_socket();
    wait_for("the view answers", || api::is_ready(&view))?;
    let refused = |what: &str| format!("the view does not {what}");
    let order = json!({"passphrase": PASSPHRASE, "phrase": PHRASE});
    wait_for("the view has its wallet", || api::post(&view, "/api/v1/wallet/restore", &order).is_some())?;
    let new = api::post(&view, "/api/v1/wallet/new", &json!({"passphrase": PASSPHRASE}));
    let address = new.and_then(|new| Some(new.get("address")?.as_str()?.to_owned()));
    let address = address.ok_or_else(|| refused("make an address"))?;
    wait_for("the view has seen all", || scanned(&view) >= blocks as u64)?;
    pay(&ring, &address)?;
    wait_for("the payment is seen", || {
        let balance = api::document(&view, &format!("/api/v1/wallet/balance/{address}")).unwrap_or_default();
        let balance: Value = serde_json::from_str(&balance).unwrap_or_default();
        ["balance", "immature"].iter().any(|part| balance.get(part).is_some_and(|sum| sum != "0"))
    })?;
    let light = received(&view);

    let top = number_at(&status(&ring, 1), "/height");
    let _newcomer = ring.start(NEWCOMER)?;
    wait_for("the newcomer has it all", || number_at(&status(&ring, NEWCOMER), "/height") >= top)?;
    let full = received(&ring.socket(NEWCOMER));
    let figure =
        format!("Bytes a light wallet took in, {top} blocks of {PAYMENTS} payments, one of them its own block");
    let value = format!("{:.0} kB, {:.2} %", light / 1e3, 100.0 * light / full);
    Ok(vec![Row::new(figure, value, "< 1 %").with(format!("a full node: {:.0} kB", full / 1e3))])
}

/// The height to which a view has looked for its payments.
fn scanned(view: &Path) -> u64 {
    let text = api::document(view, LIGHT).unwrap_or_default();
    number_at(&serde_json::from_str(&text).unwrap_or_default(), "/scanned")
}

/// The first node mines a block for the address.
fn pay(ring: &Ring, address: &str) -> Result<(), String> {
    let socket = ring.socket(1);
    let mine = |order: Value| {
        let done = api::post(&socket, &format!("{LEDGER}/mine"), &order);
        done.map(drop).ok_or_else(|| "the first node does not mine".to_owned())
    };
    let before = number_at(&status(ring, 1), "/height");
    mine(json!({"on": true, "to": address}))?;
    wait_for("a block is found", || number_at(&status(ring, 1), "/height") > before)?;
    mine(json!({"on": false}))
}

/// What came over all links of a member, which counts now and then: read when it stands still.
fn received(socket: &Path) -> f64 {
    let mut last = 0.0;
    loop {
        std::thread::sleep(COUNTED);
        let text = api::document(socket, "/api/v1/status").unwrap_or_default();
        let status: Value = serde_json::from_str(&text).unwrap_or_default();
        let links = status.get("links").and_then(Value::as_array).cloned().unwrap_or_default();
        let now: f64 = links.iter().filter_map(|link| link.get("received_bytes")?.as_f64()).sum();
        if now - last < STILL {
            return now;
        }
        last = now;
    }
}
