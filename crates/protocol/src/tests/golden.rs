//! One sample for every message, checked in both directions: a sample that no longer reads or writes as it
//! stands is a change of the wire. `MESHLINE_BLESS=1` rewrites the samples and the schema.

use std::path::PathBuf;

use bytes::Bytes;

use crate::frame::encode;
use crate::message::*;
use crate::{
    Bounded, Code, Decoded, Decoder, Encoding, Frame, LedgerHash, Message, NodeId, Ping, ServiceText, UnixMicros,
};

const NETWORK: [u8; 32] = [3; 32];

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn at(micros: u64) -> UnixMicros {
    UnixMicros::new(1_795_000_000_000_000 + micros)
}

fn record(text: &impl RecordText, by: NodeId) -> SignedRecord {
    SignedRecord { signed: serde_json::to_string(text).expect("plain data"), by, sig: "c2lnbmF0dXJl".to_owned() }
}

fn network() -> crate::NetworkId {
    crate::NetworkId::Closed(NodeId::from_bytes(NETWORK))
}

fn membership() -> SignedRecord {
    let text = Membership {
        kind: Membership::TYPE.to_owned(),
        network: network(),
        seq: at(0),
        expires: at(31_536_000_000_000),
        node: node(1),
        name: "bobby".parse().expect("valid"),
        roles: Bounded::from_first([Role::Node]),
    };
    record(&text, NodeId::from_bytes(NETWORK))
}

fn announcement() -> SignedRecord {
    let text = Announcement {
        kind: Announcement::TYPE.to_owned(),
        network: network(),
        seq: at(1),
        expires: at(3_600_000_000),
        name: "bobby".parse().expect("valid"),
        roles: Bounded::from_first([Role::Node]),
        addresses: Bounded::from_first(["127.0.0.1:6001".parse().expect("valid")]),
        next: Some("127.0.0.1:6002".parse().expect("valid")),
        membership: Some(membership()),
    };
    record(&text, node(1))
}

fn departure() -> SignedRecord {
    let text =
        Departure { kind: Departure::TYPE.to_owned(), network: network(), seq: at(2), expires: at(3_600_000_000) };
    record(&text, node(1))
}

fn revocation() -> SignedRecord {
    let text = Revocation {
        kind: Revocation::TYPE.to_owned(),
        network: network(),
        seq: at(3),
        expires: at(31_536_000_000_000),
        node: node(2),
    };
    record(&text, NodeId::from_bytes(NETWORK))
}

fn broadcast() -> (BroadcastMessage, Bytes) {
    let text = SignedBroadcast {
        kind: SignedBroadcast::TYPE.to_owned(),
        network: network(),
        seq: at(4),
        expires: at(600_000_000),
        time: at(4),
        clock: at(4),
        service: "chat".parse().expect("valid"),
        text: "hello there".to_owned(),
    };
    let line = BroadcastMessage {
        by: node(1),
        seq: at(4),
        sig: "c2lnbmF0dXJl".to_owned(),
        attempt: 0,
        holders: Bounded::from_first([node(1), node(2)]),
        trail: BroadcastTrail::default(),
        silent: false,
    };
    (line, serde_json::to_vec(&text).expect("plain data").into())
}

fn name(kind: BroadcastKind, hops: Option<u8>) -> BroadcastName {
    BroadcastName { by: node(1), seq: at(4), kind, hops }
}

fn hello() -> Message {
    Message::Hello(Box::new(Hello {
        network: network(),
        version: 1,
        id: node(1),
        time: at(5),
        ping: Ping::UNKNOWN,
        announcement: announcement(),
        encoding: Encoding::Json,
        revocations: 0,
        agent: "meshline/0.1.0".to_owned(),
    }))
}

fn time(step: u8) -> Message {
    Message::Time(Box::new(TimeFrame {
        network: network(),
        version: 1,
        id: node(1),
        time: at(700),
        ping: if step < 2 { Ping::UNKNOWN } else { Ping::measured(145) },
        exchange: 9,
        step,
        stamps: (step > 0).then(|| TimeStamps { origin: at(600), receive: at(650) }),
        seen: None,
        attempt: None,
        mac: None,
    }))
}

