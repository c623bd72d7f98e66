//! Nobody's address gets more than was sent for it.

use std::net::SocketAddr;

use bytes::Bytes;
use meshline_identity::KeyPair;
use meshline_protocol::message::{Peers as Message, PeersAnswer, PeersAsk, PeersKnock};
use meshline_protocol::{Bounded, Code, Message as Wire, NodeId, SignedRecord, UnixMicros};

use super::{Asks, KNOCK_BYTES, MAX_ANSWERS, MAX_PENDING, RATE};
use crate::config::Config;
use crate::input::{LinkId, Transport};
use crate::now::{Mono, Now};
use crate::output::Output;
use crate::shared::{Shared, UpPeer};

const VICTIM: &str = "198.51.100.7:6000";

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn at(micros: u64) -> Now {
    Now { mono: Mono(micros), wall: UnixMicros::new(1_800_000_000_000_000 + micros) }
}

/// A node with links to a few.
fn shared(links: u8) -> Shared {
    let config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
    let mut shared = Shared::new(config, KeyPair::from_secret([9; 32]), [7; 32], at(0));
    for n in 1..=links {
        let link = LinkId(u64::from(n));
        shared.up.insert(id(n), UpPeer { link, transport: Transport::Tcp, is_view: false, is_proxy: false });
    }
    shared
}

fn ask(shared: &Shared, number: u32, hops: u8, answers: u8) -> PeersAsk {
    let address = Some(VICTIM.parse().expect("an address"));
    PeersAsk { asker: shared.announcement.clone(), number, address, hops, answers }
}

fn record(length: usize) -> SignedRecord {
    SignedRecord { signed: "x".repeat(length), by: id(99), sig: "y".repeat(88) }
}

/// What went out: datagrams with their destinations, and frames with the links they went over.
type Sent = (Vec<(SocketAddr, Bytes)>, Vec<(LinkId, Message)>);

fn sent(shared: &mut Shared) -> Sent {
    let (mut packets, mut frames) = (Vec::new(), Vec::new());
    while let Some(output) = shared.pop() {
        if let Output::SendPacket { to, bytes, .. } = output {
            packets.push((to, bytes));
            continue;
        }
        let Output::Send { link, frame } = output else { panic!("{output:?}") };
        let Wire::Peers(message) = &frame.message else { panic!("{frame:?}") };
        frames.push((link, message.clone()));
    }
    (packets, frames)
}

fn knock_of(bytes: &Bytes) -> PeersKnock {
    let decoded = meshline_protocol::frame::decode_datagram(bytes);
    let Ok(meshline_protocol::Decoded::Frame(frame)) = decoded else { panic!("{decoded:?}") };
    let Wire::Peers(Message::Knock(knock)) = frame.message else { panic!("{frame:?}") };
    knock
}

#[test]
fn f13_until_its_address_is_proven_an_asker_gets_less_than_it_sent_however_the_request_spreads() {
    for (hops, answers) in [(0, 0), (0, 8), (1, 2), (4, 8), (255, 255)] {
        let mut shared = shared(9);
        let first = ask(&shared, 7, hops, answers);
        let bytes_in = serde_json::to_vec(&Wire::Peers(Message::Ask(first.clone().into()))).expect("plain").len();
        // Each request goes to a node of its own, as it does in a large network.
        let (mut bytes_out, mut knocks, mut ahead) = (0, 0, vec![first]);
        while let Some(next) = ahead.pop() {
            let peers = (1..=9).map(id).collect();
            Asks::default().handle_ask((id(1), next), vec![record(400); 8], peers, &mut shared);
            let (packets, frames) = sent(&mut shared);
            for (to, bytes) in packets {
                assert!(bytes.len() <= KNOCK_BYTES);
                assert_eq!(to, VICTIM.parse().expect("an address"));
                (bytes_out, knocks) = (bytes_out + bytes.len(), knocks + 1);
            }
            for (_, message) in frames {
                let Message::Ask(on) = message else {
                    panic!("before the echo nothing else is sent, but {message:?} was")
                };
                ahead.push(*on);
            }
        }
        assert!(knocks <= usize::from(answers.clamp(1, MAX_ANSWERS)), "{knocks} knocks for {answers} answers");
        assert!(bytes_out <= bytes_in, "{bytes_out} bytes for {bytes_in}, with {hops} hops and {answers} answers");
    }
}

#[test]
fn what_is_known_follows_the_right_echo_once_and_what_is_too_long_goes_back_along_the_way() {
    let mut shared = shared(1);
    let mut asks = Asks::default();
    let request = ask(&shared, 7, 0, 8);
    asks.handle_ask((id(1), request), vec![record(400), record(1_500), record(500)], vec![], &mut shared);
    let (packets, frames) = sent(&mut shared);
    assert!(frames.is_empty());
    let knock = knock_of(&packets[0].1);
    let wrong = PeersKnock { nonce: knock.nonce ^ 1, ..knock };
    assert_eq!(asks.handle_echo(wrong, &mut shared), Err(Code::UnexpectedMessage));
    assert!(sent(&mut shared).0.is_empty());
    asks.handle_echo(knock, &mut shared).expect("the right one");
    let (packets, frames) = sent(&mut shared);
    assert_eq!((packets.len(), frames.len()), (2, 1));
    asks.handle_echo(knock, &mut shared).expect("again");
    let again = sent(&mut shared);
    assert!(again.0.is_empty() && again.1.is_empty());
}

