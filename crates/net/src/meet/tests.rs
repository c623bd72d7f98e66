//! Two ends on loopback, each with its listener.

use std::cell::RefCell;
use std::future::pending;

use meshline_identity::KeyPair;
use meshline_mesh::{Mono, Transport};
use tokio::net::TcpListener;

use super::*;
use crate::clock::Clock;
use crate::listener::bind_one;
use crate::tls::TlsIdentity;

const PATIENCE: Duration = Duration::from_secs(20);

struct Place {
    listener: TcpListener,
    meetings: Arc<Meetings>,
    tls: TlsIdentity,
}

impl Place {
    fn new(key: u8) -> Self {
        let listener = bind_one("127.0.0.1:0".parse().unwrap()).unwrap();
        let tls = TlsIdentity::new(&KeyPair::from_secret([key; 32])).unwrap();
        Self { listener, meetings: Arc::default(), tls }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Meets the other end, with the listener at work beside.
    async fn meet(&self, other: &Self, client: bool) -> crate::dial::Opened {
        let local = self.address().into();
        let meeting = self.meetings.begin(&local, other.address(), None).await.unwrap();
        let mut met = pin!(crate::dial::met(meeting, other.tls.id(), client, &self.tls));
        let mut accepting = pin!(self.hand_all_over());
        let both = poll_fn(|context| {
            let _ = accepting.as_mut().poll(context);
            met.as_mut().poll(context)
        });
        timeout(PATIENCE, both).await.unwrap().unwrap()
    }

    async fn hand_all_over(&self) {
        while let Ok((stream, remote)) = self.listener.accept().await {
            assert!(self.meetings.hand_over(stream, remote).is_none(), "it is one who is met");
        }
    }
}

#[tokio::test]
async fn both_ends_meet_with_one_connection_between_their_listening_ports() {
    for round in 0..20 {
        let (one, other) = (Place::new(1), Place::new(2));
        let (near, far) = tokio::join!(one.meet(&other, round % 2 == 0), other.meet(&one, round % 2 != 0));
        assert_eq!((near.proved, far.proved), (Some(other.tls.id()), Some(one.tls.id())));
        assert_eq!((near.transport, far.transport), (Transport::Tcp, Transport::Tcp));
        assert_eq!((near.local, near.remote), (one.address().into(), other.address().into()));
        assert_eq!((far.local, far.remote), (other.address().into(), one.address().into()));
    }
}

#[tokio::test]
async fn whoever_is_refused_at_first_asks_again() {
    let (one, other) = (Place::new(3), Place::new(4));
    let (address, tls) = (other.address(), other.tls.clone());
    drop(other.listener);
    let mut meeting = one.meetings.begin(&one.address().into(), address, None).await.unwrap();
    let (opened, late) = tokio::join!(timeout(PATIENCE, meeting.next()), async {
        tokio::task::yield_now().await;
        let listener = bind_one(address).unwrap();
        listener.accept().await.unwrap()
    });
    assert_eq!(opened.unwrap().local_addr().unwrap(), late.1);
    drop(tls);
}

#[tokio::test]
async fn somebody_else_at_that_address_is_passed_over() {
    let (one, wrong, right) = (Place::new(5), Place::new(6), Place::new(7));
    let local = one.address().into();
    let meeting = one.meetings.begin(&local, wrong.address(), None).await.unwrap();
    let answering = async {
        let (stream, _) = wrong.listener.accept().await.unwrap();
        let _ = wrong.tls.accept(stream).await;
        let (stream, _) = wrong.listener.accept().await.unwrap();
        right.tls.accept(stream).await.unwrap()
    };
    let met = crate::dial::met(meeting, right.tls.id(), true, &one.tls);
    let (met, _) = timeout(PATIENCE, async { tokio::join!(met, answering) }).await.unwrap();
    assert_eq!(met.unwrap().proved, Some(right.tls.id()));
}

#[tokio::test]
async fn another_port_of_the_host_is_taken_until_somebody_else_came_from_there() {
    let (meetings, place): (Arc<Meetings>, _) = (Arc::default(), Place::new(8));
    let from = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
    let meeting = meetings.begin(&"127.0.0.1:1".parse().unwrap(), from(5), None).await.unwrap();
    let stream = async || {
        let (here, there) = tokio::join!(TcpStream::connect(place.address()), place.listener.accept());
        (here.unwrap(), there.unwrap().0)
    };
    let (mut kept, mut taken) = (vec![], vec![]);
    for port in [77, 78, 5] {
        let (here, there) = stream().await;
        kept.push(here);
        taken.push(meetings.hand_over(there, from(port)).is_none());
        meeting.was_somebody_else(Some(from(port)));
    }
    assert_eq!(taken, [true, false, true]);
}

#[tokio::test]
async fn nobody_is_met_twice_at_once_and_no_more_than_may_be() {
    let meetings: Arc<Meetings> = Arc::default();
    let local: Address = "127.0.0.1:1".parse().unwrap();
    let at = |port: usize| SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()));
    let mut met = vec![];
    for port in 1..=MAX_MEETINGS {
        met.push(meetings.begin(&local, at(port), None).await.unwrap());
    }
    assert!(meetings.begin(&local, at(MAX_MEETINGS + 1), None).await.is_err());
    met.pop();
    assert!(meetings.begin(&local, at(1), None).await.is_err(), "it is met already");
    met.push(meetings.begin(&local, at(MAX_MEETINGS + 1), None).await.unwrap());
    let v6 = meetings.begin(&local, "[2001:db8::1]:5".parse().unwrap(), None).await.unwrap_err();
    assert_eq!(v6.code, Code::Unreachable);
}