fn time_over_udp() -> Message {
    let Message::Time(mut frame) = time(1) else { unreachable!("a time frame") };
    frame.seen = Some("198.51.100.7:41234".parse().expect("valid"));
    frame.attempt = Some(77);
    frame.mac = Some("M".repeat(22).parse().expect("valid"));
    Message::Time(frame)
}

fn samples() -> Vec<(&'static str, Frame)> {
    let (line, body) = broadcast();
    let ticket = || "A".repeat(43).parse().expect("valid");
    let errand = || RelayTicket { ticket: ticket(), peer: node(2) };
    let with_body = |broadcast| Frame { message: Message::Broadcast(broadcast), body: Some(body.clone()) };
    let trail = BroadcastTrail { hops: 3, entry: 0, shortcuts: 2, direct: false };
    let flooded = BroadcastMessage { holders: Bounded::default(), trail, ..line.clone() };
    let names = || Bounded::from_first([name(BroadcastKind::Text, Some(3)), name(BroadcastKind::Revocation, None)]);
    let have = BroadcastHave { names: names(), past: true };
    let compare =
        BroadcastCompare { since: at(3), digests: Bounded::from_first(["00112233445566ff".to_owned()]), last: true };
    let summary = Summary {
        digest: "00112233445566ff".to_owned(),
        entries: Bounded::from_first([SummaryEntry { id: node(1), seq: at(1) }]),
        reply: true,
    };
    let refusal = RelayRefusal { peer: node(2), code: Code::NoSuchPeer, detail: "not linked to this proxy".to_owned() };
    [
        ("hello", hello().into()),
        ("time.0", time(0).into()),
        ("time.3", time(3).into()),
        ("time.udp", time_over_udp().into()),
        ("error", Message::Error(ErrorMessage::new(Code::WrongNetwork, "this is network lab")).into()),
        ("error.udp", refusal_over_udp().into()),
        ("goodbye", Message::Goodbye(Goodbye { departure: departure() }).into()),
        ("ping", Message::Ping(Echo { nonce: 7, text: "x".to_owned() }).into()),
        ("pong", Message::Pong(Echo { nonce: 7, text: "x".to_owned() }).into()),
        ("revocation", Message::Revocation(revocation()).into()),
        ("gossip.summary", Message::Gossip(Gossip::Summary(summary)).into()),
        ("gossip.want", Message::Gossip(Gossip::Want(Want { ids: Bounded::from_first([node(1)]) })).into()),
        (
            "gossip.records",
            Message::Gossip(Gossip::Records(Records { records: Bounded::from_first([announcement()]) })).into(),
        ),
        ("gossip.departure", Message::Gossip(Gossip::Departure(departure())).into()),
        ("ring.attach", Message::Ring(Ring::Attach(RingAttach { epoch: 1 })).into()),
        ("ring.detach", Message::Ring(Ring::Detach(RingAttach { epoch: 2 })).into()),
        (
            "ring.token",
            Message::Ring(Ring::Token(RingToken {
                author: node(1),
                round: 4,
                members: Bounded::from_first([node(1)]),
            }))
            .into(),
        ),
        ("broadcast.flood", with_body(Broadcast::Flood(flooded))),
        ("broadcast.ring", with_body(Broadcast::Ring(line))),
        ("broadcast.have", Message::Broadcast(Broadcast::Have(have)).into()),
        ("broadcast.want", Message::Broadcast(Broadcast::Want(BroadcastWant { names: names() })).into()),
        ("broadcast.graft", Message::Broadcast(Broadcast::Graft(BroadcastGraft {})).into()),
        ("broadcast.prune", Message::Broadcast(Broadcast::Prune(BroadcastPrune {})).into()),
        ("broadcast.compare", Message::Broadcast(Broadcast::Compare(compare)).into()),
        (
            "broadcast.ack",
            Message::Broadcast(Broadcast::Ack(BroadcastAck { author: node(1), seq: at(4), by: node(2) })).into(),
        ),
        ("relay.request", Message::Relay(Relay::Request(RelayPeer { peer: node(2) })).into()),
        ("relay.offer", Message::Relay(Relay::Offer(errand())).into()),
        ("relay.accept", Message::Relay(Relay::Accept(errand())).into()),
        ("relay.grant", Message::Relay(Relay::Grant(errand())).into()),
        ("relay.refuse", Message::Relay(Relay::Refuse(refusal)).into()),
        ("relay.ticket", Message::Relay(Relay::Ticket(ticket())).into()),
    ]
    .into_iter()
    .chain(probe_samples())
    .chain(nat_samples())
    .chain(peers_samples())
    .chain(companion_samples())
    .chain(chat_samples())
    .chain(services_samples())
    .chain(rebuild_samples())
    .chain(punch_samples())
    .chain(routing_samples())
    .chain(finding_samples())
    .chain(ledger_samples())
    .collect()
}

