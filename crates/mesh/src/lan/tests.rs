//! What is found on the local segment: believed in nothing, tried one after the other, and not for ever.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshline_identity::KeyPair;
use meshline_protocol::{Address, Code, UnixMicros};

use crate::config::Config;
use crate::lan::{Lan, LanBeacon, LanSegment, LanSighting, MAX_INSTANCE, MAX_SIGHTED_ADDRESSES, MAX_SIGHTINGS};
use crate::link::Links;
use crate::now::{Mono, Now};
use crate::output::{DialTarget, Output};
use crate::peers::{FOUND_ATTEMPTS, Failure, Peers, Purpose};
use crate::shared::Shared;

fn at(mono: Mono) -> Now {
    Now { mono, wall: UnixMicros::new(1_800_000_000_000_000 + mono.0) }
}

struct Bench {
    lan: Lan,
    peers: Peers,
    shared: Shared,
    links: Links,
}

impl Bench {
    fn new() -> Self {
        let config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
        let shared = Shared::new(config, KeyPair::from_secret([9; 32]), [7; 32], at(Mono(0)));
        Self { lan: Lan::new(&shared), peers: Peers::default(), links: Links::default(), shared }
    }

    fn see(&mut self, number: usize, network: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        let instance = format!("meshline-{number}");
        let sighting =
            LanSighting { instance, network: network.to_owned(), member: format!("{number:016}"), addresses };
        self.lan.see(&sighting, &self.shared);
    }

    fn own_network(&self) -> String {
        LanBeacon::new(&self.shared.config.network, &self.shared.id).network
    }

    /// What is dialled in the next so many seconds, with when; every dial fails.
    fn dialled(&mut self, seconds: u64) -> Vec<(u64, Address)> {
        let end = self.shared.now.mono.after(Duration::from_secs(seconds));
        let mut all = Vec::new();
        loop {
            self.lan.handle_timeout(&mut self.peers, &self.shared);
            self.peers.handle_timeout(&mut self.shared, &self.links);
            while let Some(output) = self.shared.pop() {
                let Output::Dial { dial, target: DialTarget::Direct { address, .. } } = output else { continue };
                all.push((self.shared.now.mono.0 / 1_000_000, address));
                let failure = Failure { code: Code::Unreachable, detail: "refused", proved: None };
                self.peers.fail(&mut self.shared, dial, failure);
            }
            let next = [self.lan.next_timeout(), self.peers.next_timeout(self.shared.now.mono, &self.links)];
            let now = self.shared.now.mono;
            let next = next.into_iter().flatten().min().unwrap_or(end).max(Mono(now.0 + 1)).min(end);
            if next >= end {
                self.shared.now = at(end);
                return all;
            }
            self.shared.now = at(next);
        }
    }
}

#[test]
fn a_beacon_tells_a_stranger_neither_the_network_nor_who_is_there() {
    let bench = Bench::new();
    let (network, id) = (&bench.shared.config.network, &bench.shared.id);
    let beacon = LanBeacon::new(network, id);
    assert_eq!(beacon, LanBeacon::new(network, id));
    assert_ne!(beacon.network, LanBeacon::new(&"other".parse().expect("a name"), id).network);
    assert_ne!(beacon.member, LanBeacon::new(&"other".parse().expect("a name"), id).member);
    assert_eq!((beacon.network.len(), beacon.member.len()), (16, 16));
    assert!(!id.to_string().contains(&beacon.member));
}

#[test]
fn a_segment_is_what_shares_its_bits() {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let wire = LanSegment { address: ip("192.168.7.20"), prefix: 24 };
    assert!(wire.has(ip("192.168.7.1")) && !wire.has(ip("192.168.8.1")) && !wire.has(ip("::1")));
    let six = LanSegment { address: ip("fd00:1::5"), prefix: 64 };
    assert!(six.has(ip("fd00:1::9")) && !six.has(ip("fd00:2::9")));
    assert!(!LanSegment { address: ip("10.0.0.1"), prefix: 0 }.has(ip("10.0.0.2")), "everything is no segment");
    assert!(LanSegment { address: ip("10.0.0.1"), prefix: 200 }.has(ip("10.0.0.1")));
}

