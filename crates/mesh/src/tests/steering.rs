//! `routing.via`: which way is first when the configuration says through whom.

use std::collections::BTreeMap;

use meshline_protocol::message::{AdvertisedLink, LinkState};
use meshline_protocol::{Bounded, NodeId, UnixMicros};

use crate::routing::{Graph, Table};

fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

/// A graph of links with their round trips, claimed by both ends; `silent` carries nothing for others.
fn graph(links: &[(u8, u8, u32)], silent: Option<u8>) -> Graph {
    let mut states: BTreeMap<NodeId, LinkState> = BTreeMap::new();
    for (from, to, rtt_us) in links.iter().flat_map(|(a, b, rtt)| [(*a, *b, *rtt), (*b, *a, *rtt)]) {
        let state = states.entry(id(from)).or_insert_with(|| LinkState {
            kind: "links".to_owned(),
            network: "lab".parse().unwrap(),
            seq: UnixMicros::new(1),
            expires: UnixMicros::new(2),
            carries: silent != Some(from),
            links: Bounded::default(),
        });
        let link = AdvertisedLink { peer: id(to), rtt_us, jitter_us: 0, loss_ppm: 0, goodput_kbps: 0, weight: 100 };
        state.links = Bounded::from_first(state.links.iter().copied().chain([link]));
    }
    Graph::new(states.iter().map(|(id, state)| (*id, state)))
}

/// The paths from 0 to 3 with `3` reached through `through`, and their shares.
fn paths(graph: &Graph, through: u8) -> Vec<(Vec<u8>, u32)> {
    let via = BTreeMap::from([(id(3), id(through))]);
    let table = Table::compute(graph, id(0), true, |_| true).steered(graph, &via);
    let number = |hop: &NodeId| hop.as_bytes()[0];
    let paths = table.routes.get(&id(3)).map(|route| route.paths.as_slice()).unwrap_or_default();
    paths.iter().map(|path| (path.hops.iter().map(number).collect(), path.share)).collect()
}

/// 0 is linked with 1 (near), 2 (far) and 3 itself.
const SQUARE: [(u8, u8, u32); 5] = [(0, 1, 1_000), (0, 2, 50_000), (1, 3, 1_000), (2, 3, 1_000), (0, 3, 9_000)];

#[test]
fn the_way_through_the_named_member_is_first_and_the_others_are_spares() {
    let found = paths(&graph(&SQUARE, None), 2);
    assert_eq!(found[0], (vec![2, 3], 1_000));
    assert!(found.len() > 1 && found.iter().skip(1).all(|(_, share)| *share == 0), "{found:?}");
    assert_eq!(found.iter().filter(|(hops, _)| *hops == [2, 3]).count(), 1, "{found:?}");
}

#[test]
fn a_member_can_be_its_own_first_hop() {
    assert_eq!(paths(&graph(&SQUARE, None), 3)[0].0, [3]);
}

#[test]
fn without_a_way_through_it_all_stays_as_it_is() {
    let plain = paths(&graph(&SQUARE, None), 9);
    assert_eq!(plain[0].0, [1, 3]);
    assert_eq!(paths(&graph(&SQUARE, Some(2)), 2)[0].0, [1, 3], "it carries nothing for others");
    let no_way_on = [(0, 1, 1_000), (0, 2, 1_000), (1, 3, 1_000)];
    assert_eq!(paths(&graph(&no_way_on, None), 2)[0].0, [1, 3], "a way back over this node is none");
}
