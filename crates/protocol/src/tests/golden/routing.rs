//! Samples of routing, of asking who knows a way, and of rebuilding.

use super::*;

pub(super) fn rebuild_samples() -> Vec<(&'static str, Frame)> {
    let network_key = NodeId::from_bytes(NETWORK);
    let order = RebuildOrder {
        kind: RebuildOrder::TYPE.to_owned(),
        network: network(),
        seq: at(6),
        expires: at(630_000_000),
        at: at(30_000_000),
        nonce: "00112233445566778899aabbccddeeff".to_owned(),
        dry_run: false,
        reason: Some("two new sites".to_owned()),
        membership: None,
    };
    let abort = RebuildAbort {
        kind: RebuildAbort::TYPE.to_owned(),
        network: network(),
        seq: at(7),
        expires: at(630_000_000),
        by: network_key,
        rebuild: at(6),
        membership: None,
    };
    let proposal = RebuildProposal {
        kind: RebuildProposal::TYPE.to_owned(),
        network: network(),
        seq: at(8),
        expires: at(900_000_000),
        cause: RebuildCause::LongWays,
        membership: Some(membership()),
    };
    let known = RebuildKnown { by: network_key, seq: at(6), tokens: Bounded::from_first([17, 4_026_531_840]) };
    let sample = |rebuild| Message::Rebuild(rebuild).into();
    vec![
        ("rebuild.record", sample(Rebuild::Record(record(&order, network_key)))),
        ("rebuild.record.abort", sample(Rebuild::Record(record(&abort, network_key)))),
        ("rebuild.record.proposal", sample(Rebuild::Record(record(&proposal, node(1))))),
        ("rebuild.known", sample(Rebuild::Known(known))),
        (
            "rebuild.instant",
            sample(Rebuild::Instant(RebuildInstant { by: network_key, seq: at(6), in_us: 29_500_000 })),
        ),
    ]
}

pub(super) fn routing_samples() -> Vec<(&'static str, Frame)> {
    let link = AdvertisedLink {
        peer: node(2),
        rtt_us: 1_850,
        jitter_us: 120,
        loss_ppm: 2_000,
        goodput_kbps: 94_000,
        weight: 100,
    };
    let state = LinkState {
        kind: LinkState::TYPE.to_owned(),
        network: network(),
        seq: at(5),
        expires: at(3_000_000_000),
        carries: true,
        links: Bounded::from_first([link]),
    };
    let body: Bytes = serde_json::to_vec(&state).expect("plain data").into();
    let line = RoutingAdvertisement { by: node(1), seq: at(5), sig: "c2lnbmF0dXJl".to_owned() };
    let entries = || Bounded::from_first([SummaryEntry { id: node(1), seq: at(5) }]);
    let summary =
        RoutingSummary { digest: "00112233445566ff".to_owned(), entries: entries(), reply: true, radius: None };
    let near = RoutingSummary { radius: Some(2), ..summary.clone() };
    let datagram = Datagram {
        src: node(1),
        dst: node(3),
        flow: 7,
        service: "echo".parse().expect("valid"),
        ttl: 32,
        path: Bounded::from_first([node(2)]),
        detours: 0,
        over: Over::Tcp,
        seek: None,
    };
    let seek =
        Seek { toward: Some(node(2)), way: Bounded::from_first([node(1)]), avoid: Bounded::from_first([node(4)]) };
    let seeking = Datagram { seek: Some(seek.into()), ..datagram.clone() };
    let over_udp = Datagram { over: Over::Drop, path: Bounded::default(), ..datagram.clone() };
    let part = |by: u8, len: usize| AdvertisementPart {
        by: node(by),
        seq: at(5),
        sig: "c2lnbmF0dXJl".to_owned(),
        len: u32::try_from(len).expect("short"),
    };
    let parts = RoutingAdvertisements { entries: Bounded::from_first([part(1, body.len()), part(2, body.len())]) };
    let both: Bytes = [body.as_ref(), body.as_ref()].concat().into();
    let advertisements = Message::Routing(Routing::Advertisements(parts));
    let advertisement = Message::Routing(Routing::Advertisement(line));
    vec![
        ("routing.advertisement", Frame { message: advertisement, body: Some(body) }),
        ("routing.advertisements", Frame { message: advertisements, body: Some(both) }),
        ("routing.ack", Message::Routing(Routing::Ack(RoutingAck { entries: entries() })).into()),
        ("routing.summary", Message::Routing(Routing::Summary(summary)).into()),
        ("routing.summary.near", Message::Routing(Routing::Summary(near)).into()),
        ("routing.want", Message::Routing(Routing::Want(RoutingWant { ids: Bounded::from_first([node(1)]) })).into()),
        ("datagram", Frame { message: Message::Datagram(datagram.into()), body: Some("x".into()) }),
        ("datagram.seek", Frame { message: Message::Datagram(seeking.into()), body: Some("x".into()) }),
        ("datagram.over", Frame { message: Message::Datagram(over_udp.into()), body: Some("x".into()) }),
    ]
}

pub(super) fn finding_samples() -> Vec<(&'static str, Frame)> {
    let ask = Find {
        kind: Find::TYPE.to_owned(),
        network: network(),
        seq: at(7),
        expires: at(60_000_007),
        to: node(3),
        what: FindWhat::Member,
        name: None,
    };
    let answer = Found {
        kind: Found::TYPE.to_owned(),
        network: network(),
        seq: at(9),
        expires: at(60_000_009),
        to: node(1),
        ask: at(7),
        way: Bounded::from_first([node(2)]),
    };
    let question = Finding::Ask(FindAsk { ask: record(&ask, node(1)), record: announcement() });
    let found = FindAnswer { answer: record(&answer, node(3)), records: Bounded::from_first([announcement()]) };
    let datagram = |src: u8, dst: u8, path: Vec<NodeId>, seek: Option<Seek>| {
        let line = Datagram {
            src: node(src),
            dst: node(dst),
            flow: 9,
            service: "find".parse().expect("valid"),
            ttl: 32,
            path: Bounded::from_first(path),
            detours: 0,
            over: Over::Tcp,
            seek: seek.map(Box::new),
        };
        Message::Datagram(line.into())
    };
    let written = |finding: &Finding| Some(serde_json::to_vec(finding).expect("plain data").into());
    let seek = Seek { toward: Some(node(2)), way: Bounded::from_first([node(1)]), avoid: Bounded::default() };
    vec![
        ("datagram.find", Frame { message: datagram(1, 3, Vec::new(), Some(seek)), body: written(&question) }),
        (
            "datagram.found",
            Frame { message: datagram(3, 1, vec![node(2)], None), body: written(&Finding::Answer(found)) },
        ),
    ]
}
