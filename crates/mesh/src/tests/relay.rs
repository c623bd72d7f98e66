//! When a proxy is asked, and what a proxy lets one member do.

use std::time::Duration;

use meshline_identity::{KeyPair, Member};
use meshline_protocol::message::{Relay, RelayTicket, Role};
use meshline_protocol::{Address, Code, Message, NodeId, SignedRecord, Ticket, UnixMicros};

use crate::config::Config;
use crate::gossip::Members;
use crate::input::{LinkId, RelayConnection, Transport};
use crate::link::Links;
use crate::now::{Mono, Now};
use crate::output::Output;
use crate::peers::{Failure, Heard, Peers};
use crate::relay::{Known, MAX_AWAITED, MAX_BROKEN, MAX_COUNTED, RelayClient, RelayServer};
use crate::shared::{Shared, UpPeer};

fn id(n: u16) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn at(micros: u64) -> Now {
    Now { mono: Mono(micros), wall: UnixMicros::new(1_800_000_000_000_000 + micros) }
}

fn shared(roles: &[Role]) -> Shared {
    let mut config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
    config.roles = roles.to_vec();
    Shared::new(config, KeyPair::from_secret([9; 32]), [7; 32], at(0))
}

fn linked(shared: &mut Shared, n: u16) {
    let link = LinkId(u64::from(n));
    shared.up.insert(id(n), UpPeer { link, transport: Transport::Tcp, is_view: false, is_proxy: false });
}

/// The refusals that were sent.
fn refusals(shared: &mut Shared) -> Vec<(Code, String)> {
    let mut refusals = Vec::new();
    while let Some(output) = shared.pop() {
        if let Output::Send { frame, .. } = output
            && let Message::Relay(Relay::Refuse(refusal)) = &frame.message
        {
            refusals.push((refusal.code, refusal.detail.clone()));
        }
    }
    refusals
}

#[test]
fn a_member_may_ask_for_sixty_four_at_once_and_eight_a_second() {
    let (mut shared, mut server) = (shared(&[Role::Proxy]), RelayServer::default());
    linked(&mut shared, 1);
    let mut ask = |shared: &mut Shared, times: u16, micros: u64| {
        shared.now = at(micros);
        for _ in 0..times {
            server.handle_request((id(1), None), id(2), shared);
        }
        refusals(shared)
    };
    let first = ask(&mut shared, 64, 0);
    assert!(first.len() == 64 && first.iter().all(|(code, _)| *code == Code::NoSuchPeer), "{first:?}");
    let often = (Code::RateLimited, "the member asks too often".to_owned());
    assert_eq!(ask(&mut shared, 1, 0), std::slice::from_ref(&often));
    let later = ask(&mut shared, 9, 1_000_000);
    assert_eq!(later.iter().filter(|refusal| **refusal == often).count(), 1, "{later:?}");
    let report = server.report(|_| "bobby".to_owned());
    let [row] = report.members.as_slice() else { panic!("one member asked") };
    assert_eq!((row.refused["no_such_peer"], row.refused["rate_limited"]), (72, 2));
}

#[test]
fn so_many_members_are_counted() {
    let (mut shared, mut server) = (shared(&[Role::Proxy]), RelayServer::default());
    let most = u16::try_from(MAX_COUNTED).expect("small");
    for n in 0..=most {
        assert_eq!(server.report(|_| String::new()).members.len(), usize::from(n));
        server.handle_request((id(n), None), id(9), &mut shared);
    }
    assert_eq!(server.report(|_| String::new()).members.len(), 1, "those without a pair are forgotten");
}

/// What becomes of two members that a proxy joins: their tickets, the asker's first.
fn granted(server: &mut RelayServer, shared: &mut Shared) -> [Ticket; 2] {
    [1, 2].into_iter().for_each(|n| linked(shared, n));
    server.handle_request((id(1), None), id(2), shared);
    let offered = relayed(shared).pop().expect("an offer");
    server.handle_accept(id(2), &offered, shared);
    let [asker, other] = relayed(shared).try_into().expect("two grants");
    assert!(asker.peer == id(2) && other.peer == id(1) && other.ticket == offered.ticket);
    [asker.ticket, other.ticket]
}

