//! That a search which ends at its goal finds what one of the whole network finds.

use meshline_protocol::message::{AdvertisedLink, LinkState, RecordText};
use meshline_protocol::{Bounded, NodeId, UnixMicros};

use super::*;

const MEMBERS: u64 = 40;

fn id(number: u64) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// A network by chance, in which every fifth member carries nothing and many ways cost the same.
fn network(seed: u64) -> Graph {
    let draw = |one: u64, other: u64| {
        let mixed = ((seed << 32) ^ (one.min(other) << 16) ^ one.max(other)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
    };
    let state = |one: u64| {
        let linked = (0..MEMBERS).filter(|other| *other != one && draw(one, *other).is_multiple_of(8));
        let link = |other| AdvertisedLink {
            peer: id(other),
            rtt_us: 10_000 * (1 + u32::try_from(draw(one, other) / 8 % 4).unwrap()),
            jitter_us: 0,
            loss_ppm: 0,
            goodput_kbps: 0,
            weight: 100,
        };
        LinkState {
            kind: LinkState::TYPE.to_owned(),
            network: "lab".parse().unwrap(),
            seq: UnixMicros::new(1),
            expires: UnixMicros::new(2),
            carries: one % 5 != 4,
            links: Bounded::from_first(linked.map(link)),
        }
    };
    let states: Vec<(NodeId, LinkState)> = (0..MEMBERS).map(|one| (id(one), state(one))).collect();
    Graph::new(states.iter().map(|(id, state)| (*id, state)))
}

/// Ways found by looking at the whole network each time.
fn slowly(graph: &Graph, from: usize, to: usize, count: usize) -> Vec<Vec<usize>> {
    let (mut found, mut avoided) = (Vec::<Vec<usize>>::new(), vec![false; graph.len()]);
    while found.len() < count {
        let cut = found.iter().any(|path| path.len() == 1).then_some(to);
        let Some(path) = settled(graph, from, &avoided, cut).get(to).cloned().flatten() else { break };
        if found.contains(&path) {
            break;
        }
        path.iter().filter(|at| **at != to).for_each(|at| avoided[*at] = true);
        found.push(path);
    }
    found
}

/// The best ways to all, without a heap: the nearest member that is not settled yet, by cost and number, comes next.
fn settled(graph: &Graph, from: usize, avoided: &[bool], cut: Option<usize>) -> Vec<Option<Vec<usize>>> {
    let mut known: Vec<Option<(u64, Vec<usize>)>> = vec![None; graph.len()];
    let mut is_settled = vec![false; graph.len()];
    known[from] = Some((0, Vec::new()));
    let nearest = |known: &[Option<(u64, Vec<usize>)>], is_settled: &[bool]| {
        let open = (0..known.len()).filter(|at| !is_settled[*at]);
        open.filter_map(|at| Some((known[at].as_ref()?.0, at))).min()
    };
    while let Some((cost, at)) = nearest(&known, &is_settled) {
        is_settled[at] = true;
        if at != from && !graph.carries(at) {
            continue;
        }
        let way = known[at].clone().unwrap().1;
        for edge in graph.edges(at).iter().filter(|edge| at != from || Some(edge.to) != cut) {
            let offered = cost + edge.cost + if avoided[edge.to] { SHARED } else { 0 };
            if known[edge.to].as_ref().is_none_or(|(known, _)| offered < *known) {
                known[edge.to] = Some((offered, way.iter().copied().chain([edge.to]).collect()));
            }
        }
    }
    known.into_iter().map(|known| known.map(|(_, way)| way)).collect()
}

#[test]
fn a_search_that_ends_at_its_goal_finds_what_one_of_the_whole_network_finds() {
    let mut several = 0;
    for seed in 1..=4 {
        let graph = network(seed);
        let tree = Tree::find(&graph, 0);
        for to in 1..graph.len() {
            let found = paths(&graph, &tree, to, 3);
            assert_eq!(found, slowly(&graph, 0, to, 3), "seed {seed}, to {to}");
            several += usize::from(found.len() == 3);
        }
        assert!(paths(&graph, &tree, 1, 0).is_empty());
    }
    assert!(several > 50, "{several}");
}
