//! What befalls the routers between two members that have a direct way, and how soon they have one again.

use std::collections::BTreeSet;

use meshline_mesh::Event;
use meshline_sim::{MS, Router, RouterId, SECOND, World, seeds};

use crate::punch::{FAR, GOOD, LEFT, PROXY, RIGHT, STATIC, Site, WITNESS, borne_by, failures, punched, sites};

/// Every how many datagrams the chat is written to: a member may write 20 times a second.
const SPOKEN: u32 = 8;

/// Between datagrams, each way.
const TICK: u64 = 10 * MS;

/// Both ends talk without a pause; what came, and when.
struct Talk {
    world: World,
    sent: u32,
    /// Numbers of datagrams that came, by the end they came to.
    came: [BTreeSet<u32>; 2],
    /// When the last one came to each end, and the longest that an end has waited for one.
    last: [u64; 2],
    waited: u64,
}

impl Talk {
    fn new(world: World) -> Self {
        let last = [world.now(); 2];
        Self { world, sent: 0, came: [BTreeSet::new(), BTreeSet::new()], last, waited: 0 }
    }

    fn tick(&mut self) {
        if self.sent.is_multiple_of(SPOKEN) {
            self.world.say(LEFT, &format!("left {}", self.sent));
        }
        for (from, to) in [(LEFT, RIGHT), (RIGHT, LEFT)] {
            // Without any way for a moment it is lost.
            let _ = self.world.send_datagram(from, to, 10_000 + self.sent, &self.sent.to_be_bytes());
        }
        self.world.run_for(TICK);
        self.sent += 1;
        let now = self.world.now();
        for (nth, end) in [LEFT, RIGHT].into_iter().enumerate() {
            let flows = self.world.take_datagrams(end).into_iter().map(|(line, _)| line.flow);
            for flow in flows.filter(|flow| *flow >= 10_000) {
                assert!(self.came[nth].insert(flow), "{flow} came twice to {end}");
                self.last[nth] = now;
            }
            self.waited = self.waited.max(now - self.last[nth]);
        }
    }

    fn go_on(&mut self, micros: u64) {
        let end = self.world.now() + micros;
        while self.world.now() < end {
            self.tick();
        }
    }

    /// How long they talk until something holds, in microseconds.
    fn until(&mut self, limit: u64, holds: impl Fn(&mut World) -> bool) -> Option<u64> {
        let start = self.world.now();
        while !holds(&mut self.world) {
            if self.world.now() - start > limit {
                return None;
            }
            self.tick();
        }
        Some(self.world.now() - start)
    }

    /// Direct links that came of attempts.
    fn found(world: &World) -> usize {
        world.mesh_events(LEFT).filter(|event| matches!(event, Event::PunchSucceeded { .. })).count()
    }

    /// All that was said in the chat came once.
    fn nothing_is_lost(&mut self) {
        self.world.run_for(20 * SECOND);
        for nth in (0..self.sent).step_by(SPOKEN as usize) {
            let text = format!("left {nth}");
            assert_eq!(self.world.times_heard(RIGHT, &text), 1, "{text} of {}", self.sent);
        }
    }
}

/// What befalls the left one's router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Befalls {
    /// It forgets all that it knew.
    Flush,
    /// It gets another address, so that no connection through it holds.
    Renumber,
    /// It lets no datagram pass for half a minute.
    Block,
}

impl Befalls {
    fn begin(self, world: &mut World, router: RouterId, kind: Router) {
        match self {
            Self::Flush => world.change_router(router, kind),
            Self::Block => world.change_router(router, Router::blocked()),
            Self::Renumber => {
                world.renumber_router(router, [198, 51, 100, 99].into());
                [RIGHT, PROXY, STATIC, WITNESS].into_iter().for_each(|other| world.cut(LEFT, other));
            }
        }
    }
}