/// Offers and grants that were sent.
fn relayed(shared: &mut Shared) -> Vec<RelayTicket> {
    let mut tickets = Vec::new();
    while let Some(output) = shared.pop() {
        if let Output::Send { frame, .. } = output
            && let Message::Relay(Relay::Offer(ticket) | Relay::Grant(ticket)) = &frame.message
        {
            tickets.push(ticket.clone());
        }
    }
    tickets
}

/// A connection shows a ticket: the connections that are refused by name, and those that are joined.
fn shows(
    server: &mut RelayServer,
    shared: &mut Shared,
    (connection, ticket): (u64, &Ticket),
) -> (Vec<(u64, Code)>, Vec<[u64; 2]>) {
    server.handle_arrival(RelayConnection(connection), ticket, shared);
    let (mut refused, mut joined) = (Vec::new(), Vec::new());
    while let Some(output) = shared.pop() {
        if let Output::RelayDrop { connection, code } = output {
            refused.push((connection.0, code));
        } else if let Output::RelayJoin { first, second, .. } = output {
            joined.push([first.0, second.0]);
        }
    }
    (refused, joined)
}

#[test]
fn a_ticket_is_shown_once_before_both_came_and_after() {
    let (mut shared, mut server) = (shared(&[Role::Proxy]), RelayServer::default());
    let [asker, other] = granted(&mut server, &mut shared);
    assert_eq!(shows(&mut server, &mut shared, (1, &asker)), (vec![], vec![]), "it waits");
    assert_eq!(shows(&mut server, &mut shared, (2, &asker)), (vec![(2, Code::BadTicket)], vec![]), "shown again");
    assert_eq!(shows(&mut server, &mut shared, (3, &other)), (vec![], vec![[1, 3]]), "the first one is joined");
    for ticket in [&asker, &other] {
        assert_eq!(shows(&mut server, &mut shared, (4, ticket)), (vec![(4, Code::BadTicket)], vec![]), "it is used up");
    }
    assert_eq!(shared.refused["bad_ticket"], 3);
}

#[test]
fn a_ticket_holds_for_ten_seconds_whether_or_not_a_timer_has_run() {
    for (late, has_looked) in [(9_999_999, false), (10_000_000, false), (10_000_000, true)] {
        let (mut shared, mut server) = (shared(&[Role::Proxy]), RelayServer::default());
        let [asker, other] = granted(&mut server, &mut shared);
        assert_eq!(shows(&mut server, &mut shared, (1, &asker)), (vec![], vec![]));
        shared.now = at(late);
        if has_looked {
            server.handle_timeout(&mut shared);
        }
        let (refused, joined) = shows(&mut server, &mut shared, (2, &other));
        let is_late = late >= 10_000_000;
        assert_eq!((joined.len(), refused.contains(&(2, Code::BadTicket))), (usize::from(!is_late), is_late), "{late}");
        server.handle_timeout(&mut shared);
        assert_eq!(server.next_timeout(), None, "nothing of it is left");
    }
}

fn member(n: u16, role: Role) -> Member {
    let record = SignedRecord { signed: String::new(), by: id(n), sig: String::new() };
    Member {
        id: id(n),
        name: "bobby".parse().expect("a name"),
        roles: vec![role],
        addresses: Vec::new(),
        next: None,
        seq: UnixMicros::new(1),
        expires: UnixMicros::new(9_000_000_000_000_000),
        membership_seq: None,
        record,
    }
}

