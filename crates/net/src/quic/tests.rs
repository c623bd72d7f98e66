//! Two nodes' sockets on loopback, with the test as driver.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

use meshline_identity::KeyPair;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::limits::MAX_HANDSHAKES;
use crate::udp::Packet;

const PATIENCE: Duration = Duration::from_secs(20);

/// One end.
struct Place {
    id: NodeId,
    hub: Arc<Hub>,
    quic: Arc<Quic>,
    door: Arc<Door>,
    notices: mpsc::Receiver<Notice>,
    packets: mpsc::Receiver<Packet>,
}

impl Place {
    fn new(key: u8) -> Self {
        let (clock, (sender, notices)) = (Clock::start(), mpsc::channel(64));
        let tls = TlsIdentity::new(&KeyPair::from_secret([key; 32])).unwrap();
        let id = tls.id();
        let door = Arc::new(Door {
            tls,
            plain: false,
            proxy: false,
            gate: Arc::new(Gate::default()),
            meetings: Arc::default(),
            refusals: Arc::default(),
            notices: sender,
            clock,
        });
        let (hub, packets) = Hub::bind(&BTreeSet::new(), true, clock).unwrap();
        let (quic, _) = Quic::serve(Arc::clone(&hub), Arc::clone(&door));
        Self { id, hub, quic, door, notices, packets }
    }

    fn address(&self) -> SocketAddr {
        self.hub.locals()[0]
    }

    async fn dial(&self, other: &Self) -> Result<Connection, ProveError> {
        timeout(PATIENCE, self.quic.dial((SocketId::MAIN, other.address()), other.id, None)).await.unwrap()
    }

    /// Dials, says something, and returns both ends.
    async fn join(&self, other: &mut Self) -> (Connection, Connection) {
        let mut near = self.dial(other).await.unwrap();
        near.stream.write_all(b"hello").await.unwrap();
        let far = other.opened().await;
        (near, far)
    }

    async fn opened(&mut self) -> Connection {
        match timeout(PATIENCE, self.notices.recv()).await.unwrap() {
            Some(Notice::Opened { connection, dial: None }) => *connection,
            _ => panic!("a connection was expected"),
        }
    }

    async fn refused(&mut self) -> Code {
        match timeout(PATIENCE, self.notices.recv()).await.unwrap() {
            Some(Notice::Refused { code, .. }) => code,
            _ => panic!("a refusal was expected"),
        }
    }
}

#[tokio::test]
async fn both_ends_learn_the_key_that_the_other_proved_and_carry_bytes_both_ways() {
    let (one, mut other) = (Place::new(1), Place::new(2));
    assert!(!one.quic.is_made() && !other.quic.is_made(), "nobody needed it so far");
    let (mut near, mut far) = one.join(&mut other).await;
    assert_eq!((near.proved, far.proved), (Some(other.id), Some(one.id)));
    assert_eq!((near.transport, far.transport), (Transport::Quic, Transport::Quic));
    assert_eq!((near.local.as_str(), near.remote.as_str()), (far.remote.as_str(), far.local.as_str()));
    let mut heard = [0; 5];
    far.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    far.stream.write_all(b"reply").await.unwrap();
    near.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"reply");
}

#[tokio::test]
async fn all_that_was_written_arrives_before_the_end_and_is_measured() {
    let (one, mut other) = (Place::new(3), Place::new(4));
    let (mut near, mut far) = one.join(&mut other).await;
    let gauge = Arc::clone(near.quic.as_ref().unwrap());
    far.quic.as_ref().unwrap().accept();
    let sent = vec![7; 8 << 20];
    let writing = async {
        near.stream.write_all(&sent).await.unwrap();
        let measured = gauge.look();
        near.stream.shutdown().await.unwrap();
        drop(near);
        measured
    };
    let mut got = vec![];
    let (measured, read) =
        timeout(PATIENCE, async { tokio::join!(writing, far.stream.read_to_end(&mut got)) }).await.unwrap();
    read.unwrap();
    assert_eq!(got.len(), 5 + sent.len());
    assert!(measured.acked > 0 && measured.acked < 5 + sent.len() as u64, "{measured:?}");
    assert!(measured.waiting() > 0 && measured.segments > 1_000 && measured.min_rtt_us > 0, "{measured:?}");
    let measured = far.quic.as_ref().unwrap().look();
    assert_eq!(measured.received, got.len() as u64);
    assert!(measured.segments_in > 1_000, "{measured:?}");
}

