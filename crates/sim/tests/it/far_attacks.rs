//! Members that lie where nobody knows all: about links, about who is whom, and by keeping silent.

use bytes::Bytes;
use meshline_identity::{KeyPair, sign};
use meshline_mesh::{Sought, datagram_line};
use meshline_protocol::message::{
    AdvertisedLink, FindAnswer, Finding, Found, LinkState, RecordText, Routing, RoutingAdvertisement, Seek,
};
use meshline_protocol::{Bounded, Code, Frame, Message, NodeId};
use meshline_sim::{MS, Misdeed, Puppet, SECOND, World, seed};

use crate::far::{AREA, answer, strangers, wide};

fn advertisement(world: &World, key: &KeyPair, links: &[NodeId]) -> Frame {
    let link = |peer: &NodeId| AdvertisedLink {
        peer: *peer,
        rtt_us: 1,
        jitter_us: 0,
        loss_ppm: 0,
        goodput_kbps: 0,
        weight: 100,
    };
    let state = LinkState {
        kind: LinkState::TYPE.to_owned(),
        network: world.network_id(),
        seq: world.wall(),
        expires: world.wall().offset(600_000_000),
        carries: true,
        links: Bounded::from_first(links.iter().map(link)),
    };
    let body: Bytes = serde_json::to_vec(&state).expect("plain data").into();
    let line = RoutingAdvertisement { by: key.id(), seq: state.seq, sig: key.sign_bytes(&body) };
    Frame { message: Message::Routing(Routing::Advertisement(line)), body: Some(body) }
}

/// A puppet that is linked with node 0.
fn linked(world: &mut World) -> Puppet {
    let puppet = world.puppet(0);
    let hello = world.puppet_hello(&puppet.key);
    world.puppet_send(&puppet, Message::Hello(Box::new(hello)));
    world.run_for(100 * MS);
    world.puppet_send(&puppet, Message::Ping(meshline_protocol::message::Echo { nonce: 1, text: String::new() }));
    world.run_for(2 * SECOND);
    puppet
}

#[test]
fn who_is_lost_on_the_way_is_found_without_the_member_that_loses_everything() {
    for case in 1..=4 {
        let mut world = wide(seed(case), 72);
        let (from, to) = strangers(&mut world);
        let id = world.id(to);
        assert_eq!(answer(&mut world, from, Sought::Id(id)), Ok(vec![id]));
        world.run_for(SECOND);
        let path = world.table(from).routes[&id].paths[0].hops.clone();
        // The same once more, with somebody in the middle who passes nothing on.
        let mut world = wide(seed(case), 72);
        assert_eq!(strangers(&mut world), (from, to));
        let middle = world.index(path[path.len() / 2]).expect("a node");
        if middle == to {
            continue;
        }
        world.misuse(middle, Misdeed::Swallows);
        assert_eq!(answer(&mut world, from, Sought::Id(id)), Ok(vec![id]), "around {middle}");
    }
}

#[test]
fn false_links_to_far_members_are_tried_once_and_left() {
    let mut world = wide(seed(1), 72);
    let puppet = linked(&mut world);
    let is_far = |world: &World, node: usize| node != 0 && !world.table(0).routes.contains_key(&world.id(node));
    let far: Vec<usize> = (0..72).filter(|node| is_far(&world, *node)).collect();
    let mut claimed: Vec<NodeId> = far.iter().map(|node| world.id(*node)).collect();
    claimed.truncate(60);
    let links: Vec<NodeId> = std::iter::once(world.id(0)).chain(claimed.iter().copied()).collect();
    world.puppet_send(&puppet, advertisement(&world, &puppet.key, &links));
    world.run_for(3 * SECOND);
    for id in claimed.into_iter().take(6) {
        assert_eq!(answer(&mut world, 0, Sought::Id(id)), Ok(vec![id]));
    }
}

