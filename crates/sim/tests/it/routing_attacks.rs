//! Members that advertise nonsense, or in anybody's name, or all the time.

use bytes::Bytes;
use meshline_identity::KeyPair;
use meshline_protocol::message::{
    AdvertisedLink, AdvertisementPart, Datagram, LinkState, RecordText, Routing, RoutingAdvertisement,
    RoutingAdvertisements,
};
use meshline_protocol::{Bounded, Code, Frame, Message, NodeId};
use meshline_sim::{MS, SECOND, World, seed};

use crate::support::{linked_puppet, misbehaved};

fn link(peer: NodeId, rtt_us: u32) -> AdvertisedLink {
    AdvertisedLink { peer, rtt_us, jitter_us: 0, loss_ppm: 0, goodput_kbps: 0, weight: 100 }
}

fn state(world: &World, links: Vec<AdvertisedLink>) -> LinkState {
    LinkState {
        kind: LinkState::TYPE.to_owned(),
        network: world.network_id(),
        seq: world.wall(),
        expires: world.wall().offset(600_000_000),
        carries: true,
        links: Bounded::from_first(links),
    }
}

fn advertisement(key: &KeyPair, by: NodeId, state: &LinkState) -> Frame {
    let body: Bytes = serde_json::to_vec(state).expect("plain data").into();
    let line = RoutingAdvertisement { by, seq: state.seq, sig: key.sign_bytes(&body) };
    Frame { message: Message::Routing(Routing::Advertisement(line)), body: Some(body) }
}

#[test]
fn links_that_only_one_end_claims_and_costs_beyond_all_measure_move_nobody() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let far = pair.id(1);
    let nobody = NodeId::from_bytes([5; 32]);
    let mut huge = link(far, u32::MAX);
    (huge.jitter_us, huge.loss_ppm, huge.weight) = (u32::MAX, u32::MAX, u16::MAX);
    for links in [vec![link(far, 0), link(nobody, 0)], vec![huge, huge], vec![link(puppet.key.id(), 1)]] {
        let state = state(&pair, links);
        pair.puppet_send(&puppet, advertisement(&puppet.key, puppet.key.id(), &state));
        pair.run_for(SECOND);
        let table = pair.table(0);
        assert_eq!(table.routes.get(&far).map(|route| route.paths.len()), Some(1), "the direct link alone");
        assert_eq!(table.routes.get(&nobody), None);
    }
    assert!(misbehaved(&pair).is_empty());
}

#[test]
fn an_advertisement_in_anothers_name_is_refused() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let victim = pair.id(1);
    let state = state(&pair, Vec::new());
    pair.puppet_send(&puppet, advertisement(&puppet.key, victim, &state));
    pair.run_for(SECOND);
    assert_eq!(misbehaved(&pair), [Code::BadSignature]);
    assert!(pair.table(0).routes.contains_key(&victim));
}

#[test]
fn foreign_ended_and_mislabelled_advertisements_are_refused_by_name() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let fresh = state(&pair, Vec::new());
    let foreign = LinkState { network: "other".parse().expect("a name"), ..fresh.clone() };
    let mislabelled = LinkState { kind: "broadcast".to_owned(), ..fresh.clone() };
    for (state, code) in [(foreign, Code::RecordForeign), (mislabelled, Code::InvalidMessage)] {
        pair.puppet_send(&puppet, advertisement(&puppet.key, puppet.key.id(), &state));
        pair.run_for(SECOND);
        assert_eq!(misbehaved(&pair).last(), Some(&code));
    }
}

#[test]
fn whoever_advertises_all_the_time_is_heard_at_a_bounded_rate() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let before = pair.sent(0, "routing.advertisement");
    for n in 0..1_000_u32 {
        let state = state(&pair, vec![link(pair.id(0), n)]);
        pair.puppet_send(&puppet, advertisement(&puppet.key, puppet.key.id(), &state));
        pair.run_for(MS);
    }
    pair.run_for(SECOND);
    let heard = 1_000 - pair.status(0).refused.get("rate_limited").copied().unwrap_or(0);
    assert!((15..=40).contains(&heard), "{heard} of 1,000 were heard");
    // What came close together went on together, and of one author only the newest.
    let passed_on = pair.sent(0, "routing.advertisement") - before;
    assert!((1..=heard).contains(&passed_on), "{passed_on} of {heard} went on");
}

