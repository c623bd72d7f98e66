//! Halves and pipes over loopback, with the test as driver.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use meshline_mesh::{Mono, RelayConnection};
use meshline_protocol::{Code, NodeId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Half, Relays};
use crate::clock::Clock;
use crate::driver::Notice;
use crate::gate::Gate;
use crate::limits::{MAX_HANDSHAKES, MAX_SHARES};

fn members() -> [NodeId; 2] {
    [1, 2].map(|byte| NodeId::from_bytes([byte; 32]))
}

struct Bench {
    gate: Arc<Gate>,
    listener: TcpListener,
    relays: Relays,
    notices: mpsc::Receiver<Notice>,
}

impl Bench {
    async fn new() -> Self {
        let (sender, notices) = mpsc::channel(16);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { gate: Arc::default(), listener, relays: Relays::new(sender, None, Clock::start()), notices }
    }

    async fn half(&mut self) -> (TcpStream, RelayConnection) {
        let far = TcpStream::connect(self.listener.local_addr().unwrap()).await.unwrap();
        let (near, _) = self.listener.accept().await.unwrap();
        let permit = self.gate.admit(IpAddr::V4(Ipv4Addr::LOCALHOST), Mono(0)).unwrap();
        (far, self.relays.keep(Half::new(near, permit)))
    }

    async fn ended(&mut self) -> RelayConnection {
        match self.notices.recv().await {
            Some(Notice::RelayEnded(connection)) => connection,
            _ => panic!("an end was expected"),
        }
    }
}

#[tokio::test]
async fn bytes_flow_both_ways_and_both_ends_end_together() {
    let mut bench = Bench::new().await;
    let ((mut one, first), (mut other, second)) = (bench.half().await, bench.half().await);
    one.write_all(b"early").await.unwrap();
    assert!(bench.relays.join(first, second, members()));
    let mut read = [0; 5];
    other.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"early");
    other.write_all(b"reply").await.unwrap();
    one.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"reply");
    drop(one);
    assert_eq!(other.read(&mut read).await.unwrap(), 0);
    drop(other);
    assert_eq!(bench.ended().await, first);
    assert!(bench.relays.end(first));
    assert!(!bench.relays.end(second), "the pipe is known no more");
}

#[tokio::test]
async fn strangers_are_counted_until_they_are_joined() {
    let mut bench = Bench::new().await;
    let ((_one, first), (_other, second)) = (bench.half().await, bench.half().await);
    let admit = |gate: &Arc<Gate>| gate.admit(IpAddr::V4(Ipv4Addr::LOCALHOST), Mono(0));
    let held: Vec<_> = (2..MAX_HANDSHAKES).map(|_| admit(&bench.gate).unwrap()).collect();
    assert!(admit(&bench.gate).is_err());
    bench.relays.join(first, second, members());
    assert!(admit(&bench.gate).is_ok());
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_half_that_stays_alone_ends_after_its_time() {
    let mut bench = Bench::new().await;
    let (mut far, connection) = bench.half().await;
    assert_eq!(bench.ended().await, connection);
    assert!(bench.relays.end(connection));
    assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_dropped_half_reads_why_and_a_dropped_pipe_ends() {
    let mut bench = Bench::new().await;
    let (mut alone, connection) = bench.half().await;
    bench.relays.drop_connection(connection, Code::BadTicket);
    let mut line = [0; 64];
    let count = alone.read(&mut line).await.unwrap();
    assert!(String::from_utf8_lossy(&line[..count]).starts_with("{\"error\":{\"code\":\"bad_ticket\""));

    let ((mut one, first), (_other, second)) = (bench.half().await, bench.half().await);
    bench.relays.join(first, second, members());
    bench.relays.drop_connection(second, Code::NotNeeded);
    assert!(matches!(one.read(&mut line).await, Ok(0) | Err(_)));
    assert!(!bench.relays.end(first));
}

#[tokio::test]
async fn a_half_whose_other_is_gone_goes_too() {
    let mut bench = Bench::new().await;
    let (mut far, connection) = bench.half().await;
    assert!(!bench.relays.join(connection, RelayConnection(99), members()));
    assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
}

async fn joined(bench: &mut Bench) -> (TcpStream, TcpStream, RelayConnection) {
    let ((one, first), (other, second)) = (bench.half().await, bench.half().await);
    assert!(bench.relays.join(first, second, members()));
    (one, other, first)
}

/// Bytes that tell where they belong.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| u8::try_from((at / 7 + at / 65_536) % 251).unwrap()).collect()
}

#[tokio::test]
async fn much_arrives_as_it_was_sent_both_ways_at_once_and_is_counted() {
    let mut bench = Bench::new().await;
    let (one, other, _) = joined(&mut bench).await;
    let sent = pattern(24 << 20);
    let exchange = |stream: TcpStream, sent: Vec<u8>| async move {
        let (mut reader, mut writer) = stream.into_split();
        let writing = tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        reader.read_to_end(&mut got).await.unwrap();
        writing.await.unwrap();
        got
    };
    let there = tokio::spawn(exchange(one, sent.clone()));
    let back = exchange(other, sent.clone()).await;
    assert!(back == sent && there.await.unwrap() == sent, "every byte once, in order");
    bench.ended().await;
    let bytes = u64::try_from(2 * sent.len()).unwrap();
    assert_eq!(bench.relays.bytes(), members().map(|member| (member, bytes)));
}

#[tokio::test]
async fn one_way_may_end_while_the_other_goes_on() {
    let mut bench = Bench::new().await;
    let (mut one, mut other, _) = joined(&mut bench).await;
    one.write_all(b"all I have").await.unwrap();
    one.shutdown().await.unwrap();
    let mut got = Vec::new();
    other.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"all I have");
    let sent = pattern(300_000);
    other.write_all(&sent).await.unwrap();
    drop(other);
    got.clear();
    one.read_to_end(&mut got).await.unwrap();
    assert!(got == sent);
}

