//! What meshline makes of each pair of NATs: the table of what must be, a network for each cell of it, and what befalls
//! such a network while it is in use.

use std::time::Instant;

use meshline_lab::{Cell, Home, Lab, Member, Nat, skipped, soak, until};

/// Whether members punch. Until they do, only what needs none of it is asked.
const PUNCHES: bool = true;

/// How `one` and `other` must come to be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Must {
    /// Directly, because one of them is public: the other dials it.
    Dial,
    /// Directly, by whatever.
    Direct,
    /// Directly, and by TCP.
    Tcp,
    /// Over the proxy.
    Relay,
}

/// A row of the table: how each of its cells must end. The first is run each time, the others with `MESHLINE_SOAK=1`.
type Row = (Must, &'static [(Nat, Nat)]);

const PUBLIC: Row = (
    Must::Dial,
    &[
        (Nat::None, Nat::Port),
        (Nat::None, Nat::None),
        (Nat::None, Nat::Full),
        (Nat::None, Nat::Firewall),
        (Nat::None, Nat::Sym),
        (Nat::None, Nat::SymSeq),
        (Nat::None, Nat::SymAdm),
        (Nat::None, Nat::NoUdp),
        (Nat::None, Nat::Carrier),
    ],
);

const CONES: Row = (
    Must::Direct,
    &[
        (Nat::Port, Nat::Port),
        (Nat::Full, Nat::Full),
        (Nat::Full, Nat::Addr),
        (Nat::Full, Nat::Port),
        (Nat::Full, Nat::Firewall),
        (Nat::Addr, Nat::Addr),
        (Nat::Addr, Nat::Port),
        (Nat::Addr, Nat::Firewall),
        (Nat::Port, Nat::Firewall),
        (Nat::Firewall, Nat::Firewall),
        (Nat::Carrier, Nat::Full),
        (Nat::Carrier, Nat::Addr),
        (Nat::Carrier, Nat::Port),
        (Nat::Carrier, Nat::Firewall),
        (Nat::Carrier, Nat::Carrier),
        (Nat::Rst, Nat::Rst),
    ],
);

const OPEN_AND_SYMMETRIC: Row = (
    Must::Direct,
    &[
        (Nat::Addr, Nat::Sym),
        (Nat::Full, Nat::Sym),
        (Nat::Full, Nat::SymSeq),
        (Nat::Full, Nat::SymAdm),
        (Nat::Addr, Nat::SymSeq),
        (Nat::Addr, Nat::SymAdm),
    ],
);

const CONE_AND_SYMMETRIC: Row = (
    Must::Direct,
    &[
        (Nat::Port, Nat::Sym),
        (Nat::Port, Nat::SymAdm),
        (Nat::Firewall, Nat::Sym),
        (Nat::Firewall, Nat::SymAdm),
        (Nat::Carrier, Nat::Sym),
        (Nat::Carrier, Nat::SymAdm),
    ],
);

const COUNTING: Row =
    (Must::Direct, &[(Nat::Port, Nat::SymSeq), (Nat::Firewall, Nat::SymSeq), (Nat::SymSeq, Nat::SymSeq)]);

const LAX: Row = (Must::Direct, &[(Nat::Lax, Nat::Port), (Nat::Lax, Nat::Lax)]);

const NO_UDP: Row = (
    Must::Tcp,
    &[
        (Nat::NoUdp, Nat::Port),
        (Nat::NoUdp, Nat::Firewall),
        (Nat::NoUdp, Nat::Lax),
        (Nat::NoUdp, Nat::Carrier),
        (Nat::NoUdp, Nat::NoUdp),
    ],
);

/// Both first packets must be under way at the same time, or each router refuses the other's aloud.
const REFUSED_ALOUD: Row = (Must::Tcp, &[(Nat::RstNoUdp, Nat::RstNoUdp), (Nat::RstNoUdp, Nat::NoUdp)]);

const HOPELESS: Row = (Must::Relay, &[(Nat::Sym, Nat::Sym), (Nat::NoUdp, Nat::Sym)]);

/// One way over each leg of the cells that are relayed: so that what the proxy adds is seen beside it.
pub(super) const DELAY_MS: u64 = 20;

/// A network for a cell, in which `one` and `other` are linked, by relay or better.
fn cell(lab: &Lab, one: Nat, other: Nat) -> Cell {
    linked(lab, [lab.behind(one), lab.behind(other)])
}

pub(super) fn linked(lab: &Lab, homes: [Home; 2]) -> Cell {
    let mut cell = Cell::between(lab, homes);
    cell.start_other();
    cell.wait_until_linked();
    cell
}

/// Whether what needs punching is run; says so if not.
fn punches() -> bool {
    if !PUNCHES {
        skipped("members do not punch yet");
    }
    PUNCHES
}

#[track_caller]
fn check((must, cells): Row) {
    let Some(lab) = Lab::with_nats() else { return };
    let count = if soak() { cells.len() } else { 1 };
    for (one, other) in &cells[..count] {
        let homes = [*one, *other].map(|nat| lab.behind(nat).delay_ms(DELAY_MS));
        let cell = linked(&lab, homes);
        match must {
            Must::Dial | Must::Direct => cell.wait_until_direct(),
            Must::Tcp => {
                cell.wait_until_direct();
                assert_eq!(cell.transport(0).as_deref(), Some("tcp"), "{one} x {other}");
            }
            Must::Relay => is_relayed_well(&cell),
        }
        talk(&cell, "across");
    }
}

/// A word from each to the other, heard once.
#[track_caller]
pub(super) fn talk(cell: &Cell, word: &str) {
    for (from, to) in [(0, 1), (1, 0)] {
        let text = format!("{word} {from}");
        let _ = cell.members[from].chat(&text);
        let _ = cell.members[to].read(&text);
    }
}

/// The shortest round trip of a link, in microseconds.
fn least_rtt_us(member: &Member, to: &str) -> Result<u64, String> {
    let status = member.try_json(&["status"])?;
    let links = status["links"].as_array().cloned().unwrap_or_default();
    let link = links.iter().find(|link| link["name"] == to).ok_or("no link")?;
    link["min_rtt_us"].as_u64().ok_or_else(|| format!("not measured: {link}"))
}

/// The link of the two goes over the proxy, and costs little more than both ways there.
#[track_caller]
fn is_relayed_well(cell: &Cell) {
    let [one, other] = &cell.members;
    until("the round trip is at most 1.5 x that over the proxy", || {
        let there = least_rtt_us(one, "proxy")? + least_rtt_us(other, "proxy")?;
        let relayed = least_rtt_us(one, other.name())?;
        if relayed * 2 <= there * 3 { Ok(()) } else { Err(format!("{relayed} µs, over the proxy {there} µs")) }
    });
    for of in [0, 1] {
        assert_eq!(cell.transport(of).as_deref(), Some("relay"));
    }
}

#[test]
fn whoever_is_public_is_dialled() {
    check(PUBLIC);
}

#[test]
fn cones_are_punched() {
    if punches() {
        check(CONES);
    }
}

#[test]
fn a_symmetric_nat_meets_one_that_lets_known_addresses_in() {
    if punches() {
        check(OPEN_AND_SYMMETRIC);
    }
}

#[test]
fn the_port_of_a_symmetric_nat_is_found() {
    if punches() {
        check(CONE_AND_SYMMETRIC);
    }
}

#[test]
fn the_port_of_a_counting_nat_is_foreseen() {
    if punches() {
        check(COUNTING);
    }
}

#[test]
fn lax_routers_are_punched_with_care() {
    if punches() {
        check(LAX);
    }
}

#[test]
fn without_udp_tcp_is_punched() {
    if punches() {
        check(NO_UDP);
    }
}

#[test]
fn without_udp_two_routers_that_refuse_aloud_are_met_from_both_sides_at_once() {
    if punches() {
        check(REFUSED_ALOUD);
    }
}

#[test]
fn where_the_way_is_too_short_for_that_the_proxy_carries() {
    let Some(lab) = Lab::with_nats() else { return };
    let cell = cell(&lab, Nat::RstNoUdp, Nat::RstNoUdp);
    // By chance they may meet.
    assert!(matches!(cell.transport(0).as_deref(), Some("relay" | "tcp")), "{:?}", cell.transport(0));
    talk(&cell, "over the proxy");
}

#[test]
fn what_cannot_be_punched_is_relayed_well() {
    check(HOPELESS);
}

#[test]
fn homes_of_a_carrier_that_does_not_turn_back_are_relayed() {
    let Some(lab) = Lab::with_nats() else { return };
    let carrier = lab.carrier(Nat::Port);
    let homes = [0, 1].map(|_| carrier.behind(Nat::Port).delay_ms(DELAY_MS));
    let cell = linked(&lab, homes);
    is_relayed_well(&cell);
    talk(&cell, "at one carrier");
}

#[test]
fn homes_of_a_carrier_that_turns_back_are_punched() {
    if !punches() {
        return;
    }
    let Some(lab) = Lab::with_nats() else { return };
    let carrier = lab.carrier(Nat::Hairpin);
    linked(&lab, [0, 1].map(|_| carrier.behind(Nat::Port))).wait_until_direct();
}

#[test]
fn twins_are_linked_on_their_switch() {
    let Some(lab) = Lab::with_nats() else { return };
    let home = lab.behind(Nat::Port);
    let twin = home.twin();
    let address = twin.address().to_owned();
    let between = lab.between(&home, &twin);
    let cell = linked(&lab, [home, twin]);
    cell.wait_until_direct();
    talk(&cell, "on the switch");
    assert_eq!(between.packets(), 0, "nothing of it went out");
    let status = cell.members[0].status();
    let links = status["links"].as_array().expect("links");
    let link = links.iter().find(|link| link["name"] == "other").expect("linked");
    let prefix = address.rsplit_once('.').map_or("", |(prefix, _)| prefix);
    assert!(link["address"].as_str().is_some_and(|at| at.starts_with(prefix)), "{link}");
}

#[test]
fn members_hear_each_other_when_their_proxy_dies() {
    let Some(lab) = Lab::with_nats() else { return };
    let mut cell = cell(&lab, Nat::Sym, Nat::Sym);
    talk(&cell, "before");
    cell.proxy.process_mut().kill();
    talk(&cell, "after");
}

/// A network that is punched, something that befalls it, and what must be so afterwards. With some delay, because without
/// any it is mostly TCP that meets first, which outlives more.
#[track_caller]
fn outlives(befalls: impl Fn(&Cell)) {
    if !punches() {
        return;
    }
    let Some(lab) = Lab::with_nats() else { return };
    let cell = linked(&lab, [Nat::Port, Nat::Port].map(|nat| lab.behind(nat).delay_ms(DELAY_MS)));
    cell.wait_until_direct();
    talk(&cell, "before");
    let (before, begin) = (cell.transport(0), Instant::now());
    befalls(&cell);
    talk(&cell, "at once");
    let heard = begin.elapsed();
    cell.wait_until_linked();
    cell.wait_until_direct();
    eprintln!("{before:?}: heard after {heard:?}, directly after {:?} by {:?}", begin.elapsed(), cell.transport(0));
    talk(&cell, "after");
}

#[test]
fn a_punched_link_outlives_a_router_that_is_emptied() {
    outlives(|cell| cell.homes[0].edge().flush());
}

#[test]
fn a_punched_link_outlives_a_new_address() {
    outlives(|cell| cell.homes[1].edge().renumber());
}

#[test]
fn a_punched_link_outlives_udp_blocked_and_freed() {
    outlives(|cell| {
        cell.homes[0].edge().block_udp(true);
        talk(cell, "without UDP");
        cell.wait_until_linked();
        cell.homes[0].edge().block_udp(false);
    });
}

#[test]
fn a_punched_link_that_is_idle_keeps_its_mapping() {
    if !punches() || !soak() {
        return;
    }
    // An idle link asks every 15 s: twice as long as the shortest of these. Both are idle beside each other.
    let labs: Vec<Lab> = [Nat::T10, Nat::T20].iter().filter_map(|_| Lab::with_nats()).collect();
    let cells: Vec<Cell> = labs.iter().zip([Nat::T10, Nat::T20]).map(|(lab, nat)| cell(lab, nat, nat)).collect();
    cells.iter().for_each(Cell::wait_until_direct);
    // paced: the idle time itself is what is tested
    std::thread::sleep(std::time::Duration::from_secs(600));
    for cell in &cells {
        let up_ms = |link: &serde_json::Value| link["up_ms"].as_u64().unwrap_or(0);
        let status = cell.members[0].status();
        let links = status["links"].as_array().expect("links");
        assert!(links.iter().any(|link| link["name"] == "other" && up_ms(link) >= 590_000), "{links:?}");
        println!("{links:?}");
        talk(cell, "after ten minutes");
    }
}