#[tokio::test]
async fn what_is_not_quic_never_reaches_it_and_quic_never_the_core() {
    let (one, mut other) = (Place::new(5), Place::new(6));
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let junk: [&[u8]; 3] = [b"\n{\"time\":{}}", b"\0\x01\0\0", b"\n not even JSON"];
    for bytes in junk {
        stranger.send_to(bytes, other.address()).unwrap();
    }
    stranger.send_to(&[0x90; 300], other.address()).unwrap();
    for bytes in junk {
        let packet = timeout(PATIENCE, other.packets.recv()).await.unwrap().unwrap();
        assert_eq!((&packet.bytes[..], packet.from), (bytes, stranger.local_addr().unwrap()));
        assert_eq!(packet.socket, SocketId::MAIN);
    }
    assert!(!other.quic.is_made(), "nothing of it was QUIC's");

    let (mut near, mut far) = one.join(&mut other).await;
    for bytes in junk {
        stranger.send_to(bytes, other.address()).unwrap();
        near.stream.write_all(b"between").await.unwrap();
        let packet = timeout(PATIENCE, other.packets.recv()).await.unwrap().unwrap();
        assert_eq!(&packet.bytes[..], bytes);
    }
    let mut heard = [0; 26];
    far.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hellobetweenbetweenbetween");
    assert!(other.packets.try_recv().is_err(), "no packet of QUIC came to the core");
    assert_eq!(other.hub.report().received, 6);
    assert_eq!(other.hub.report().dropped, 1);
}

#[tokio::test]
async fn another_member_than_the_expected_one_is_refused_at_both_ends() {
    let (one, mut other) = (Place::new(7), Place::new(8));
    let dialled = timeout(PATIENCE, one.quic.dial((SocketId::MAIN, other.address()), one.id, None)).await.unwrap();
    assert_eq!(dialled.map(|_| ()).unwrap_err().code, Code::IdentityMismatch);
    assert_eq!(other.refused().await, Code::IdentityMismatch);
    assert_eq!(other.door.gate.strangers(), 0, "its place is free again");
}

#[tokio::test]
async fn strangers_take_no_more_places_than_there_are_and_prove_their_address_when_many_stand_there() {
    let (one, mut other) = (Place::new(9), Place::new(10));
    let loopback = one.address().ip();
    let admit = |_| other.door.gate.admit(loopback, other.door.clock.mono()).unwrap();
    let mut permits: Vec<Permit> = (0..RETRY_FROM).map(admit).collect();
    // Whoever shows that it is there gets in.
    let (near, far) = one.join(&mut other).await;
    drop((near, far));
    permits.extend(
        (permits.len()..MAX_HANDSHAKES).map(|_| other.door.gate.admit(loopback, other.door.clock.mono()).unwrap()),
    );
    let refused = one.dial(&other).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code, Code::ConnectionLost);
    assert_eq!(other.refused().await, Code::TooManyHandshakes);
    permits.clear();
    one.join(&mut other).await;
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_opens_no_stream_is_gone_when_its_time_is_over() {
    let (one, mut other) = (Place::new(11), Place::new(12));
    let silent = one.dial(&other).await.unwrap();
    assert_eq!(other.refused().await, Code::HandshakeTimeout);
    assert_eq!(other.door.gate.strangers(), 0);
    drop(silent);
}

#[tokio::test]
async fn a_connection_over_a_socket_of_its_own_outlives_the_wish_for_it() {
    let (one, mut other) = (Place::new(13), Place::new(14));
    one.hub.open(SocketId(7), None).unwrap();
    let dialled = one.quic.dial((SocketId(7), other.address()), other.id, None);
    let mut near = timeout(PATIENCE, dialled).await.unwrap().unwrap();
    assert_ne!(near.local.port(), one.address().port(), "it is another port");
    near.stream.write_all(b"hello").await.unwrap();
    let mut far = other.opened().await;
    assert_eq!(far.remote.port(), near.local.port());
    one.hub.close(SocketId(7));
    far.stream.write_all(b"still").await.unwrap();
    let mut heard = [0; 5];
    near.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(one.hub.report().sockets, 2);
    drop((near, far));
    let closed = async {
        while one.hub.report().sockets > 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, closed).await.expect("the socket ends with the connection");
}

#[tokio::test]
async fn answers_leave_from_the_socket_where_the_question_came_in() {
    let (one, mut other) = (Place::new(15), Place::new(16));
    other.hub.open(SocketId(9), None).unwrap();
    let port = other.hub.port_of(SocketId(9)).unwrap();
    let remote = SocketAddr::new(other.address().ip(), port);
    let mut near = timeout(PATIENCE, one.quic.dial((SocketId::MAIN, remote), other.id, None)).await.unwrap().unwrap();
    near.stream.write_all(b"hello").await.unwrap();
    assert_eq!(other.opened().await.local.port(), port);
}

#[test]
fn what_is_lost_of_a_handshake_is_sent_again_a_quarter_later_than_an_answer_takes() {
    // A third of when it is.
    let first = |millis| config::first_rtt(Some(Duration::from_millis(millis))).as_millis();
    assert_eq!((first(160), first(600)), (66, 250));
    assert_eq!((first(0), first(47)), (20, 20), "a busy machine is not lost");
    assert_eq!((first(800), first(4_000_000)), (333, 333), "never later than where nothing is known");
    assert_eq!(config::first_rtt(None).as_millis(), 100);
}
