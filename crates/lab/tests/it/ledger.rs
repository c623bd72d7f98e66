//! The tutorial of the ledger with real programs: on a node that is stopped, and on one that runs.

use std::path::Path;

use meshline_lab::{Answer, Member, PATIENCE, Ring, until};
use serde_json::Value;

pub(crate) const PASSPHRASE: (&str, &str) = ("MESHLINE_WALLET_PASSPHRASE", "correct horse battery staple");

/// So easy that a block is found at once on the busiest machine.
pub(crate) const EASY: &str = "2000ffff";

/// A network of one node, whose commands know the passphrase of its wallet.
fn alone() -> (Ring, Member) {
    let ring = Ring::write("--nodes 1 --no-signal");
    let mut node = ring.node(1);
    node.ask_with(PASSPHRASE.0, PASSPHRASE.1);
    (ring, node)
}

pub(crate) fn text(document: &Value, member: &str) -> String {
    document[member].as_str().unwrap_or_else(|| panic!("no {member} in {document}")).to_owned()
}

pub(crate) fn new(node: &Member) -> String {
    text(&node.json(&["wallet", "new"]), "address")
}

pub(crate) fn send(node: &Member, from: &str, to: &str, amount: &str, mine: bool) -> Answer {
    let words = ["wallet", "send", "--from", from, "--to", to, "--amount", amount, "--mine"];
    node.ask(&words[..if mine { 9 } else { 8 }])
}

#[track_caller]
pub(crate) fn has(node: &Member, balances: &[(&str, &str)]) {
    for (address, coins) in balances {
        let said = node.ask(&["wallet", "balance", address]).done();
        assert_eq!(said, format!("Balance of '{address}': {coins}\n"));
        let document = node.json(&["wallet", "balance", address]);
        assert_eq!(
            (&document["schema"], &document["balance"]),
            (&"meshline/wallet-balance/1".into(), &(*coins).into())
        );
    }
}

/// Steps one to four of the tutorial: a chain, and what is sent with a block mined for each.
fn first_half(node: &Member, flags: &[&str]) -> [String; 3] {
    let [central, one, two] = [new(node), new(node), new(node)];
    let made = node.json(&[&["ledger", "create", "--address", central.as_str()][..], flags].concat());
    assert_eq!(made["schema"], "meshline/ledger-create/1");
    assert!(Path::new(&text(&made, "genesis")).is_file(), "{made}");
    assert_eq!(text(&made, "chain").len(), 64);
    has(node, &[(&central, "10")]);
    for to in [&one, &two] {
        let said = send(node, &central, to, "10", true).done();
        assert!(said.starts_with("Success!\n"), "{said}");
    }
    has(node, &[(&one, "10"), (&two, "10"), (&central, "10")]);
    [central, one, two]
}

#[test]
fn the_tutorial_on_a_stopped_node() {
    let (_ring, node) = alone();
    let [central, one, two] = first_half(&node, &[]);
    let [three, four, miner] = [new(&node), new(&node), new(&node)];
    let waits = send(&node, &one, &three, "1", false).done();
    assert!(waits.contains("The node is stopped: the transaction is kept, and announced when it starts."), "{waits}");
    has(&node, &[(&one, "9")]);
    let refused = send(&node, &one, &two, "10", false);
    assert_eq!((refused.code, refused.stderr.trim()), (Some(1), format!("{one} has 9, needs 10").as_str()));
    let sent = node.json(&["wallet", "send", "--from", &two, "--to", &four, "--amount", "1", "--mine"]);
    assert_eq!((&sent["schema"], &sent["fee"]), (&"meshline/wallet-send/1".into(), &"0".into()));
    assert_eq!(text(&sent, "txid").len(), 64);
    // Who mines gets the reward; the other payment went into the same block.
    has(&node, &[(&one, "9"), (&two, "19"), (&three, "1"), (&four, "1"), (&central, "10"), (&miner, "0")]);
    let status = node.json(&["ledger", "status"]);
    assert_eq!((&status["height"], &status["mempool"]["transactions"]), (&3.into(), &0.into()), "{status}");
    let blocks = node.ask(&["ledger", "blocks"]).done();
    for line in ["============ Block ", "Height: 3", "Prev. block: ", "PoW: true"] {
        assert!(blocks.contains(line), "{line}: {blocks}");
    }
    assert_eq!(node.json(&["ledger", "verify"])["valid"], true);
    let said = node.ask(&["ledger", "reindex"]).done();
    assert!(said.starts_with("Done! There are ") && said.trim().ends_with(" transactions in the UTXO set."), "{said}");
    assert_eq!(node.json(&["ledger", "verify"])["valid"], true);
}

