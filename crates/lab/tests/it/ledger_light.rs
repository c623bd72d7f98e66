//! A view follows the ledger of others: it sees what it is paid and pays back, and keeps no chain.

use meshline_lab::{Member, Ring, until};
use serde_json::json;

use crate::ledger::{EASY, PASSPHRASE, new, send, text};

#[track_caller]
fn holds(member: &Member, balance: &str) {
    until(&format!("{} holds {balance}", member.name()), || {
        let list = member.try_json(&["wallet", "list"])?;
        if list["balance"] == balance { Ok(()) } else { Err(list.to_string()) }
    });
}

/// What scripts see of the view: the tip of the ledger that it follows, which the node keeps.
#[track_caller]
fn shows_the_tip(view: &Member, node: &Member) {
    let kept = node.json(&["ledger", "status"]);
    let watched = view.json(&["watch", "--once"]);
    let followed = &watched["ledger"];
    assert_eq!((&followed["height"], &followed["tip"]), (&kept["height"], &kept["tip"]), "{watched}");
    assert_eq!(followed["schema"], "meshline/ledger-light/1", "{watched}");
    assert!(watched["faults"].get("ledger").is_none(), "{watched}");
}

#[test]
fn a_view_sees_what_it_is_paid_and_pays_back() {
    let ring = Ring::write("--nodes 2");
    let _signal = ring.start_signal();
    let mut nodes = [ring.node(1), ring.node(2)];
    let mut view = ring.view();
    for member in [&mut nodes[0], &mut view] {
        member.ask_with(PASSPHRASE.0, PASSPHRASE.1);
    }
    let central = new(&nodes[0]);
    let made = nodes[0].json(&["ledger", "create", "--address", &central, "--bits", EASY]);
    ring.configure(2, &json!({"ledger": {"genesis": made["genesis"]}}));
    let stopped = view.ask(&["wallet", "new"]);
    assert_eq!(stopped.code, Some(3), "it follows the ledger while it runs: {stopped:?}");
    nodes.iter_mut().for_each(Member::start);
    nodes[0].wait_for_links(1);
    let back = new(&nodes[0]);
    send(&nodes[0], &central, &back, "1", true).done();
    // Without a genesis file it says what to do.
    view.start();
    view.wait_for_links(2);
    let none = view.ask(&["wallet", "new"]);
    assert!(none.code == Some(1) && none.stderr.contains("genesis"), "{none:?}");
    view.process_mut().terminate();
    view.configure(&json!({"ledger": {"genesis": made["genesis"]}}));
    view.start();
    view.wait_for_links(2);
    let address = new(&view);
    send(&nodes[0], &central, &address, "3", true).done();
    holds(&view, "3");
    let known = view.json(&["wallet", "balance", &address]);
    assert_eq!((&known["balance"], &known["height"]), (&json!("3"), &json!(2)), "{known}");
    shows_the_tip(&view, &nodes[0]);
    let stranger = view.ask(&["wallet", "balance", &central]);
    assert!(stranger.code == Some(1) && stranger.stderr.contains("ask a node"), "{stranger:?}");
    // It pays a part back, and a node puts that in a block.
    let sent = view.json(&["wallet", "send", "--to", &back, "--amount", "1"]);
    until("the payment is at the node", || {
        let status = nodes[0].try_json(&["ledger", "status"])?;
        if status["mempool"]["transactions"] == 1 { Ok(()) } else { Err(status.to_string()) }
    });
    send(&nodes[0], &central, &central, "1", true).done();
    holds(&view, "2");
    let history = view.json(&["wallet", "history"]);
    let rows = history["history"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{history}");
    assert!(rows.iter().any(|row| row["txid"] == sent["txid"]), "{history}");
    // All of it is there after a start, and nothing of the chain but its headers.
    view.process_mut().terminate();
    view.start();
    view.wait_for_links(2);
    holds(&view, "2");
    let had = nodes[0].json(&["wallet", "balance", &back]);
    assert_eq!(text(&had, "balance"), "2");
}