#[test]
fn what_is_of_another_network_or_cannot_be_an_address_is_passed_over() {
    let mut bench = Bench::new();
    let own = bench.own_network();
    bench.see(1, "0000000000000000", &["10.0.0.2:6001"]);
    bench.see(2, &own, &["0.0.0.0:6001", "127.0.0.1:6001", "224.0.0.1:6001", "255.255.255.255:1", "10.0.0.2:0"]);
    bench.see(3, &own, &[]);
    let (network, id) = (bench.shared.config.network.clone(), bench.shared.id);
    let LanBeacon { network, member } = LanBeacon::new(&network, &id);
    let addresses = vec!["10.0.0.1:6001".parse::<SocketAddr>().expect("an address")];
    bench.lan.see(&LanSighting { instance: "own".to_owned(), network, member, addresses }, &bench.shared);
    assert_eq!(bench.dialled(10), Vec::new());
    for (instance, member) in
        [("", "0000000000000001"), (&*"n".repeat(MAX_INSTANCE + 1), "0000000000000001"), ("n", "1")]
    {
        let (instance, member) = (instance.to_owned(), member.to_owned());
        let addresses = vec!["10.0.0.3:6001".parse().expect("an address")];
        bench.lan.see(&LanSighting { instance, network: own.clone(), member, addresses }, &bench.shared);
    }
    assert_eq!(bench.dialled(10), Vec::new());
    let report = bench.lan.report().expect("something was seen");
    assert_eq!((report.seen, report.passed_over), (0, 6), "the own one is not counted");
}

#[test]
fn one_is_tried_a_second_however_many_there_are() {
    let mut bench = Bench::new();
    let own = bench.own_network();
    for number in 0..MAX_SIGHTINGS + 5 {
        bench.see(number, &own, &[&format!("10.0.1.{}:6001", number + 1)]);
    }
    let report = bench.lan.report().expect("something was seen");
    assert_eq!((report.seen, report.waiting, report.passed_over), (MAX_SIGHTINGS, MAX_SIGHTINGS, 5));
    let dialled = bench.dialled(10);
    let mut first: Vec<(u64, Address)> = Vec::new();
    for (second, address) in dialled {
        if first.iter().all(|(_, before)| *before != address) {
            first.push((second, address));
        }
    }
    // The other one dials first where its hash is the smaller.
    assert!((9..=10).contains(&first.len()), "{first:?}");
    assert!(first.windows(2).all(|pair| pair[0].0 < pair[1].0), "{first:?}");
    // Those that were tried make room, however many are made up.
    bench.see(1_000, &own, &["10.0.2.1:6001"]);
    assert_eq!(bench.lan.report().expect("as before").seen, MAX_SIGHTINGS);
    assert!(bench.dialled(120).iter().any(|(_, address)| address.as_str() == "10.0.2.1:6001"));
}

#[test]
fn whoever_does_not_answer_is_left_alone_until_it_is_announced_again() {
    let mut bench = Bench::new();
    let own = bench.own_network();
    let many: Vec<String> =
        (0..MAX_SIGHTED_ADDRESSES + 3).map(|number| format!("10.0.0.{}:6001", number + 1)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    bench.see(1, &own, &many);
    let attempts = usize::try_from(FOUND_ATTEMPTS).expect("small") * MAX_SIGHTED_ADDRESSES;
    assert_eq!(bench.dialled(600).len(), attempts);
    bench.see(1, &own, &many);
    assert_eq!(bench.dialled(600).len(), attempts);
    bench.see(1, &own, &many[..1]);
    bench.see(1, &own, &many[..1]);
    assert_eq!(bench.dialled(2).len(), 1);
    bench.lan.forget("meshline-1", &mut bench.peers);
    bench.lan.forget("nobody", &mut bench.peers);
    assert_eq!(bench.dialled(600), Vec::new(), "it was taken back");
}

#[test]
fn an_address_of_the_configuration_stays_one() {
    let mut bench = Bench::new();
    let own = bench.own_network();
    let address: Address = "10.0.0.9:6001".parse().expect("an address");
    bench.peers.add_address(&address, Purpose::Configured, Mono(0));
    bench.see(1, &own, &["10.0.0.9:6001"]);
    assert!(bench.dialled(120).len() > usize::try_from(FOUND_ATTEMPTS).expect("small"), "for ever");
    bench.lan.forget("meshline-1", &mut bench.peers);
    assert!(!bench.dialled(120).is_empty());
}
