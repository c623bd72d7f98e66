//! Whom to dial next, and how many at once.

use std::collections::BTreeSet;
use std::time::Duration;

use meshline_identity::KeyPair;
use meshline_protocol::{Address, Code, NodeId, UnixMicros};

use crate::config::Config;
use crate::input::{DialId, LinkId, LinkOpened, Transport};
use crate::link::Links;
use crate::now::{Mono, Now};
use crate::output::{DialTarget, Output};
use crate::peers::choice::MAX_CHOSEN_TARGETS;
use crate::peers::{Failure, Heard, MAX_DIALS, Peers, Purpose};
use crate::shared::Shared;

fn id(n: u16) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn address(n: u16) -> Address {
    format!("h{n}:6000").parse().expect("an address")
}

fn at(micros: u64) -> Now {
    Now { mono: Mono(micros), wall: UnixMicros::new(1_800_000_000_000_000 + micros) }
}

struct Bench {
    shared: Shared,
    peers: Peers,
    links: Links,
}

impl Bench {
    fn new(max_links: usize) -> Self {
        let mut config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
        config.max_links = max_links;
        let shared = Shared::new(config, KeyPair::from_secret([9; 32]), [7; 32], at(0));
        Self { shared, peers: Peers::default(), links: Links::default() }
    }

    fn with_members(max_links: usize, members: u16) -> Self {
        let mut bench = Self::new(max_links);
        for n in 0..members {
            bench.peers.add_member(&mut bench.shared, id(n), &[address(n)], Heard::Listed);
        }
        bench
    }

    /// What is dialled at a time.
    fn dialled(&mut self, micros: u64) -> Vec<(DialId, Address)> {
        self.shared.now = at(micros);
        self.peers.handle_timeout(&mut self.shared, &self.links);
        let mut dialled = Vec::new();
        while let Some(output) = self.shared.pop() {
            if let Output::Dial { dial, target: DialTarget::Direct { address, .. } } = output {
                dialled.push((dial, address));
            }
        }
        dialled
    }

    fn fail(&mut self, dial: DialId) {
        let failure = Failure { code: Code::Unreachable, detail: "refused", proved: None };
        self.peers.fail(&mut self.shared, dial, failure);
        while self.shared.pop().is_some() {}
    }

    fn next(&self) -> Option<Mono> {
        self.peers.next_timeout(self.shared.now.mono, &self.links)
    }

    fn open(&mut self, n: u16) {
        let opened = LinkOpened {
            link: LinkId(u64::from(n) + 1),
            dial: Some(DialId(0)),
            transport: Transport::Tcp,
            local: address(0),
            remote: address(n),
            proved: Some(id(n)),
            through: None,
            spent_us: 0,
        };
        self.links.open(opened, self.shared.now.mono).expect("room");
    }
}

#[test]
fn no_more_are_dialled_at_once_than_allowed_and_a_free_place_is_taken_at_once() {
    let most = u16::try_from(MAX_DIALS).expect("small");
    let mut bench = Bench::with_members(1_000, most + 2);
    let first = bench.dialled(0);
    assert_eq!(first.len(), MAX_DIALS);
    assert_eq!(bench.dialled(1), Vec::new());
    assert_eq!(bench.next(), None, "whoever waits for a place is not woken before there is one");
    bench.fail(first[0].0);
    let second = bench.dialled(2);
    assert_eq!(second.len(), 1);
    assert!(first.iter().all(|(_, address)| *address != second[0].1));
}

#[test]
fn no_more_are_dialled_than_there_are_links() {
    let mut bench = Bench::with_members(3, 5);
    let first = bench.dialled(0);
    assert_eq!(first.len(), 3);
    let next = bench.next().expect("two wait");
    assert_eq!(next, Mono(0).after(Duration::from_secs(1)));
    assert_eq!(bench.dialled(next.0).len(), 0);
    bench.fail(first[0].0);
    assert_eq!(bench.dialled(next.0).len(), 1);
}

