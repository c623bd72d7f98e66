//! Halves and pipes over loopback, with the test as driver.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use meshline_mesh::{Mono, RelayConnection};
use meshline_protocol::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Half, Relays};
use crate::driver::Notice;
use crate::gate::Gate;
use crate::limits::MAX_HANDSHAKES;

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
        Self { gate: Arc::default(), listener, relays: Relays::new(sender), notices }
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
    assert!(bench.relays.join(first, second));
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
    bench.relays.join(first, second);
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
    bench.relays.join(first, second);
    bench.relays.drop_connection(second, Code::NotNeeded);
    assert!(matches!(one.read(&mut line).await, Ok(0) | Err(_)));
    assert!(!bench.relays.end(first));
}

#[tokio::test]
async fn a_half_whose_other_is_gone_goes_too() {
    let mut bench = Bench::new().await;
    let (mut far, connection) = bench.half().await;
    assert!(!bench.relays.join(connection, RelayConnection(99)));
    assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
}
