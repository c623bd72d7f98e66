//! What befalls the routers between two members that have a direct way, and how soon they have one again.

use meshline_sim::{MS, Router, SECOND, seeds};

use crate::punch::{FAR, GOOD, LEFT, RIGHT, Site, borne_by, failures, punched, sites};

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
