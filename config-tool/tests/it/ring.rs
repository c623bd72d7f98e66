//! `config-tool ring`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use super::{Lab, every_file, stderr, stdout};

#[test]
fn a_ring_of_three_has_every_file_of_the_contract_and_all_are_valid() {
    let lab = Lab::new();
    let text = lab.done("ring --nodes 3 --dir ring");
    assert!(text.contains("ring/p1.sh") && text.contains("node status --config ring/node-1.json"), "{text}");
    let names = lab.names("ring");
    for name in [
        "network.json",
        "network.key",
        "network.seq",
        "members.json",
        "signal-server.json",
        "proxy.json",
        "view.json",
        "node-1.json",
        "node-2.json",
        "node-3.json",
        "p1.sh",
        "p2.sh",
        "p3.sh",
        "host-1",
        "host-2",
        "host-3",
    ] {
        assert!(names.contains(&name.to_owned()), "{name} is missing in {names:?}");
    }
    let mut check = lab.command("check");
    check.args(every_file(&lab.path("ring")).iter().filter(|path| path.extension().is_some_and(|end| end == "json")));
    let output = check.output().expect("it starts");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "", "no warnings");
    assert!(stdout(&output).lines().all(|line| line.starts_with("OK ")));
}

#[test]
fn keys_are_private_and_scripts_can_be_run() {
    let lab = Lab::new();
    lab.done("ring --nodes 2");
    for path in every_file(&lab.path("ring")) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let mode = fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        let expected = match name.rsplit('.').next() {
            Some("key" | "seq") => 0o600,
            Some("sh") => 0o755,
            _ => 0o644,
        };
        assert_eq!(mode, expected, "{}", path.display());
    }
}

#[test]
fn names_ports_and_pages_follow_the_number() {
    let lab = Lab::new();
    lab.done("ring --nodes 5");
    let nodes: Vec<Value> = (1..=5).map(|number| lab.json(&format!("ring/node-{number}.json"))).collect();
    let names: Vec<&str> = nodes.iter().filter_map(|node| node["name"].as_str()).collect();
    assert_eq!(names, ["bobby", "donald", "eddy", "peer-4", "peer-5"]);
    assert_eq!(nodes[4]["listen"], json!(["127.0.0.1:6005"]));
    assert_eq!(nodes[4]["http"], "127.0.0.1:7005");
    assert_eq!(nodes[4]["signal"], json!(["http://127.0.0.1:6000"]));
    assert_eq!(nodes[4]["proxies"], json!(["127.0.0.1:6100"]));
    assert_eq!(nodes[4]["topology"], "mesh");
    assert!(nodes.iter().all(|node| node.get("next").is_none() && node.get("peers").is_none()));
    assert_eq!(lab.json("ring/signal-server.json")["listen"], json!(["127.0.0.1:6000"]));
    let network = lab.json("ring/network.json");
    assert_eq!(network["network"], nodes[0]["network"]);
    assert_eq!(network["network"].as_str().map(str::len), Some(52));
    assert_eq!(network["members"], json!(names));
}

#[test]
fn a_ring_topology_closes_from_the_last_to_the_first() {
    let lab = Lab::new();
    lab.done("ring --nodes 3 --topology ring --no-signal");
    let next: Vec<Value> =
        (1..=3).map(|number| lab.json(&format!("ring/node-{number}.json"))["next"].clone()).collect();
    assert_eq!(next, ["127.0.0.1:6002", "127.0.0.1:6003", "127.0.0.1:6001"]);
    let first = lab.json("ring/node-1.json");
    assert!(first.get("signal").is_none() && first.get("peers").is_none() && first.get("proxies").is_none());
    assert!(!lab.names("ring").contains(&"signal-server.json".to_owned()));
}

#[test]
fn one_node_alone_is_a_network() {
    let lab = Lab::new();
    lab.done("ring --nodes 1 --topology ring");
    assert_eq!(lab.json("ring/node-1.json")["next"], "127.0.0.1:6001");
    lab.refused("ring --nodes 0 --dir other", 2);
}

#[test]
fn a_mesh_without_signal_server_knows_the_other_addresses() {
    let lab = Lab::new();
    lab.done("ring --nodes 20 --no-signal");
    assert_eq!(lab.json("ring/node-2.json")["peers"].as_array().map(Vec::len), Some(16));
    let peers = lab.json("ring/node-1.json")["peers"].clone();
    assert!(!peers.as_array().expect("a list").contains(&json!("127.0.0.1:6001")), "{peers}");
    assert_eq!(lab.json("ring/view.json")["peers"][0], "127.0.0.1:6001");
}

