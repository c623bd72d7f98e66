//! How much goes in one frame, and what happens at that bound.

use std::time::Duration;

use meshline_identity::KeyPair;
use meshline_protocol::message::{LinkState, RecordText, Routing as Message, RoutingAdvertisement};
use meshline_protocol::{Bounded, Frame, Message as Wire, NodeId, UnixMicros};

use super::*;
use crate::config::Config;
use crate::input::{LinkId, Transport};
use crate::now::Now;
use crate::output::Output;
use crate::shared::UpPeer;

fn id(number: usize) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn entry(author: usize, text: usize) -> Entry {
    let (seq, network) = (UnixMicros::new(1), "lab".parse().unwrap());
    let (kind, expires) = (LinkState::TYPE.to_owned(), UnixMicros::new(u64::MAX));
    let state = LinkState { kind, network, seq, expires, carries: true, links: Bounded::default() };
    let line = RoutingAdvertisement { by: id(author), seq, sig: String::new() };
    Entry { line, body: vec![b'x'; text].into(), state }
}

fn shared(peers: &[NodeId]) -> Shared {
    let config = Config::new("lab".parse().unwrap(), "n".parse().unwrap());
    let now = Now { mono: Mono(0), wall: UnixMicros::new(1_750_000_000_000_000) };
    let mut shared = Shared::new(config, KeyPair::from_secret([1; 32]), [0; 32], now);
    for (link, peer) in (1..).zip(peers) {
        let up = UpPeer { link: LinkId(link), transport: Transport::Tcp, is_view: false, is_proxy: false };
        shared.up.insert(*peer, up);
    }
    shared
}

fn sent(shared: &mut Shared) -> Vec<Arc<Frame>> {
    let frame = |output| if let Output::Send { frame, .. } = output { Some(frame) } else { None };
    std::iter::from_fn(|| shared.pop()).filter_map(frame).collect()
}

/// Advertisements in each frame.
fn counts(entries: &[Entry]) -> Vec<usize> {
    let frames = frames_of(&entries.iter().collect::<Vec<_>>());
    let count = |frame: &Arc<Frame>| {
        if let Wire::Routing(Message::Advertisements(several)) = &frame.message { several.entries.len() } else { 1 }
    };
    frames.iter().map(count).collect()
}

#[test]
fn sixty_four_advertisements_go_in_one_frame_and_one_more_in_a_second() {
    let entries: Vec<Entry> = (0..=MAX_ADVERTISEMENTS * 2).map(|author| entry(author, 100)).collect();
    assert_eq!(counts(&entries[..MAX_ADVERTISEMENTS]), [64]);
    assert_eq!(counts(&entries[..=MAX_ADVERTISEMENTS]), [64, 1]);
    assert_eq!(counts(&entries), [64, 64, 1]);
    assert!(counts(&[]).is_empty());
}

#[test]
fn texts_that_fill_a_body_go_in_one_frame_and_a_byte_more_makes_two() {
    let full = [entry(1, MAX_BODY - 10), entry(2, 10)];
    assert_eq!(counts(&full), [2]);
    let more = [entry(1, MAX_BODY - 10), entry(2, 11)];
    assert_eq!(counts(&more), [1, 1]);
}

/// What a peer is told after so many were offered to it.
fn told_of(offered: usize) -> Vec<Arc<Frame>> {
    let (peer, mut flood, mut lsdb) = (id(900), Flood::default(), Lsdb::default());
    let mut shared = shared(&[peer]);
    flood.link_up(peer);
    for author in 0..offered {
        lsdb.insert(Arc::new(entry(author, 10)));
        let neighbour = flood.neighbours.get_mut(&peer).unwrap();
        neighbour.offer(id(author), UnixMicros::new(1), (Duration::ZERO, false), Mono(0));
    }
    sent(&mut shared);
    shared.now.mono = flood.next_timeout().unwrap();
    flood.handle_timeout((&lsdb, None), &mut shared);
    assert_eq!(flood.next_timeout(), None, "nothing is left to be told");
    sent(&mut shared)
}

#[test]
fn sixty_four_are_offered_one_by_one_and_one_more_makes_a_comparison() {
    let frames = told_of(MAX_OFFERED);
    let [frame] = frames.as_slice() else { panic!("{frames:?}") };
    let Wire::Routing(Message::Ack(ack)) = &frame.message else { panic!("{frame:?}") };
    assert_eq!(ack.entries.len(), 64);

    let frames = told_of(MAX_OFFERED + 1);
    let [frame] = frames.as_slice() else { panic!("{frames:?}") };
    let Wire::Routing(Message::Summary(summary)) = &frame.message else { panic!("{frame:?}") };
    assert!(summary.reply && summary.entries.is_empty());
}

