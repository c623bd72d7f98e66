//! What must hold. That no broadcast is delivered twice, that no node links to itself and that no timer spins is
//! checked by the world at every step; what is here holds whenever the network is quiet.

use std::collections::{BTreeMap, BTreeSet};

use meshline_mesh::Transport;
use meshline_protocol::NodeId;

use crate::world::World;

/// What does not hold, in a sentence.
pub type Broken = String;

fn require(holds: bool, broken: impl FnOnce() -> Broken) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(broken()) }
}

/// Every link is known at both its ends, once, and nobody is linked with itself.
///
/// # Errors
/// The first link that is not.
pub fn links_agree(world: &mut World) -> Result<(), Broken> {
    let nodes = world.running();
    let mut rows: BTreeMap<(NodeId, NodeId), &'static str> = BTreeMap::new();
    for node in nodes {
        let status = world.status(node);
        for link in &status.links {
            require(link.peer != status.id, || format!("node {node} is linked with itself"))?;
            let first = rows.insert((status.id, link.peer), link.transport).is_none();
            require(first, || format!("node {node} has two links to {}", link.name))?;
        }
    }
    for ((from, to), transport) in &rows {
        let back = rows.get(&(*to, *from));
        require(back == Some(transport), || format!("{from:?} has a {transport} link to {to:?}, which has {back:?}"))?;
    }
    Ok(())
}

/// Every node that runs knows every other one that runs.
///
/// # Errors
/// The first that does not.
pub fn everyone_knows_everyone(world: &mut World) -> Result<(), Broken> {
    let nodes = world.running();
    for node in &nodes {
        let known: BTreeSet<NodeId> =
            world.peers(*node).into_iter().filter(|row| !row.left).map(|row| row.id).collect();
        for other in nodes.iter().filter(|other| *other != node) {
            require(known.contains(&world.id(*other)), || format!("node {node} does not know node {other}"))?;
        }
    }
    Ok(())
}

/// Every pair of nodes that run is linked, directly.
///
/// # Errors
/// The first pair that is not.
pub fn full_mesh(world: &mut World) -> Result<(), Broken> {
    let nodes = world.running();
    // What the events told comes first: it costs nothing.
    for node in &nodes {
        let (links, others) = (world.links(*node), nodes.len().saturating_sub(1));
        require(links >= others, || format!("node {node} has {links} links, not {others}"))?;
    }
    for node in &nodes {
        let links = world.status(*node).links;
        for other in nodes.iter().filter(|other| *other != node) {
            let id = world.id(*other);
            let direct = |link: &&meshline_mesh::LinkRow| link.peer == id && link.transport != Transport::Relay.name();
            require(links.iter().any(|link| direct(&link)), || format!("node {node} is not linked with node {other}"))?;
        }
    }
    links_agree(world)
}

/// These nodes, in this order, are a closed ring and know it.
///
/// # Errors
/// The first node that is not in its place.
pub fn ring(world: &mut World, order: &[usize]) -> Result<(), Broken> {
    let length = order.len();
    for (place, node) in order.iter().enumerate() {
        let neighbour = |step: usize| order.get((place + step) % length).map(|node| world.id(*node));
        let (next, previous) = (neighbour(1).filter(|_| length > 1), neighbour(length - 1).filter(|_| length > 1));
        let Some(report) = world.status(*node).ring else { return Err(format!("node {node} has no ring")) };
        require(report.next == next, || format!("node {node} has successor {:?}, not {next:?}", report.next))?;
        require(report.previous == previous, || {
            format!("node {node} has predecessor {:?}, not {previous:?}", report.previous)
        })?;
        let alone = length == 1;
        require(report.complete || alone, || format!("node {node} does not know that the ring is closed"))?;
        require(report.length == length, || format!("node {node} counts {} members, not {length}", report.length))?;
    }
    Ok(())
}

/// The order in which the nodes that run follow each other, from the first; an error unless it is one cycle of all.
///
/// # Errors
/// Where the cycle breaks.
pub fn ring_order(world: &mut World, members: &[usize]) -> Result<Vec<usize>, Broken> {
    let Some(first) = members.first().copied() else { return Ok(Vec::new()) };
    let mut order = vec![first];
    while members.len() > 1 {
        let last = order.last().copied().unwrap_or(first);
        let next = world.status(last).ring.and_then(|ring| ring.next).and_then(|id| world.index(id));
        match next {
            Some(next) if next == first => break,
            Some(next) if order.contains(&next) => return Err(format!("the ring loops back to node {next}")),
            Some(next) => order.push(next),
            None => return Err(format!("node {last} has no successor")),
        }
    }
    require(order.len() == members.len(), || format!("the ring {order:?} leaves out some of {members:?}"))?;
    Ok(order)
}

/// All these nodes are one closed ring, in whatever order.
///
/// # Errors
/// As [`ring`] and [`ring_order`].
pub fn one_ring(world: &mut World, members: &[usize]) -> Result<(), Broken> {
    let order = ring_order(world, members)?;
    ring(world, &order)
}

/// Every one of these nodes but the author was told a text exactly once.
///
/// # Errors
/// The first that was not.
pub fn heard_once(world: &World, author: usize, text: &str, members: &[usize]) -> Result<(), Broken> {
    for node in members.iter().filter(|node| **node != author) {
        let times = world.times_heard(*node, text);
        require(times == 1, || format!("node {node} was told {text:?} {times} times"))?;
    }
    Ok(())
}

/// Events waiting and connections stay in proportion to the nodes and links there are.
///
/// # Errors
/// What grew beyond that.
pub fn bounded(world: &World) -> Result<(), Broken> {
    let (due, connections) = world.load();
    let links: usize = world.running().into_iter().map(|node| world.links(node)).sum();
    let nodes = world.len();
    require(connections <= links + 4 * nodes, || format!("{connections} connections for {links} links"))?;
    require(due <= 4 * links + 16 * nodes, || format!("{due} events wait in a quiet network of {nodes} nodes"))
}