#[test]
fn each_host_gets_what_it_needs_and_no_key_of_another() {
    let lab = Lab::new();
    lab.done("ring --nodes 3 --hosts 10.0.0.1,10.0.0.2,c.lan --base-port 5000 --topology ring");
    assert_eq!(lab.json("ring/node-3.json")["listen"], json!(["c.lan:5002"]));
    assert_eq!(lab.json("ring/node-3.json")["http"], "127.0.0.1:7003");
    assert_eq!(lab.json("ring/node-2.json")["next"], "c.lan:5002");
    assert_eq!(lab.json("ring/node-2.json")["signal"], json!(["http://10.0.0.1:6000"]));
    assert_eq!(lab.names("ring/host-2"), ["node-2.json", "node-2.key", "node-2.membership.json", "p2.sh"]);
    let first = lab.names("ring/host-1");
    assert!(first.contains(&"signal-server.json".to_owned()) && first.contains(&"proxy.key".to_owned()), "{first:?}");
    assert!(!first.contains(&"network.key".to_owned()) && !first.contains(&"node-2.key".to_owned()), "{first:?}");
    lab.done("check ring/host-2/node-2.json");
}

#[test]
fn a_signal_server_on_a_host_of_its_own_has_its_own_folder() {
    let lab = Lab::new();
    lab.done("ring --nodes 2 --hosts 10.0.0.1,10.0.0.2 --signal-host 10.0.0.9 --signal-port 80");
    assert_eq!(lab.json("ring/node-1.json")["signal"], json!(["http://10.0.0.9:80"]));
    assert!(lab.names("ring/host-signal").contains(&"signal-server.json".to_owned()));
    assert!(!lab.names("ring/host-1").contains(&"signal-server.json".to_owned()));
}

#[test]
fn one_host_in_the_list_is_all_hosts_and_another_number_is_refused() {
    let lab = Lab::new();
    lab.done("ring --nodes 2 --hosts ::1");
    assert_eq!(lab.json("ring/node-2.json")["listen"], json!(["[::1]:6002"]));
    let message = lab.refused("ring --nodes 3 --hosts a,b --dir other", 2);
    assert!(message.contains("found 2 hosts, expected 3"), "{message}");
    lab.refused("ring --nodes 1 --hosts a --host b --dir other", 2);
    lab.refused("ring --nodes 1 --host not/a/host --dir other", 2);
}

