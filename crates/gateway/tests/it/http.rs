//! The HTTP side of the proxy.

use meshline_gateway::{Credentials, Gateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;

/// A server that answers once it has seen `last`, with all it got by then and for a moment longer.
async fn mirror_until(last: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = vec![];
            while !seen.ends_with(last) {
                seen.push(stream.read_u8().await.unwrap());
            }
            let mut more = [0; 1024];
            // Nothing may follow: what did would be there by now.
            let wait = std::time::Duration::from_millis(200);
            if let Ok(Ok(bytes)) = tokio::time::timeout(wait, stream.read(&mut more)).await {
                seen.extend(&more[..bytes]);
                seen.extend(b"<and an end or more>");
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.unwrap();
            stream.write_all(&seen).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_second_request_never_reaches_the_server_of_the_first() {
    for (header, body, last) in [
        ("", "", &b"\r\n\r\n"[..]),
        ("Content-Length: 4\r\n", "body", b"body"),
        ("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n", b"0\r\n\r\n"),
    ] {
        let (members, address) = (Members::default(), mirror_until(last).await);
        let _bobby = members.exposing(1, "bobby", "web", &tcp(address)).await;
        let alice = members.start(2, "alice", &[], with_proxy("auto")).await;
        let port = address.port();
        let first = format!("POST http://bobby.mesh:{port}/ HTTP/1.1\r\n{header}\r\n{body}");
        let second = "GET http://other.mesh/ HTTP/1.1\r\nProxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n";
        let answer = ask(&alice, &format!("{first}{second}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
        assert!(!answer.contains("YW5u") && !answer.contains("an end"), "{answer}");
    }
}

/// A server that answers one request with the head it got.
async fn mirror() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![];
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.unwrap();
            stream.write_all(&head).await.unwrap();
        }
    });
    address
}

/// What the proxy answers to that.
async fn ask(alice: &Gateway, request: &str) -> String {
    let mut stream = TcpStream::connect(proxy_of(alice)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn connect_opens_a_tunnel() {
    let (members, address) = (Members::default(), echo_server().await);
    let _bobby = members.exposing(1, "bobby", "echo", &tcp(address)).await;
    let alice = members.start(2, "alice", &[], with_proxy("auto")).await;
    let mut stream = TcpStream::connect(proxy_of(&alice)).await.unwrap();
    let request = format!("CONNECT bobby.mesh:{} HTTP/1.1\r\nHost: x\r\n\r\nright behind", address.port());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 39];
    within(stream.read_exact(&mut head)).await.unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200 ") && head.ends_with(b"\r\n\r\n"), "{}", String::from_utf8_lossy(&head));
    assert_eq!(exchange(&mut stream, b", and on").await, b"right behind, and on");
}

#[tokio::test]
async fn an_absolute_uri_goes_on_as_a_path() {
    let (members, address) = (Members::default(), mirror().await);
    let _bobby = members.exposing(1, "bobby", "web", &tcp(address)).await;
    let alice = members.start(2, "alice", &[], with_proxy("auto")).await;
    let port = address.port();
    let request = format!(
        "GET http://bobby.mesh:{port}/a?b HTTP/1.1\r\nHost: evil\r\nProxy-Authorization: Basic eA==\r\n\
         Proxy-Connection: keep-alive\r\nAccept: */*\r\n\r\n"
    );
    let answer = ask(&alice, &request).await;
    let seen = format!("GET /a?b HTTP/1.1\r\nHost: bobby.mesh:{port}\r\nConnection: close\r\nAccept: */*\r\n\r\n");
    assert!(answer.ends_with(&seen), "{answer}");
    let bare = ask(&alice, &format!("GET HTTP://bobby.mesh:{port} HTTP/1.1\r\n\r\n")).await;
    assert!(bare.contains("GET / HTTP/1.1"), "{bare}");
}

#[tokio::test]
async fn refusals_have_a_status_and_a_reason() {
    let (members, dead) = (Members::default(), closed_port().await);
    let _bobby = members.exposing(1, "bobby", "dead", &tcp(dead)).await;
    let alice = members.start(2, "alice", &[], with_proxy("auto")).await;
    let big = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(17_000));
    for (request, status, code) in [
        (format!("CONNECT bobby.mesh:{} HTTP/1.1\r\n\r\n", dead.port()), "502", "target_refused"),
        ("CONNECT bobby.mesh:1 HTTP/1.1\r\n\r\n".to_owned(), "404", "no_such_service"),
        ("CONNECT nobody.mesh:1 HTTP/1.1\r\n\r\n".to_owned(), "404", "no_such_peer"),
        ("CONNECT 192.0.2.1:1 HTTP/1.1\r\n\r\n".to_owned(), "504", "no_route"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "400", "invalid_message"),
        ("nonsense\r\n\r\n".to_owned(), "400", "invalid_message"),
        (big, "400", "frame_too_long"),
    ] {
        let mut stream = TcpStream::connect(proxy_of(&alice)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(code), "{answer}");
    }
    // Each is counted behind its answer.
    within(async {
        while alice.report().proxy.unwrap().traffic.refused.values().sum::<u64>() < 7 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn users_are_asked_for_and_checked() {
    let (members, address) = (Members::default(), mirror().await);
    let _bobby = members.exposing(1, "bobby", "web", &tcp(address)).await;
    let mut settings = with_proxy("auto");
    let users = vec![Credentials { user: "ann".to_owned(), password: "s:t".to_owned() }];
    settings.proxy.as_mut().unwrap().users = users;
    let alice = members.start(2, "alice", &[], settings).await;
    let get = |header: &str| format!("GET http://bobby.mesh:{}/ HTTP/1.1\r\n{header}\r\n", address.port());
    let refused = ask(&alice, &get("")).await;
    assert!(refused.starts_with("HTTP/1.1 407 ") && refused.contains("\r\nProxy-Authenticate: Basic "), "{refused}");
    let wrong = ask(&alice, &get("Proxy-Authorization: Basic YW5uOnM6dQ==\r\n")).await;
    assert!(wrong.starts_with("HTTP/1.1 407 "), "{wrong}");
    let right = ask(&alice, &get("Proxy-Authorization: basic YW5uOnM6dA==\r\n")).await;
    assert!(right.starts_with("HTTP/1.1 200 ") && !right.contains("YW5u"), "{right}");
}
