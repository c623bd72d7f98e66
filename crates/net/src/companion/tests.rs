//! Two ends on loopback, with the test as both cores.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::Duration;

use meshline_mesh::{Beside, datagram_line};
use meshline_protocol::message::{CompanionOffer, Echo};
use tokio::time::timeout;

use super::seal::Window;
use super::*;
use crate::clock::Clock;
use crate::tap::Tap;

const PATIENCE: Duration = Duration::from_secs(20);

struct End {
    hub: Arc<Hub>,
    companion: Arc<Companion>,
    notices: mpsc::Receiver<Notice>,
}

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn offer(n: u8) -> CompanionOffer {
    CompanionOffer { port: 1, id: n.into(), secret: char::from(b'a' + n).to_string().repeat(43).parse().unwrap() }
}

fn hub() -> Arc<Hub> {
    let (hub, _) = Hub::bind(&BTreeSet::new(), true, Clock::start()).unwrap();
    drop(tokio::spawn({
        let hub = Arc::clone(&hub);
        async move { hub.read_without_quic(|| false).await }
    }));
    hub
}

fn end(hub: Arc<Hub>, (own, other): (u8, u8), remote: SocketAddr) -> End {
    let (sender, notices) = mpsc::channel(64);
    let forwarder = Arc::new(Forwarder::new(Arc::new(Tap::default())));
    let beside = Beside { ours: offer(own), theirs: offer(other), remote };
    let around = Around { hub: Arc::clone(&hub), notices: sender, forwarder };
    let companion = hub.companions().open((LinkId(own.into()), id(other)), &beside, around).unwrap();
    End { hub, companion, notices }
}

fn two() -> (End, End) {
    let (one, other) = (hub(), hub());
    let (at_one, at_other) = (one.locals()[0], other.locals()[0]);
    (end(one, (1, 2), at_other), end(other, (2, 1), at_one))
}

fn line(over: Over) -> Datagram {
    Datagram { over, ..datagram_line(id(1), id(2), 5, "test".parse().unwrap()) }
}

impl End {
    async fn body(&mut self) -> Bytes {
        match timeout(PATIENCE, self.notices.recv()).await.unwrap() {
            Some(Notice::Frame { link: LinkId(2), decoded: Decoded::Frame(frame), waits: false }) => {
                frame.body.unwrap()
            }
            _ => panic!("a datagram was expected"),
        }
    }

