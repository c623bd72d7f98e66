//! Who is found by id, and a graph without some of its members.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::message::{AdvertisedLink, LinkState, RecordText};
use meshline_protocol::{Bounded, NodeId, UnixMicros};

use super::Graph;

/// Ids of which several have the same first eight bytes.
fn id(n: u8) -> NodeId {
    let mut bytes = [n / 4; 32];
    bytes[31] = n;
    NodeId::from_bytes(bytes)
}

fn state(links: &[u8]) -> LinkState {
    let link = |peer: &u8| AdvertisedLink {
        peer: id(*peer),
        rtt_us: 1_000 + u32::from(*peer),
        jitter_us: 0,
        loss_ppm: 0,
        goodput_kbps: 0,
        weight: 100,
    };
    LinkState {
        kind: LinkState::TYPE.to_owned(),
        network: "lab".parse().expect("a name"),
        seq: UnixMicros::new(1),
        expires: UnixMicros::new(u64::MAX),
        carries: links.len() != 1,
        links: Bounded::from_first(links.iter().map(link)),
    }
}

fn graph(states: &BTreeMap<NodeId, LinkState>) -> Graph {
    Graph::new(states.iter().map(|(id, state)| (*id, state)))
}

/// Everything that can be asked of a graph, by ids.
fn told(graph: &Graph) -> Vec<String> {
    let member = |number: usize| {
        let of = |to: usize| graph.id(to).expect("a member");
        let edges: BTreeMap<NodeId, u64> = graph.edges(number).iter().map(|edge| (of(edge.to), edge.cost)).collect();
        let beyond: BTreeSet<NodeId> = graph.beyond(number).collect();
        assert_eq!(graph.number(&of(number)), Some(number));
        format!("{} {} {edges:?} {beyond:?}", of(number), graph.carries(number))
    };
    (0..graph.len()).map(member).collect()
}

#[test]
fn members_whose_ids_begin_alike_are_told_apart() {
    let states: BTreeMap<NodeId, LinkState> = (0..12).map(|n| (id(n), state(&[(n + 1) % 12, (n + 11) % 12]))).collect();
    let graph = graph(&states);
    assert_eq!((graph.len(), graph.links()), (12, 24));
    for n in 0..12 {
        assert_eq!(graph.number(&id(n)), Some(usize::from(n)));
    }
    assert_eq!(graph.number(&id(12)), None);
    assert!(graph.cost(&id(3), &id(4)).is_some() && graph.cost(&id(3), &id(5)).is_none());
}

#[test]
fn without_some_members_it_is_as_if_it_had_been_built_without_them() {
    // A circle with a chord, one end, one link to somebody unknown, and none that only one end claims.
    let mut links: BTreeMap<u8, Vec<u8>> = (0..10).map(|n| (n, vec![(n + 1) % 10, (n + 9) % 10])).collect();
    for (from, to) in [(2, 7), (7, 2), (4, 20), (20, 4), (6, 30)] {
        links.entry(from).or_default().push(to);
    }
    let mut states: BTreeMap<NodeId, LinkState> = links.iter().map(|(n, links)| (id(*n), state(links))).collect();
    let whole = graph(&states);
    for out in [vec![], vec![7], vec![0, 1, 2, 9], vec![20], (0..10).collect()] {
        let out: BTreeSet<NodeId> = out.into_iter().map(id).collect();
        let mut left = states.clone();
        left.retain(|id, _| !out.contains(id));
        assert_eq!(told(&whole.without(&out)), told(&graph(&left)), "without {out:?}");
    }
    // A link that one end alone claims is none, inside and beyond.
    states.insert(id(40), state(&[0]));
    assert_eq!(graph(&states).links(), whole.links());
}
