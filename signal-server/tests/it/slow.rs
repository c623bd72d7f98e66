//! Clients that are slow on purpose, and clients that are many.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::client::{Answer, PATIENCE, Running, read_answer, start};

/// What a request may take in all.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends `head` at once and then one byte a second until the server has had enough.
async fn drip(server: &Running, head: &str, byte: u8) -> (Answer, Duration) {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(server.address).await.expect("it listens");
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let mut first = [0; 1];
    loop {
        tokio::select! {
            // An answer, or the end.
            _ = stream.peek(&mut first) => break,
            // paced: one byte a second is what this client is
            () = sleep(Duration::from_secs(1)) => {
                let _ = stream.write_all(&[byte]).await;
            }
        }
    }
    let elapsed = begin.elapsed();
    (read_answer(&mut stream).await, elapsed)
}

#[tokio::test]
async fn one_byte_a_second_is_cut_off_in_the_headers() {
    let server = start().await;
    let (answer, elapsed) = drip(&server, "GET / HTTP/1.1\r\nx: ", b'y').await;
    assert!(matches!(answer.status, 0 | 408), "{answer:?}");
    assert!(elapsed < LIMIT, "{elapsed:?}");
    assert_eq!(server.metric("meshline_signal_connection_faults_total{reason=\"header_timeout\"}").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn one_byte_a_second_is_cut_off_in_the_body() {
    let server = start().await;
    let head = "POST /v1/nodes HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
    let (answer, elapsed) = drip(&server, head, b' ').await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "frame_timeout"), "{answer:?}");
    assert!(elapsed < LIMIT, "{elapsed:?}");
    server.stop().await;
}

#[tokio::test]
async fn who_says_nothing_is_closed_also_after_a_first_answer() {
    let server = start().await;
    for head in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let begin = Instant::now();
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        read_answer(&mut stream).await;
        assert!(begin.elapsed() < LIMIT, "{:?}", begin.elapsed());
    }
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_read_is_cut_off() {
    let server = start().await;
    let begin = Instant::now();
    let mut stream = TcpStream::connect(server.address).await.expect("it listens");
    let request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    let outcome = tokio::time::timeout(PATIENCE, async { while stream.write_all(&request).await.is_ok() {} }).await;
    assert!(outcome.is_ok(), "it stopped reading, and closed");
    assert!(begin.elapsed() < 2 * LIMIT, "{:?}", begin.elapsed());
    assert_eq!(server.metric("meshline_signal_connection_faults_total{reason=\"slow_reader\"}").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn beyond_so_many_connections_the_next_is_told_and_later_ones_are_served_again() {
    let server = start().await;
    let mut held = Vec::new();
    while held.len() < signal_server::settings::MAX_CONNECTIONS {
        held.push(TcpStream::connect(server.address).await.expect("it listens"));
    }
    let mut beyond = TcpStream::connect(server.address).await.expect("it listens");
    let answer = read_answer(&mut beyond).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "too_many_connections"));
    drop(held);
    while server.get("/healthz").await.status != 200 {
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn stopping_answers_what_is_under_way_and_does_not_wait_for_the_silent() {
    let server = start().await;
    let silent = TcpStream::connect(server.address).await.expect("it listens");
    let mut asking = TcpStream::connect(server.address).await.expect("it listens");
    let head = b"POST /v1/nodes HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n";
    asking.write_all(head).await.expect("it reads");
    while server.metric("meshline_signal_connections").await < 3 {
        tokio::task::yield_now().await;
    }
    let begin = Instant::now();
    let answering = tokio::spawn(async move {
        asking.write_all(b"x").await.expect("it still reads");
        read_answer(&mut asking).await
    });
    server.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(matches!(answering.await.expect("no panic").status, 0 | 400));
    drop(silent);
}
