//! How far the area reaches.

use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::message::{AdvertisedLink, RecordText, RoutingAdvertisement};
use meshline_protocol::{Bounded, UnixMicros};

use super::*;
use crate::routing::lsdb::Entry;

fn id(number: u64) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// Members of a tree around member 0: so many behind each member, level by level. Everybody has told of its links.
fn tree(branches: &[u64]) -> Lsdb {
    let (mut links, mut level, mut count) = (BTreeMap::<u64, Vec<u64>>::new(), vec![0], 1);
    links.insert(0, Vec::new());
    for branches in branches {
        let mut below = Vec::new();
        for parent in level {
            for child in count..count + branches {
                links.entry(parent).or_default().push(child);
                links.entry(child).or_default().push(parent);
                below.push(child);
            }
            count += branches;
        }
        level = below;
    }
    let mut lsdb = Lsdb::default();
    for (member, links) in links {
        let link = |peer| AdvertisedLink {
            peer: id(peer),
            rtt_us: 1_000,
            jitter_us: 0,
            loss_ppm: 0,
            goodput_kbps: 0,
            weight: 100,
        };
        let seq = UnixMicros::new(1);
        let state = LinkState {
            kind: LinkState::TYPE.to_owned(),
            network: "lab".parse().unwrap(),
            seq,
            expires: UnixMicros::new(2),
            carries: true,
            links: Bounded::from_first(links.into_iter().map(link)),
        };
        let line = RoutingAdvertisement { by: id(member), seq, sig: String::new() };
        lsdb.insert(Arc::new(Entry { line, body: Bytes::new(), state }));
    }
    lsdb
}

/// Member 0 looks who is near: how far it looks and how many it keeps, itself not counted.
fn fit(area: &mut Area, branches: &[u64], is_part: bool) -> (Option<u8>, usize) {
    let lsdb = tree(branches);
    let graph = Graph::new(lsdb.iter());
    let linked = (1..=branches[0]).map(id);
    area.fit((&lsdb, &graph), id(0), (linked, is_part));
    (area.radius(), area.places.len())
}

#[test]
fn an_area_that_would_be_nearly_full_ends_a_link_before() {
    // 8, 56 and 248 members within one, two and three links; more than fit beyond.
    assert_eq!(fit(&mut Area::new(MAX_AREA), &[8, 6, 4, 1], false), (Some(2), 56));
    // 12 and 144, as with twelve links each.
    assert_eq!(fit(&mut Area::new(MAX_AREA), &[12, 11, 2], false), (Some(2), 144));
    // 8, 40 and 136, as with six and a half: a link further costs more than it is worth.
    assert_eq!(fit(&mut Area::new(MAX_AREA), &[8, 4, 3, 2], false), (Some(2), 40));
    // 4, 16 and 52: there it is not dear.
    assert_eq!(fit(&mut Area::new(MAX_AREA), &[4, 3, 3, 6], false), (Some(3), 52));
    // Not even those linked would have to be left out.
    assert_eq!(fit(&mut Area::new(16), &[12, 2], false), (Some(1), 12));
}

#[test]
fn a_network_that_fits_is_kept_whole_even_if_peers_keep_a_part() {
    assert_eq!(fit(&mut Area::new(MAX_AREA), &[8, 6, 4], true).0, None);
    assert_eq!(fit(&mut Area::new(MAX_AREA), &[8, 6, 4, 1], true).0, Some(2));
}

#[test]
fn the_area_grows_by_a_link_only_where_that_leaves_room() {
    let mut area = Area::new(MAX_AREA);
    assert_eq!(fit(&mut area, &[8, 6, 4, 1], false).0, Some(2));
    // 8, 32 and 80 would fit, and not leave a quarter.
    assert_eq!(fit(&mut area, &[8, 3, 2], false).0, Some(2));
    // 8, 24 and 72: one more link; and when that was all, everybody.
    assert_eq!(fit(&mut area, &[8, 2, 3], false).0, Some(3));
    assert_eq!(fit(&mut area, &[8, 2, 3], false).0, None);
}

#[test]
fn a_crowd_behind_two_links_is_not_everybody() {
    // 2, 32 and 332 members, of whom the two branches have room for 128 each: what counts is how many there are.
    let mut area = Area::new(MAX_AREA);
    assert_eq!(fit(&mut area, &[2, 15, 10], true), (Some(2), 32));
    assert_eq!(fit(&mut area, &[2, 15, 10], true), (Some(2), 32), "and it stays so");
    // As many as fit are kept whole, though those behind the one link are more than its part.
    assert_eq!(fit(&mut Area::new(MAX_AREA), &[1, 50, 3], true), (None, 201));
    // All within the radius, and more than fit: the area does not become whole and a part again with each look.
    let mut area = Area::new(16);
    area.radius = Some(2);
    assert_eq!(fit(&mut area, &[1, 20], false), (Some(2), 8));
    assert_eq!(fit(&mut area, &[1, 20], false), (Some(2), 8));
}

#[test]
fn behind_one_link_no_more_are_taken_in_than_its_part() {
    let (mut area, lsdb) = (Area::new(16), tree(&[3, 40]));
    area.fit((&lsdb, &Graph::new(lsdb.iter())), id(0), ((1..4).map(id), true));
    assert_eq!((area.radius(), area.places.len()), (Some(1), 3));
    area.radius = Some(2);
    let mut admit = |member: u64| {
        let state = lsdb.get(&id(member)).unwrap().state.clone();
        area.admit(id(member), &state, &lsdb, false)
    };
    // Those behind member 1 are 4 to 43, itself is the first of eight.
    assert_eq!((4..44).filter(|member| admit(*member)).count(), 7);
    assert_eq!((44..84).filter(|member| admit(*member)).count(), 7);
}
