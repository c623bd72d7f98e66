//! Three members, two links, and what becomes of a datagram.

use bytes::BytesMut;
use meshline_mesh::{Path, Route, Transport};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::sync::mpsc;

use super::*;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::limits::MAX_INCOMING;
use crate::link::{Link, LinkContext};
use crate::tap::Content;
use meshline_protocol::{Decoded, Decoder, Encoding, Frame, Message};

fn id(byte: u8) -> NodeId {
    NodeId::from_bytes([byte; 32])
}

const OWN: u8 = 1;
const FAR: u8 = 9;

/// A forwarder whose ways to [`FAR`] lead over members 2 and 3, and the far ends of its links.
struct Plane {
    forwarder: Forwarder,
    links: Vec<(Link, DuplexStream)>,
    _notices: mpsc::Receiver<crate::driver::Notice>,
}

fn table(carries: bool) -> Arc<Table> {
    let path = |next, cost_us| Path { hops: vec![id(next), id(FAR)], cost_us, share: 500 };
    let route = Route { paths: vec![path(2, 10), path(3, 20)] };
    Arc::new(Table { own: Some(id(OWN)), carries, routes: [(id(FAR), route)].into(), ..Table::default() })
}

fn plane() -> Plane {
    plane_with([None, None])
}

/// The same, with the members through whose exits the links to 2 and 3 go.
fn plane_with(through: [Option<NodeId>; 2]) -> Plane {
    let forwarder = Forwarder::default();
    let (notices, received) = mpsc::channel(MAX_INCOMING);
    let mut links = Vec::new();
    for ((number, peer), through) in [(0, 2), (1, 3)].into_iter().zip(through) {
        let (near, far) = duplex(1024 * 1024);
        let address = || "127.0.0.1:1".parse().unwrap();
        let connection = Connection {
            stream: Box::new(near),
            socket: None,
            early: BytesMut::new(),
            transport: Transport::Plain,
            local: address(),
            remote: address(),
            proved: None,
            through,
            spent_us: 0,
            permit: None,
            quic: None,
        };
        let (alive, _) = mpsc::channel(1);
        let (notices, forwarder_of_link) = (notices.clone(), Arc::default());
        let context = LinkContext { notices, clock: Clock::start(), forwarder: forwarder_of_link, alive };
        let link = Link::open(LinkId(number), connection, context);
        forwarder.link_up(id(peer), link.outlet());
        links.push((link, far));
    }
    forwarder.publish(table(true));
    Plane { forwarder, links, _notices: received }
}

impl Plane {
    fn sent(&self, datagram: Datagram, body: &'static [u8]) -> Option<Back> {
        self.forwarder.pass_on(&id(7), true, Box::new(datagram), Bytes::from_static(body))
    }

    /// What comes out at the far end of a link.
    async fn comes_out(&mut self, link: usize) -> (Datagram, Bytes) {
        let (mut decoder, mut input) = (Decoder::new(), BytesMut::new());
        decoder.accept(Encoding::Json);
        loop {
            match decoder.decode(&mut input).unwrap() {
                Some(Decoded::Frame(Frame { message: Message::Datagram(datagram), body: Some(body) })) => {
                    return (*datagram, body);
                }
                Some(other) => panic!("{other:?}"),
                None => assert!(self.links[link].1.read_buf(&mut input).await.unwrap() > 0),
            }
        }
    }
}

fn from_another(path: &[u8]) -> Datagram {
    let path = Bounded::from_first(path.iter().map(|byte| id(*byte)));
    Datagram { path, ..datagram_line(id(7), id(FAR), 5, "test".parse().unwrap()) }
}

fn service() -> ServiceName {
    "test".parse().unwrap()
}

