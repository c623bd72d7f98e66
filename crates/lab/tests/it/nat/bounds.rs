//! How much an attempt costs those it passes: packets, sockets, flows that routers remember, and nothing once the other
//! is gone.

use std::time::{Duration, Instant};

use meshline_lab::{Cell, Edge, Home, Lab, Nat, until, within};
use serde_json::Value;

use super::cells::{DELAY_MS, linked};

/// What an attempt may send of its own accord, and how many sockets it may open.
const MAX_PROBES: u64 = 2_000;
const MAX_SOCKETS: usize = 256;

/// Flows that either router may have to remember.
const MAX_FLOWS: usize = 2_500;

/// Sockets of a node that does not search: its own, the one from which it calls others back, and the one that hears what
/// routers announce.
const USUAL_SOCKETS: usize = 3;

/// Punching stops so long after the other is gone; and from then on at most one packet goes there in as long a time.
const GONE: Duration = Duration::from_secs(10);

/// The attempts that `of` (0 or 1) remembers, once they are as many.
fn attempts(cell: &Cell, of: usize) -> Vec<Value> {
    let (member, peer) = (&cell.members[of], cell.members[1 - of].name());
    let explained = member.json(&["explain", peer]);
    explained["punch"]["attempts"].as_array().cloned().unwrap_or_default()
}

/// UDP sockets of a host.
fn sockets(home: &Home) -> usize {
    let table = home.command("cat").arg("/proc/net/udp").output().expect("there is a cat");
    String::from_utf8_lossy(&table.stdout).lines().skip(1).count()
}

/// The most of everything, at both sides.
#[derive(Debug, Default)]
struct Peak {
    flows: [usize; 2],
    sockets: [usize; 2],
}

impl Peak {
    fn look(&mut self, cell: &Cell) {
        for (of, home) in cell.homes.iter().enumerate() {
            self.flows[of] = self.flows[of].max(home.edge().flow_count());
            self.sockets[of] = self.sockets[of].max(sockets(home));
        }
    }
}

/// A search in vain is the dearest: nothing of it arrives, so both sides do all that they may.
#[test]
fn a_search_in_vain_stays_within_its_bounds_at_both_routers() {
    let Some(lab) = Lab::with_nats() else { return };
    let homes = [lab.behind(Nat::Port), lab.behind(Nat::Sym)];
    let between = lab.without_udp_between(&homes[0], &homes[1]);
    let cell = linked(&lab, homes);
    let mut peak = Peak::default();
    let searched = |attempts: &[Value]| attempts.iter().filter(|row| row["stage"] == "search").count();
    let rows = within(Duration::from_secs(60), "both have searched twice in vain", || {
        peak.look(&cell);
        let rows = [0, 1].map(|of| attempts(&cell, of));
        if rows.iter().all(|rows| searched(rows) > 1) { Ok(rows) } else { Err(format!("{rows:?}")) }
    });
    let probes = rows.iter().flatten().filter_map(|row| row["probes"].as_u64()).max();
    eprintln!("{peak:?}, {probes:?} probes, {} packets between them", between.packets());
    assert!(probes.is_some_and(|most| (1_100..=MAX_PROBES).contains(&most)), "{rows:?}");
    let [_, searching] = peak.sockets;
    assert!((200..=MAX_SOCKETS + USUAL_SOCKETS).contains(&searching), "{peak:?}");
    assert!(peak.flows.iter().all(|most| *most <= MAX_FLOWS), "{peak:?}");
    assert!(peak.flows[0] > 1_100 && peak.flows[1] > 200, "what a search costs was seen: {peak:?}");
}

/// What leaves for a member from some instant on.
struct Leaving<'a> {
    edge: Edge<'a>,
    since: Instant,
    /// How many had left so long after that instant.
    seen: Vec<(Duration, u64)>,
}

impl<'a> Leaving<'a> {
    fn new(home: &'a Home, to: &Home) -> Self {
        let edge = home.edge();
        edge.watch_to(&to.public_address());
        Self { edge, since: Instant::now(), seen: Vec::new() }
    }

    /// Whether there was a time of [`GONE`] with at most one packet that began no later than that.
    fn has_stopped(&mut self) -> Result<(), String> {
        self.seen.push((self.since.elapsed(), self.edge.watched()));
        let (last, count) = self.seen[self.seen.len() - 1];
        let quiet = |(at, before): &&(Duration, u64)| *at + GONE <= last && count <= before + 1;
        let begun = self.seen.iter().find(quiet).map(|(at, _)| *at);
        match begun {
            Some(at) if at <= GONE => Ok(()),
            Some(at) => panic!("it went on for {at:?}: {:?}", self.seen),
            None => Err(format!("{count} packets after {last:?}")),
        }
    }
}

/// One that is linked directly is killed; another vanishes, with all it had, in the middle of a search for ports.
#[test]
fn punching_stops_when_the_other_is_gone() {
    let labs: Vec<Lab> = [(), ()].iter().filter_map(|()| Lab::with_nats()).collect();
    let [near, far] = labs.as_slice() else { return };
    let homes = [near.behind(Nat::Port).delay_ms(DELAY_MS), near.behind(Nat::Port).delay_ms(DELAY_MS)];
    let mut killed = linked(near, homes);
    killed.wait_until_direct();
    let homes = [far.behind(Nat::Port), far.behind(Nat::Sym)];
    let _vain = far.without_udp_between(&homes[0], &homes[1]);
    let mut vanished = linked(far, homes);
    until("ports are searched", || {
        let explained = vanished.members[0].json(&["explain", "other"]);
        if explained["punch"]["stage"] == "search" { Ok(()) } else { Err(explained["punch"].to_string()) }
    });
    vanished.homes[1].edge().cut(true);
    let mut watched = [&mut vanished, &mut killed].map(|cell| {
        cell.members[1].process_mut().kill();
        Leaving::new(&cell.homes[0], &cell.homes[1])
    });
    within(3 * GONE, "at most one packet in ten seconds goes there", || {
        // paced: the pace of the packets is what is tested
        std::thread::sleep(Duration::from_millis(400));
        let looks: Vec<Result<(), String>> = watched.iter_mut().map(Leaving::has_stopped).collect();
        looks.into_iter().collect::<Result<(), String>>()
    });
    watched.iter().for_each(|leaving| eprintln!("{:?}", leaving.seen.last()));
}
