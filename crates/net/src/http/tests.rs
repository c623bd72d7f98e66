//! The client against servers that say exactly what each test wants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::events::EventReader;
use super::{Event, HttpError, Limits, Request, StatusCode, Target, events, request, request_over};

const LIMITS: Limits = Limits { max_body: 1_000, timeout: Duration::from_secs(5) };

/// Reads one request without a body, answers, and hands back what it read.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(stream.read_u8().await.expect("a request"));
    }
    stream.write_all(answer).await.expect("the client reads");
    stream.shutdown().await.expect("an end");
    String::from_utf8(heard).expect("text")
}

/// A server for one request.
async fn server(text: impl Into<Vec<u8>>) -> (Target, JoinHandle<String>) {
    let text = text.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let served = tokio::spawn(async move { answer(listener.accept().await.expect("a client").0, &text).await });
    (Target::tcp("127.0.0.1", port), served)
}

#[test]
fn urls_are_split_into_a_server_and_a_path() {
    for (url, place, host, path) in [
        ("http://example.org", "example.org:80", "example.org", "/"),
        ("http://example.org:80/", "example.org:80", "example.org", "/"),
        (
            "http://127.0.0.1:6000/v1/nodes?network=a&limit=3",
            "127.0.0.1:6000",
            "127.0.0.1:6000",
            "/v1/nodes?network=a&limit=3",
        ),
        ("https://example.org/list.json", "example.org:443", "example.org", "/list.json"),
        ("https://[::1]:6000/x", "[::1]:6000", "[::1]:6000", "/x"),
        ("https://example.org:80/x", "example.org:80", "example.org:80", "/x"),
    ] {
        let (target, found) = Target::parse(url).expect(url);
        assert_eq!((target.to_string().as_str(), target.host_header().as_str(), found.as_str()), (place, host, path));
    }
}

#[test]
fn what_is_not_a_url_of_a_server_is_refused() {
    for url in [
        "",
        "example.org",
        "/v1/nodes",
        "ftp://example.org/",
        "http://",
        "http:///x",
        "http://example.org:/x",
        "http://example.org:99999/x",
        "http://user:secret@example.org/",
        "http://exa mple.org/",
        "file:///etc/passwd",
    ] {
        assert!(matches!(Target::parse(url), Err(HttpError::Url(_))), "{url}");
    }
}

#[tokio::test]
async fn the_answer_is_read_whole_and_the_request_names_its_host() {
    let (target, served) = server("HTTP/1.1 201 Created\r\nx-a: b\r\ncontent-length: 5\r\n\r\nhello").await;
    let asked = Request::get("/a?b=c").bearer("secret").expect("plain text");
    assert!(!format!("{asked:?}").contains("secret"));
    let response = request(&target, asked, LIMITS).await.expect("an answer");
    assert_eq!((response.status, &response.body[..]), (StatusCode::CREATED, &b"hello"[..]));
    assert_eq!(response.headers.get("x-a").expect("sent"), "b");
    let heard = served.await.expect("served");
    assert!(heard.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains(&format!("host: {target}\r\n")), "{heard}");
    assert!(heard.contains("authorization: Bearer secret\r\n"), "{heard}");
}

