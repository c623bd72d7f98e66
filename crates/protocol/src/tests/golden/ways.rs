//! Samples of what finds, opens and measures ways between two members: probes, NAT, other peers, UDP, punching.

use super::*;

pub(super) fn probe_samples() -> Vec<(&'static str, Frame)> {
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

pub(super) fn refusal_over_udp() -> Message {
    let header = Header { network: network(), version: 1, id: node(1), time: at(700), ping: Ping::UNKNOWN };
    let header = Some(Box::new(header));
    Message::Error(ErrorMessage { code: Code::WrongNetwork, detail: String::new(), header })
}

pub(super) fn nat_samples() -> Vec<(&'static str, Frame)> {
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

pub(super) fn peers_samples() -> Vec<(&'static str, Frame)> {
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

pub(super) fn companion_samples() -> Vec<(&'static str, Frame)> {
    let offer = CompanionOffer { port: 6001, id: 7, secret: "A".repeat(43).parse().expect("valid") };
    let sealed = Message::Companion(Companion::Sealed(CompanionSealed { id: 7, number: 4 }));
    vec![
        ("companion.offer", Message::Companion(Companion::Offer(offer)).into()),
        ("companion.sealed", Frame { message: sealed, body: Some("sealed bytes".into()) }),
    ]
}

pub(super) fn punch_samples() -> Vec<(&'static str, Frame)> {
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
