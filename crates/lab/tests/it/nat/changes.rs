//! What befalls a router while it is in use, with plain sockets.

use meshline_lab::{Home, Lab, Nat, Probe, Socket, Soft, until};

use super::public::Public;

/// A host behind a router, with a socket under test and one more.
struct Inside<'a> {
    public: &'a mut Public,
    home: Home,
    probe: Probe,
    asked: Socket,
    open: Socket,
}

impl<'a> Inside<'a> {
    fn new(public: &'a mut Public, home: Home) -> Self {
        let mut probe = Probe::start(&home);
        let (asked, open) = (probe.udp(0), probe.udp(0));
        Self { public, home, probe, asked, open }
    }

    /// Writes to the first of the public ones; where it is seen.
    fn writes(&mut self) -> std::net::SocketAddrV4 {
        self.public.sees(0, &mut self.probe, self.asked)
    }

    /// Whether an answer of the first arrives there.
    fn is_answered_at(&mut self, seen: std::net::SocketAddrV4) -> bool {
        self.public.arrives(0, seen, &mut self.probe, self.open)
    }
}

#[test]
fn a_mapping_that_nobody_uses_is_forgotten() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    for nat in [Nat::Port, Nat::Sym] {
        let mut inside = Inside::new(&mut public, lab.behind(nat).forget_after_s(1));
        let seen = inside.writes();
        until("the flow is forgotten", || match inside.home.edge().flows() {
            flows if flows.is_empty() => Ok(()),
            flows => Err(flows.join("\n")),
        });
        assert!(!inside.is_answered_at(seen), "{nat}");
        assert_eq!(inside.writes() == seen, nat == Nat::Port, "{nat}: the port is found again, or a new one");
    }
}

#[test]
fn an_open_mapping_that_nobody_uses_is_forgotten_too() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    let mut inside = Inside::new(&mut public, lab.behind(Nat::Full).forget_after_s(1));
    let seen = inside.writes();
    until("strangers are refused", || {
        let before = inside.home.edge().refused();
        // Somebody new each time: whoever was let in once may come again.
        let host = inside.public.host(2);
        let stranger = host.udp(0);
        let word = host.send(stranger, seen);
        until("it came to something", || {
            let heard = inside.probe.has_heard(&word).is_some();
            let refused = inside.home.edge().refused() > before;
            if heard || refused { Ok(()) } else { Err("not yet".to_owned()) }
        });
        if inside.probe.has_heard(&word).is_none() { Ok(()) } else { Err("it was let in".to_owned()) }
    });
}

#[test]
fn routers_that_forget_soon_say_how_soon() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    for (nat, more_than, at_most) in [(Nat::Port, 20, 30), (Nat::T20, 10, 20), (Nat::T10, 0, 10)] {
        let mut inside = Inside::new(&mut public, lab.behind(nat));
        until("a flow was used just now", || {
            let port = inside.writes().port();
            let flows = inside.home.edge().flows();
            let flow = flows.iter().find(|flow| flow.contains(&format!("sport={port} "))).ok_or("no flow")?;
            let left: u64 = flow.split_whitespace().nth(2).and_then(|left| left.parse().ok()).ok_or("no time")?;
            assert!(left <= at_most, "{nat}: {flow}");
            if left > more_than { Ok(()) } else { Err(flow.clone()) }
        });
    }
}

#[test]
fn a_router_that_is_emptied_knows_nobody() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    for nat in [Nat::Full, Nat::Port, Nat::Sym] {
        let mut inside = Inside::new(&mut public, lab.behind(nat));
        let seen = inside.writes();
        assert!(inside.is_answered_at(seen), "{nat}");
        inside.home.edge().flush();
        assert!(!inside.is_answered_at(seen), "{nat}");
        assert_eq!(inside.writes() == seen, nat != Nat::Sym, "{nat}");
        let again = inside.writes();
        assert!(inside.is_answered_at(again), "{nat}");
    }
}

#[test]
fn a_router_with_a_new_address_is_seen_there_and_no_more_at_the_old_one() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    for nat in [Nat::Full, Nat::Port, Nat::Sym, Nat::SymSeq, Nat::SymAdm, Nat::Hairpin, Nat::Soft(Soft::new())] {
        let mut inside = Inside::new(&mut public, lab.behind(nat));
        let seen = inside.writes();
        inside.home.edge().renumber();
        assert!(!inside.is_answered_at(seen), "{nat}");
        let again = inside.writes();
        assert_ne!(again.ip(), seen.ip(), "{nat}");
        assert_eq!(again.ip().to_string(), inside.home.public_address(), "{nat}");
        assert!(inside.is_answered_at(again), "{nat}");
    }
}

#[test]
fn packets_to_an_address_are_counted() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    for nat in [Nat::None, Nat::Port] {
        let mut inside = Inside::new(&mut public, lab.behind(nat));
        inside.writes();
        inside.home.edge().watch_to(&inside.public.address(0).ip().to_string());
        inside.writes();
        inside.writes();
        let there = inside.public.address(2);
        let word = inside.probe.send(inside.asked, there);
        inside.public.host(2).hears(&word);
        assert_eq!(inside.home.edge().watched(), 2, "{nat}: not those before, nor those to others");
    }
}

#[test]
fn udp_is_blocked_and_freed_midway() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    for nat in [Nat::None, Nat::Port, Nat::Firewall] {
        let mut inside = Inside::new(&mut public, lab.behind(nat));
        let seen = inside.writes();
        inside.home.edge().block_udp(true);
        let words = [inside.probe.send(inside.asked, inside.public.address(0)), inside.public.send(0, seen)];
        let listens = inside.public.listens(0);
        let connected = inside.probe.dial(0, listens, 20_000);
        assert!(matches!(connected, meshline_lab::Dialled::Connected(_)), "{nat}: TCP: {connected}");
        assert!(inside.public.host(0).has_heard(&words[0]).is_none(), "{nat}: out");
        assert!(inside.probe.has_heard(&words[1]).is_none(), "{nat}: in");
        inside.home.edge().block_udp(false);
        assert_eq!(inside.writes(), seen, "{nat}");
        assert!(inside.is_answered_at(seen), "{nat}");
    }
}
