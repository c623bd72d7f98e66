//! SOCKS5, byte by byte.

use meshline_gateway::{Credentials, GatewaySettings, ProxyState};
use meshline_protocol::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::support::*;

/// CONNECT with a name.
fn connect(host: &str, port: u16) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    bytes.extend(host.as_bytes());
    bytes.extend(port.to_be_bytes());
    bytes
}

/// Says that no authentication is offered, and reads the choice.
async fn greet(stream: &mut TcpStream) -> [u8; 2] {
    stream.write_all(&[5, 1, 0]).await.unwrap();
    let mut choice = [0; 2];
    within(stream.read_exact(&mut choice)).await.unwrap();
    choice
}

async fn reply(stream: &mut TcpStream) -> [u8; 10] {
    let mut reply = [0; 10];
    within(stream.read_exact(&mut reply)).await.unwrap();
    reply
}

/// A client that is past its greeting, and the answer to its request.
async fn ask(members: &Members, request: &[u8]) -> (TcpStream, u8) {
    let alice = members.start(9, "alice", &[], with_proxy("auto")).await;
    let mut stream = TcpStream::connect(proxy_of(&alice)).await.unwrap();
    assert_eq!(greet(&mut stream).await, [5, 0]);
    stream.write_all(request).await.unwrap();
    let code = reply(&mut stream).await[1];
    // The proxy goes with its gateway, its connections live on.
    drop(alice);
    (stream, code)
}

#[tokio::test]
async fn a_name_in_mesh_is_that_members_exposed_port() {
    let (members, address) = (Members::default(), echo_server().await);
    let _bobby = members.exposing(1, "bobby", "web", &tcp(address)).await;
    let (mut stream, code) = ask(&members, &connect("Bobby.mesh", address.port())).await;
    assert_eq!(code, 0);
    assert_eq!(exchange(&mut stream, b"hello").await, b"hello");
}

#[tokio::test]
async fn refusals_have_the_codes_of_the_rfc() {
    let (members, dead) = (Members::default(), closed_port().await);
    let _bobby = members.exposing(1, "bobby", "dead", &tcp(dead)).await;
    assert_eq!(ask(&members, &connect("bobby.mesh", dead.port())).await.1, 5, "refused");
    assert_eq!(ask(&members, &connect("bobby.mesh", 1)).await.1, 4, "not exposed");
    assert_eq!(ask(&members, &connect("nobody.mesh", 80)).await.1, 4, "no such member");
    assert_eq!(ask(&members, &connect("192.0.2.1", 80)).await.1, 4, "no exit");
    assert_eq!(ask(&members, &[5, 2, 0, 1, 127, 0, 0, 1, 0, 80]).await.1, 7, "BIND");
    assert_eq!(ask(&members, &[5, 1, 0, 9]).await.1, 8, "no kind of address");
}

#[tokio::test]
async fn an_exit_that_forbids_is_told_from_one_that_cannot() {
    let members = Members::default();
    let roles = &[meshline_protocol::message::Role::Exit];
    let _bobby = members.start(1, "bobby", roles, GatewaySettings::default()).await;
    assert_eq!(ask(&members, &connect("192.0.2.1", 80)).await.1, 2);
}

#[tokio::test]
async fn with_users_only_they_get_in() {
    let (members, address) = (Members::default(), echo_server().await);
    let _bobby = members.exposing(1, "bobby", "web", &tcp(address)).await;
    let mut settings = with_proxy("auto");
    let users = vec![Credentials { user: "ann".to_owned(), password: "secret".to_owned() }];
    settings.proxy.as_mut().unwrap().users = users;
    let alice = members.start(2, "alice", &[], settings).await;
    let mut nobody = TcpStream::connect(proxy_of(&alice)).await.unwrap();
    assert_eq!(greet(&mut nobody).await, [5, 0xff]);
    for (password, status) in [("secret", 0), ("secre", 1), ("secrets", 1), ("Secret", 1)] {
        let mut stream = TcpStream::connect(proxy_of(&alice)).await.unwrap();
        stream.write_all(&[5, 2, 0, 2]).await.unwrap();
        let mut login = vec![1, 3];
        login.extend(b"ann");
        login.push(u8::try_from(password.len()).unwrap());
        login.extend(password.as_bytes());
        stream.write_all(&login).await.unwrap();
        let mut answers = [0; 4];
        within(stream.read_exact(&mut answers)).await.unwrap();
        assert_eq!(answers, [5, 2, 1, status], "{password}");
    }
}

#[tokio::test]
async fn beyond_loopback_a_proxy_needs_users() {
    let mut settings = with_proxy("auto");
    settings.proxy.as_mut().unwrap().listen = "0.0.0.0:0".parse().unwrap();
    let alice = Members::default().start(2, "alice", &[], settings).await;
    let state = alice.report().proxy.unwrap().state;
    assert!(matches!(state, ProxyState::Refused(refusal) if refusal.code == Code::Forbidden));
}

#[tokio::test]
async fn udp_goes_to_several_places_from_one_association() {
    let (members, one, other) = (Members::default(), udp_echo_server().await, udp_echo_server().await);
    let _bobby = members.exposing(1, "bobby", "one", &udp(one)).await;
    let _donald = members.exposing(3, "donald", "other", &udp(other)).await;
    let alice = members.start(9, "alice", &[], with_proxy("auto")).await;
    let mut control = TcpStream::connect(proxy_of(&alice)).await.unwrap();
    greet(&mut control).await;
    control.write_all(&[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    let reply = reply(&mut control).await;
    assert_eq!((reply[1], &reply[4..8]), (0, &[127, 0, 0, 1][..]));
    let relay = ("127.0.0.1", u16::from_be_bytes([reply[8], reply[9]]));
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(relay).await.unwrap();
    for (name, port) in [("bobby.mesh", one.port()), ("donald.mesh", other.port()), ("bobby.mesh", one.port())] {
        let mut datagram = connect(name, port);
        datagram[..3].fill(0);
        datagram.extend(b"payload");
        client.send(&datagram).await.unwrap();
        let mut back = [0; 100];
        let bytes = within(client.recv(&mut back)).await.unwrap();
        assert_eq!(&back[..bytes], datagram, "{name}");
    }
    drop(control);
    // The association is over with its connection: its socket answers no more.
    within(async {
        let mut back = [0; 100];
        while client.send(b"x").await.is_ok() && !matches!(client.try_recv(&mut back), Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
