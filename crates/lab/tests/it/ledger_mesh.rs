//! One ledger on several nodes, real programs: everybody gets it, anybody mines, nobody is central.

use meshline_lab::{Member, Ring, until};
use serde_json::{Value, json};

use crate::ledger::{EASY, PASSPHRASE, has, new, send, text};

/// Nodes with the chain that the first one makes, none started; the others have no wallet yet.
fn nodes_with_a_chain(ring: &Ring, count: u16) -> Vec<Member> {
    let mut nodes: Vec<Member> = (1..=count).map(|number| ring.node(number)).collect();
    for node in &mut nodes {
        node.ask_with(PASSPHRASE.0, PASSPHRASE.1);
    }
    let own = new(&nodes[0]);
    let made = nodes[0].json(&["ledger", "create", "--address", &own, "--bits", EASY]);
    for number in 2..=count {
        ring.configure(number, &json!({"ledger": {"genesis": made["genesis"]}}));
    }
    nodes
}

fn own(node: &Member) -> String {
    let list = node.json(&["wallet", "list"]);
    list["addresses"][0]["address"].as_str().unwrap_or_else(|| panic!("no address in {list}")).to_owned()
}

/// Waits until all of them have this height, and one tip.
#[track_caller]
fn all_at(nodes: &[&Member], height: u64) -> Value {
    let tips = nodes.iter().map(|node| {
        until(&format!("{} is at {height}", node.name()), || {
            let status = node.try_json(&["ledger", "status"])?;
            if status["height"] == height { Ok(status["tip"].clone()) } else { Err(status.to_string()) }
        })
    });
    let tips: Vec<Value> = tips.collect();
    assert!(tips.iter().all(|tip| *tip == tips[0]), "{tips:?}");
    tips[0].clone()
}

#[track_caller]
fn waits_at(node: &Member, count: u64) {
    until(&format!("{count} payments wait at {}", node.name()), || {
        let status = node.try_json(&["ledger", "status"])?;
        if status["mempool"]["transactions"] == count { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn anybody_serves_mines_and_pays_and_a_partition_ends_on_one_tip() {
    let ring = Ring::write("--nodes 4 --no-signal");
    let mut nodes = nodes_with_a_chain(&ring, 3);
    let (central, miner) = (own(&nodes[0]), new(&nodes[2]));
    let bystander = &mut ring.node(4);
    bystander.start();
    nodes[0].start();
    nodes[1].start();
    nodes[0].wait_for_links(2);
    let to = new(&nodes[0]);
    for _ in 0..2 {
        send(&nodes[0], &central, &to, "1", true).done();
    }
    let _ = all_at(&[&nodes[0], &nodes[1]], 2);
    has(&nodes[1], &[(&central, "28"), (&to, "2")]);

    // A late one gets all of it from the second after the first was killed.
    nodes[0].process_mut().kill();
    nodes[2].start();
    let status = until("the late one has it", || nodes[2].try_json(&["ledger", "status", "--watch"]));
    assert_eq!((&status["height"], &status["sync"]["state"]), (&json!(2), &json!("synced")), "{status}");

    // A payment from one is mined by another.
    nodes[0].start();
    nodes[0].wait_for_links(3);
    let on = nodes[2].ask(&["ledger", "mine", "on", "--to", &miner]).done();
    assert!(on.starts_with("Mining is on."), "{on}");
    for _ in 0..2 {
        send(&nodes[0], &central, &to, "1", false).done();
    }
    let _ = all_at(&[&nodes[0], &nodes[1], &nodes[2]], 3);
    has(&nodes[0], &[(&central, "26"), (&to, "4"), (&miner, "10")]);
    assert_eq!(bystander.ask(&["ledger", "status"]).code, Some(1), "it has none, and lost nothing by it");
    bystander.process_mut().terminate();

    // Two sides that do not see each other: one block with a payment here, two blocks there.
    for node in &mut nodes {
        node.process_mut().terminate();
    }
    let paid = nodes[0].json(&["wallet", "send", "--from", &central, "--to", &to, "--amount", "3", "--mine"]);
    let other = new(&nodes[2]);
    for _ in 0..2 {
        send(&nodes[2], &miner, &other, "1", true).done();
    }
    nodes[0].start();
    nodes[1].start();
    let _ = all_at(&[&nodes[0], &nodes[1]], 4);
    waits_at(&nodes[1], 0);
    nodes[2].start();
    let tip = all_at(&[&nodes[0], &nodes[1], &nodes[2]], 5);
    assert_eq!(tip, nodes[2].json(&["ledger", "blocks"])["blocks"][0]["hash"]);
    // What the losers had waits again, at the winners too.
    for node in &nodes {
        waits_at(node, 1);
    }
    has(&nodes[2], &[(&other, "2")]);
    let still = nodes[2].json(&["wallet", "balance", &to]);
    assert_eq!((&still["balance"], &still["pending"]), (&json!("4"), &json!("3")), "{still}");
    let back = send(&nodes[2], &miner, &other, "1", true).done();
    assert!(back.starts_with("Success!"), "{back}");
    let _ = all_at(&[&nodes[0], &nodes[1], &nodes[2]], 6);
    has(&nodes[0], &[(&to, "7")]);
    let block = nodes[1].json(&["ledger", "blocks", "--limit", "1"]);
    let rows = block["blocks"][0]["transactions"].as_array().expect("transactions");
    assert!(rows.iter().any(|row| row["txid"] == paid["txid"]), "{block}");
    for node in &nodes {
        assert_eq!(node.json(&["ledger", "verify"])["valid"], true);
        let sync = text(&node.json(&["ledger", "status"])["sync"], "state");
        assert_eq!(sync, "synced");
    }
}
