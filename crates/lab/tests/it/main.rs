//! Tests with real processes, on this machine and on hosts made of network namespaces.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on stops")]

mod bad_input;
mod by_hand;
mod cable;
mod clock;
mod contract;
mod disk;
mod faults;
mod generated;
mod history;
mod hosts;
mod lan;
mod ledger;
mod ledger_faults;
mod ledger_light;
mod ledger_mesh;
mod ledger_tutorial;
mod measured;
mod membership;
mod mesh;
mod nat;
mod rebuild;
mod relay;
mod routes;
mod seed;
mod services;
mod topics;
mod topologies;
mod tunnels;
mod twice;
mod via;
mod view;
mod watch;

use meshline_lab::Member;

/// Waits until every pair is linked.
#[track_caller]
fn all_linked(nodes: &[Member]) {
    let names: Vec<&str> = nodes.iter().map(Member::name).collect();
    for node in nodes {
        let others: Vec<&str> = names.iter().copied().filter(|name| *name != node.name()).collect();
        node.wait_until_linked_to(&others);
    }
}
