//! Two sides of a link, between which the test carries what they say.

use meshline_identity::KeyPair;
use meshline_protocol::UnixMicros;

use super::*;
use crate::config::Config;
use crate::now::Now;

const LINK: LinkId = LinkId(3);

struct Side {
    shared: Shared,
    companions: Companions,
    local: Address,
    remote: Address,
    dialled: bool,
}

/// What a side did.
#[derive(Debug, Default)]
struct Done {
    offers: Vec<CompanionOffer>,
    opened: Vec<Beside>,
    works: Option<bool>,
    beside: Vec<TimeFrame>,
}

impl Side {
    fn new(key: u8) -> Self {
        let mut config = Config::new("lab".parse().unwrap(), "one".parse().unwrap());
        let local = SocketAddr::from(([10, 0, 0, key], 6_000 + u16::from(key)));
        config.listen = vec![local.into()];
        let now = Now { mono: Mono(0), wall: UnixMicros::new(1_795_000_000_000_000) };
        let shared = Shared::new(config, KeyPair::from_secret([key; 32]), [key; 32], now);
        let mut companions = Companions::default();
        companions.set_addresses(&[local]);
        let remote = SocketAddr::from(([10, 0, 0, 3 - key], 40_000)).into();
        Self { shared, companions, local: local.into(), remote, dialled: true }
    }

    fn offer(&mut self) {
        let place = Place { link: LINK, local: &self.local, remote: &self.remote, is_fit: true, dialled: self.dialled };
        self.companions.offer(place, &mut self.shared);
    }

    fn take(&mut self, offer: &CompanionOffer) {
        let place = Place { link: LINK, local: &self.local, remote: &self.remote, is_fit: true, dialled: self.dialled };
        self.companions.handle_offer(place, offer, &mut self.shared);
    }

    fn pass(&mut self, to: Mono, is_active: bool) {
        self.shared.now.mono = to;
        self.companions.handle_timeout(|_| is_active, &mut self.shared);
    }

    fn done(&mut self) -> Done {
        let mut done = Done::default();
        while let Some(output) = self.shared.pop() {
            match output {
                Output::Send { frame, .. } => {
                    let Message::Companion(Wire::Offer(offer)) = &frame.message else { panic!("{frame:?}") };
                    done.offers.push(offer.clone());
                }
                Output::OpenCompanion { beside, .. } => done.opened.push(*beside),
                Output::UseCompanion { works, .. } => done.works = Some(works),
                Output::SendBeside { frame, .. } => {
                    let Message::Time(step) = &frame.message else { panic!("{frame:?}") };
                    done.beside.push((**step).clone());
                }
                other => panic!("{other:?}"),
            }
        }
        done
    }
}

/// Two sides that know how to reach each other; what they did last is forgotten.
fn two() -> (Side, Side) {
    let (mut one, mut other) = (Side::new(1), Side::new(2));
    one.offer();
    let mut told = one.done();
    other.take(&told.offers.remove(0));
    let mut back = other.done();
    assert_eq!((back.offers.len(), back.opened.len()), (1, 1), "an offer is answered by one");
    one.take(&back.offers.remove(0));
    let opened = one.done().opened.remove(0);
    assert_eq!(opened.remote, "10.0.0.2:6002".parse().unwrap(), "its host is where the link goes");
    (one, other)
}

/// Carries steps of the time to and fro until nobody has more to say.
fn carry(one: &mut Side, other: &mut Side, mut steps: Vec<TimeFrame>) -> [Option<bool>; 2] {
    let mut works = [None, None];
    while let Some(step) = steps.pop() {
        let from_one = step.id == one.shared.id;
        let (taker, id) = if from_one { (&mut *other, one.shared.id) } else { (&mut *one, other.shared.id) };
        taker.companions.handle_time(LINK, id, &step, &mut taker.shared);
        let done = taker.done();
        let at = usize::from(from_one);
        works[at] = done.works.or(works[at]);
        steps.extend(done.beside);
    }
    works
}

