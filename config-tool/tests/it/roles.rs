//! One role alone.

use serde_json::{Value, json};

use super::Lab;

#[test]
fn members_made_with_the_network_key_are_ready_to_start() {
    let lab = Lab::new();
    lab.done("network --out network.json");
    for (role, name) in [("node", "bobby"), ("view", "watcher"), ("proxy", "relay")] {
        lab.done(&format!("{role} --out {role}.json --name {name} --network-key network.key --signal http://h:6000"));
        lab.done(&format!("check {role}.json {role}.membership.json"));
        assert_eq!(lab.mode(&format!("{role}.key")), 0o600);
        assert_eq!(lab.json(&format!("{role}.json"))["signal"], json!(["http://h:6000"]));
    }
    assert_eq!(lab.json("members.json")["members"].as_array().map(Vec::len), Some(3));
    assert!(lab.json("view.json").get("listen").is_none());
    let message = lab.refused("node --out node-2.json --name bobby --network-key network.key", 5);
    assert!(message.contains("the name \"bobby\" belongs to"), "{message}");
}

#[test]
fn a_member_without_the_network_key_is_told_to_join() {
    let lab = Lab::new();
    let id = "a".repeat(52);
    let text = lab.done(&format!("node --out node.json --name bobby --network {id}"));
    assert!(text.contains("node join --config node.json"), "{text}");
    assert!(!lab.path("node.key").exists(), "the key is made where it is used");
}

#[test]
fn an_open_node_stays_on_loopback_unless_it_is_opened() {
    let lab = Lab::new();
    lab.done("node --out a.json --name a --network lab");
    let message = lab.refused("node --out b.json --name b --network lab --listen 10.0.0.1:6001", 2);
    assert!(message.contains("/listen/0: found \"10.0.0.1:6001\" on the open network \"lab\""), "{message}");
    assert!(!lab.path("b.json").exists());
    lab.done(
        "node --out b.json --name b --network lab --listen 10.0.0.1:6001 --open --topology ring --next 10.0.0.2:6001",
    );
    assert_eq!(lab.json("b.json")["next"], "10.0.0.2:6001");
    lab.done("check a.json b.json");
}

#[test]
fn a_signal_server_has_its_addresses_and_networks() {
    let lab = Lab::new();
    let report: Value =
        serde_json::from_str(&lab.done("signal-server --out s.json --listen 0.0.0.0:80 --network lab --json"))
            .expect("JSON");
    assert_eq!(report["schema"], "meshline/config/1");
    assert_eq!(lab.json("s.json"), json!({ "listen": ["0.0.0.0:80"], "networks": ["lab"] }));
    lab.done("check --role signal-server s.json");
    assert!(lab.refused("signal-server --out s.json", 2).contains("--force"));
}

#[test]
fn wrong_usage_is_exit_2() {
    let lab = Lab::new();
    for line in
        ["", "nonsense", "node --out a.json --name a", "node --out a.json --name a~b --network lab", "ring --nodes x"]
    {
        lab.refused(line, 2);
    }
}