#[tokio::test]
async fn a_datagram_goes_to_the_next_on_its_path_with_its_body_as_it_came() {
    let mut plane = plane();
    assert_eq!(plane.sent(from_another(&[3]), b"body"), None);
    let (line, body) = plane.comes_out(1).await;
    assert_eq!((line.ttl, line.path.len(), &body[..]), (31, 0, &b"body"[..]));
    let report = plane.forwarder.report();
    assert_eq!((report.forwarded_frames, report.sent_frames), (1, 0));
}

#[tokio::test]
async fn what_ends_here_or_cannot_go_on_comes_back_for_the_core() {
    let plane = plane();
    let for_us = Datagram { dst: id(OWN), ..from_another(&[]) };
    let spent = Datagram { ttl: 0, ..from_another(&[3]) };
    let lost = Datagram { dst: id(77), ..from_another(&[]) };
    for datagram in [for_us, spent, lost] {
        assert_eq!(plane.sent(datagram.clone(), b"x"), Some((Box::new(datagram), Bytes::from_static(b"x"))));
    }
    plane.forwarder.publish(table(false));
    assert!(plane.sent(from_another(&[3]), b"x").is_some(), "a node that carries nothing forwards nothing");
    assert_eq!(plane.forwarder.report().forwarded_frames, 0);
}

#[tokio::test]
async fn only_links_that_are_up_are_used_and_another_way_is_found_at_once() {
    let mut plane = plane();
    plane.forwarder.link_down(LinkId(0));
    assert_eq!(plane.sent(from_another(&[2]), b"x"), None);
    let (line, _) = plane.comes_out(1).await;
    assert_eq!(line.detours, 1);
    plane.forwarder.link_down(LinkId(1));
    assert!(plane.sent(from_another(&[2]), b"x").is_some());
}

#[tokio::test]
async fn what_waits_for_a_link_that_goes_down_takes_its_detour() {
    let mut plane = plane();
    assert_eq!(plane.sent(from_another(&[2]), b"x"), None);
    let second_detour = Datagram { detours: 1, ..from_another(&[2]) };
    assert_eq!(plane.sent(second_detour, b"y"), None);
    // No writer has run yet: both wait.
    plane.forwarder.link_down(LinkId(0));
    let waiting = plane.links[0].0.divert();
    assert_eq!(waiting.len(), 2);
    plane.forwarder.reroute(waiting);
    let (line, body) = plane.comes_out(1).await;
    assert_eq!((line.detours, &body[..]), (1, &b"x"[..]));
    let report = plane.forwarder.report();
    assert_eq!((report.rerouted_frames, report.dropped["no_route"]), (1, 1));
}

#[tokio::test]
async fn a_closed_link_that_is_not_forgotten_yet_takes_nothing() {
    let plane = plane();
    assert!(plane.links[1].0.divert().is_empty());
    assert!(plane.sent(from_another(&[3]), b"x").is_some(), "the core sees to it");
}

#[tokio::test]
async fn a_flow_that_is_full_is_dropped_by_reason_and_the_other_goes_on() {
    let plane = plane();
    let body = Bytes::from(vec![0; 65_536]);
    let push = |flow| {
        let datagram = Datagram { flow, ..from_another(&[2]) };
        plane.forwarder.pass_on(&id(7), true, Box::new(datagram), body.clone())
    };
    // What they count beside their bodies is less than one of them.
    let fitting = crate::limits::MAX_FLOW_BYTES / body.len() - 1;
    for _ in 0..fitting + 13 {
        assert_eq!(push(1), None);
    }
    assert_eq!(push(2), None);
    let report = plane.forwarder.report();
    assert_eq!((report.dropped["flow_full"], report.waiting_frames), (13, fitting + 1));
    assert!(report.waiting_bytes <= crate::limits::MAX_WAITING_BYTES);
}