#[tokio::test]
async fn a_refusal_and_a_redirect_are_answers_like_any_other() {
    for (line, status) in [("404 Not Found", 404), ("302 Found\r\nlocation: http://example.org/", 302), ("500 Oh", 500)]
    {
        let (target, _) = server(format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(request(&target, Request::get("/"), LIMITS).await.expect("an answer").status.as_u16(), status);
    }
}

#[tokio::test]
async fn a_body_at_the_limit_is_taken_and_one_byte_more_is_not() {
    let claimed = |count: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {count}\r\n\r\n{}", "x".repeat(count));
    let chunked = |count: usize| {
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{count:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(count))
    };
    let until_end = |count: usize| format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(count));
    for (at, beyond) in
        [(claimed(1_000), claimed(1_001)), (chunked(1_000), chunked(1_001)), (until_end(1_000), until_end(1_001))]
    {
        let (target, _) = server(at).await;
        assert_eq!(request(&target, Request::get("/"), LIMITS).await.expect("within").body.len(), 1_000);
        let (target, _) = server(beyond).await;
        assert!(matches!(request(&target, Request::get("/"), LIMITS).await, Err(HttpError::TooLong(1_000))));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_http_is_an_error() {
    let too_many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(65));
    let too_long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    for text in ["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "hello\r\n\r\n", "", &too_many, &too_long] {
        let (target, _) = server(text).await;
        let outcome = request(&target, Request::get("/"), LIMITS).await;
        assert!(matches!(outcome, Err(HttpError::Broken(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_server_that_goes_away_in_the_middle_is_told_apart_from_one_that_speaks_no_http() {
    for (text, is_end) in
        [("", true), ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", true), ("hello\r\n\r\n", false)]
    {
        let (target, _) = server(text).await;
        let error = request(&target, Request::get("/"), LIMITS).await.expect_err("no answer");
        assert_eq!(error.is_end(), is_end, "{text:?}: {error:?}");
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    for rest in ["", "9\r\nda", "9\r\ndata: a\n\n\r\n"] {
        let (target, _) = server(format!("{head}{rest}")).await;
        let mut stream = events(&target, Request::get("/"), LIMITS).await.expect("events");
        let error = loop {
            match stream.next().await {
                Ok(event) => assert!(event.is_some(), "{rest:?}: it did not end well"),
                Err(error) => break error,
            }
        };
        assert!(error.is_end(), "{rest:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_the_time_limit_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::tcp("127.0.0.1", listener.local_addr().expect("bound").port());
    let limits = Limits { timeout: Duration::from_millis(100), ..LIMITS };
    let start = Instant::now();
    assert!(matches!(request(&target, Request::get("/"), limits).await, Err(HttpError::Timeout)));
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn where_nobody_listens_the_error_names_the_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = Target::tcp("127.0.0.1", listener.local_addr().expect("bound").port());
    drop(listener);
    let error = request(&target, Request::get("/"), LIMITS).await.expect_err("nobody");
    assert!(error.to_string().contains(&target.to_string()), "{error}");
}

#[tokio::test]
async fn what_cannot_stand_in_a_request_is_refused_before_it_is_sent() {
    assert!(matches!(Request::get("/").bearer("a\r\nb: c"), Err(HttpError::Request(_))));
    let (target, _) = server("").await;
    let outcome = request(&target, Request::get("/a b\r\n"), LIMITS).await;
    assert!(matches!(outcome, Err(HttpError::Request(_))), "{outcome:?}");
}

#[tokio::test]
async fn unix_sockets_and_given_connections_serve_as_well() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api");
    let listener = UnixListener::bind(&path).expect("a socket");
    let served = tokio::spawn(async move { answer(listener.accept().await.expect("a client").0, OK).await });
    let target = Target::unix(&path);
    assert_eq!(request(&target, Request::get("/"), LIMITS).await.expect("an answer").body, "ok");
    assert!(served.await.expect("served").contains("host: localhost\r\n"));

    let (near, far) = tokio::io::duplex(1_024);
    let served = tokio::spawn(answer(far, OK));
    assert_eq!(request_over(near, &target, Request::get("/"), LIMITS).await.expect("an answer").body, "ok");
    served.await.expect("served");
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[tokio::test]
async fn tls_is_spoken_with_those_whose_certificate_is_trusted() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (own.cert.der().clone(), own.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key.into()))
        .expect("a key");
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://localhost:{}/", listener.local_addr().expect("bound").port());
    let served = tokio::spawn(async move {
        let refused = acceptor.accept(listener.accept().await.expect("a client").0).await;
        let trusted = acceptor.accept(listener.accept().await.expect("a client").0).await.expect("TLS");
        answer(trusted, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        refused.is_err()
    });
    let (target, path) = Target::parse(&url).expect("a URL");
    let outcome = request(&target, Request::get(&path), LIMITS).await;
    assert!(matches!(outcome, Err(HttpError::Connect { .. })), "{outcome:?}");

    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let trusting = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let target = target.with_tls(Arc::new(trusting));
    assert_eq!(request(&target, Request::get(&path), LIMITS).await.expect("an answer").body, "ok");
    assert!(served.await.expect("served"));
}

fn event(name: &str, data: &str, id: &str) -> Event {
    Event { name: name.to_owned(), data: data.to_owned(), id: id.to_owned() }
}

#[tokio::test]
async fn events_come_one_by_one_until_the_server_ends_them() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n";
    let (target, _) =
        server(format!("{head}event: chat\ndata: a\ndata: b\nid: 7\n\n: still here\n\ndata:c\n\nhalf")).await;
    let mut stream = events(&target, Request::get("/events"), LIMITS).await.expect("events");
    assert_eq!(stream.next().await.expect("read"), Some(event("chat", "a\nb", "7")));
    assert_eq!(stream.next().await.expect("read"), Some(event("", "c", "7")));
    assert_eq!(stream.next().await.expect("read"), None);
}

#[tokio::test]
async fn an_answer_without_events_is_refused_with_its_status() {
    for (line, kind) in [("200 OK", "text/html"), ("401 Unauthorized", "text/event-stream")] {
        let (target, _) = server(format!("HTTP/1.1 {line}\r\ncontent-type: {kind}\r\ncontent-length: 0\r\n\r\n")).await;
        let outcome = events(&target, Request::get("/"), LIMITS).await.err();
        assert!(matches!(outcome, Some(HttpError::NoEvents(_))), "{outcome:?}");
    }
}

#[test]
fn events_are_the_same_however_their_bytes_arrive_and_lines_end() {
    let wanted = [event("", "a\nb", ""), event("n", "", "")];
    for text in [
        "\u{feff}data: a\ndata:b\n\nevent: n\ndata\n\n",
        "data: a\r\ndata:b\r\n\r\nevent:n\r\ndata:\r\n\r\n",
        "data: a\rdata:b\r\revent: n\rdata\r\r",
    ] {
        for size in 1..=text.len() {
            let mut reader = EventReader::new(100);
            text.as_bytes().chunks(size).for_each(|bytes| reader.push(bytes).expect("short"));
            assert_eq!(std::iter::from_fn(|| reader.pop()).collect::<Vec<_>>(), wanted, "{text:?} by {size}");
        }
    }
}

#[test]
fn an_event_longer_than_the_limit_is_refused() {
    let mut reader = EventReader::new(10);
    reader.push(b"data:12345\n\n").expect("at the limit");
    assert!(matches!(reader.push(b"data:123456"), Err(HttpError::TooLong(10))));
    let mut reader = EventReader::new(10);
    assert!(reader.push(&b"data\n".repeat(20)).is_err(), "empty lines count as well");
}
