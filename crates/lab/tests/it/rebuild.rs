//! Six real nodes with four links at most choose their links anew at one instant, by hand, while people write and
//! something goes through a tunnel.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use meshline_lab::{Member, PATIENCE, Ring, until};
use serde_json::{Value, json};

const NODES: u16 = 6;

/// Links of a node.
const LINKS: u64 = 4;

/// More for the moment.
const EXTRA: u64 = 2;

/// Sends back whatever comes, to one client after the other.
fn echo(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(mut reader) = stream.try_clone() else { continue };
            let _ = std::io::copy(&mut reader, &mut stream);
        }
    });
}

/// Numbers through a tunnel and back, one after the other, until it is told to stop: how many.
fn count_through(port: u16, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the forward listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut count = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            let mut block = [0; 4096];
            block[..8].copy_from_slice(&count.to_be_bytes());
            stream.write_all(&block).expect("the tunnel goes on");
            let mut back = [0; 4096];
            stream.read_exact(&mut back).expect("the tunnel goes on");
            assert_eq!(back, block, "after {count}");
            count += 1;
        }
        count
    })
}

#[track_caller]
fn until_all(nodes: &[Member], what: &str, holds: impl Fn(&Value) -> bool) {
    for node in nodes {
        until(&format!("{}: {what}", node.name()), || {
            let status = node.try_json(&["status"])?;
            let links = status["links"].as_array().map_or(0, Vec::len) as u64;
            assert!(links <= LINKS + EXTRA, "{} has {links} links", node.name());
            if holds(&status) { Ok(()) } else { Err(format!("{} {}", status["rebuild"], status["limits"])) }
        });
    }
}

/// Says something. Those linked with it answer for it; how many these are changes all the time here.
#[track_caller]
fn say(node: &Member, text: &str) {
    let said = node.ask(&["chat", "send", text]).done();
    assert!(said.starts_with("delivered to "), "{}: {text:?}: {said}", node.name());
}

#[test]
fn six_nodes_choose_their_links_anew_by_hand_while_people_write_and_a_tunnel_is_in_use() {
    let ring = Ring::write("--nodes 6");
    let _signal = ring.start_signal();
    let (server, forward) = (ring.port(15), ring.port(16));
    for number in 1..=NODES {
        ring.configure(number, &json!({"max_links": LINKS, "peers": [], "next": null}));
    }
    let target = format!("tcp://127.0.0.1:{server}");
    ring.configure(4, &json!({"expose": [{"name": "echo", "target": target, "allow": ["*"]}]}));
    let listen = format!("tcp://127.0.0.1:{forward}");
    ring.configure(1, &json!({"forwards": [{"listen": listen, "peer": "peer-4", "target": target}]}));
    echo(server);
    let nodes = ring.start(NODES);
    until_all(&nodes, "it has a few links of its own choice", |status| {
        status["limits"]["link_set"]["bounded"] == true && status["limits"]["members"] == NODES
    });
    until("a way leads to the far end of the tunnel", || {
        let routes = nodes[0].try_json(&["routes"])?;
        let rows = routes["routes"].as_array().cloned().unwrap_or_default();
        if rows.iter().any(|row| row["name"] == "peer-4") { Ok(()) } else { Err(routes.to_string()) }
    });
    say(&nodes[0], "before");

    let stop = Arc::new(AtomicBool::new(false));
    let counting = count_through(forward, Arc::clone(&stop));
    let key = "--network-key network.key";
    ring.config_tool(&format!("rebuild --at now+8s {key} --out rebuild.json --reason moved")).done();
    let file = ring.path().join("rebuild.json").to_string_lossy().into_owned();
    assert!(nodes[2].ask(&["apply", &file]).done().contains("rebuild taken in and passed on"));
    assert!(nodes[4].ask(&["apply", &file]).code == Some(0), "whoever knows it says so");
    until_all(&nodes, "all are known to have it", |status| {
        let rebuild = &status["rebuild"];
        rebuild["known_by"] == NODES && rebuild["of"] == NODES && rebuild["reason"] == "moved"
    });
    // A second one while the first is planned, and one by somebody else.
    ring.config_tool(&format!("rebuild --at now+40s {key} --out second.json")).done();
    let second = ring.path().join("second.json").to_string_lossy().into_owned();
    let refused = nodes[1].ask(&["apply", &second]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("another rebuild stands"), "{refused:?}");
    std::fs::create_dir(ring.path().join("other")).expect("writable");
    ring.config_tool("network --out other/network.json").done();
    ring.config_tool("rebuild --at now+40s --network-key other/network.key --out foreign.json").done();
    let foreign = ring.path().join("foreign.json").to_string_lossy().into_owned();
    assert_eq!(nodes[1].ask(&["apply", &foreign]).code, Some(5));

    for (turn, node) in nodes.iter().cycle().take(12).enumerate() {
        say(node, &format!("meanwhile {turn}"));
    }
    until_all(&nodes, "it is done", |status| status["rebuild"]["state"] == "done");
    say(&nodes[5], "after");
    stop.store(true, Ordering::Relaxed);
    let count = counting.join().expect("the tunnel went on");
    assert!(count > 0);
    for node in &nodes {
        let status = node.status();
        println!("{}: {} µs late, ± {}", node.name(), status["rebuild"]["late_us"], status["rebuild"]["error_us"]);
        assert_eq!((&status["rebuild"]["done"], &status["rebuild"]["skipped"]), (&json!(1), &json!(0)));
        for text in (0..12).map(|turn| format!("meanwhile {turn}")).chain(["before".to_owned(), "after".to_owned()]) {
            node.read(&text);
        }
    }
    println!("{count} blocks through the tunnel meanwhile");
}