#[test]
fn members_that_a_peer_invents_take_no_more_than_half_of_the_area() {
    let mut world = wide(seed(1), 72);
    let honest = |world: &World| world.table(0).routes.keys().filter(|id| world.index(**id).is_some()).count();
    let before = honest(&world);
    let puppet = linked(&mut world);
    let invented: Vec<KeyPair> = (0..60).map(|_| KeyPair::from_secret(world.rng().bytes())).collect();
    let ids: Vec<NodeId> = invented.iter().map(KeyPair::id).chain([world.id(0)]).collect();
    world.puppet_send(&puppet, advertisement(&world, &puppet.key, &ids));
    for key in &invented {
        let frame = advertisement(&world, key, &[puppet.key.id()]);
        world.puppet_send(&puppet, frame);
    }
    world.run_for(10 * SECOND);
    let (status, after) = (world.status(0), honest(&world));
    assert!(status.routing.advertisements <= AREA + AREA / 4, "{} held", status.routing.advertisements);
    assert!(after >= before.min(AREA / 2), "{after} of {before} are left");
    let (_, to) = strangers(&mut world);
    let id = world.id(to);
    if to != 0 {
        assert_eq!(answer(&mut world, 0, Sought::Id(id)), Ok(vec![id]));
    }
}

#[test]
fn a_flood_of_questions_is_passed_on_at_a_bounded_rate() {
    let mut world = wide(seed(1), 72);
    let puppet = linked(&mut world);
    let to = (1..72).find(|node| !world.table(0).routes.contains_key(&world.id(*node))).expect("a far one");
    let before = world.sent(0, "datagram");
    for flow in 0..5_000 {
        let line = datagram_line(puppet.key.id(), world.id(to), flow, "test".parse().expect("a name"));
        let seek = Seek { way: Bounded::from_first([puppet.key.id()]), ..Seek::default() };
        let line = meshline_protocol::message::Datagram { seek: Some(seek.into()), ..line };
        world.puppet_send(&puppet, Frame { message: Message::Datagram(line.into()), body: Some("x".into()) });
    }
    world.run_for(SECOND);
    let passed = world.sent(0, "datagram") - before;
    assert!((300..=700).contains(&passed), "{passed} of 5000 were passed on");
    assert!(world.take_datagrams(to).len() > 100, "they went where they should");
}

/// Looks for somebody who is nowhere, and has a puppet answer: in the name of whom it looks for, or in its own.
fn forged(by_right: bool) -> (NodeId, Result<Vec<NodeId>, Code>) {
    let mut world = wide(seed(1), 48);
    let puppet = linked(&mut world);
    // Nobody else is heard, so the first question stays open.
    world.mute(&(1..48).collect::<Vec<_>>(), &[0]);
    let (victim, asked) = loop {
        let victim = KeyPair::from_secret(world.rng().bytes());
        let asked = world.seek(0, Sought::Id(victim.id()));
        if world.sought(0, asked).is_none() {
            break (victim, asked);
        }
    };
    let key = if by_right { &victim } else { &puppet.key };
    let text = Found {
        kind: Found::TYPE.to_owned(),
        network: world.network_id(),
        seq: world.wall(),
        expires: world.wall().offset(60_000_000),
        to: world.id(0),
        // The question was numbered by the clock of this very moment, or one above the last.
        ask: world.wall(),
        way: Bounded::from_first([puppet.key.id()]),
    };
    let announcement = world.puppet_announcement(key, &world.announcement_text());
    let records = Bounded::from_first([announcement]);
    let found = FindAnswer { answer: sign(&text, key).expect("plain data"), records };
    let body = serde_json::to_vec(&Finding::Answer(found)).expect("plain data");
    let line = datagram_line(victim.id(), world.id(0), 5, "find".parse().expect("a name"));
    world.puppet_send(&puppet, Frame { message: Message::Datagram(line.into()), body: Some(body.into()) });
    world.run_for(12 * SECOND);
    (victim.id(), world.sought(0, asked).expect("it has ended"))
}

#[test]
fn nobody_answers_for_another_member() {
    assert_eq!(forged(false).1, Err(Code::NoSuchPeer));
    let (victim, outcome) = forged(true);
    assert_eq!(outcome, Ok(vec![victim]), "the member itself may");
}