fn probe_samples() -> Vec<(&'static str, Frame)> {
    let (nonce, bytes) = (7, 65_536);
    let number = ProbeNumber { nonce };
    let report = ProbeReport { nonce, bytes: 32_768, micros: 2_744 };
    vec![
        ("probe.ask", Message::Probe(Probe::Ask(ProbeSize { nonce, bytes })).into()),
        ("probe.agree", Message::Probe(Probe::Agree(ProbeSize { nonce, bytes })).into()),
        ("probe.decline", Message::Probe(Probe::Decline(number)).into()),
        ("probe.filler", Frame { message: Message::Probe(Probe::Filler(number)), body: Some("x".into()) }),
        ("probe.report", Message::Probe(Probe::Report(report)).into()),
    ]
}

fn refusal_over_udp() -> Message {
    let header = Header { network: network(), version: 1, id: node(1), time: at(700), ping: Ping::UNKNOWN };
    let header = Some(Box::new(header));
    Message::Error(ErrorMessage { code: Code::WrongNetwork, detail: String::new(), header })
}

fn nat_samples() -> Vec<(&'static str, Frame)> {
    let call = |transport, another_port| {
        let address = "198.51.100.7:41234".parse().expect("valid");
        Message::Nat(Nat::Call(NatCall { nonce: 9, transport, address, another_port })).into()
    };
    let called = |code| Message::Nat(Nat::Called(NatCalled { nonce: 9, code })).into();
    let (peer, host) = (node(2), "198.51.100.7".parse().expect("valid"));
    let there = |seen| Message::Nat(Nat::There(NatThere { peer, host, seen })).into();
    vec![
        ("nat.call", call(NatTransport::Tcp, false)),
        ("nat.call.udp", call(NatTransport::Udp, true)),
        ("nat.called", called(None)),
        ("nat.called.refused", called(Some(Code::Unreachable))),
        ("nat.back", Message::Nat(Nat::Back(NatBack { nonce: 9 })).into()),
        ("nat.where", Message::Nat(Nat::Where(NatWhere { peer, host })).into()),
        ("nat.there", there(Some(true))),
        ("nat.there.unknown", there(None)),
    ]
}

fn peers_samples() -> Vec<(&'static str, Frame)> {
    let records = || Bounded::from_first([announcement()]);
    let purposes = Bounded::from_first([LinkPurpose::Ring, LinkPurpose::Far]);
    let address = Some("198.51.100.7:41234".parse().expect("valid"));
    let ask = PeersAsk { asker: announcement(), number: 9, address, hops: 4, answers: 8 };
    let knock = PeersKnock { number: 9, nonce: 7 };
    vec![
        ("peers.purpose", Message::Peers(Peers::Purpose(PeersPurpose { purposes })).into()),
        ("peers.others", Message::Peers(Peers::Others(PeersOthers { records: records() })).into()),
        ("peers.ask", Message::Peers(Peers::Ask(ask.into())).into()),
        ("peers.knock", Message::Peers(Peers::Knock(knock)).into()),
        ("peers.echo", Message::Peers(Peers::Echo(knock)).into()),
        ("peers.answer", Message::Peers(Peers::Answer(PeersAnswer { number: 9, records: records() })).into()),
        ("peers.shuffle", Message::Peers(Peers::Shuffle(PeersShuffle { records: records(), reply: true })).into()),
    ]
}

