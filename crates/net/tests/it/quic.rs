//! Links over QUIC and from both sides at once, between whole nodes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use meshline_identity::KeyPair;
use meshline_mesh::{Command, Config, DialId, DialTarget, Event as MeshEvent, Node, Now, Output, Reply, SocketId};
use meshline_mesh::{Input as MeshInput, Mono};
use meshline_net::{Clock, Core, Settings, start};
use meshline_protocol::NodeId;
use meshline_protocol::message::Over;
use meshline_services::{Event, Input, Stack, chat};
use tokio::time::timeout;

use crate::support::*;

/// Dials of a test have numbers that the core does not reach.
const FIRST_DIAL: u64 = 1 << 40;

/// A stack that also dials what a test wants dialled.
struct Dialling {
    stack: Stack,
    wanted: Arc<Mutex<Vec<DialTarget>>>,
    failed: Arc<Mutex<Vec<String>>>,
    next: u64,
}

impl Core for Dialling {
    fn handle_input(&mut self, input: Input, now: Now) {
        if let Input::Mesh(MeshInput::DialFailed { dial, detail, .. }) = &input
            && dial.0 >= FIRST_DIAL
        {
            self.failed.lock().unwrap().push(detail.clone());
        }
        self.stack.handle_input(input, now);
    }

    fn poll_output(&mut self) -> Option<meshline_services::Output> {
        if let Some(target) = self.wanted.lock().unwrap().pop() {
            self.next += 1;
            return Some(meshline_services::Output::Mesh(Output::Dial { dial: DialId(self.next), target }));
        }
        self.stack.poll_output()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.stack.poll_timeout()
    }
}

