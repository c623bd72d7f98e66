//! UDP forwards.

use std::time::Duration;

use meshline_gateway::{GatewaySettings, Patience};
use tokio::net::UdpSocket;

use crate::support::*;

async fn client(of: std::net::SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(of).await.unwrap();
    socket
}

/// Sends until it comes back: UDP may be lost.
async fn round_trip(socket: &UdpSocket, payload: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    within(async {
        loop {
            socket.send(payload).await.unwrap();
            let received = tokio::time::timeout(Duration::from_millis(500), socket.recv(&mut buffer)).await;
            if let Ok(Ok(bytes)) = received {
                return buffer[..bytes].to_vec();
            }
        }
    })
    .await
}

#[tokio::test]
async fn each_address_has_its_own_answers_of_any_size() {
    let (members, target) = (Members::default(), udp(udp_echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let alice = members.plain(2, "alice").await;
    alice.add_forward(forward("udp://127.0.0.1:0", "bobby", Some(target))).await.unwrap();
    let (one, other) = (client(listening(&alice)).await, client(listening(&alice)).await);
    assert_eq!(round_trip(&one, b"").await, b"");
    assert_eq!(round_trip(&other, b"other").await, b"other");
    let largest = vec![7; 65_507];
    assert_eq!(round_trip(&one, &largest).await, largest);
    assert_eq!(alice.forwards()[0].traffic.connections, 2);
}

#[tokio::test]
async fn a_silent_address_is_forgotten_and_comes_back() {
    let (members, target) = (Members::default(), udp(udp_echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let patience = Patience { udp_idle: Duration::from_millis(50), max_udp_peers: 1, ..Patience::default() };
    let forwards = vec![forward("udp://127.0.0.1:0", "bobby", Some(target))];
    let settings = GatewaySettings { forwards, patience, ..GatewaySettings::default() };
    let alice = members.start(2, "alice", &[], settings).await;
    let one = client(listening(&alice)).await;
    assert_eq!(round_trip(&one, b"one").await, b"one");
    // There is room for one address: the next is served when the first is forgotten.
    assert_eq!(round_trip(&client(listening(&alice)).await, b"other").await, b"other");
    assert_eq!(round_trip(&one, b"again").await, b"again");
}

#[tokio::test]
async fn an_exit_forgets_what_is_silent() {
    use tokio::io::AsyncReadExt;
    let (members, target) = (Members::default(), udp(udp_echo_server().await));
    let rules = meshline_gateway::Rules { expose: vec![expose("echo", &target, &["*"])], ..Default::default() };
    let patience = Patience { udp_idle: Duration::from_millis(50), ..Patience::default() };
    let bobby = GatewaySettings { rules, patience, ..GatewaySettings::default() };
    let _bobby = members.start(1, "bobby", &[], bobby).await;
    let alice = members.plain(2, "alice").await;
    let mut connected = within(alice.connect("bobby", Some(target))).await.unwrap();
    assert!(within(connected.stream.read_u8()).await.is_err());
}

#[tokio::test]
async fn udp_to_a_member_that_is_away_is_refused_with_its_reason_and_not_asked_for_each_payload() {
    let (members, target) = (Members::default(), udp(udp_echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let alice = members.plain(2, "alice").await;
    alice.add_forward(forward("udp://127.0.0.1:0", "bobby", Some(target))).await.unwrap();
    members.pipes.cut(id(1));
    let socket = client(listening(&alice)).await;
    within(async {
        while !alice.forwards()[0].traffic.refused.contains_key("no_route") {
            socket.send(b"x").await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..100 {
        socket.send(b"x").await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(alice.forwards()[0].traffic.connections, 1);
}