fn rebuild_samples() -> Vec<(&'static str, Frame)> {
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

fn routing_samples() -> Vec<(&'static str, Frame)> {
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

fn finding_samples() -> Vec<(&'static str, Frame)> {
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

fn ledger_samples() -> Vec<(&'static str, Frame)> {
    let hash = |n: u8| LedgerHash([n; 32]);
    fn ids<const MAX: usize>(n: u8) -> Bounded<LedgerHash, MAX> {
        Bounded::from_first([LedgerHash([n; 32])])
    }
    let said = |message: Ledger| Message::Ledger(message).into();
    let carried = |message: Ledger, body: Vec<u8>| Frame { message: Message::Ledger(message), body: Some(body.into()) };
    let (request, place) = (7, LedgerPlace { part: 1, of: 2 });
    let part = LedgerPart { request: Some(request), place };
    let whole = LedgerPart { request: Some(request), place: LedgerPlace::WHOLE };
    let pushed = LedgerPart { request: None, place: LedgerPlace::WHOLE };
    let mut work = [0; 32];
    work[..2].copy_from_slice(&[0x39, 0x30]);
    let version = LedgerVersion {
        chain: hash(1),
        version: 1,
        height: 12_345,
        tip: hash(2),
        work: LedgerHash(work),
        blocks: true,
        filters: true,
        relay: true,
        reply: true,
    };
    let locate = LedgerLocate { request, locator: ids(2), stop: None };
    let headers = LedgerHeaders { request: Some(request), place: LedgerPlace::WHOLE, tip: hash(2), height: 12_345 };
    let news = LedgerHeaders { request: None, ..headers.clone() };
    let inv = |kind| LedgerInv { request: None, kind, ids: ids(3) };
    let want = |kind| LedgerWant { request, kind, ids: ids(3) };
    let span = || LedgerSpan { request, start: 1, stop: hash(2) };
    vec![
        ("ledger.version", said(Ledger::Version(version.into()))),
        ("ledger.getheaders", said(Ledger::Getheaders(locate.clone()))),
        ("ledger.headers", carried(Ledger::Headers(headers), vec![b'h'; 80])),
        ("ledger.headers.new", carried(Ledger::Headers(news), vec![b'h'; 80])),
        ("ledger.getblocks", said(Ledger::Getblocks(locate))),
        ("ledger.inv", said(Ledger::Inv(inv(LedgerKind::Transaction)))),
        ("ledger.getdata", said(Ledger::Getdata(want(LedgerKind::Block)))),
        ("ledger.block", carried(Ledger::Block(part), b"first part".to_vec())),
        ("ledger.tx", carried(Ledger::Tx(whole), b"transactions".to_vec())),
        ("ledger.notfound", said(Ledger::Notfound(LedgerNotFound { request, ids: ids(3) }))),
        ("ledger.feefilter", said(Ledger::Feefilter(LedgerFee { rate: 1_000 }))),
        ("ledger.sendcmpct", said(Ledger::Sendcmpct(LedgerCompact { push: true }))),
        ("ledger.cmpctblock", carried(Ledger::Cmpctblock(pushed), b"in short".to_vec())),
        (
            "ledger.getblocktxn",
            said(Ledger::Getblocktxn(LedgerIndexes { request, block: hash(2), indexes: Bounded::from_first([3, 17]) })),
        ),
        ("ledger.blocktxn", carried(Ledger::Blocktxn(whole), b"transactions".to_vec())),
        ("ledger.getcfilters", said(Ledger::Getcfilters(span()))),
        ("ledger.cfilter", carried(Ledger::Cfilter(whole), b"filters".to_vec())),
        ("ledger.getcfheaders", said(Ledger::Getcfheaders(span()))),
        ("ledger.cfheaders", carried(Ledger::Cfheaders(whole), [[b'b'; 32], [b'f'; 32]].concat())),
        ("ledger.getproof", said(Ledger::Getproof(LedgerProve { request, block: hash(2), ids: ids(3) }))),
        ("ledger.proof", carried(Ledger::Proof(whole), b"proof".to_vec())),
    ]
}

#[test]
fn full_lists_of_the_ledger_fit_a_line_in_both_encodings() {
    let ids = || Bounded::from_first(std::iter::repeat_n(LedgerHash([0xff; 32]), usize::MAX));
    let (request, block) = (u32::MAX, LedgerHash([0xff; 32]));
    let frames = [
        Ledger::Inv(LedgerInv { request: Some(request), kind: LedgerKind::Transaction, ids: ids() }),
        Ledger::Getdata(LedgerWant { request, kind: LedgerKind::Transaction, ids: ids() }),
        Ledger::Notfound(LedgerNotFound { request, ids: ids() }),
        Ledger::Getblocktxn(LedgerIndexes {
            request,
            block,
            indexes: Bounded::from_first(std::iter::repeat_n(24_528, usize::MAX)),
        }),
    ];
    for message in frames {
        for encoding in [Encoding::Json, Encoding::Bson] {
            let frame = Frame::from(Message::Ledger(message.clone()));
            let bytes = encode(&frame, encoding).expect("fits");
            assert_eq!(decode(&bytes, encoding), Decoded::Frame(frame));
        }
    }
}

#[test]
fn parts_of_the_ledger_out_of_range_are_refused() {
    for (part, of) in [(0, 1), (2, 1), (1, 0), (1, 65), (65, 65), (256, 256)] {
        let line = format!("{{\"len\":1,\"ledger\":{{\"block\":{{\"part\":{part},\"of\":{of}}}}}}}\nx");
        assert!(matches!(decode(line.as_bytes(), Encoding::Json), Decoded::Invalid(_)), "{line}");
    }
    let line = "{\"len\":1,\"ledger\":{\"block\":{\"part\":64,\"of\":64}}}\nx";
    assert!(matches!(decode(line.as_bytes(), Encoding::Json), Decoded::Frame(_)));
}

fn companion_samples() -> Vec<(&'static str, Frame)> {
    let offer = CompanionOffer { port: 6001, id: 7, secret: "A".repeat(43).parse().expect("valid") };
    let sealed = Message::Companion(Companion::Sealed(CompanionSealed { id: 7, number: 4 }));
    vec![
        ("companion.offer", Message::Companion(Companion::Offer(offer)).into()),
        ("companion.sealed", Frame { message: sealed, body: Some("sealed bytes".into()) }),
    ]
}

/// A list of services as its owner signs it.
fn service_list() -> Bytes {
    let pairs = [("path".to_owned(), "/plan".to_owned())];
    let service = OfferedService {
        name: "web".parse().expect("valid"),
        kind: "_http._tcp".parse().expect("valid"),
        port: 8080,
        text: ServiceText::new(pairs).expect("valid"),
        health: Health::Up,
    };
    let list = ServiceList { at: at(4), ttl_s: 120, services: Bounded::from_first([service]) };
    let text = SignedBroadcast {
        kind: SignedBroadcast::TYPE.to_owned(),
        network: network(),
        seq: at(4),
        expires: at(120_000_004),
        time: at(4),
        clock: at(4),
        service: "services".parse().expect("valid"),
        text: serde_json::to_string(&list).expect("plain data"),
    };
    serde_json::to_vec(&text).expect("plain data").into()
}

fn services_samples() -> Vec<(&'static str, Frame)> {
    let body = service_list();
    let entry = ServicesEntry {
        by: node(1),
        seq: at(4),
        sig: "c2lnbmF0dXJl".to_owned(),
        len: u32::try_from(body.len()).expect("short"),
    };
    let lists = ServicesLists { lists: Bounded::from_first([entry]), owners: Bounded::from_first([announcement()]) };
    let digests = Bounded::from_first(["00112233445566778899aabbccddeeff".to_owned()]);
    let names = Bounded::from_first([ServicesName { by: node(1), seq: at(4) }]);
    let message = |services| Message::Services(services).into();
    vec![
        ("services.compare", message(Services::Compare(ServicesCompare { digests }))),
        ("services.names", message(Services::Names(ServicesNames { names, more: false }))),
        ("services.want", message(Services::Want(ServicesWant { owners: Bounded::from_first([node(1)]) }))),
        ("services.lists", Frame { message: Message::Services(Services::Lists(lists)), body: Some(body) }),
    ]
}

fn chat_samples() -> Vec<(&'static str, Frame)> {
    let key = |n| ChatKey { seq: at(n), author: node(1) };
    let digest = || "00112233445566778899aabbccddeeff".to_owned();
    let (line, body) = broadcast();
    let len = u32::try_from(body.len()).expect("short");
    let messages = ChatMessages {
        messages: Bounded::from_first([ChatEntry { by: line.by, seq: line.seq, sig: line.sig, len }]),
        authors: Bounded::from_first([announcement()]),
    };
    let compare = ChatCompare { from: None, to: Some(key(9)), count: 2, digest: digest() };
    let ranges = ChatRanges {
        from: None,
        to: Some(key(9)),
        ranges: Bounded::from_first([ChatRange { to: Some(key(9)), count: 3, digest: digest() }]),
    };
    let keys = ChatKeys { from: None, to: Some(key(9)), keys: Bounded::from_first([key(4)]) };
    vec![
        ("chat.compare", Message::Chat(Chat::Compare(compare)).into()),
        ("chat.ranges", Message::Chat(Chat::Ranges(ranges)).into()),
        ("chat.keys", Message::Chat(Chat::Keys(keys)).into()),
        ("chat.want", Message::Chat(Chat::Want(ChatWant { keys: Bounded::from_first([key(4)]) })).into()),
        ("chat.messages", Frame { message: Message::Chat(Chat::Messages(messages)), body: Some(body) }),
    ]
}

fn punch_samples() -> Vec<(&'static str, Frame)> {
    fn one<const MAX: usize>(text: &str) -> Bounded<std::net::SocketAddr, MAX> {
        Bounded::from_first([text.parse().expect("an address")])
    }
    let candidates = PunchCandidates {
        host: one("192.168.1.7:6001"),
        v6: one("[2001:db8::7]:6001"),
        mapped: Bounded::default(),
        reflexive: one("198.51.100.7:41234"),
        tcp: Bounded::from_first(["198.51.100.7:6001".parse().expect("an address")]),
    };
    let call = PunchOffer {
        kind: PunchOffer::TYPE.to_owned(),
        network: network(),
        seq: at(6),
        expires: at(120_000_000),
        to: node(2),
        attempt: 77,
        time: at(600),
        key: "K".repeat(43).parse().expect("valid"),
        candidates,
        mapping: PunchMapping::Counting(1),
        answer: None,
    };
    let answer = PunchOffer {
        to: node(1),
        time: at(700),
        mapping: PunchMapping::Independent,
        answer: Some(PunchInstant { receive: at(650), at: at(150_700) }),
        ..call.clone()
    };
    let end = PunchEnd {
        kind: PunchEnd::TYPE.to_owned(),
        network: network(),
        seq: at(7),
        expires: at(120_000_000),
        to: node(1),
        attempt: 77,
        reason: PunchReason::Linked,
    };
    vec![
        ("punch.call", Message::Punch(Punch::Call(record(&call, node(1)))).into()),
        ("punch.answer", Message::Punch(Punch::Answer(record(&answer, node(2)))).into()),
        ("punch.withdraw", Message::Punch(Punch::Withdraw(record(&end, node(2)))).into()),
    ]
}

#[test]
fn an_offer_with_all_lists_full_fits_a_record() {
    let v4 = || (0..8).map(|n| format!("255.255.255.24{n}:65535").parse().expect("an address"));
    let v6 =
        || (0..8).map(|n| format!("[2001:db88:1111:2222:3333:4444:5555:666{n}]:65535").parse().expect("an address"));
    let candidates = PunchCandidates {
        host: Bounded::from_first(v4()),
        v6: Bounded::from_first(v6()),
        mapped: Bounded::from_first(v6()),
        reflexive: Bounded::from_first(v6()),
        tcp: Bounded::from_first(v6()),
    };
    let time = UnixMicros::new(u64::MAX);
    let offer = PunchOffer {
        kind: PunchOffer::TYPE.to_owned(),
        network: network(),
        seq: time,
        expires: time,
        to: node(2),
        attempt: u32::MAX,
        time,
        key: "K".repeat(43).parse().expect("valid"),
        candidates,
        mapping: PunchMapping::Counting(i16::MIN),
        answer: Some(PunchInstant { receive: time, at: time }),
    };
    let text = serde_json::to_string(&offer).expect("plain data");
    assert!(text.len() <= crate::limits::MAX_RECORD_TEXT, "{} bytes", text.len());
}

fn decode(bytes: &[u8], encoding: Encoding) -> Decoded {
    let mut decoder = Decoder::new();
    decoder.accept(encoding);
    decoder.decode(&mut bytes.into()).expect("no framing fault").expect("whole")
}

pub(super) fn blessed(path: &str, actual: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("MESHLINE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().expect("has a folder")).expect("created");
        std::fs::write(&path, actual).expect("written");
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; MESHLINE_BLESS=1 writes it", path.display()))
}

#[test]
fn every_sample_is_written_and_read_as_it_stands() {
    for (name, frame) in samples() {
        let bytes = encode(&frame, Encoding::Json).expect("fits");
        let golden = blessed(&format!("golden/{name}.json"), &bytes);
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&golden), "{name}");
        assert_eq!(decode(&golden, Encoding::Json), Decoded::Frame(frame.clone()), "{name}");
        let document = encode(&frame, Encoding::Bson).expect("fits");
        assert_eq!(decode(&document, Encoding::Bson), Decoded::Frame(frame), "{name}");
    }
}

#[test]
fn every_message_has_a_sample_and_a_known_tag() {
    let schema = serde_json::to_value(crate::schema::messages()).expect("plain data");
    let variants = schema["oneOf"].as_array().expect("an enum").len();
    let samples = samples();
    let tags: std::collections::BTreeSet<_> =
        samples.iter().map(|(_, frame)| frame.message.kind().split('.').next().expect("not empty")).collect();
    assert_eq!(tags.len(), variants, "a message without a sample");
    for (name, frame) in samples {
        let (tag, inner) =
            frame.message.kind().split_once('.').map_or_else(|| (frame.message.kind(), None), |(a, b)| (a, Some(b)));
        assert!(Message::is_known(tag, inner), "{name}");
        assert!(name.starts_with(frame.message.kind()), "{name}");
    }
    assert!(!Message::is_known("ring", Some("dance")));
}

#[test]
fn the_hello_of_a_closed_network_fits_the_limit_before_acceptance() {
    let bytes = encode(&hello().into(), Encoding::Json).expect("fits");
    assert!(bytes.len() < crate::limits::MAX_LINE_BEFORE_HELLO, "{} bytes", bytes.len());
}

#[test]
fn the_schema_in_the_docs_is_the_one_the_types_make() {
    let schema = serde_json::to_string_pretty(&crate::schema::messages()).expect("plain data") + "\n";
    let golden = blessed("../../docs/schema/messages.json", schema.as_bytes());
    assert_eq!(schema, String::from_utf8_lossy(&golden), "MESHLINE_BLESS=1 rewrites it");
}