#[test]
fn too_many_to_be_offered_stay_too_many_though_some_are_acknowledged() {
    let (peer, mut flood) = (id(900), Flood::default());
    flood.link_up(peer);
    let neighbour = flood.neighbours.get_mut(&peer).unwrap();
    for author in 0..=MAX_OFFERED {
        neighbour.offer(id(author), UnixMicros::new(1), (Duration::ZERO, false), Mono(0));
    }
    for author in 0..10 {
        neighbour.acked(&id(author), UnixMicros::new(1));
    }
    let (lsdb, mut shared) = (Lsdb::default(), shared(&[peer]));
    sent(&mut shared);
    shared.now.mono = flood.next_timeout().unwrap();
    flood.handle_timeout((&lsdb, None), &mut shared);
    let frames = sent(&mut shared);
    assert!(matches!(&frames[0].message, Wire::Routing(Message::Summary(_))), "{frames:?}");
}

/// How many of 40 advertisements that come within 4 s from one peer go on to another at once, of `members` known.
fn passed_on(members: usize) -> usize {
    let (from, to) = (id(1), id(2));
    let (mut flood, mut lsdb, mut shared) = (Flood::default(), Lsdb::default(), shared(&[from, to]));
    (0..members).for_each(|author| assert!(lsdb.insert(Arc::new(entry(100 + author, 10)))));
    [from, to].into_iter().for_each(|peer| flood.link_up(peer));
    let mut frames = 0;
    for nth in 0..40 {
        shared.now.mono = Mono(nth * 100_000);
        flood.handle_timeout((&lsdb, None), &mut shared);
        flood.spread((&entry(100, 10), &lsdb), (Some(from), 2), &mut shared);
        flood.neighbours.values_mut().for_each(|neighbour| neighbour.unacked.clear());
        frames += sent(&mut shared).len();
    }
    frames
}

#[test]
fn in_a_large_network_that_is_in_motion_news_goes_on_once_a_second() {
    assert_eq!(passed_on(ALL_PATHS_UP_TO), 40);
    // Nine make it motion, after 0.8 s; from then on there is one frame a second, on the quarter.
    assert_eq!(passed_on(ALL_PATHS_UP_TO + 1), 9 + 2);
}

#[test]
fn in_motion_all_peers_are_acknowledged_together() {
    let (one, other) = (id(1), id(2));
    let (mut flood, lsdb, mut shared) = (Flood::default(), Lsdb::default(), shared(&[one, other]));
    [one, other].into_iter().for_each(|peer| flood.link_up(peer));
    let mut due = |is_moving| {
        flood.is_moving = is_moving;
        flood.received(&one, id(100), UnixMicros::new(1), Mono(10_000));
        flood.received(&other, id(100), UnixMicros::new(1), Mono(240_000));
        shared.now.mono = flood.next_timeout().unwrap();
        flood.handle_timeout((&lsdb, None), &mut shared);
        (shared.now.mono, sent(&mut shared).len())
    };
    assert_eq!(due(true), (Mono(1_250_000), 2));
    assert_eq!(due(false), (Mono(260_000), 1));
}

#[test]
fn own_links_are_told_at_once_though_there_is_motion() {
    let (from, to) = (id(1), id(2));
    let (mut flood, mut lsdb, mut shared) = (Flood::default(), Lsdb::default(), shared(&[from, to]));
    (0..=ALL_PATHS_UP_TO).for_each(|author| assert!(lsdb.insert(Arc::new(entry(100 + author, 10)))));
    [from, to].into_iter().for_each(|peer| flood.link_up(peer));
    for _ in 0..=FEW_NEWS {
        flood.spread((&entry(100, 10), &lsdb), (Some(from), 2), &mut shared);
    }
    sent(&mut shared);
    flood.spread((&entry(101, 10), &lsdb), (None, 0), &mut shared);
    assert_eq!(sent(&mut shared).len(), 2);
}

#[test]
fn what_was_sent_a_moment_ago_is_not_sent_again_with_what_is_late() {
    let (peer, mut flood, mut lsdb) = (id(900), Flood::default(), Lsdb::default());
    let mut shared = shared(&[peer]);
    (1..4).for_each(|author| assert!(lsdb.insert(Arc::new(entry(author, 10)))));
    flood.link_up(peer);
    let mut send = |flood: &mut Flood, author, at| {
        shared.now.mono = Mono(at);
        flood.send(&peer, std::iter::once(id(author)), &lsdb, &mut shared);
        sent(&mut shared).len()
    };
    assert_eq!(send(&mut flood, 1, 0) + send(&mut flood, 2, 1_500_000), 2);
    let mut again = |flood: &mut Flood| {
        shared.now.mono = flood.next_timeout().unwrap();
        flood.handle_timeout((&lsdb, None), &mut shared);
        (shared.now.mono, sent(&mut shared).len())
    };
    assert_eq!(again(&mut flood), (Mono(2_000_000), 1));
    assert_eq!(flood.neighbours[&peer].unacked[&id(1)], (UnixMicros::new(1), Mono(2_000_000)));
    // The second is late by then too: both go in one frame.
    assert_eq!(again(&mut flood), (Mono(4_000_000), 1));
    assert!(flood.neighbours[&peer].unacked.values().all(|(_, at)| *at == Mono(4_000_000)));
}
