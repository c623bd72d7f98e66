//! Joining by request and invitation, and what a revocation ends, with the real command line.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use meshline_lab::{Member, Ring, until, within};

use crate::all_linked;

/// A node made on its own host: its private key never leaves it.
fn newcomer(ring: &Ring) -> Member {
    std::fs::create_dir(ring.path().join("own")).expect("writable");
    let network = std::fs::read_to_string(ring.path().join("network.json")).expect("written");
    let network: serde_json::Value = serde_json::from_str(&network).expect("JSON");
    let (listen, http, peer) = (ring.port(10), ring.port(30), ring.port(1));
    ring.config_tool(&format!(
        "node --out own/dan.json --name dan --network {} --listen 127.0.0.1:{listen} --http 127.0.0.1:{http} --peer \
         127.0.0.1:{peer}",
        network["network"].as_str().expect("an id"),
    ))
    .done();
    Member::new("node", ring.path().join("own/dan.json"))
}

fn file(ring: &Ring, name: &str) -> String {
    let path: PathBuf = ring.path().join(name);
    path.to_string_lossy().into_owned()
}

#[test]
fn who_is_invited_joins_and_who_is_revoked_stays_out() {
    let ring = Ring::write("--nodes 3");
    let mut signal = ring.start_signal();
    let mut nodes = ring.start(3);
    all_linked(&nodes);
    let mut dan = newcomer(&ring);
    dan.ask(&["join", "--out", &file(&ring, "own/request.json")]).done();
    ring.config_tool("invite own/request.json --out invitation.json").done();
    dan.ask(&["apply", &file(&ring, "invitation.json")]).done();
    dan.start();
    dan.wait_until_linked_to(&["bobby", "donald", "eddy"]);
    dan.chat_to("thank you", 3);

    ring.config_tool("revoke dan --out revocation.json").done();
    let begin = Instant::now();
    nodes[2].ask(&["apply", &file(&ring, "revocation.json")]).done();
    for node in &nodes {
        let left = Duration::from_secs(5).saturating_sub(begin.elapsed());
        within(left, "dan is gone", || match node.linked().iter().any(|name| name == "dan") {
            false => Ok(()),
            true => Err(format!("{} is linked to it", node.name())),
        });
    }
    refused(&mut dan, &nodes);
    // A restart forgets none of it, at either end, with the signal server or without.
    signal.kill();
    for node in &mut nodes {
        node.process_mut().terminate();
        node.start();
    }
    all_linked(&nodes);
    refused(&mut dan, &nodes);
    nodes[0].chat_to("among ourselves", 2);
}

/// Starts it again; all it gets is the reason.
#[track_caller]
fn refused(dan: &mut Member, nodes: &[Member]) {
    dan.process_mut().kill();
    dan.start();
    let refused = |node: &Member| node.status()["refused"]["revoked"].as_u64().unwrap_or(0);
    let before: u64 = nodes.iter().map(refused).sum();
    until("dan is refused by name", || {
        let now: u64 = nodes.iter().map(refused).sum();
        if now > before { Ok(()) } else { Err(format!("{now} refusals")) }
    });
    dan.wait_for("revoked");
    assert_eq!(dan.linked(), [""; 0]);
}
