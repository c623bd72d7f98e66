//! A mesh of five on this machine: it finds itself through the signal server, and needs it no more once it knows itself.

use std::time::Duration;

use meshline_lab::{Member, Ring, soak, until};

use crate::all_linked;

fn size() -> u16 {
    if soak() { 16 } else { 5 }
}

#[test]
fn nodes_find_each_other_through_the_signal_server_and_chat() {
    let ring = Ring::write(&format!("--nodes {}", size()));
    let _signal = ring.start_signal();
    let mut nodes = ring.start(size());
    all_linked(&nodes);
    for node in &nodes {
        let text = format!("hello from {}", node.name());
        node.chat_to(&text, nodes.len() - 1);
        for other in &nodes {
            assert_eq!(other.read(&text)["name"], node.name());
        }
    }
    for node in &mut nodes {
        assert!(node.process_mut().terminate() < Duration::from_secs(5));
        node.wait_for("Server is shutting down");
    }
}

#[test]
fn a_mesh_survives_the_kill_of_any_node_and_of_the_signal_server() {
    let ring = Ring::write("--nodes 5");
    let mut signal = ring.start_signal();
    let mut nodes = ring.start(5);
    all_linked(&nodes);
    for victim in 0..5 {
        if victim == 2 {
            signal.kill();
        }
        kill_and_return(&mut nodes, victim);
    }
    // All at once, and nobody but the disk to say who the others are.
    for node in &mut nodes {
        node.process_mut().kill();
    }
    for node in &mut nodes {
        node.start();
    }
    all_linked(&nodes);
    nodes[4].chat_to("without a signal server", 4);
}

fn kill_and_return(nodes: &mut [Member], victim: usize) {
    nodes[victim].process_mut().kill();
    let name = nodes[victim].name().to_owned();
    let names: Vec<String> = nodes.iter().map(|node| node.name().to_owned()).collect();
    for node in nodes.iter().filter(|node| node.name() != name) {
        let left: Vec<&str> =
            names.iter().map(String::as_str).filter(|other| *other != name && *other != node.name()).collect();
        node.wait_until_linked_to(&left);
        // The others say in the same moment that they have no link to it either.
        until("nobody has a way to it", || match &node.peer(&name).expect("it is known for good")["reachable"] {
            reachable if reachable == false => Ok(()),
            other => Err(other.to_string()),
        });
    }
    nodes[(victim + 1) % 5].chat_to(&format!("without {name}"), 3);
    nodes[victim].start();
    all_linked(nodes);
    nodes[victim].chat_to(&format!("{name} is back"), 4);
}