#[tokio::test]
async fn a_listener_still_finds_its_port_taken() {
    let place = Place::new(8);
    assert_eq!(bind_one(place.address()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_connection_may_take_a_round_trip_and_a_half_within_bounds() {
    let of = |ms| patience(Some(Duration::from_millis(ms)));
    assert_eq!(patience(None), MEET_CONNECT);
    assert_eq!([of(0), of(66)], [MEET_LEAST_CONNECT; 2]);
    assert_eq!([of(160), of(600)], [440, 1_100].map(Duration::from_millis));
    assert_eq!([of(867), of(60_000)], [MEET_MOST_CONNECT; 2]);
}

#[tokio::test]
async fn what_is_given_up_leaves_both_ports_free_at_once() {
    let (one, other) = (Place::new(9), Place::new(10));
    let mut meeting = one.meetings.begin(&one.address().into(), other.address(), None).await.unwrap();
    for _ in 0..3 {
        // In good order the first end would wait for a minute, and the next connection find the two ports taken.
        let (met, (mut there, _)) = tokio::join!(meeting.next(), async { other.listener.accept().await.unwrap() });
        drop(met);
        let end = tokio::io::AsyncReadExt::read(&mut there, &mut [0]).await;
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}

/// When a connection was begun and let go.
struct Tried<'a>(Mono, Clock, &'a RefCell<Vec<(Mono, Mono)>>);

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        self.2.borrow_mut().push((self.0, self.1.mono()));
    }
}

/// How long each of six connections was under way, and what lay between it and the next: the last one comes about.
async fn tries(refused: bool) -> Vec<[Duration; 2]> {
    let (clock, log) = (Clock::start(), RefCell::new(vec![]));
    let connect = async || {
        let (_tried, last) = (Tried(clock.mono(), clock, &log), log.borrow().len() == 5);
        match (last, refused) {
            (true, _) => Ok(()),
            (false, true) => Err(io::ErrorKind::ConnectionRefused.into()),
            (false, false) => pending().await,
        }
    };
    one_after_the_other(MEET_CONNECT, connect).await;
    log.borrow().windows(2).map(|two| [two[0].1.since(two[0].0), two[1].0.since(two[0].1)]).collect()
}

#[tokio::test(start_paused = true)]
async fn as_long_as_nobody_answers_a_connection_is_always_under_way() {
    let most = MEET_CONNECT + Duration::from_millis(*MEET_PAUSE_MS.end());
    for [lasted, gap] in tries(false).await {
        assert!((MEET_CONNECT..=most + Duration::from_millis(1)).contains(&lasted), "{lasted:?}");
        assert_eq!(gap, Duration::ZERO, "the listener would answer meanwhile");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_refused_pauses() {
    for [lasted, gap] in tries(true).await {
        assert_eq!(lasted, Duration::ZERO);
        assert!(gap >= Duration::from_millis(*MEET_PAUSE_MS.start()), "{gap:?}");
    }
}