#[test]
fn all_interfaces_is_a_warning_and_leaves_next_and_peers_out() {
    let lab = Lab::new();
    for (dir, more) in [("a", "--topology ring"), ("b", "--no-signal"), ("c", "")] {
        let output = lab.run(&format!("ring --nodes 3 --host 0.0.0.0 --dir {dir} {more}"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("warning: 3 of 3 nodes listen on all interfaces"), "{}", stderr(&output));
        let node = lab.json(&format!("{dir}/node-1.json"));
        assert_eq!(node["listen"], json!(["0.0.0.0:6001"]));
        assert!(node.get("next").is_none() && node.get("peers").is_none(), "{node}");
        lab.done(&format!("check {dir}/node-1.json {dir}/proxy.json {dir}/view.json"));
    }
}

#[test]
fn names_must_be_one_for_each_node_and_valid() {
    let lab = Lab::new();
    lab.done("ring --nodes 2 --names anna,Борис");
    assert_eq!(lab.json("ring/node-2.json")["name"], "Борис");
    for (names, complaint) in
        [("a,b,c", "found 3 names, expected 2"), ("a,a", "found \"a\" twice"), ("a,b~c", "not a name")]
    {
        let message = lab.refused(&format!("ring --nodes 2 --dir other --names {names}"), 2);
        assert!(message.contains(complaint), "{message}");
    }
    assert!(!lab.path("other").exists(), "a mistake leaves nothing behind");
    lab.done("ring --nodes 2 --dir third --names proxy,view");
    assert_eq!(lab.json("third/proxy.json")["name"], "proxy-2");
}

#[test]
fn an_open_network_is_a_name_and_asks_for_no_membership() {
    let lab = Lab::new();
    lab.done("ring --nodes 2 --open --host 10.0.0.1");
    let node = lab.json("ring/node-1.json");
    assert!(node["network"].as_str().expect("a name").starts_with("ring-"), "{node}");
    assert_eq!(node["open"], true);
    assert!(node.get("membership").is_none());
    assert_eq!(lab.mode("ring/network.key"), 0o600);
    lab.done("check ring/node-1.json ring/node-2.json ring/proxy.json ring/view.json ring/network.json");
    lab.done("ring --nodes 1 --open --network-name lab --dir named");
    assert_eq!(lab.json("named/node-1.json")["network"], "lab");
    assert!(lab.json("named/node-1.json").get("open").is_none(), "on loopback nothing needs to be permitted");
}

#[test]
fn a_folder_with_something_in_it_is_left_alone_without_force() {
    let lab = Lab::new();
    fs::create_dir(lab.path("empty")).expect("writable");
    lab.done("ring --nodes 1 --dir empty");
    let before = lab.read("empty/network.key");
    let message = lab.refused("ring --nodes 1 --dir empty", 2);
    assert!(message.contains("empty is not empty") && message.contains("--force"), "{message}");
    assert_eq!(lab.read("empty/network.key"), before);
    lab.write("empty/mine.txt", "mine");
    lab.done("ring --nodes 1 --dir empty --force");
    assert_ne!(lab.read("empty/network.key"), before);
    assert_eq!(lab.read("empty/mine.txt"), "mine");
}

#[test]
fn two_programs_never_share_an_address() {
    let lab = Lab::new();
    let message = lab.refused("ring --nodes 3 --signal-port 6002", 2);
    assert!(message.contains("the signal server and node 2 would both be on 127.0.0.1:6002"), "{message}");
    lab.refused("ring --nodes 3 --http-base-port 6003", 2);
    lab.refused("ring --nodes 3 --base-port 65534", 2);
    lab.refused("ring --nodes 3 --proxy-port 7001", 2);
    lab.done("ring --nodes 5 --base-port 6096");
    assert_eq!(lab.json("ring/proxy.json")["listen"], json!(["127.0.0.1:6101"]));
    lab.done("ring --nodes 4 --base-port 6096 --dir below");
    assert_eq!(lab.json("below/proxy.json")["listen"], json!(["127.0.0.1:6100"]));
    lab.done("ring --nodes 1 --base-port 6200 --dir above");
    assert_eq!(lab.json("above/proxy.json")["listen"], json!(["127.0.0.1:6100"]));
}

#[test]
fn flags_can_come_from_the_environment() {
    let lab = Lab::new();
    let output =
        lab.command("ring --json").env("MESHLINE_NODES", "2").env("MESHLINE_NAMES", "x,y").output().expect("it starts");
    let report: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(report["schema"], "meshline/ring/1");
    assert_eq!(report["nodes"][1]["name"], "y");
    assert_eq!(report["nodes"][1]["config"], "ring/node-2.json");
}

/// A stand-in for the node program that prints its arguments.
fn stand_in(lab: &Lab) {
    let tool = lab.path("bin/config-tool");
    fs::create_dir(lab.path("bin")).expect("writable");
    fs::copy(env!("CARGO_BIN_EXE_config-tool"), &tool).expect("copied");
    lab.write("bin/node", "#!/bin/sh\necho \"node $*\"\n");
    fs::set_permissions(lab.path("bin/node"), fs::Permissions::from_mode(0o755)).expect("settable");
}

#[test]
fn a_script_starts_the_node_beside_the_tool_from_any_folder() {
    let lab = Lab::new();
    stand_in(&lab);
    let made = Command::new(lab.path("bin/config-tool"))
        .args(["ring", "--topology", "ring", "--dir", "my ring's"])
        .current_dir(lab.path(""))
        .output();
    assert!(made.expect("it starts").status.success());
    let script = lab.path("my ring's/p1.sh");
    let output = Command::new(&script).args(["--console", "a b"]).current_dir("/").output().expect("it starts");
    let config = lab.path("my ring's/node-1.json").canonicalize().expect("there");
    assert_eq!(
        stdout(&output),
        format!("Starting peer 1 (6001 -> 6002)\nnode run --config {} --console a b\n", config.display())
    );
}

#[test]
fn a_script_falls_back_to_the_path_and_knows_node_js() {
    let lab = Lab::new();
    lab.done("ring --nodes 1");
    stand_in(&lab);
    let run = |path: &str| Command::new(lab.path("ring/p1.sh")).env("PATH", path).output().expect("it starts");
    // The tool under test may have a node program beside it; the script must not find that one here.
    let text = lab.read("ring/p1.sh");
    let line = text.lines().find(|line| line.starts_with("node=")).expect("there").to_owned();
    lab.write("ring/p1.sh", &text.replace(&line, "node='/nonexistent/node'"));
    let path = format!("{}:/usr/bin:/bin", lab.path("bin").display());
    assert!(stdout(&run(&path)).starts_with("Starting peer 1 (6001)\nnode run --config "));
    lab.write("bin/node", "#!/bin/sh\necho v20.1.0\n");
    let output = run(&path);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is Node.js"), "{}", stderr(&output));
}
