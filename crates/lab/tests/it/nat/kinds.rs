//! Each kind of NAT, asked with plain sockets: which port others see, who may answer, and what who comes unasked hears.

use std::net::SocketAddrV4;

use meshline_lab::{By, Dialled, Home, Lab, Nat, Ports, Probe, Soft};

use super::public::Public;

/// Which ports a site has for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mapping {
    /// Its own, for all.
    Own,
    /// One for each address.
    ByAddress,
    /// One for each address and port, by chance.
    Chance,
    /// One for each address and port, each the next.
    Next,
    /// One for all, but not its own.
    Another,
    /// None: nothing gets through.
    Blocked,
}

/// Who may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    /// Anybody.
    Open,
    /// Those at the address that was written to.
    Address,
    /// The one that was written to.
    Exact,
    /// Nobody.
    Blocked,
}

/// What a TCP connection that nobody asked for meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unasked {
    /// No answer.
    Silence,
    /// A reset.
    Reset,
}

/// What is told apart: mapping of UDP and of TCP, who may answer, what who comes unasked hears.
type Kind = (Mapping, Mapping, Filter, Unasked);

/// What each kind must be.
fn kind(nat: Nat) -> Kind {
    let all = |mapping, filter, unasked| (mapping, mapping, filter, unasked);
    match nat {
        Nat::None => all(Mapping::Own, Filter::Open, Unasked::Reset),
        Nat::Full => all(Mapping::Own, Filter::Open, Unasked::Silence),
        Nat::Addr => all(Mapping::Own, Filter::Address, Unasked::Silence),
        Nat::Port | Nat::Firewall | Nat::Hairpin | Nat::Carrier | Nat::T20 | Nat::T10 => {
            all(Mapping::Own, Filter::Exact, Unasked::Silence)
        }
        Nat::Sym => all(Mapping::Chance, Filter::Exact, Unasked::Silence),
        Nat::SymSeq => all(Mapping::Next, Filter::Exact, Unasked::Silence),
        Nat::SymAdm => all(Mapping::ByAddress, Filter::Exact, Unasked::Silence),
        Nat::Lax | Nat::Rst => all(Mapping::Own, Filter::Exact, Unasked::Reset),
        Nat::NoUdp => (Mapping::Blocked, Mapping::Own, Filter::Blocked, Unasked::Silence),
        Nat::RstNoUdp => (Mapping::Blocked, Mapping::Own, Filter::Blocked, Unasked::Reset),
        Nat::Soft(_) => panic!("it may be of many kinds"),
    }
}

#[test]
fn every_kind_maps_filters_and_refuses_as_its_name_says() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    let mut table =
        String::from("| kind | UDP port | TCP port | who may answer | unasked TCP meets |\n|---|---|---|---|---|\n");
    for nat in Nat::ALL {
        let home = lab.behind(nat);
        let mut inside = Probe::start(&home);
        let (by_udp, filter) = if is_dead(&mut public, &mut inside) {
            (Mapping::Blocked, Filter::Blocked)
        } else {
            (mapping(|| by_udp(&mut public, &mut inside)), filter(&mut public, &mut inside))
        };
        let by_tcp = mapping(|| by_tcp(&public, &mut inside));
        let found = (by_udp, by_tcp, filter, unasked(&mut public, &home, kind(nat).3));
        table += &format!("| {nat} | {by_udp:?} | {by_tcp:?} | {filter:?} | {:?} |\n", found.3);
        assert_eq!(found, kind(nat), "{nat}\n{table}");
    }
    eprintln!("{table}");
}

#[test]
fn the_nat_in_user_space_does_what_the_kernel_cannot() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut public = Public::new(&lab);
    let kinds = [
        (Soft::new(), Mapping::Another, Filter::Exact),
        (Soft { filter: By::Nothing, ..Soft::new() }, Mapping::Another, Filter::Open),
        (Soft { ports: Ports::Kept, filter: By::Address, ..Soft::new() }, Mapping::Own, Filter::Address),
        (Soft { mapping: By::Address, ..Soft::new() }, Mapping::ByAddress, Filter::Exact),
        (Soft { mapping: By::Both, ..Soft::new() }, Mapping::Chance, Filter::Exact),
        (
            Soft { mapping: By::Both, ports: Ports::Next, filter: By::Nothing, ..Soft::new() },
            Mapping::Next,
            Filter::Open,
        ),
    ];
    for (soft, expected, filters) in kinds {
        let home = lab.behind(Nat::Soft(soft));
        let mut inside = Probe::start(&home);
        let mapped = [mapping(|| by_udp(&mut public, &mut inside)), mapping(|| by_tcp(&public, &mut inside))];
        assert_eq!((mapped, filter(&mut public, &mut inside)), ([expected; 2], filters), "{soft:?}");
    }
}