#[tokio::test]
async fn the_core_is_told_of_a_destination_before_datagrams_go_past_it() {
    let mut plane = plane();
    let body = Bytes::from_static(b"x");
    let send = |now| plane.forwarder.send(id(FAR), (service(), 1, Over::Tcp), body.clone(), Mono(now));
    assert_eq!(send(0), Sent::Unsettled(body.clone()));
    assert_eq!(send(1), Sent::Queued);
    assert_eq!(send(61_000_000), Sent::Unsettled(body.clone()), "and again after a while");
    assert_eq!(plane.comes_out(0).await.0.src, id(OWN));
    assert_eq!(plane.forwarder.report().sent_frames, 1);
}

#[tokio::test]
async fn too_many_destinations_are_the_cores_affair() {
    let plane = plane();
    for byte in 0..=u8::MAX {
        assert!(!plane.forwarder.was_told(id(byte), Mono(0)));
    }
    let one_more = NodeId::from_bytes([0; 32].map(|_| 3));
    assert!(plane.forwarder.was_told(one_more, Mono(0)));
    let mut bytes = [0; 32];
    bytes[0] = 1;
    let unknown = NodeId::from_bytes(bytes);
    assert!(!plane.forwarder.was_told(unknown, Mono(0)) && !plane.forwarder.was_told(unknown, Mono(0)));
    assert!(!plane.forwarder.was_told(unknown, Mono(60_000_000)), "room again");
    assert!(plane.forwarder.was_told(unknown, Mono(60_000_001)));
}

#[tokio::test]
async fn a_tunnel_that_carries_a_link_never_rests_on_a_carried_link() {
    let firsts = |plane: &Plane, to: u8| -> Vec<NodeId> {
        plane.forwarder.paths(&id(to)).iter().filter_map(|path| path.hops.first().copied()).collect()
    };
    // The link to 3 goes through 9: the tunnel with 9 takes the other way only, and any other tunnel may take both.
    let plane = plane_with([None, Some(id(FAR))]);
    assert_eq!(firsts(&plane, FAR), [id(2)]);
    assert_eq!(firsts(&plane, 3), [id(3)]);
    // Where each link goes through the other's member, none of the two tunnels may rest on either.
    let plane = plane_with([Some(id(3)), Some(id(2))]);
    assert_eq!((firsts(&plane, 2), firsts(&plane, 3)), (vec![], vec![]));
    assert_eq!(firsts(&plane, FAR), [id(2), id(3)]);
}

#[tokio::test]
async fn packets_of_a_tunnel_that_come_inside_it_are_dropped() {
    let plane = plane_with([None, Some(id(FAR))]);
    plane.forwarder.serve(id(OWN), Clock::start(), Weak::new());
    let packet = || Datagram { dst: id(OWN), src: id(FAR), service: "tunnel".parse().unwrap(), ..from_another(&[]) };
    let dropped = || plane.forwarder.report().dropped.get("circle").copied();
    assert!(plane.forwarder.drops_circle(&id(2), &packet()).eq(&false) && dropped().is_none());
    assert!(plane.forwarder.drops_circle(&id(3), &packet()));
    assert_eq!(dropped(), Some(1));
    let other = Datagram { src: id(5), ..packet() };
    assert!(!plane.forwarder.drops_circle(&id(3), &other), "another member's packets may come that way");
}

#[tokio::test]
async fn watchers_see_packets_of_tunnels_that_begin_here_with_their_length_alone() {
    let plane = plane();
    plane.forwarder.serve(id(OWN), Clock::start(), Weak::new());
    let send = || {
        let packet = Bytes::from_static(&[7; 300]);
        plane.forwarder.send_along((id(FAR), &[id(2), id(FAR)]), (service(), 5), packet, || Waker::noop().clone())
    };
    send();
    let mut reader = plane.forwarder.tap.watch().unwrap();
    send();
    let copy = reader.next().await.unwrap().unwrap();
    assert_eq!((copy.sent, copy.link, copy.peer), (true, LinkId(0), Some(id(2))));
    let Content::Message(message, Some((300, shown))) = &copy.content else { panic!("{copy:?}") };
    assert!(matches!(&**message, Message::Datagram(line) if line.dst == id(FAR)) && shown.is_empty());
}
