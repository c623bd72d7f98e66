//! Ways to build and to watch worlds.

use meshline_mesh::{Config, Event, Topology};
use meshline_protocol::message::Echo;
use meshline_protocol::{Code, Message};
use meshline_sim::invariants::Broken;
use meshline_sim::{MS, Pair, Puppet, SIGNAL, World, address};

/// Adds `count` nodes that know the signal server, not started.
pub(crate) fn add_by_signal(world: &mut World, count: usize) {
    for _ in 0..count {
        world.add(|config| config.signal = vec![SIGNAL.to_owned()]);
    }
}

/// Adds `count` nodes that know node 0, not started.
pub(crate) fn add_by_first(world: &mut World, count: usize) {
    for node in 0..count {
        world.add(|config| config.peers = (node > 0).then(|| address(0)).into_iter().collect());
    }
}

/// Settings of a node on a ring with the next one's address.
pub(crate) fn on_ring(config: &mut Config, next: usize) {
    config.topology = Topology::Ring;
    config.next = Some(address(next));
}

/// Adds a ring of `count` nodes, not started.
pub(crate) fn add_ring(world: &mut World, count: usize) {
    for node in 0..count {
        world.add(|config| on_ring(config, (node + 1) % count));
    }
}

/// Virtual microseconds as seconds.
pub(crate) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Runs until an invariant holds; the time it took.
pub(crate) fn settle(world: &mut World, limit: u64, mut check: impl FnMut(&mut World) -> Result<(), Broken>) -> u64 {
    let took = world.run_until(limit, 20 * MS, |world| check(world).is_ok());
    match took {
        Some(took) => took,
        None => panic!("after {} s: {}", seconds(limit), check(world).expect_err("it did not hold")),
    }
}

/// The refusals a node told, and whether the other side refused.
pub(crate) fn refusals(world: &World, node: usize) -> Vec<(Code, bool)> {
    let refusal = |event: &Event| match event {
        Event::Refused { code, by_them, .. } => Some((*code, *by_them)),
        _ => None,
    };
    world.mesh_events(node).filter_map(refusal).collect()
}

/// The links a node told it lost, with the reasons.
pub(crate) fn lost_links(world: &World, node: usize) -> Vec<Code> {
    let lost = |event: &Event| match event {
        Event::LinkDown { code, .. } => Some(*code),
        _ => None,
    };
    world.mesh_events(node).filter_map(lost).collect()
}

/// A puppet that is linked with node 0 of a pair.
pub(crate) fn linked_puppet(seed: u64) -> (Pair, Puppet) {
    let mut pair = Pair::linked(seed);
    let puppet = link(&mut pair);
    (pair, puppet)
}

/// Another puppet that is linked with node 0.
pub(crate) fn link(pair: &mut Pair) -> Puppet {
    let puppet = pair.puppet(0);
    let hello = pair.puppet_hello(&puppet.key);
    pair.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    pair.run_for(100 * MS);
    // Any message after the hellos shows that we accepted.
    pair.puppet_send(&puppet, Message::Ping(Echo { nonce: 1, text: String::new() }));
    pair.run_for(100 * MS);
    puppet
}

/// What node 0 told that others did wrong.
pub(crate) fn misbehaved(world: &World) -> Vec<Code> {
    let code = |event: &Event| match event {
        Event::Misbehaved { code, .. } => Some(*code),
        _ => None,
    };
    world.mesh_events(0).filter_map(code).collect()
}