struct Dialler {
    running: Running,
    wanted: Arc<Mutex<Vec<DialTarget>>>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl Dialler {
    async fn run(key: KeyPair, config: Config) -> Self {
        let (clock, id, seed) = (Clock::start(), key.id(), *key.id().as_bytes());
        let settings = Settings::new(clock, key.clone(), &config);
        let (wanted, failed) = (Arc::default(), Arc::default());
        let stack = Stack::new(Node::new(config, key, seed, clock.now()), Default::default(), clock.now());
        let core = Dialling { stack, wanted: Arc::clone(&wanted), failed: Arc::clone(&failed), next: FIRST_DIAL };
        let handle = start(settings, core).await.unwrap();
        let events = handle.subscribe();
        Self { running: Running { id, handle, events }, wanted, failed }
    }

    fn socket(&self) -> SocketAddr {
        self.running.address().as_str().parse().unwrap()
    }

    async fn dial(&self, target: DialTarget) {
        self.wanted.lock().unwrap().push(target);
        // Any command makes the driver look.
        let _ = self.running.handle.command(meshline_services::Command::Mesh(Command::Routes)).await;
    }

    /// Waits until the link to `peer` goes over `transport`.
    async fn linked_over(&mut self, peer: NodeId, transport: &str) {
        if self.running.status().await.links.iter().any(|link| link.peer == peer && link.transport == transport) {
            return;
        }
        let is_it = |event: &MeshEvent| match event {
            MeshEvent::LinkUp { peer: up, transport: by, .. } if up.id == peer && by.name() == transport => Some(()),
            _ => None,
        };
        self.running.mesh_event(transport, is_it).await;
    }
}

/// Two nodes, the one with the smaller id first, which are linked over QUIC.
async fn two_over_quic() -> (Dialler, Dialler) {
    let mut keys = [new_key(), new_key()];
    keys.sort_by_key(KeyPair::id);
    let [small, large] = keys;
    let mut large = Dialler::run(large, config("large")).await;
    let mut small = Dialler::run(small, config("small")).await;
    small.dial(quic_to(&large)).await;
    small.linked_over(large.running.id, "quic").await;
    large.linked_over(small.running.id, "quic").await;
    (small, large)
}

/// Two nodes, the one with the smaller id first, which are linked over TCP.
async fn two() -> (Dialler, Dialler) {
    let mut keys = [new_key(), new_key()];
    keys.sort_by_key(KeyPair::id);
    let [small, large] = keys;
    let mut large = Dialler::run(large, config("large")).await;
    let mut first = config("small");
    first.peers = vec![large.running.address()];
    let mut small = Dialler::run(small, first).await;
    let (small_id, large_id) = (small.running.id, large.running.id);
    small.running.linked_to(large_id).await;
    large.running.linked_to(small_id).await;
    (small, large)
}

fn tcp_to(other: &Dialler) -> DialTarget {
    DialTarget::Direct { address: other.running.address(), expected: Some(other.running.id), plain: false }
}

fn quic_to(other: &Dialler) -> DialTarget {
    DialTarget::Quic { socket: SocketId::MAIN, remote: other.socket(), peer: other.running.id, rtt_us: None }
}

#[tokio::test]
async fn a_link_over_tcp_takes_the_place_of_one_over_quic_and_no_message_is_lost_or_doubled() {
    const LINES: usize = 200;
    let (mut small, mut large) = two_over_quic().await;
    let (small_id, large_id) = (small.running.id, large.running.id);
    let mut heard = [small.running.handle.subscribe(), large.running.handle.subscribe()];
    for line in 0..LINES {
        if line == LINES / 4 {
            small.dial(tcp_to(&large)).await;
        }
        small.running.say(&format!("small {line}")).await;
        large.running.say(&format!("large {line}")).await;
        if line == LINES / 2 {
            small.linked_over(large_id, "tcp").await;
            large.linked_over(small_id, "tcp").await;
        }
    }
    for (events, from) in heard.iter_mut().zip(["large", "small"]) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let all = async {
            while counts.len() < LINES {
                if let Event::Chat(chat::Event::Message { message, own: false }) = &*events.recv().await.unwrap() {
                    *counts.entry(message.text.clone()).or_default() += 1;
                }
            }
        };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("only {} of {LINES} came", counts.len()));
        assert!((0..LINES).all(|line| counts.get(&format!("{from} {line}")) == Some(&1)), "{counts:?}");
    }
    let row = small.running.link_to(large_id).await;
    assert_eq!((row.transport, row.direction), ("tcp", "outbound"));
    assert_eq!(large.running.link_to(small_id).await.direction, "inbound");
    assert_eq!(small.running.status().await.links.len(), 1, "the other one stands back");
    assert!(row.sent_bytes > 0 && row.received_bytes > 0);
}

#[tokio::test]
async fn a_member_that_leaves_says_goodbye_over_quic_too() {
    let (small, mut large) = two_over_quic().await;
    let small_id = small.running.id;
    timeout(PATIENCE, small.running.handle.shutdown()).await.unwrap();
    let left = |event: &MeshEvent| match event {
        MeshEvent::MemberLeft { peer } if peer.id == small_id => Some(()),
        _ => None,
    };
    large.running.mesh_event("goodbye", left).await;
}

