//! Five hosts with a cable each, and what happens when one is cut so that nobody hears of it.

use std::time::{Duration, Instant};

use meshline_lab::{Lab, Member, Ring, Site, within};

use crate::all_linked;

/// Idle links ask every 15 s and are dead 6.5 s after an ask that nobody answers; the rest is for a busy machine.
const SILENT_CUT: Duration = Duration::from_millis(21_500 + 2_500);

fn five_sites() -> Option<Vec<Site>> {
    let lab = Lab::new()?;
    Some((0..5).map(|_| lab.site()).collect())
}

#[test]
fn a_mesh_on_five_hosts_outlives_a_cut_cable() {
    let Some(sites) = five_sites() else { return };
    let ring = Ring::write_on(&sites, &sites[0], "");
    let _signal = ring.start_signal();
    let nodes = ring.start(5);
    all_linked(&nodes);
    nodes[0].chat_to("all five", 4);
    let begin = Instant::now();
    sites[2].cut();
    for node in nodes.iter().filter(|node| node.name() != "eddy") {
        lost(node, "eddy", SILENT_CUT.saturating_sub(begin.elapsed()));
    }
    within(SILENT_CUT.saturating_sub(begin.elapsed()), "eddy is alone", || {
        let linked = nodes[2].linked();
        if linked.is_empty() { Ok(()) } else { Err(format!("{linked:?}")) }
    });
    nodes[1].chat_to("without eddy", 3);
    sites[2].mend();
    all_linked(&nodes);
    nodes[2].chat_to("eddy is back", 4);
}

#[test]
fn a_ring_on_five_hosts_outlives_a_cut_cable() {
    let Some(sites) = five_sites() else { return };
    let ring = Ring::write_on(&sites, &sites[0], "--topology ring --no-signal");
    let nodes = ring.start(5);
    for node in &nodes {
        node.wait_for_ring(5);
    }
    sites[2].cut();
    lost(&nodes[3], "eddy", SILENT_CUT);
    for node in nodes.iter().filter(|node| node.name() != "eddy") {
        node.wait_for_ring(4);
    }
    nodes[4].chat_to("without eddy", 3);
    sites[2].mend();
    for node in &nodes {
        node.wait_for_ring(5);
    }
    nodes[2].chat_to("eddy is back", 4);
}

/// Waits until a node has no link to another.
#[track_caller]
fn lost(node: &Member, name: &str, limit: Duration) {
    within(limit, &format!("{} has no link to {name}", node.name()), || {
        let linked = node.linked();
        if linked.iter().any(|linked| linked == name) { Err(format!("{linked:?}")) } else { Ok(()) }
    });
}