#[test]
fn whatever_befalls_a_router_what_is_said_goes_on_within_seconds_and_a_direct_way_is_found_again() {
    let all = [Befalls::Flush, Befalls::Renumber, Befalls::Block];
    for (befalls, seed) in all.into_iter().flat_map(|befalls| seeds(2).map(move |seed| (befalls, seed))) {
        for kind in [Router::port(), Router::symmetric()] {
            let (mut world, routers) = sites(seed, Site::Behind(kind), Site::Behind(Router::address()), FAR);
            world.start_all();
            punched(&mut world, 60 * SECOND).expect("a way");
            // Links of half a minute are no shaky ones.
            world.run_for(40 * SECOND);
            let mut talk = Talk::new(world);
            talk.go_on(SECOND);
            let (router, found) = (routers[LEFT].expect("a router"), Talk::found(&talk.world));
            befalls.begin(&mut talk.world, router, kind);
            if befalls == Befalls::Block {
                let relayed = talk.until(7 * SECOND, |world| !borne_by(world).contains(&Some("quic")));
                assert!(relayed.is_some(), "{befalls:?} seed {seed}: the way that is shut is left");
                talk.go_on(30 * SECOND);
                talk.world.change_router(router, kind);
            }
            // A router that keeps ports forgets nothing that matters.
            let is_lost = befalls != Befalls::Flush || kind == Router::symmetric();
            let limit = if befalls == Befalls::Block { 60 } else { 10 } * SECOND;
            let is_direct =
                |world: &mut World| borne_by(world) == [Some("quic"); 2] && (!is_lost || Talk::found(world) > found);
            let took = talk.until(limit, is_direct).map(|us| us / 1_000);
            talk.go_on(2 * SECOND);
            let waited = talk.waited / 1_000;
            println!("{befalls:?} {:?} seed {seed}: direct after {took:?} ms, waited {waited} ms", kind.mapping);
            assert!(took.is_some(), "{befalls:?} {kind:?} seed {seed}: {:?}", failures(&talk.world, LEFT));
            assert!(talk.waited <= 7 * SECOND, "{befalls:?} {kind:?} seed {seed}: {waited} ms without a word");
            talk.nothing_is_lost();
        }
    }
}

#[test]
fn a_direct_way_is_found_again_within_a_minute_after_no_datagram_passed_for_long() {
    let kinds = [Router::port(), Router::symmetric()];
    for line in [GOOD, FAR] {
        for (seed, blocked) in seeds(3).flat_map(|seed| [(seed, LEFT), (seed, RIGHT)]) {
            let (mut world, routers) = sites(seed, Site::Behind(kinds[0]), Site::Behind(kinds[1]), line);
            world.start_all();
            punched(&mut world, 60 * SECOND).expect("a way");
            world.run_for(60 * SECOND);
            let router = routers[blocked].expect("a router");
            world.change_router(router, Router::blocked());
            world.run_for(300 * SECOND);
            assert_eq!(borne_by(&mut world), [Some("relay"); 2], "{line:?} seed {seed}: nothing else is left");
            let before = failures(&world, LEFT).len();
            world.change_router(router, kinds[blocked]);
            let took = world.run_until(60 * SECOND, 20 * MS, |world| borne_by(world) == [Some("quic"); 2]);
            let since = failures(&world, LEFT).split_off(before);
            println!("{line:?} seed {seed} blocked {blocked}: after {:?} ms, {since:?}", took.map(|us| us / 1_000));
            assert!(took.is_some(), "{line:?} seed {seed} blocked {blocked}: {since:?}");
        }
    }
}

#[test]
fn a_port_that_a_router_forwards_from_now_on_is_tried_at_once() {
    let home = Site::Behind(Router::symmetric());
    for seed in seeds(3) {
        let (mut world, routers) = sites(seed, home, home, GOOD);
        world.start_all();
        // Between two routers of chance there is no way, and the pauses have become long.
        world.run_for(300 * SECOND);
        assert_eq!(borne_by(&mut world), [Some("relay"); 2], "seed {seed}");
        world.forward(routers[LEFT].expect("a router"), 6_500, LEFT);
        let took = world.run_until(20 * SECOND, 20 * MS, |world| borne_by(world) == [Some("quic"); 2]);
        println!("seed {seed}: after {:?} ms, {:?}", took.map(|us| us / 1_000), failures(&world, LEFT));
        assert!(took.is_some(), "seed {seed}: {:?}", world.status(LEFT).nat);
    }
}
