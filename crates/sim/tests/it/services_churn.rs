//! The directory while members come, go, die and are parted, looked at all the time: nothing dead stays beyond its time,
//! nothing alive vanishes. `MESHLINE_SOAK=1`: a thousand services of a hundred members.

use std::collections::BTreeSet;

use meshline_protocol::NodeId;
use meshline_protocol::message::Health;
use meshline_services::discovery::DEFAULT_TTL_S;
use meshline_sim::{SECOND, World, address, offered, seed};

use crate::support::seconds;

const TTL: u64 = DEFAULT_TTL_S as u64 * SECOND;

/// So long after a start or a heal everything is there: links, and a comparison with those linked.
const GRACE: u64 = 45 * SECOND;

/// The one whose first service is up and down every second. It and the first are never ended.
const FLAPPING: usize = 1;

struct Town {
    world: World,
    each: usize,
    /// Since when each member runs, or does not.
    since: Vec<u64>,
    /// How many of the first are parted from the others, and since when, or since when no more.
    parted: (Option<usize>, u64),
    flaps: u64,
    looks: usize,
}

impl Town {
    fn new(members: usize, each: usize, seed: u64) -> Self {
        let mut world = World::new(seed).verified_once();
        // Of half an hour of a hundred members all that is told would be gigabytes.
        world.keep_service_news_only();
        for node in 0..members {
            world.add(|config| {
                config.peers = (node > 0).then(|| address(0)).into_iter().collect();
                config.max_links = 8;
            });
        }
        world.start_all();
        world.run_for(20 * SECOND);
        let mut town = Self { world, each, since: vec![0; members], parted: (None, 0), flaps: 0, looks: 0 };
        for node in 0..members {
            town.offer(node);
        }
        town
    }

    fn members(&self) -> usize {
        self.since.len()
    }

    fn offer(&mut self, node: usize) {
        let health = if node == FLAPPING && self.flaps % 2 == 1 { Health::Down } else { Health::Up };
        let of = |number| offered(&name(number, node), "_http._tcp", if number == 0 { health } else { Health::Up });
        assert_eq!(self.world.offer(node, (0..self.each).map(of).collect()), Ok(()));
    }

    fn end(&mut self, node: usize, kill: bool) {
        if kill {
            self.world.kill(node)
        } else {
            self.world.stop(node)
        }
        self.since[node] = self.world.now();
    }

    fn begin(&mut self, node: usize) {
        self.world.start(node);
        self.offer(node);
        self.since[node] = self.world.now();
    }

    fn part(&mut self, first: usize) {
        let (one, other): (Vec<usize>, Vec<usize>) = (0..self.members()).partition(|node| *node < first);
        self.world.part(&one, &other);
        self.parted = (Some(first), self.world.now());
    }

    fn heal(&mut self) {
        self.world.heal();
        self.parted = (None, self.world.now());
    }

    /// Seconds pass, with a flap in each and a look in every fifth.
    fn pass(&mut self, count: u64) {
        for second in 0..count {
            self.flaps += 1;
            self.offer(FLAPPING);
            self.world.run_for(SECOND);
            if second % 5 == 4 {
                self.look();
            }
        }
    }

    fn ago(&self, at: u64) -> u64 {
        self.world.now() - at
    }

    fn are_apart(&self, one: usize, other: usize) -> bool {
        self.parted.0.is_some_and(|first| (one < first) != (other < first))
    }

    /// What members that have been there for a while list, held against who lives: ten each time, others the next.
    fn look(&mut self) {
        let turns = self.members().div_ceil(10);
        let turn = self.looks % turns;
        self.looks += 1;
        let is_settled: Vec<bool> =
            (0..self.members()).map(|node| self.world.is_running(node) && self.ago(self.since[node]) > GRACE).collect();
        let ids: Vec<NodeId> = (0..self.members()).map(|node| self.world.id(node)).collect();
        for node in (turn..self.members()).step_by(turns).filter(|node| is_settled[*node]) {
            let listed: BTreeSet<(NodeId, String)> =
                self.world.service_names(node).into_iter().map(|(name, owner)| (owner, name)).collect();
            for owner in 0..self.members() {
                self.judge((node, owner), &ids[owner], &listed, is_settled[owner]);
            }
        }
    }