#[test]
fn the_tutorial_on_a_running_node_that_mines_what_a_stopped_one_has_sent() {
    let (ring, mut node) = alone();
    node.start();
    node.wait_for("local API listening");
    let [central, one, two] = first_half(&node, &["--bits", EASY]);
    let [three, four, miner] = [new(&node), new(&node), new(&node)];
    send(&node, &one, &three, "1", false).done();
    send(&node, &two, &four, "1", false).done();
    has(&node, &[(&one, "9"), (&two, "9")]);
    assert_eq!(node.json(&["ledger", "status"])["mempool"]["transactions"], 2);
    node.process_mut().terminate();
    // Both payments are there again at the next start, and the miner takes them.
    assert_eq!(node.json(&["ledger", "status"])["mempool"]["transactions"], 2);
    ring.configure(1, &serde_json::json!({"ledger": {"mine_to": miner}}));
    node.start();
    node.wait_for(&format!("Mining is on. Address to receive rewards:  {miner}"));
    node.wait_for("New block is mined!");
    let all = [(&one, "9"), (&two, "9"), (&three, "1"), (&four, "1"), (&miner, "10"), (&central, "10")];
    has(&node, &all.map(|(address, coins)| (address.as_str(), coins)));
    let history = node.json(&["wallet", "history"]);
    assert_eq!(history["schema"], "meshline/wallet-history/1");
    assert_eq!(history["history"].as_array().map(Vec::len), Some(8), "{history}");
    assert_eq!(node.json(&["ledger", "verify"])["valid"], true);
    let off = node.ask(&["ledger", "mine", "off"]).done();
    assert_eq!(off.trim(), "Mining is off.");
}

#[test]
fn the_preset_for_trying_out_asks_for_fees_and_mines_empty_blocks() {
    let (_ring, mut node) = alone();
    let made = node.json(&["ledger", "create", "--preset", "test", "--maturity", "1", "--bits", EASY]);
    assert_eq!(made["phrase"].as_str().map(|phrase| phrase.split(' ').count()), Some(12), "{made}");
    let own = text(&made, "address");
    assert!(own.starts_with("trial1"), "{made}");
    has(&node, &[(&own, "50")]);
    let sent = node.json(&["wallet", "send", "--to", &new(&node), "--amount", "1"]);
    assert_ne!(sent["fee"], "0");
    node.start();
    node.wait_for("local API listening");
    let on = node.ask(&["ledger", "mine", "on", "--to", &own]).done();
    assert_eq!(on.trim(), format!("Mining is on. Address to receive rewards:  {own}"));
    until("three blocks are found", || {
        let height = node.try_json(&["ledger", "status"])?["height"].as_u64().unwrap_or_default();
        if height >= 3 { Ok(()) } else { Err(height.to_string()) }
    });
}

#[test]
fn a_node_killed_while_it_mines_has_a_valid_chain_and_all_it_was_sent() {
    let (ring, mut node) = alone();
    let own = new(&node);
    // Sixteen times as easy as the tutorial's, so that a kill comes in the middle of many blocks.
    let mine_all = ["--mine-empty", "true", "--template-from", "0", "--bits", "1f0fffff"];
    let _ = node.json(&[&["ledger", "create", "--address", own.as_str()][..], &mine_all].concat());
    ring.configure(1, &serde_json::json!({"ledger": {"mine_to": own}}));
    let to = new(&node);
    let mut sent = 0;
    for _ in 0..5 {
        node.start();
        node.wait_for("New block is mined!");
        let answer = until("it sends", || {
            let answer = node.ask(&["wallet", "send", "--from", &own, "--to", &to, "--amount", "0.5"]);
            if answer.code == Some(0) { Ok(answer) } else { Err(format!("{answer:?}")) }
        });
        sent += u64::from(answer.code == Some(0));
        node.process_mut().kill();
        let verdict = node.json(&["ledger", "verify"]);
        assert_eq!(verdict["valid"], true, "{verdict}");
    }
    // A last block for whatever still waits.
    send(&node, &own, &to, "0.5", true).done();
    let expected = (sent + 1) as f64 / 2.0;
    has(&node, &[(&to, &expected.to_string())]);
}