#[tokio::test]
async fn somebody_else_who_answers_over_quic_is_no_link() {
    let (small, large) = two().await;
    let stranger = new_key().id();
    small.dial(DialTarget::Quic { socket: SocketId::MAIN, remote: large.socket(), peer: stranger, rtt_us: None }).await;
    let refused = async {
        while small.failed.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    let why = small.failed.lock().unwrap().join(" ");
    assert!(why.contains(&stranger.to_string()), "{why}");
    assert!(small.running.status().await.links.iter().all(|link| link.transport == "tcp"));
}

#[tokio::test]
async fn nodes_meet_from_both_sides_over_tcp_and_chat() {
    let mut keys = [new_key(), new_key()];
    keys.sort_by_key(KeyPair::id);
    let [small, large] = keys;
    let (mut small, mut large) =
        (Dialler::run(small, config("small")).await, Dialler::run(large, config("large")).await);
    let (small_id, large_id) = (small.running.id, large.running.id);
    // The smaller id acts as TLS server.
    let meet = |from: &Dialler, to: &Dialler, client: bool| DialTarget::Meet {
        local: from.running.address(),
        remote: to.socket(),
        peer: to.running.id,
        client,
        rtt_us: None,
    };
    let (there, back) = (meet(&small, &large, false), meet(&large, &small, true));
    tokio::join!(small.dial(there), large.dial(back));
    small.linked_over(large_id, "tcp").await;
    large.linked_over(small_id, "tcp").await;
    small.running.say("met").await;
    large.running.hears("met").await;
}

#[tokio::test]
async fn udp_beside_a_link_bears_what_asks_for_it_and_ends_with_the_link() {
    let (mut small, large) = two().await;
    let (small_id, large_id) = (small.running.id, large.running.id);
    for (node, peer) in [(&small, large_id), (&large, small_id)] {
        let works = async {
            while !node.running.link_to(peer).await.bearers.iter().any(|bearer| bearer.works) {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, works).await.expect("UDP works on loopback");
    }
    let bearer = small.running.link_to(large_id).await.bearers.remove(0);
    assert_eq!((bearer.transport, bearer.address), ("udp", large.socket().into()));
    assert!(bearer.rtt_us.is_some());

    let mut arriving = large.running.handle.datagrams();
    let before = (small.running.handle.companions().sent, large.running.handle.companions().received);
    let service: meshline_protocol::ServiceName = "test".parse().unwrap();
    for over in [Over::Udp, Over::Drop, Over::Tcp] {
        let body = bytes::Bytes::from(format!("{over:?}"));
        let sent = async {
            // The way is known a moment after the link, and UDP may work before.
            let send = || small.running.handle.send_datagram_over(large_id, (service.clone(), 1, over), body.clone());
            while send().await != Reply::Sent {}
        };
        timeout(PATIENCE, sent).await.expect("a way");
        assert_eq!(timeout(PATIENCE, arriving.recv()).await.unwrap().unwrap().1, body);
    }
    let after = (small.running.handle.companions().sent, large.running.handle.companions().received);
    assert!(after.0 >= before.0 + 2 && after.1 >= before.1 + 2, "{before:?} {after:?}");
    let long = bytes::Bytes::from(vec![1; 20_000]);
    small.running.handle.send_datagram_over(large_id, (service, 1, Over::Drop), long.clone()).await;
    assert_eq!(timeout(PATIENCE, arriving.recv()).await.unwrap().unwrap().1, long, "what is too long goes over TCP");

    timeout(PATIENCE, large.running.handle.shutdown()).await.unwrap();
    let gone = |event: &MeshEvent| match event {
        MeshEvent::LinkDown { peer, .. } if peer.id == large_id => Some(()),
        _ => None,
    };
    small.running.mesh_event("end", gone).await;
    assert!(small.running.status().await.links.is_empty());
}

#[tokio::test]
async fn a_link_over_quic_has_no_udp_beside_it_and_bears_what_asks_for_udp() {
    let (small, large) = two_over_quic().await;
    let large_id = large.running.id;
    let service: meshline_protocol::ServiceName = "test".parse().unwrap();
    let mut arriving = large.running.handle.datagrams();
    assert!(small.running.link_to(large_id).await.bearers.is_empty());
    let body = bytes::Bytes::from_static(b"by UDP anyway");
    let sent = async {
        // The way is known a moment after the link.
        let send = || small.running.handle.send_datagram_over(large_id, (service.clone(), 1, Over::Drop), body.clone());
        while send().await != Reply::Sent {}
    };
    timeout(PATIENCE, sent).await.expect("a way");
    assert_eq!(timeout(PATIENCE, arriving.recv()).await.unwrap().unwrap().1, body);
}
