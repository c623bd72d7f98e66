//! Reverse forwards: a listener at the other member.

use std::net::SocketAddr;

use meshline_gateway::{ExitRules, ForwardConfig, ForwardState, Gateway, GatewaySettings, ListenRule, Rules};
use meshline_protocol::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

fn listening_for(allow: &str) -> GatewaySettings {
    let rule: ListenRule = serde_json::from_str(allow).unwrap();
    let rules = Rules { exit: ExitRules { rules: vec![], listen: vec![rule] }, ..Rules::default() };
    GatewaySettings { rules, ..GatewaySettings::default() }
}

fn reverse(listen: SocketAddr, target: SocketAddr) -> ForwardConfig {
    ForwardConfig { reverse: true, ..forward(&tcp(listen).to_string(), "bobby", Some(tcp(target))) }
}

/// Waits until the state of the only forward is as wished.
async fn until(gateway: &Gateway, wished: impl Fn(&ForwardState) -> bool) {
    within(async {
        while !wished(&gateway.forwards()[0].state) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn connections_at_the_peer_come_here_until_the_forward_is_removed() {
    let (members, target) = (Members::default(), echo_server().await);
    let _bobby = members.start(1, "bobby", &[], listening_for(r#"{"allow":["alice"]}"#)).await;
    let alice = members.plain(2, "alice").await;
    let listen = closed_port().await;
    let row = alice.add_forward(reverse(listen, target)).await.unwrap();
    until(&alice, |state| matches!(state, ForwardState::Listening(_))).await;
    let mut stream = TcpStream::connect(listen).await.unwrap();
    assert_eq!(exchange(&mut stream, b"hello").await, b"hello");
    assert_eq!(alice.forwards()[0].traffic.connections, 1);
    alice.remove_forward(row.id).unwrap();
    within(async { while TcpStream::connect(listen).await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_listener_of_one_member_takes_nothing_from_another() {
    use meshline_gateway::Carrier;
    let (members, target) = (Members::default(), echo_server().await);
    let _bobby = members.start(1, "bobby", &[], listening_for(r#"{"allow":["alice"]}"#)).await;
    let alice = members.plain(2, "alice").await;
    let _eddy = members.plain(3, "eddy").await;
    let number = alice.add_forward(reverse(closed_port().await, target)).await.unwrap().id;
    until(&alice, |state| matches!(state, ForwardState::Listening(_))).await;
    let mut stream = members.pipes.join(id(3)).open(id(2)).await.unwrap();
    stream.write_all(format!("{{\"incoming\":{{\"listener\":{number}}}}}\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("unexpected_message"), "{answer}");
}

#[tokio::test]
async fn a_peer_without_a_rule_refuses_and_the_forward_says_so() {
    let (members, listen) = (Members::default(), closed_port().await);
    let _bobby = members.start(1, "bobby", &[], listening_for(r#"{"allow":["eddy"]}"#)).await;
    let alice = members.plain(2, "alice").await;
    alice.add_forward(reverse(listen, listen)).await.unwrap();
    until(&alice, |state| matches!(state, ForwardState::Refused(refusal) if refusal.code == Code::Forbidden)).await;
    assert!(TcpStream::connect(listen).await.is_err());
}

#[tokio::test]
async fn a_rule_opens_loopback_and_high_ports_only() {
    let members = Members::default();
    let _bobby = members.start(1, "bobby", &[], listening_for(r#"{"allow":["*"]}"#)).await;
    let alice = members.plain(2, "alice").await;
    for listen in ["0.0.0.0:9000", "127.0.0.1:80", "127.0.0.1:0"] {
        let row = alice.add_forward(reverse(listen.parse().unwrap(), listen.parse().unwrap())).await.unwrap();
        until(&alice, |state| matches!(state, ForwardState::Refused(refusal) if refusal.code == Code::Forbidden)).await;
        alice.remove_forward(row.id).unwrap();
    }
}

#[tokio::test]
async fn payloads_at_the_peer_come_here() {
    let (members, target) = (Members::default(), udp_echo_server().await);
    let _bobby = members.start(1, "bobby", &[], listening_for(r#"{"allow":["alice"]}"#)).await;
    let alice = members.plain(2, "alice").await;
    let listen = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = ForwardConfig { reverse: true, ..forward(&udp(listen).to_string(), "bobby", Some(udp(target))) };
    alice.add_forward(config).await.unwrap();
    until(&alice, |state| matches!(state, ForwardState::Listening(_))).await;
    let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"hello", listen).await.unwrap();
    let mut back = [0; 16];
    let (bytes, from) = within(client.recv_from(&mut back)).await.unwrap();
    assert_eq!((&back[..bytes], from), (&b"hello"[..], listen));
}

#[tokio::test]
async fn others_have_no_more_listeners_here_than_the_bound_says() {
    use meshline_gateway::Carrier;
    use meshline_gateway::limits::MAX_GUEST_LISTENERS;
    let members = Members::default();
    let rule = r#"{"allow":["*"],"ports":["1-65535"]}"#;
    let _bobby = members.start(1, "bobby", &[], listening_for(rule)).await;
    let _alice = members.plain(2, "alice").await;
    let alice = members.pipes.join(id(2));
    let mut held = vec![];
    for number in 0..=MAX_GUEST_LISTENERS {
        let listen = udp(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
        let mut stream = alice.open(id(1)).await.unwrap();
        let request = format!("{{\"listen\":{{\"listener\":{number},\"listen\":\"{listen}\"}}}}\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 40];
        within(stream.read_exact(&mut answer)).await.unwrap();
        let is_last = number == MAX_GUEST_LISTENERS;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(answer.contains("too_many_streams"), is_last, "{number}: {answer}");
        held.push(stream);
    }
}

#[tokio::test]
async fn a_connection_nobody_asked_for_is_refused() {
    use meshline_gateway::Carrier;
    let members = Members::default();
    let _bobby = members.plain(1, "bobby").await;
    let alice = members.pipes.join(id(2));
    let mut stream = alice.open(id(1)).await.unwrap();
    // Bobby knows no member of this number, so the request itself is refused.
    stream.write_all(b"{\"incoming\":{\"listener\":1}}\n").await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("not_member"), "{answer}");
    let _alice = members.plain(2, "alice").await;
    let mut stream = alice.open(id(1)).await.unwrap();
    stream.write_all(b"{\"incoming\":{\"listener\":1}}\n").await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.contains("unexpected_message"), "{answer}");
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_name() {
    use meshline_gateway::Carrier;
    let members = Members::default();
    let _bobby = members.plain(1, "bobby").await;
    let _alice = members.plain(2, "alice").await;
    let alice = members.pipes.join(id(2));
    let long = [vec![b'x'; 4096], vec![b'\n']].concat();
    let cases: [(&[u8], &str); 4] = [
        (b"hello\n", "invalid_message"),
        (b"{\"open\":{}}\n", "invalid_message"),
        (b"{\"open\":{\"target\":\"tcp://x\"}}\n", "invalid_message"),
        (&long, "frame_too_long"),
    ];
    for (line, code) in cases {
        let mut stream = alice.open(id(1)).await.unwrap();
        stream.write_all(line).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.contains(code), "{answer}");
    }
}

#[tokio::test]
async fn a_unix_socket_at_the_peer_leads_here_and_replaces_only_a_leftover() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("{}/{name}", folder.path().display());
    let (members, target) = (Members::default(), echo_server().await);
    let allow = format!(r#"{{"allow":["alice"],"paths":["{}/"]}}"#, folder.path().display());
    let _bobby = members.start(1, "bobby", &[], listening_for(&allow)).await;
    let alice = members.plain(2, "alice").await;
    // Left over by a program that was killed.
    drop(std::os::unix::net::UnixListener::bind(path("left")).unwrap());
    std::fs::write(path("file"), "precious").unwrap();
    let reverse = |name: &str| ForwardConfig {
        reverse: true,
        ..forward(&format!("unix:{}", path(name)), "bobby", Some(tcp(target)))
    };
    let row = alice.add_forward(reverse("left")).await.unwrap();
    until(&alice, |state| matches!(state, ForwardState::Listening(_))).await;
    assert_eq!(std::fs::metadata(path("left")).unwrap().permissions().mode() & 0o777, 0o600, "its owner's alone");
    let mut stream = tokio::net::UnixStream::connect(path("left")).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = vec![];
    within(stream.read_to_end(&mut back)).await.unwrap();
    assert_eq!(back, b"hello");
    alice.remove_forward(row.id).unwrap();
    within(async {
        while std::fs::metadata(path("left")).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let row = alice.add_forward(reverse("file")).await.unwrap();
    until(&alice, |state| matches!(state, ForwardState::Refused(refusal) if refusal.code == Code::TargetRefused)).await;
    assert_eq!(std::fs::read_to_string(path("file")).unwrap(), "precious");
    alice.remove_forward(row.id).unwrap();
}