/// Whether no UDP gets out. What goes out by TCP later and arrives has not overtaken it.
fn is_dead(public: &mut Public, inside: &mut Probe) -> bool {
    let socket = inside.udp(0);
    let word = inside.send(socket, public.address(0));
    let connected = inside.dial(0, public.listens(0), PATIENCE_MS);
    assert!(matches!(connected, Dialled::Connected(_)), "TCP: {connected}");
    public.host(0).has_heard(&word).is_none()
}

/// A port inside and the ports that the four see of it.
type Seen = (u16, [SocketAddrV4; 4]);

fn by_udp(public: &mut Public, inside: &mut Probe) -> Seen {
    let socket = inside.udp(0);
    (socket.port, [0, 1, 2, 3].map(|number| public.sees(number, inside, socket)))
}

fn by_tcp(public: &Public, inside: &mut Probe) -> Seen {
    // A port that is free for UDP is as good as any.
    let port = inside.udp(0).port;
    let seen = |number| match inside.dial(port, public.listens(number), PATIENCE_MS) {
        Dialled::Connected(from) => from,
        other @ (Dialled::Refused | Dialled::Silent) => panic!("TCP: {other}"),
    };
    (port, [0, 1, 2, 3].map(seen))
}

/// What the four see. By chance a port may look like that of another rule, once.
fn mapping(mut look: impl FnMut() -> Seen) -> Mapping {
    std::iter::repeat_with(|| judge(look())).take(3).flatten().next().unwrap_or(Mapping::Another)
}

fn judge((own, seen): Seen) -> Option<Mapping> {
    assert!(seen.iter().all(|one| one.ip() == seen[0].ip()), "one address outside: {seen:?}");
    let ports = seen.map(|seen| seen.port());
    let [one, two, three, four] = ports;
    match (ports == [own; 4], one == two && three == four, ports.map(|port| port.wrapping_sub(one))) {
        (true, ..) => Some(Mapping::Own),
        (_, true, _) => (one != three).then_some(Mapping::ByAddress),
        (_, _, [0, 1, 2, 3]) => Some(Mapping::Next),
        _ => Some(Mapping::Chance),
    }
}

/// Who may answer a socket that has written to the first of the four.
fn filter(public: &mut Public, inside: &mut Probe) -> Filter {
    let (asked, open) = (inside.udp(0), inside.udp(0));
    let seen = public.sees(0, inside, asked);
    assert!(public.arrives(0, seen, inside, open), "who was written to may answer");
    match [1, 2].map(|number| public.arrives(number, seen, inside, open)) {
        [true, true] => Filter::Open,
        [true, false] => Filter::Address,
        [false, false] => Filter::Exact,
        [false, true] => panic!("another address may answer, and another port of the same may not"),
    }
}

/// Long enough for whatever must happen.
const PATIENCE_MS: u64 = 20_000;

/// Long enough for an answer that should not come: it would take well under a millisecond.
const SILENCE_MS: u64 = 100;

/// What somebody meets who dials a port there that nobody uses. That silence was no slowness shows in the count of the
/// router, whose answer would have been given in the same moment.
fn unasked(public: &mut Public, home: &Home, expected: Unasked) -> Unasked {
    let to = SocketAddrV4::new(home.public_address().parse().expect("an address"), 9);
    if expected == Unasked::Reset {
        let answer = public.host(2).dial(0, to, PATIENCE_MS);
        return if answer == Dialled::Refused { Unasked::Reset } else { Unasked::Silence };
    }
    let before = home.outer().refused();
    let answer = public.host(2).dial(0, to, SILENCE_MS);
    assert!(home.outer().refused() > before, "it got to the router");
    if answer == Dialled::Silent { Unasked::Silence } else { Unasked::Reset }
}
