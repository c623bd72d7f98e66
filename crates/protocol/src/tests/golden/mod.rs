//! One sample for every message, checked in both directions: a sample that no longer reads or writes as it
//! stands is a change of the wire. `MESHLINE_BLESS=1` rewrites the samples and the schema.

mod ledger;
mod routing;
mod services;
mod ways;

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
        announcement: None,
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
    let told = BroadcastMessage { announcement: Some(Box::new(announcement())), ..flooded.clone() };
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
        ("error.udp", ways::refusal_over_udp().into()),
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
        ("broadcast.flood.told", with_body(Broadcast::Flood(told))),
        ("broadcast.ring", with_body(Broadcast::Ring(line))),
        ("broadcast.have", Message::Broadcast(Broadcast::Have(have)).into()),
        ("broadcast.want", Message::Broadcast(Broadcast::Want(BroadcastWant { names: names() })).into()),
        ("broadcast.graft", Message::Broadcast(Broadcast::Graft(BroadcastGraft {})).into()),
        ("broadcast.prune", Message::Broadcast(Broadcast::Prune(BroadcastPrune {})).into()),
        ("broadcast.place", Message::Broadcast(Broadcast::Place(BroadcastPlace { root: node(1), hops: 3 })).into()),
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
    .chain(ways::probe_samples())
    .chain(ways::nat_samples())
    .chain(ways::peers_samples())
    .chain(ways::companion_samples())
    .chain(services::chat_samples())
    .chain(services::services_samples())
    .chain(routing::rebuild_samples())
    .chain(ways::punch_samples())
    .chain(routing::routing_samples())
    .chain(routing::finding_samples())
    .chain(ledger::ledger_samples())
    .collect()
}

fn decode(bytes: &[u8], encoding: Encoding) -> Decoded {
    let mut decoder = Decoder::new();
    decoder.accept(encoding);
    decoder.decode(&mut bytes.into()).expect("no framing fault").expect("whole")
}

pub(in crate::tests) fn blessed(path: &str, actual: &[u8]) -> Vec<u8> {
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