#[test]
fn with_too_many_grants_awaited_offers_are_refused() {
    const PROXY: u16 = 60_000;
    let (mut shared, mut client) = (shared(&[Role::Node]), RelayClient::default());
    linked(&mut shared, PROXY);
    let (links, mut members, peers) = (Links::default(), Members::default(), Peers::default());
    members.insert(member(PROXY, Role::Proxy).into());
    let most = u16::try_from(MAX_AWAITED).expect("small");
    for n in 1..=most + 1 {
        members.insert(member(n, Role::Node).into());
    }
    let ticket: Ticket = data_encoding::BASE64URL_NOPAD.encode(&[7; 32]).try_into().expect("a ticket");
    let mut offer = |n: u16, shared: &mut Shared| {
        let offer = RelayTicket { ticket: ticket.clone(), peer: id(n) };
        client.handle_offer(id(PROXY), offer, shared, Known { links: &links, members: &members, peers: &peers });
        refusals(shared).pop()
    };
    for n in 1..=most {
        assert_eq!(offer(n, &mut shared), None, "{n}");
    }
    let refusal = offer(most + 1, &mut shared);
    assert_eq!(refusal, Some((Code::RateLimited, "too many grants are awaited".to_owned())), "one past the bound");
}

#[test]
fn so_many_broken_links_are_remembered_the_latest() {
    let mut client = RelayClient::default();
    for n in 0..=u16::try_from(MAX_BROKEN).expect("small") {
        client.broke(id(n), id(60_000), Mono(u64::from(n)));
    }
    assert_eq!(client.broken(), MAX_BROKEN);
    client.broke(id(1), id(60_000), Mono(61_000_000));
    assert_eq!(client.broken(), 1, "those of more than a minute ago are forgotten");
}

struct Bench {
    shared: Shared,
    peers: Peers,
    links: Links,
}

impl Bench {
    fn new(addresses: &[&str], heard: Heard) -> Self {
        let (mut shared, mut peers) = (shared(&[Role::Node]), Peers::default());
        let addresses: Vec<Address> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        peers.add_member(&mut shared, id(1), &addresses, heard);
        Self { shared, peers, links: Links::default() }
    }

    /// From when on a proxy may be asked, as it is seen at a time.
    fn from(&mut self, micros: u64) -> Option<Mono> {
        self.shared.now = at(micros);
        self.peers.unreached(&self.links, self.shared.now.mono).first().map(|(_, from)| *from)
    }

    fn dial(&mut self, micros: u64) {
        self.shared.now = at(micros);
        self.peers.handle_timeout(&mut self.shared, &self.links);
    }
}

#[test]
fn a_direct_dial_has_a_quarter_of_a_second_before_a_proxy_is_asked() {
    let mut bench = Bench::new(&["h1:6000", "h2:6000"], Heard::Listed);
    assert_eq!(bench.from(0), None, "it waits for its turn to be dialled");
    bench.dial(10_000);
    let head_start = Mono(10_000).after(Duration::from_millis(250));
    assert_eq!(bench.from(10_000), Some(head_start));
    bench.dial(3_000_000);
    assert_eq!(bench.from(3_000_000), Some(head_start), "what comes of the other addresses is not waited for");
}

#[test]
fn nobody_waits_for_a_dial_that_cannot_be_or_was_in_vain_or_for_what_broke() {
    let mut bench = Bench::new(&[], Heard::Told);
    assert_eq!(bench.from(0), Some(Mono(0)), "without an address");
    let mut bench = Bench::new(&["h1:6000"], Heard::Listed);
    bench.dial(0);
    let mut dial = None;
    while let Some(output) = bench.shared.pop() {
        if let Output::Dial { dial: made, .. } = output {
            dial = Some(made);
        }
    }
    let failure = Failure { code: Code::Unreachable, detail: "refused", proved: None };
    bench.peers.fail(&mut bench.shared, dial.expect("dialled"), failure);
    assert_eq!(bench.from(1), Some(Mono(0)), "tried in vain");
    let mut bench = Bench::new(&["h1:6000"], Heard::Told);
    bench.shared.now = at(5_000_000);
    bench.peers.lost(&mut bench.shared, id(1));
    assert_eq!(bench.from(5_000_000), Some(Mono(5_000_000)), "it was linked");
}

#[test]
fn whoever_is_to_be_dialled_by_the_other_side_is_asked_for_as_soon() {
    let mut bench = Bench::new(&["h1:6000"], Heard::Told);
    let from = bench.from(0).expect("not linked");
    assert_eq!(from, Mono(0).after(Duration::from_millis(400)));
}
