//! Several hosts and several routers, with plain sockets: who reaches whom, and how far packets go.

use std::net::SocketAddrV4;
use std::time::Instant;

use meshline_lab::{Home, Lab, Nat, Probe, Socket, Soft, until};

use super::public::Public;

/// Two hosts, each with a socket that has written to the first of the public ones, and is seen there.
struct Two<'a> {
    public: &'a mut Public,
    probes: [Probe; 2],
    sockets: [Socket; 2],
    seen: [SocketAddrV4; 2],
}

impl<'a> Two<'a> {
    fn new(public: &'a mut Public, homes: [&Home; 2]) -> Self {
        let mut probes = homes.map(|home| Probe::start(home));
        let sockets = [0, 1].map(|one| probes[one].udp(0));
        let seen = [0, 1].map(|one| public.sees(0, &mut probes[one], sockets[one]));
        Self { public, probes, sockets, seen }
    }

    /// One sends to where the other is seen, with a time to live; the word.
    fn send(&mut self, from: usize, ttl: u32) -> String {
        let to = self.seen[1 - from];
        self.probes[from].send_far(self.sockets[from], to, ttl)
    }

    /// Whether a word has arrived, once whatever left its sender earlier must have.
    fn arrived(&mut self, from: usize, word: &str) -> bool {
        self.public.sees(0, &mut self.probes[from], self.sockets[from]);
        let later = self.public.send(0, self.seen[1 - from]);
        self.probes[1 - from].hears(&later);
        self.probes[1 - from].has_heard(word).is_some()
    }

    /// Both send to each other, twice: what came too early the first time has opened the way.
    fn punch(&mut self) -> [bool; 2] {
        for from in [0, 1] {
            let word = self.send(from, 64);
            self.arrived(from, &word);
        }
        [0, 1].map(|from| {
            let word = self.send(from, 64);
            self.arrived(from, &word)
        })
    }
}

#[test]
fn hosts_of_one_router_reach_each_other_inside_and_by_their_public_ports_only_where_it_turns_back() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    let soft = Nat::Soft(Soft { turns_back: true, ..Soft::new() });
    for (nat, turns_back) in [(Nat::Port, false), (Nat::Hairpin, true), (Nat::Sym, false), (soft, true)] {
        let home = lab.behind(nat);
        let mut two = Two::new(&mut public, [&home, &home.twin()]);
        assert_eq!(two.punch(), [turns_back; 2], "{nat}");
        let inside = two.probes[1].local(two.sockets[1]);
        let before = home.edge().packets();
        let word = two.probes[0].send(two.sockets[0], inside);
        assert_eq!(two.probes[1].hears(&word), two.probes[0].local(two.sockets[0]), "{nat}: on their switch");
        assert_eq!(home.edge().packets(), before, "{nat}: nothing of it went out");
    }
}

#[test]
fn a_packet_turned_back_seems_to_come_from_outside() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    let home = lab.behind(Nat::Hairpin);
    let mut two = Two::new(&mut public, [&home, &home.twin()]);
    let word = two.send(0, 64);
    assert_eq!(two.probes[1].hears(&word), two.seen[0]);
}

#[test]
fn homes_of_one_carrier_reach_each_other_only_where_it_turns_back() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    for (nat, turns_back) in [(Nat::Port, false), (Nat::Hairpin, true)] {
        let carrier = lab.carrier(nat);
        let homes = [carrier.behind(Nat::Port), carrier.behind(Nat::Port)];
        assert_eq!(homes[0].public_address(), homes[1].public_address());
        assert_eq!(Two::new(&mut public, homes.each_ref()).punch(), [turns_back; 2], "{nat}");
    }
}

#[test]
fn routers_that_keep_ports_are_punched_and_those_that_change_them_are_not() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    let cells = [
        (Nat::Port, Nat::Port, true),
        (Nat::Port, Nat::Firewall, true),
        (Nat::Carrier, Nat::Carrier, true),
        (Nat::Rst, Nat::Rst, true),
        (Nat::Port, Nat::Sym, false),
        (Nat::Port, Nat::SymAdm, false),
        (Nat::SymSeq, Nat::SymSeq, false),
        (Nat::Lax, Nat::Lax, false),
    ];
    for (one, other, meet) in cells {
        let homes = [lab.behind(one), lab.behind(other)];
        let met = Two::new(&mut public, homes.each_ref()).punch();
        assert_eq!(met == [true; 2], meet, "{one} x {other}: {met:?}");
    }
}