    async fn refused(&self, count: u64) {
        let refused = async {
            while self.hub.companions().report().refused < count {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, refused).await.unwrap();
    }
}

#[tokio::test]
async fn a_datagram_goes_as_it_asks_for_and_as_udp_works() {
    let (one, mut other) = two();
    let small = Bytes::from_static(b"small");
    let large = Bytes::from(vec![0; MAX_PACKET]);
    let carry = |over, body| one.companion.carry(&line(over), body);
    assert_eq!([Over::Tcp, Over::Other, Over::Udp].map(|over| carry(over, &small)), [Carried::ByLink; 3]);
    assert_eq!(carry(Over::Drop, &small), Carried::Dropped);
    one.companion.set_works(true);
    assert_eq!(carry(Over::Tcp, &small), Carried::ByLink);
    assert!(matches!(carry(Over::Udp, &small), Carried::Sent(100..)));
    assert_eq!(other.body().await, small);
    assert!(matches!(carry(Over::Drop, &small), Carried::Sent(_)));
    assert_eq!(other.body().await, small);
    assert_eq!([Over::Udp, Over::Drop].map(|over| carry(over, &large)), [Carried::ByLink; 2]);
    let fits =
        (0..MAX_PACKET).rev().find_map(|length| match one.companion.carry(&line(Over::Udp), &vec![7; length].into()) {
            Carried::Sent(bytes) => Some((length, bytes)),
            Carried::ByLink | Carried::Dropped => None,
        });
    let (length, bytes) = fits.unwrap();
    assert!(bytes <= MAX_PACKET && length > 700, "{length} bytes made {bytes}");
    assert_eq!(other.body().await.len(), length);
    one.companion.set_works(false);
    assert_eq!([carry(Over::Udp, &small), carry(Over::Drop, &small)], [Carried::ByLink, Carried::Dropped]);
    assert_eq!((one.hub.companions().report().sent, other.hub.companions().report().received), (3, 3));
}

#[tokio::test]
async fn what_is_repeated_altered_forged_or_of_a_closed_link_is_refused_without_an_answer() {
    let (one, mut other) = two();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let frame = Frame { message: Message::Datagram(Box::new(line(Over::Udp))), body: Some("once".into()) };
    let packet = one.companion.seal(&frame).unwrap();
    let at = other.hub.locals()[0];
    let mut altered = one.companion.seal(&frame).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    let forged = Frame {
        message: Message::Companion(Wire::Sealed(CompanionSealed { id: 2, number: 77 })),
        body: Some("anything of more than sixteen bytes".into()),
    };
    let own = other.companion.seal(&frame).unwrap();
    stranger.send_to(&altered, at).unwrap();
    stranger.send_to(&encode_datagram(&forged).unwrap(), at).unwrap();
    stranger.send_to(&own, at).unwrap();
    stranger.send_to(b"\n{\"len\":3,\"companion\":{}}\nabc", at).unwrap();
    other.refused(4).await;
    let remote = *other.companion.remote.lock().unwrap();
    assert_eq!(remote, one.hub.locals()[0], "what does not open moves nothing");
    stranger.send_to(&packet, at).unwrap();
    assert_eq!(&other.body().await[..], b"once");
    assert_eq!(
        *other.companion.remote.lock().unwrap(),
        stranger.local_addr().unwrap(),
        "answers go where it came from"
    );
    stranger.send_to(&packet, at).unwrap();
    other.refused(5).await;
    let later = one.companion.seal(&frame).unwrap();
    other.hub.companions().close(LinkId(2));
    stranger.send_to(&later, at).unwrap();
    other.refused(6).await;
    assert_eq!(other.hub.companions().report().received, 1);
    assert!(stranger.recv(&mut [0; 9]).is_err(), "nobody was answered");
}

#[tokio::test]
async fn only_time_and_datagrams_are_taken() {
    let (one, mut other) = two();
    one.companion.send(&Message::Ping(Echo { nonce: 1, text: String::new() }).into());
    one.companion.send(&Frame { message: Message::Datagram(Box::new(line(Over::Udp))), body: Some("x".into()) });
    assert_eq!(&other.body().await[..], b"x", "the ping came before and went nowhere");
}

#[tokio::test]
async fn there_are_no_more_than_may_be_and_no_number_twice() {
    let hub = hub();
    let (sender, _notices) = mpsc::channel(1);
    let forwarder = Arc::new(Forwarder::new(Arc::new(Tap::default())));
    let around = Around { hub: Arc::clone(&hub), notices: sender, forwarder };
    let open = |number: u32| {
        let ours = CompanionOffer { id: number, ..offer(1) };
        let beside = Beside { ours, theirs: offer(2), remote: hub.locals()[0] };
        hub.companions().open((LinkId(number.into()), id(2)), &beside, around.clone())
    };
    let most = u32::try_from(MAX_COMPANIONS).unwrap();
    assert!((0..most - 1).all(|number| open(number).is_some()));
    assert!(open(5).is_none(), "the number is taken");
    assert!(open(most).is_some() && open(most + 1).is_none());
    hub.companions().close(LinkId(5));
    assert!(open(5).is_some());
}

#[test]
fn a_number_is_new_once_and_not_when_it_is_too_far_behind() {
    let mut window = Window::default();
    let mut note = |number: u64| {
        let is_new = window.is_new(number);
        if is_new {
            window.note(number);
        }
        is_new
    };
    assert!(note(0) && !note(0) && note(2) && note(1) && !note(2) && !note(1));
    assert!(note(5_000) && note(4_000) && !note(4_000));
    assert!(note(5_001 - 1_024) && !note(5_000 - 1_024) && !note(3));
    assert!((4_001..5_000).all(&mut note), "all between are new, once");
    assert!(!(4_001..=5_000).any(&mut note));
    assert!(note(1 << 60) && note((1 << 60) - 1_000) && !note(5_001));
    assert!(note(u64::MAX - 1) && !note(u64::MAX - 1));
}

#[test]
fn numbers_in_any_order_are_judged_as_a_list_of_all_would() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut window, mut seen, mut highest) = (Window::default(), BTreeSet::new(), 0_u64);
    for _ in 0..50_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = highest.saturating_add(40).saturating_sub((state >> 33) % 1_200);
        let expected = !seen.contains(&number) && number + 1_024 > highest;
        assert_eq!(window.is_new(number), expected, "{number} after {highest}");
        if expected {
            window.note(number);
            seen.insert(number);
            highest = highest.max(number);
        }
    }
}

#[tokio::test]
async fn what_cannot_leave_by_udp_goes_over_the_link_and_what_has_left_never_does() {
    let (one, _other) = two();
    one.companion.set_works(true);
    let small = Bytes::from_static(b"small");
    let carry = |over| one.companion.carry(&line(over), &small);
    // Nobody reads there: what goes there has left, and is gone.
    let void = UdpSocket::bind("127.0.0.1:0").unwrap();
    *one.companion.remote.lock().unwrap() = void.local_addr().unwrap();
    assert!(matches!([carry(Over::Udp), carry(Over::Drop)], [Carried::Sent(_), Carried::Sent(_)]));
    // No socket reaches that: nothing leaves.
    *one.companion.remote.lock().unwrap() = "192.0.2.1:9".parse().unwrap();
    assert_eq!([carry(Over::Udp), carry(Over::Drop)], [Carried::ByLink, Carried::Dropped]);
    assert_eq!(one.hub.companions().report().sent, 2);
}