    fn judge(&self, (node, owner): (usize, usize), id: &NodeId, listed: &BTreeSet<(NodeId, String)>, settled: bool) {
        let count = (0..self.each).filter(|number| listed.contains(&(*id, name(*number, owner)))).count();
        let at = || format!("{} s: {node} lists {count} of {owner}", seconds(self.world.now()));
        let (apart, changed) = (self.are_apart(node, owner), self.ago(self.parted.1));
        // To whom it is out of reach, it is as good as dead.
        let dead_for = match (self.world.is_running(owner), apart) {
            (false, _) => self.ago(self.since[owner]),
            (true, true) => changed,
            (true, false) => 0,
        };
        assert!(dead_for <= TTL || count == 0, "{}: dead for {} s", at(), seconds(dead_for));
        let is_whole = settled && !apart && changed > GRACE;
        assert!(!is_whole || count == self.each, "{}: it lives", at());
    }

    /// Runs until all that run list all that those offer.
    fn agree(&mut self, limit: u64) -> f64 {
        let running = self.world.running();
        let each = self.each;
        let all = |node: &usize| (0..each).map(|number| name(number, *node)).collect::<Vec<_>>();
        let mut wanted: Vec<(String, NodeId)> = Vec::new();
        for node in &running {
            wanted.extend(all(node).into_iter().map(|name| (name, self.world.id(*node))));
        }
        wanted.sort();
        let took = self
            .world
            .run_until(limit, SECOND / 2, |world| running.iter().all(|node| world.service_names(*node) == wanted));
        seconds(took.unwrap_or_else(|| panic!("not all list {} services", wanted.len())))
    }
}

fn name(number: usize, node: usize) -> String {
    format!("s{number}-{node}")
}

#[test]
fn nothing_dead_stays_and_nothing_alive_vanishes_through_churn_kills_a_parting_and_a_heal() {
    let soak = std::env::var_os("MESHLINE_SOAK").is_some();
    let (members, each, rounds) = if soak { (100, 10, 24) } else { (10, 3, 3) };
    let seed = seed(1);
    println!("seed {seed}");
    let mut town = Town::new(members, each, seed);
    println!("{} services known to all after {} s", members * each, town.agree(60 * SECOND));
    town.pass(60);
    // Some are killed, some say goodbye, and come back half a minute later.
    let at_once = members.div_ceil(20);
    let turn = |round: usize| (0..at_once).map(move |n| 2 + (round * at_once + n) % (members - 2));
    for round in 0..rounds {
        turn(round).for_each(|node| town.end(node, round % 2 == 0));
        town.pass(15);
        if round > 0 {
            turn(round - 1).for_each(|node| town.begin(node));
        }
        town.pass(15);
    }
    turn(rounds - 1).for_each(|node| town.begin(node));
    println!("after churn all agree within {} s", town.agree(60 * SECOND));
    town.pass(50);
    // A tenth dies at once and stays away.
    let dead: Vec<usize> = (2..2 + members.div_ceil(10)).collect();
    dead.iter().for_each(|node| town.end(*node, true));
    town.pass(140);
    println!("the dead are gone; all agree within {} s", town.agree(10 * SECOND));
    town.part(members / 2);
    town.pass(140);
    town.heal();
    println!("one again after {} s", town.agree(90 * SECOND));
    dead.iter().for_each(|node| town.begin(*node));
    println!("and whole after {} s", town.agree(60 * SECOND));
    town.pass(60);
    let told = town.world.service_news(0).iter().filter(|news| news.contains(&name(0, FLAPPING))).count();
    println!("{told} of {} changes of the flapping service were told", town.flaps);
    assert!(told * 20 < usize::try_from(town.flaps).unwrap_or(0), "{told} of {}", town.flaps);
    let (owner, of) = (town.world.id(FLAPPING), name(0, FLAPPING));
    let is_damped = |world: &mut World| {
        let shown =
            world.services(FLAPPING).into_iter().find(|entry| entry.member == owner && entry.name.as_str() == of);
        shown.is_some_and(|entry| entry.damped)
    };
    assert!(is_damped(&mut town.world), "its owner knows");
    assert!(town.world.run_until(300 * SECOND, SECOND, |world| !is_damped(world)).is_some(), "calm in the end");
}