#[tokio::test]
async fn a_break_is_passed_on_as_a_break() {
    let mut bench = Bench::new().await;
    let (one, mut other, _) = joined(&mut bench).await;
    other.write_all(b"x").await.unwrap();
    // Closing with unread bytes or without lingering resets.
    socket2::SockRef::from(&one).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    one.readable().await.unwrap();
    drop(one);
    let error = other.read(&mut [0; 1]).await.expect_err("no orderly end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn who_does_not_read_holds_up_nobody_else() {
    let mut bench = Bench::new().await;
    let (mut flood, _unread, _) = joined(&mut bench).await;
    let flooding = tokio::spawn(async move {
        let piece = vec![0; 1 << 20];
        loop {
            flood.write_all(&piece).await.unwrap();
        }
    });
    let (mut one, mut other, _) = joined(&mut bench).await;
    for _ in 0..200 {
        one.write_all(b"ping").await.unwrap();
        let mut got = [0; 4];
        other.read_exact(&mut got).await.unwrap();
        other.write_all(&got).await.unwrap();
        one.read_exact(&mut got).await.unwrap();
    }
    flooding.abort();
}

#[tokio::test]
async fn a_rate_holds_for_all_that_is_relayed_for_a_member() {
    let mut bench = Bench::new().await;
    bench.relays.rate_bps = Some(80_000_000);
    let (mut one, mut other, _) = joined(&mut bench).await;
    let clock = Clock::start();
    let bytes = 6_000_000;
    let sending = tokio::spawn(async move {
        one.write_all(&pattern(bytes)).await.unwrap();
        one
    });
    let mut got = vec![0; bytes];
    other.read_exact(&mut got).await.unwrap();
    assert!(got == pattern(bytes));
    drop(sending.await.unwrap());
    // Ten million bytes a second, of which a quarter of a second's and a turn may be ahead.
    let least = (bytes - 2_500_000 - crate::limits::RELAY_TURN) / 10;
    assert!(clock.mono().0 >= u64::try_from(least).unwrap(), "{} us", clock.mono().0);
}

#[tokio::test]
async fn of_too_many_members_those_without_a_pipe_are_forgotten() {
    let mut relays = Bench::new().await.relays;
    let member = |n: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
        NodeId::from_bytes(bytes)
    };
    // A pipe holds the shares of its two members.
    let held = relays.share(member(3));
    for n in 0..MAX_SHARES {
        relays.share(member(n));
    }
    assert_eq!(relays.bytes().len(), MAX_SHARES);
    relays.share(member(7));
    assert_eq!(relays.bytes().len(), MAX_SHARES, "one that is known needs no room");
    relays.share(member(MAX_SHARES));
    let left: Vec<NodeId> = relays.bytes().into_iter().map(|(member, _)| member).collect();
    assert_eq!(left, [member(3), member(MAX_SHARES)]);
    drop(held);
}