#[test]
fn an_asker_that_does_not_answer_a_knock_is_answered_along_the_way() {
    let mut shared = shared(1);
    let mut asks = Asks::default();
    let request = ask(&shared, 7, 0, 8);
    asks.handle_ask((id(1), request), vec![record(400)], vec![], &mut shared);
    assert_eq!(sent(&mut shared).0.len(), 1);
    shared.now = at(asks.next_timeout().expect("an answer is due").0);
    asks.handle_timeout(&mut shared);
    let (packets, frames) = sent(&mut shared);
    assert!(packets.is_empty());
    assert!(matches!(&frames[..], [(LinkId(1), Message::Answer(answer))] if answer.records.len() == 1));
}

#[test]
fn answers_are_passed_back_only_from_whom_was_asked_and_no_more_than_were_wanted() {
    let mut shared = shared(3);
    let mut asks = Asks::default();
    let request = ask(&shared, 7, 4, 3);
    asks.handle_ask((id(1), request), vec![], vec![id(2)], &mut shared);
    sent(&mut shared);
    let answer = || PeersAnswer { number: 7, records: Bounded::default() };
    assert_eq!(asks.handle_answer(id(3), answer(), &mut shared), Err(Code::UnexpectedMessage));
    for _ in 0..3 {
        assert_eq!(asks.handle_answer(id(2), answer(), &mut shared), Ok(None));
    }
    assert_eq!(asks.handle_answer(id(2), answer(), &mut shared), Err(Code::RateLimited));
    assert_eq!(sent(&mut shared).1.iter().filter(|(link, _)| *link == LinkId(1)).count(), 3);
}

#[test]
fn nobody_has_a_node_knock_at_itself_or_at_many() {
    for address in ["127.0.0.1:25", "[::1]:25", "224.0.0.1:25", "255.255.255.255:25", "0.0.0.0:25", "a.example:25"] {
        let mut shared = shared(1);
        shared.config.listen = vec!["203.0.113.1:6000".parse().expect("an address")];
        let mut request = ask(&shared, 7, 0, 1);
        request.address = Some(address.parse().expect("an address"));
        Asks::default().handle_ask((id(1), request), vec![record(400)], vec![], &mut shared);
        let (packets, frames) = sent(&mut shared);
        assert!(packets.is_empty(), "{address}");
        assert_eq!(frames.len(), 1, "{address}: it is answered along the way");
    }
}

#[test]
fn requests_are_limited_in_rate_and_number_and_repeated_ones_dropped() {
    let mut shared = shared(1);
    let mut asks = Asks::default();
    let (mut taken, mut number) = (0, 0);
    for _ in 0..1_000 {
        let request = ask(&shared, number, 0, 1);
        if !asks.is_too_much(&request, shared.now.mono) {
            asks.handle_ask((id(1), request.clone()), vec![], vec![], &mut shared);
            assert!(asks.is_too_much(&request, shared.now.mono), "the same again");
            taken += 1;
        }
        number += 1;
    }
    assert_eq!(taken, RATE.burst);
    assert!(asks.pending.len() <= MAX_PENDING);
    shared.now = at(60_000_000);
    assert!(!asks.is_too_much(&ask(&shared, number, 0, 1), shared.now.mono));
    assert!(asks.pending.is_empty(), "forgotten");
}

#[test]
fn only_what_was_asked_for_is_echoed_and_taken() {
    let mut shared = shared(1);
    let mut asks = Asks::default();
    let from = VICTIM.parse().expect("an address");
    let knock = PeersKnock { number: 1, nonce: 2 };
    assert_eq!(asks.handle_knock(from, knock, &mut shared), Err(Code::UnexpectedMessage));
    asks.ask(true, None, &[id(1)], &mut shared);
    let number = match &sent(&mut shared).1[..] {
        [(_, Message::Ask(ask))] => ask.number,
        other => panic!("{other:?}"),
    };
    for _ in 0..MAX_ANSWERS {
        asks.handle_knock(from, PeersKnock { number, nonce: 2 }, &mut shared).expect("one of those asked");
    }
    assert_eq!(asks.handle_knock(from, PeersKnock { number, nonce: 2 }, &mut shared), Err(Code::RateLimited));
    assert!(asks.takes_packet(number, shared.now.mono) && !asks.takes_packet(number ^ 1, shared.now.mono));
    let late = Mono(60_000_000);
    assert!(!asks.takes_packet(number, late));
}