#[test]
fn refusals_are_in_words_and_have_their_exit_codes() {
    let (_ring, mut node) = alone();
    let none = node.ask(&["ledger", "status"]);
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("ledger create"), "{none:?}");
    let own = new(&node);
    let _ = node.json(&["ledger", "create", "--address", &own]);
    let rows: &[(i32, &[&str], &str)] = &[
        (1, &["ledger", "create", "--address", &own], "there is a ledger already"),
        (2, &["wallet", "balance", "nonsense"], "not an address"),
        (2, &["wallet", "balance", "trial1qp5sez3punh6d9mwrxw7c29n2u9led8cscggkdkj"], "checksum"),
        (2, &["wallet", "send", "--to", &own, "--amount", "1,5"], "not an amount"),
        (2, &["wallet", "send", "--to", &own, "--amount", "1", "--mine"], "--from"),
        (2, &["ledger", "create", "--preset", "moon"], "preset"),
        (1, &["wallet", "send", "--to", &own, "--amount", "11"], "the wallet has 10, needs 11"),
        (1, &["wallet", "restore"], "never written over"),
    ];
    node.ask_with(
        "MESHLINE_WALLET_PHRASE",
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
    );
    for running in [false, true] {
        if running {
            node.start();
            node.wait_for("local API listening");
        } else {
            assert_eq!(node.ask(&["ledger", "mine", "on"]).code, Some(3));
        }
        for (code, words, said) in rows {
            let answer = node.ask(words);
            // A ledger that is there is noticed before its preset is read.
            let said = if words.contains(&"moon") { "" } else { said };
            let code = if words.contains(&"moon") { 1 } else { *code };
            assert_eq!(answer.code, Some(code), "running: {running}, {words:?}: {answer:?}");
            assert!(answer.stderr.contains(said), "running: {running}, {words:?}: {answer:?}");
        }
        let mut other = Member::new("node", node.config());
        other.ask_with(PASSPHRASE.0, "another");
        let wrong = other.ask(&["wallet", "list"]);
        assert_eq!(wrong.code, Some(1), "{wrong:?}");
        assert!(wrong.stderr.contains("the passphrase does not open the wallet file"), "{wrong:?}");
    }
}

#[test]
fn headers_of_bitcoin_are_judged_without_a_node() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("headers.bin");
    let real = include_bytes!("../../../ledger/tests/data/bitcoin-headers-0-438.bin");
    std::fs::write(&file, real).expect("written");
    let judge = |path: &Path| {
        let mut command = std::process::Command::new(meshline_lab::program("node"));
        command.args(["ledger", "verify-headers", "--json"]).arg(path);
        Answer::of(command)
    };
    let good: Value = serde_json::from_str(&judge(&file).done()).expect("JSON");
    assert_eq!((&good["count"], &good["fault"]), (&(real.len() / 80).into(), &Value::Null), "{good}");
    let mut broken = real.to_vec();
    broken[80 * 7 + 40] ^= 1;
    std::fs::write(&file, broken).expect("written");
    let answer = judge(&file);
    assert_eq!(answer.code, Some(1));
    let bad: Value = serde_json::from_str(&answer.stdout).expect("JSON");
    assert_eq!((&bad["count"], &bad["fault"]["height"]), (&7.into(), &7.into()), "{bad}");
}

#[test]
fn a_genesis_file_is_checked_and_handed_to_every_node() {
    let (ring, node) = alone();
    let own = new(&node);
    let made = node.json(&["ledger", "create", "--address", &own]);
    let genesis = text(&made, "genesis");
    let checked = ring.config_tool(&format!("check {genesis}")).done();
    assert!(checked.contains("genesis file of a ledger"), "{checked}");
    let others = Ring::write(&format!("--nodes 2 --no-signal --ledger {genesis}"));
    for number in [1, 2] {
        let status = others.node(number).json(&["ledger", "status"]);
        assert_eq!((&status["chain"], &status["height"]), (&made["chain"], &0.into()));
    }
    others.config_tool("check node-1.json node-2.json view.json").done();
    let view = std::fs::read_to_string(others.path().join("view.json")).expect("read");
    assert!(view.contains("genesis.json"), "{view}");
    let changed =
        std::fs::read_to_string(&genesis).expect("read").replace("\"subsidy\": \"10\"", "\"subsidy\": \"11\"");
    let bad = ring.path().join("bad.json");
    std::fs::write(&bad, changed).expect("written");
    let refused = ring.config_tool("check bad.json");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("a parameter was changed"), "{refused:?}");
}

#[test]
fn two_nodes_do_not_share_a_ledger() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let (mut first, mut second) = (ring.node(1), ring.node(2));
    first.ask_with(PASSPHRASE.0, PASSPHRASE.1);
    let genesis = text(&first.json(&["ledger", "create"]), "genesis");
    let folder = Path::new(&genesis).parent().expect("a folder");
    ring.configure(2, &serde_json::json!({"ledger": {"genesis": genesis, "data_dir": folder}}));
    first.start();
    first.wait_for("local API listening");
    second.start();
    assert_eq!(second.process_mut().wait(PATIENCE), Some(1));
    second.wait_for("another process runs with this data folder");
    // A command about the second one is told the same, and the first goes on.
    let refused = second.ask(&["ledger", "status"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("another process"), "{refused:?}");
    assert_eq!(first.json(&["ledger", "status"])["running"], true);
}