#[test]
fn it_works_for_the_side_whose_own_ask_was_answered() {
    let (mut one, mut other) = two();
    one.pass(Mono(0), false);
    let steps = one.done().beside;
    assert_eq!(steps.len(), 1);
    assert_eq!(carry(&mut one, &mut other, steps), [Some(true), None], "the other has not asked yet");
    other.pass(Mono(0), false);
    let steps = other.done().beside;
    assert_eq!(carry(&mut one, &mut other, steps), [None, Some(true)]);
    let row = one.companions.bearer(LINK).unwrap();
    assert!(row.works && row.rtt_us.is_some() && row.transport == "udp");
    one.companions.remove(LINK);
    assert_eq!(one.companions.bearer(LINK), None);
    assert_eq!(one.companions.next_timeout(|_| false), None);
}

#[test]
fn somebody_who_does_not_answer_gets_three_packets_and_then_one_a_minute() {
    let (mut one, _) = two();
    let mut times = vec![];
    while times.len() < 6 {
        let next = one.companions.next_timeout(|_| true).unwrap();
        one.pass(next, true);
        times.push(next.0 / 1_000);
        assert_eq!(one.done().beside.len(), 1);
    }
    assert_eq!(times, [0, 500, 2_000, 62_000, 122_000, 182_000]);
}

#[test]
fn one_that_works_is_asked_by_use_and_works_no_more_after_two_asks_in_vain() {
    for (is_active, interval) in [(false, 15_000_000), (true, 3_000_000)] {
        let (mut one, mut other) = two();
        one.pass(Mono(0), is_active);
        let steps = one.done().beside;
        carry(&mut one, &mut other, steps);
        let next = one.companions.next_timeout(|_| is_active).unwrap();
        assert_eq!(next, Mono(interval));
        for (at, works) in [(0, None), (1_000_000, None), (2_000_000, Some(false))] {
            one.pass(Mono(interval + at), is_active);
            let done = one.done();
            assert_eq!((done.beside.len(), done.works), (1, works), "{at}");
        }
        assert!(!one.companions.bearer(LINK).unwrap().works);
    }
}

#[test]
fn further_offers_and_frames_of_others_change_nothing() {
    let (mut one, mut other) = two();
    let again = CompanionOffer { port: 9, id: 9, secret: "k".repeat(43).parse().unwrap() };
    one.take(&again);
    assert!(one.done().opened.is_empty());
    one.pass(Mono(0), false);
    let mut step = one.done().beside.remove(0);
    let stranger = KeyPair::from_secret([7; 32]).id();
    other.companions.handle_time(LINK, stranger, &step, &mut other.shared);
    step.network = "elsewhere".parse().unwrap();
    other.companions.handle_time(LINK, one.shared.id, &step, &mut other.shared);
    assert!(other.done().beside.is_empty());
}

#[test]
fn nothing_is_offered_without_an_address_a_listener_or_a_fit_link() {
    let mut one = Side::new(1);
    one.companions.set_addresses(&[]);
    one.offer();
    let place = Place { link: LINK, local: &one.local, remote: &one.remote, is_fit: false, dialled: true };
    one.companions.set_addresses(&["10.0.0.1:6001".parse().unwrap()]);
    one.companions.offer(place, &mut one.shared);
    one.shared.config.listen.clear();
    one.offer();
    assert!(one.done().offers.is_empty());
    let zero = CompanionOffer { port: 0, id: 9, secret: "k".repeat(43).parse().unwrap() };
    let mut other = Side::new(2);
    other.take(&zero);
    assert!(other.done().opened.is_empty(), "no port at all");
}

#[test]
fn whoever_was_dialled_asks_when_it_is_asked_or_half_a_second_later() {
    for is_asked in [false, true] {
        let (mut one, mut other) = (Side::new(1), Side::new(2));
        other.dialled = false;
        one.offer();
        other.take(&one.done().offers.remove(0));
        one.take(&other.done().offers.remove(0));
        one.done();
        one.pass(Mono(0), false);
        let steps = one.done().beside;
        assert_eq!(steps.len(), 1, "who dialled asks at once");
        other.pass(Mono(0), false);
        assert!(other.done().beside.is_empty(), "the other does not");
        if is_asked {
            carry(&mut one, &mut other, steps);
            assert_eq!(other.companions.next_timeout(|_| false), Some(Mono(0)));
        } else {
            assert_eq!(other.companions.next_timeout(|_| false), Some(Mono(500_000)), "unless nothing comes");
        }
        let next = other.companions.next_timeout(|_| false).unwrap();
        other.pass(next, false);
        assert_eq!(other.done().beside.len(), 1);
    }
}