#[test]
fn a_packet_with_few_hops_opens_its_own_router_and_dies_before_the_other() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    // Hops to the core, one more at a carrier.
    for (nat, to_core) in [(Nat::Port, 2), (Nat::Carrier, 3)] {
        let homes = [lab.behind(nat), lab.behind(Nat::Port)];
        let mut two = Two::new(&mut public, homes.each_ref());
        let before = homes[1].edge().refused();
        let opener = two.send(0, to_core);
        assert!(!two.arrived(0, &opener));
        assert_eq!(homes[1].edge().refused(), before, "{nat}: it died in the core");
        let answer = two.send(1, 64);
        assert_eq!(two.probes[0].hears(&answer), two.seen[1], "{nat}: and opened the way for the other");
        let further = two.send(0, to_core + 1);
        assert!(!two.arrived(0, &further), "{nat}: the other router is the last it sees");
        // The other router and its host are two more.
        let last = two.send(0, to_core + 2);
        assert_eq!(two.probes[1].hears(&last), two.seen[0], "{nat}");
    }
}

#[test]
fn a_lax_router_takes_the_port_from_its_host_if_the_other_came_first() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    for (nat, ttl, is_taken) in [(Nat::Port, 64, false), (Nat::Lax, 64, true), (Nat::Lax, 1, false)] {
        let home = lab.behind(nat);
        let mut inside = Probe::start(&home);
        let (asked, open) = (inside.udp(0), inside.udp(0));
        let seen = public.sees(0, &mut inside, asked);
        let early = public.send_far(3, seen, ttl);
        let back = public.sees(3, &mut inside, open);
        let later = public.send(3, back);
        inside.hears(&later);
        assert!(inside.has_heard(&early).is_none());
        assert_eq!(public.sees(0, &mut inside, asked), seen, "{nat}: for others nothing changes");
        assert_eq!(public.sees(3, &mut inside, asked) != seen, is_taken, "{nat}, hops {ttl}");
    }
}

#[test]
fn equal_private_addresses_are_other_hosts_elsewhere() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    let first = lab.behind_with(Nat::Port, "192.168.1");
    let (neighbour, second) = (first.twin_at(7), lab.behind_with(Nat::Port, "192.168.1").twin_at(7));
    assert_eq!(neighbour.address(), second.address());
    assert_ne!(neighbour.public_address(), second.public_address());
    let mut two = Two::new(&mut public, [&first, &second]);
    let mut wrong = Probe::start(&neighbour);
    let port = wrong.udp(two.sockets[1].port);
    let word = two.probes[0].send(two.sockets[0], wrong.local(port));
    assert_eq!(wrong.hears(&word), two.probes[0].local(two.sockets[0]));
    assert!(!two.arrived(0, &word), "who is meant is another");
    assert_eq!(two.punch(), [true; 2]);
}

#[test]
fn the_leg_of_a_home_delays_and_loses() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    let home = lab.behind(Nat::Port).delay_ms(20);
    let mut inside = Probe::start(&home);
    let socket = inside.udp(0);
    let begin = Instant::now();
    let seen = public.sees(0, &mut inside, socket);
    let word = public.send(0, seen);
    inside.hears(&word);
    assert!(begin.elapsed().as_millis() >= 40, "{:?} there and back", begin.elapsed());
    let home = home.loss(100.0);
    let lost = || home.edge().leg(|cable| cable.carried().map(|carried| carried.lost));
    let before = lost();
    inside.send(socket, public.address(0));
    public.send(0, seen);
    until("one is lost each way", || match lost() {
        [down, up] if down > before[0] && up > before[1] => Ok(()),
        lost => Err(format!("{lost:?}")),
    });
}
