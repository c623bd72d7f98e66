//! Sockets on loopback.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::limits::{MAX_PACKET, MAX_UDP_ROUTES};

fn hub() -> (Arc<Hub>, mpsc::Receiver<Packet>) {
    Hub::bind(&BTreeSet::new(), true, Clock::start()).unwrap()
}

fn far() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn a_listener_has_a_socket_on_its_port_and_any_where_that_is_taken() {
    let (taken, address) = far();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (hub, _packets) = Hub::bind(&BTreeSet::from([address, free]), true, Clock::start()).unwrap();
    let locals = hub.locals();
    assert!(locals.contains(&free) && !locals.contains(&address) && locals.len() == 2, "{locals:?}");
    drop(taken);
}

#[tokio::test]
async fn packets_leave_with_the_hops_they_are_given() {
    let (hub, _packets) = hub();
    let (far, address) = far();
    for ttl in [None, Some(2), Some(255)] {
        hub.send(SocketId::MAIN, address, b"\nhere", ttl);
        let mut heard = [0; 16];
        let (length, from) = far.recv_from(&mut heard).unwrap();
        assert_eq!((&heard[..length], from), (&b"\nhere"[..], hub.locals()[0]));
    }
    assert_eq!((hub.report().sent, hub.report().sent_bytes, hub.report().unsent), (3, 15, 0));
    hub.send(SocketId(4), address, b"\nfrom nowhere", None);
    hub.send(SocketId::MAIN, "192.0.2.1:9".parse().unwrap(), b"\nnot from loopback", None);
    assert_eq!((hub.report().sent, hub.report().unsent), (3, 2));
}

#[tokio::test]
async fn a_v6_socket_sends_to_v4_with_few_hops_too() {
    let Ok(socket) = Bound::open(SocketId::MAIN, (Ipv6Addr::UNSPECIFIED, 0).into()) else {
        return eprintln!("skipped: no IPv6 here");
    };
    let (far, address) = far();
    // What loopback delivers has passed no router: one hop is enough.
    socket.send(address, b"\none hop", Some(1)).unwrap();
    let mut heard = [0; 16];
    assert_eq!(far.recv_from(&mut heard).unwrap().0, 8);
}

#[tokio::test]
async fn no_more_sockets_are_open_than_may_be() {
    let (hub, _packets) = hub();
    let main = u32::try_from(hub.locals().len()).unwrap();
    let most = u32::try_from(MAX_UDP_SOCKETS).unwrap();
    for id in main..most {
        hub.open(SocketId(id), None).unwrap();
    }
    assert!(hub.open(SocketId(most), None).is_err());
    hub.close(SocketId(5));
    hub.close(SocketId::MAIN);
    assert!(hub.open(SocketId(6), None).is_err(), "that one is open");
    hub.open(SocketId(most), None).unwrap();
    assert_eq!(hub.report().sockets, MAX_UDP_SOCKETS);
}

#[tokio::test]
async fn what_comes_faster_than_the_core_takes_it_is_dropped_and_counted() {
    let (hub, mut packets) = hub();
    let (far, from) = far();
    let reading = tokio::spawn({
        let hub = Arc::clone(&hub);
        async move { hub.read_without_quic(|| false).await }
    });
    far.send_to(&vec![b'\n'; MAX_PACKET + 1], hub.locals()[0]).unwrap();
    for number in 0..MAX_PACKETS + 10 {
        far.send_to(format!("\n{number}").as_bytes(), hub.locals()[0]).unwrap();
    }
    while hub.report().dropped < 11 {
        tokio::task::yield_now().await;
    }
    assert_eq!((hub.report().received, hub.report().dropped), (MAX_PACKETS as u64, 11));
    let first = packets.recv().await.unwrap();
    assert_eq!((&first.bytes[..], first.from), (&b"\n0"[..], from), "the newest are dropped, not the oldest");
    reading.abort();
}

#[tokio::test]
async fn nobody_moves_anothers_connection_and_the_ways_are_bounded() {
    let (hub, _packets) = hub();
    let victim: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let route = hub.pin(SocketId::MAIN, victim).unwrap();
    hub.open(SocketId(1), None).unwrap();
    let extra = hub.sockets.load().last().cloned().unwrap();
    hub.routes().note(victim, &extra);
    assert_eq!(hub.socket_for(victim).unwrap().id, SocketId::MAIN);
    for port in 0..=u16::try_from(MAX_UDP_ROUTES).unwrap() {
        hub.routes().note(SocketAddr::new([127, 0, 0, 2].into(), port), &extra);
    }
    assert_eq!(hub.socket_for(victim).unwrap().id, SocketId::MAIN, "what is in use stays");
    assert!(hub.routes().len() <= MAX_UDP_ROUTES);
    drop(route);
    hub.routes().note(victim, &extra);
    assert_eq!(hub.socket_for(victim).unwrap().id, SocketId(1));
    hub.close(SocketId(1));
    assert_eq!(hub.socket_for(victim).unwrap().id, SocketId::MAIN);
}