#[test]
fn the_configured_successor_comes_before_those_who_have_waited_longer() {
    let mut bench = Bench::with_members(1, 3);
    bench.peers.add_address(&address(100), Purpose::Configured, Mono(0));
    bench.peers.add_address(&address(101), Purpose::Next, Mono(5));
    let dialled: Vec<Address> = bench.dialled(10).into_iter().map(|(_, address)| address).collect();
    assert_eq!(dialled, [address(101)]);
}

#[test]
fn who_is_linked_has_left_or_is_not_asked_for_is_not_dialled() {
    let mut bench = Bench::with_members(64, 4);
    bench.open(0);
    bench.peers.leave(id(1));
    bench.peers.want(BTreeSet::from([id(0), id(1), id(2)]), Mono(0));
    let dialled: Vec<Address> = bench.dialled(0).into_iter().map(|(_, address)| address).collect();
    assert_eq!(dialled, [address(2)]);
    assert_eq!(bench.next(), None);
    bench.links.remove(LinkId(1));
    bench.peers.want(BTreeSet::from([id(0), id(3)]), Mono(1));
    let dialled: Vec<Address> = bench.dialled(1).into_iter().map(|(_, address)| address).collect();
    assert_eq!(dialled, [address(0), address(3)]);
}

#[test]
fn who_failed_waits_and_is_dialled_again_when_its_time_has_come() {
    let mut bench = Bench::with_members(64, 1);
    let dialled = bench.dialled(0);
    bench.fail(dialled[0].0);
    assert_eq!(bench.dialled(1), Vec::new());
    let next = bench.next().expect("another attempt");
    assert!(next > Mono(1));
    assert_eq!(bench.dialled(next.0 - 1), Vec::new());
    assert_eq!(bench.dialled(next.0).len(), 1);
}

#[test]
fn of_those_known_from_the_disk_who_was_linked_for_long_is_dialled_first() {
    let mut bench = Bench::new(2);
    for n in 0..20 {
        // Names could be searched for that come first.
        let heard = if n == 19 { Heard::Listed } else { Heard::Kept };
        bench.peers.add_member(&mut bench.shared, id(n), &[address(n)], heard);
    }
    let first: Vec<Address> = bench.dialled(0).into_iter().map(|(_, address)| address).collect();
    assert_eq!(first, [address(19)]);
    assert_eq!(bench.dialled(10_000).len(), 1, "the other place is for any of those who waited");
}

#[test]
fn while_links_are_chosen_few_others_are_remembered_and_whoever_is_chosen_always_is() {
    let mut bench = Bench::new(64);
    let chosen: BTreeSet<NodeId> = [id(500), id(900)].into();
    bench.peers.want(chosen, Mono(0));
    for n in 0..899 {
        bench.peers.add_member(&mut bench.shared, id(n), &[address(n)], Heard::Told);
    }
    let remembered = |bench: &Bench| (0..1_000).filter(|n| !bench.peers.addresses(id(*n)).is_empty()).count();
    assert_eq!(remembered(&bench), MAX_CHOSEN_TARGETS);
    // There is a place for whoever is chosen, and whoever was tried keeps its own: `explain` tells of it.
    bench.peers.add_member(&mut bench.shared, id(900), &[address(900)], Heard::Listed);
    let dialled = bench.dialled(2_000_000);
    assert_eq!(dialled.iter().map(|(_, at)| at.clone()).collect::<Vec<_>>(), [address(900), address(500)]);
    bench.peers.want(BTreeSet::from_iter((901..1_000).map(id)), Mono(2_000_000));
    dialled.into_iter().for_each(|(dial, _)| bench.fail(dial));
    for n in 901..1_000 {
        bench.peers.add_member(&mut bench.shared, id(n), &[address(n)], Heard::Listed);
    }
    assert_eq!(remembered(&bench), MAX_CHOSEN_TARGETS);
    assert!((901..1_000).all(|n| !bench.peers.addresses(id(n)).is_empty()), "all that are chosen");
    assert!([500, 900].iter().all(|n| !bench.peers.addresses(id(*n)).is_empty()), "those that were tried");
}