#[test]
fn several_advertisements_whose_lengths_are_not_the_body_are_refused_and_whole_ones_are_taken() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let body: Bytes = serde_json::to_vec(&state(&pair, vec![link(pair.id(0), 1_000)])).expect("plain data").into();
    let send = |pair: &mut World, len: usize| {
        let (by, seq, sig) = (puppet.key.id(), pair.wall(), puppet.key.sign_bytes(&body));
        let part = AdvertisementPart { by, seq, sig, len: u32::try_from(len).expect("short") };
        let message = Routing::Advertisements(RoutingAdvertisements { entries: Bounded::from_first([part]) });
        pair.puppet_send(&puppet, Frame { message: Message::Routing(message), body: Some(body.clone()) });
        pair.run_for(SECOND);
    };
    send(&mut pair, body.len() + 1);
    assert_eq!(misbehaved(&pair).last(), Some(&Code::InvalidMessage));
    send(&mut pair, 0);
    assert_eq!(misbehaved(&pair).last(), Some(&Code::InvalidMessage));
    assert_eq!(misbehaved(&pair).len(), 2);
    assert!(!pair.table(0).routes.contains_key(&puppet.key.id()));
    let state = state(&pair, vec![link(pair.id(0), 1_000)]);
    let body: Bytes = serde_json::to_vec(&state).expect("plain data").into();
    let part = AdvertisementPart {
        by: puppet.key.id(),
        seq: state.seq,
        sig: puppet.key.sign_bytes(&body),
        len: u32::try_from(body.len()).expect("short"),
    };
    let message = Routing::Advertisements(RoutingAdvertisements { entries: Bounded::from_first([part]) });
    pair.puppet_send(&puppet, Frame { message: Message::Routing(message), body: Some(body) });
    pair.run_for(SECOND);
    assert!(pair.table(0).routes.contains_key(&puppet.key.id()), "the link counts: both ends tell it");
}

#[test]
fn a_datagram_that_goes_nowhere_is_reported_at_a_bounded_rate() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let links = vec![link(pair.id(0), 1_000)];
    let state = state(&pair, links);
    pair.puppet_send(&puppet, advertisement(&puppet.key, puppet.key.id(), &state));
    pair.run_for(SECOND);
    for flow in 0..1_000 {
        let line = Datagram {
            src: puppet.key.id(),
            dst: NodeId::from_bytes([5; 32]),
            flow,
            service: "test".parse().expect("a name"),
            ttl: 9,
            path: Bounded::default(),
            detours: 0,
            over: Default::default(),
            seek: None,
        };
        pair.puppet_send(&puppet, Frame { message: Message::Datagram(line.into()), body: Some("x".into()) });
        pair.run_for(MS);
    }
    pair.run_for(SECOND);
    let reports = pair.puppet_got(&puppet).into_iter().filter(|message| match message {
        Message::Datagram(line) => line.service.as_str() == "report",
        _ => false,
    });
    let count = reports.count();
    assert!((50..=75).contains(&count), "{count} reports");
}

#[test]
fn a_path_that_goes_in_circles_ends_with_its_ttl_or_its_names() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let (zero, one) = (pair.id(0), pair.id(1));
    let circle = [one, zero, one, zero, one, zero, one, zero];
    let line = Datagram {
        src: puppet.key.id(),
        dst: NodeId::from_bytes([5; 32]),
        flow: u32::MAX,
        service: "test".parse().expect("a name"),
        ttl: 3,
        path: Bounded::from_first(circle),
        detours: 0,
        over: Default::default(),
        seek: None,
    };
    pair.puppet_send(&puppet, Frame { message: Message::Datagram(line.into()), body: Some("x".into()) });
    pair.run_for(SECOND);
    let sent = pair.sent(0, "datagram") + pair.sent(1, "datagram");
    assert!(sent <= 8, "{sent} datagrams");
}
