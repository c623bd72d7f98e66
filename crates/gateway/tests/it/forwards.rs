//! Local forwards.

use meshline_gateway::{ForwardState, GatewaySettings, Origin, Patience};
use meshline_protocol::{Code, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::support::*;

#[tokio::test]
async fn bytes_go_there_and_back_and_both_ends_arrive() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let alice = members.plain(2, "alice").await;
    let row = alice.add_forward(forward("tcp://127.0.0.1:0", "bobby", Some(target))).await.unwrap();
    assert_eq!((row.forward.peer, row.origin), (id(1).to_string(), Origin::Added));
    let data = vec![7; 300_000];
    let mut stream = TcpStream::connect(listening(&alice)).await.unwrap();
    assert_eq!(exchange(&mut stream, &data).await, data);
    let traffic = alice.forwards()[0].traffic.clone();
    assert_eq!((traffic.connections, traffic.sent_bytes, traffic.received_bytes), (1, 300_000, 300_000));
}

#[tokio::test]
async fn a_service_is_found_by_its_name_alone() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let _bobby = members.plain(1, "bobby").await;
    let _donald = members.exposing(3, "donald", "echo", &target).await;
    let alice = members.plain(2, "alice").await;
    alice.add_forward(forward("tcp://127.0.0.1:0", "echo", None)).await.unwrap();
    let mut stream = TcpStream::connect(listening(&alice)).await.unwrap();
    assert_eq!(exchange(&mut stream, b"hello").await, b"hello");
}

#[tokio::test]
async fn a_service_of_udp_is_nothing_for_connections() {
    let (members, target) = (Members::default(), udp(udp_echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let alice = members.plain(2, "alice").await;
    alice.add_forward(forward("tcp://127.0.0.1:0", "echo", None)).await.unwrap();
    ends_at_once(listening(&alice)).await;
    assert_eq!(alice.forwards()[0].traffic.refused.get("invalid_message"), Some(&1));
}

#[tokio::test]
async fn a_word_that_names_nobody_and_nothing_is_refused() {
    let members = Members::default();
    let _bobby = members.plain(1, "bobby").await;
    let alice = members.plain(2, "alice").await;
    let target = tcp(closed_port().await);
    let refusal = alice.add_forward(forward("tcp://127.0.0.1:0", "boby", Some(target))).await.unwrap_err();
    assert_eq!(refusal.code, Code::NoSuchPeer);
    assert!(alice.forwards().is_empty());
}

#[tokio::test]
async fn a_connection_to_a_member_that_is_away_ends_at_once_with_the_reason() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let alice = members.plain(2, "alice").await;
    alice.add_forward(forward("tcp://127.0.0.1:0", "bobby", Some(target))).await.unwrap();
    members.pipes.cut(id(1));
    ends_at_once(listening(&alice)).await;
    let traffic = alice.forwards()[0].traffic.clone();
    assert_eq!(traffic.refused.get("no_route"), Some(&1));
    assert!(traffic.last_error.unwrap().starts_with("no_route: "));
}

#[tokio::test]
async fn a_broken_server_is_a_broken_connection_and_not_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (members, target) = (Members::default(), tcp(listener.local_addr().unwrap()));
    let _bobby = members.exposing(1, "bobby", "server", &target).await;
    let alice = members.plain(2, "alice").await;
    alice.add_forward(forward("tcp://127.0.0.1:0", "bobby", Some(target))).await.unwrap();
    let mut client = TcpStream::connect(listening(&alice)).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    server.write_all(b"half").await.unwrap();
    let mut half = [0; 4];
    within(client.read_exact(&mut half)).await.unwrap();
    server.set_zero_linger().unwrap();
    drop(server);
    let error = within(client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn one_connection_more_than_the_bound_is_refused_and_counted() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let patience = Patience { max_connections: 2, ..Patience::default() };
    let forwards = vec![forward("tcp://127.0.0.1:0", "bobby", Some(target))];
    let settings = GatewaySettings { forwards, patience, ..GatewaySettings::default() };
    let alice = members.start(2, "alice", &[], settings).await;
    let mut held = vec![];
    for _ in 0..2 {
        let mut stream = TcpStream::connect(listening(&alice)).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        within(stream.read_u8()).await.unwrap();
        held.push(stream);
    }
    ends_at_once(listening(&alice)).await;
    assert_eq!(alice.forwards()[0].traffic.refused.get("too_many_streams"), Some(&1));
}

#[tokio::test]
async fn an_idle_connection_ends_after_its_time() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let patience = Patience { stream_idle: std::time::Duration::from_millis(50), ..Patience::default() };
    let forwards = vec![forward("tcp://127.0.0.1:0", "bobby", Some(target))];
    let settings = GatewaySettings { forwards, patience, ..GatewaySettings::default() };
    let alice = members.start(2, "alice", &[], settings).await;
    let mut stream = TcpStream::connect(listening(&alice)).await.unwrap();
    assert!(within(stream.read_u8()).await.is_err());
}

#[tokio::test]
async fn configured_forwards_stay_and_added_ones_go_and_are_kept() {
    let (members, target) = (Members::default(), tcp(echo_server().await));
    let _bobby = members.exposing(1, "bobby", "echo", &target).await;
    let configured = forward("tcp://127.0.0.1:0", "bobby", Some(target.clone()));
    let settings = GatewaySettings { forwards: vec![configured.clone()], ..GatewaySettings::default() };
    let alice = members.start(2, "alice", &[], settings).await;
    let first = alice.forwards()[0].clone();
    assert_eq!(alice.remove_forward(first.id).unwrap_err().code, Code::Forbidden);
    let added = alice.add_forward(forward("tcp://127.0.0.1:0", "bobby", Some(target))).await.unwrap();
    assert_eq!(alice.stored().forwards, std::slice::from_ref(&added.forward));
    alice.set_forwards(vec![configured]).await;
    assert_eq!(alice.forwards().iter().map(|row| row.id).collect::<Vec<_>>(), [first.id, added.id]);
    alice.set_forwards(vec![]).await;
    assert_eq!(alice.remove_forward(added.id).unwrap(), added.forward);
    assert!(alice.forwards().is_empty() && alice.stored().forwards.is_empty());
    assert_eq!(alice.remove_forward(added.id).unwrap_err().code, Code::NoSuchService);
}

#[tokio::test]
async fn there_are_no_more_forwards_than_the_bound_says() {
    use meshline_gateway::limits::MAX_FORWARDS;
    let members = Members::default();
    let peer = id(1).to_string();
    let forwards: Vec<_> = (0..=MAX_FORWARDS)
        .map(|_| forward("udp://127.0.0.1:0", &peer, Some("udp://127.0.0.1:9".parse().unwrap())))
        .collect();
    // All are alike, and each is begun.
    let settings = GatewaySettings { stored: forwards, ..GatewaySettings::default() };
    let alice = members.start(2, "alice", &[], settings).await;
    assert_eq!(alice.forwards().len(), MAX_FORWARDS);
    let one_more = forward("udp://127.0.0.1:0", &peer, Some("udp://127.0.0.1:9".parse().unwrap()));
    assert_eq!(alice.add_forward(one_more).await.unwrap_err().code, Code::TooManyStreams);
}

#[tokio::test]
async fn a_stored_forward_whose_port_is_taken_stays_and_says_so() {
    let (members, taken) = (Members::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let listen = tcp(taken.local_addr().unwrap()).to_string();
    let stored = vec![forward(&listen, &id(1).to_string(), Some(tcp(closed_port().await)))];
    let settings = GatewaySettings { stored: stored.clone(), ..GatewaySettings::default() };
    let alice = members.start(2, "alice", &[], settings).await;
    assert!(
        matches!(&alice.forwards()[0].state, ForwardState::Refused(refusal) if refusal.code == Code::TargetRefused)
    );
    assert_eq!(alice.stored().forwards, stored);
    assert!(alice.add_forward(stored[0].clone()).await.is_err());
    assert_eq!(alice.forwards().len(), 1);
}

#[tokio::test]
async fn unix_sockets_serve_at_both_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let server = tokio::net::UnixListener::bind(path("server")).unwrap();
    let target = Target::Unix(path("server").into());
    let members = Members::default();
    let _bobby = members.exposing(1, "bobby", "db", &target).await;
    let alice = members.plain(2, "alice").await;
    // Left over by a program that was killed.
    drop(std::os::unix::net::UnixListener::bind(path("client")).unwrap());
    let listen = format!("unix:{}", path("client"));
    let row = alice.add_forward(forward(&listen, "bobby", Some(target))).await.unwrap();
    let mut client = UnixStream::connect(path("client")).await.unwrap();
    let (mut served, _) = within(server.accept()).await.unwrap();
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = vec![];
    within(served.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"hello");
    alice.remove_forward(row.id).unwrap();
}
