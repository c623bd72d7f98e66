//! Who lies about addresses, forges, replays, is gone, or wants nothing of it.

use meshline_sim::{MS, Router, SECOND, WallClock, World, seed, seeds};

use crate::punch::{FAR, GOOD, LEFT, RIGHT, Site, borne_by, failures, punched, sites};

fn homes(seed: u64) -> World {
    sites(seed, Site::Behind(Router::port()), Site::Behind(Router::port()), GOOD).0
}

#[test]
fn a_victim_gets_three_packets_however_many_addresses_and_attempts() {
    for told in ["203.0.113.200", "192.168.1.99"] {
        // Only what the right one says leads anywhere: no datagram of its own passes its router.
        let (left, right) = (Site::Behind(Router::port()), Site::Behind(Router::blocked()));
        let mut world = sites(seed(1), left, right, GOOD).0;
        let victim = world.add(|_| {});
        let router = (told == "192.168.1.99").then(|| world.router(Router::port()));
        if let Some(router) = router {
            world.place(LEFT, "192.168.1.7", Some(router));
        }
        world.place(victim, told, router);
        for node in 0..victim {
            world.start(node);
        }
        let ports = [6_000, 6_001, 6_002, 6_003, 6_004, 6_005];
        let lies: Vec<std::net::SocketAddr> =
            ports.iter().map(|port| format!("{told}:{port}").parse().expect("an address")).collect();
        world.tell_udp_addresses(RIGHT, lies.clone());
        // The left one can be reached nowhere but there, so every attempt fails.
        world.run_for(60 * SECOND);
        let attempts = world.status(LEFT).punch.attempts.values().sum::<u64>();
        let strays: Vec<u32> = lies.iter().map(|lie| world.strays(*lie)).collect();
        println!("{attempts} attempts, {strays:?}");
        assert!(attempts >= 2, "it was tried");
        // One of the three opens the own router and does not get that far, unless there is none in between.
        assert!((1..=3).contains(&strays.iter().sum::<u32>()), "{strays:?} in {attempts} attempts");
    }
}

#[test]
fn what_is_forged_or_played_again_has_no_effect_and_no_answer() {
    for seed in seeds(3) {
        let mut world = homes(seed);
        world.overhear();
        world.start_all();
        punched(&mut world, 60 * SECOND).expect("a way");
        let packets = world.overheard();
        assert!(packets.len() > 3, "{}", packets.len());
        let elsewhere = "203.0.113.66:6666".parse().expect("an address");
        let probes = [LEFT, RIGHT].map(|node| world.status(node).punch.probes_sent);
        for (node, from, bytes) in packets {
            for target in [LEFT, RIGHT] {
                for source in [from, elsewhere] {
                    world.forge_packet(target, source, &bytes);
                    let mut altered = bytes.to_vec();
                    let at = world.rng().index(altered.len());
                    altered[at] ^= 1;
                    world.forge_packet(target, source, &altered);
                }
            }
            let _ = node;
        }
        world.forge_packet(LEFT, elsewhere, b"\n{\"time\":");
        world.forge_packet(LEFT, elsewhere, b"");
        world.forge_packet(LEFT, elsewhere, &[b' '; 1_300]);
        world.run_for(100 * MS);
        assert_eq!(world.sent_to(elsewhere), 0, "nobody is answered who only repeats");
        let probes_now = [LEFT, RIGHT].map(|node| world.status(node).punch.probes_sent);
        assert!(probes_now.iter().zip(probes).all(|(now, before)| *now <= before + 2), "{probes_now:?} {probes:?}");
        let refused = world.status(LEFT).punch.refused;
        assert!(refused.get("bad_signature").is_some_and(|count| *count > 0), "{refused:?}");
        world.run_for(20 * SECOND);
        assert_eq!(borne_by(&mut world), [Some("quic"); 2], "the link stays");
    }
}

#[test]
fn punching_stops_when_the_peer_is_gone() {
    for seed in seeds(5) {
        let mut world = sites(seed, Site::Behind(Router::port()), Site::Behind(Router::symmetric()), GOOD).0;
        world.start_all();
        let trying = world.run_until(60 * SECOND, MS, |world| world.most_probes(LEFT) > 0);
        assert!(trying.is_some(), "an attempt began");
        let random = world.rng().below(3 * SECOND);
        world.run_for(random);
        world.power_off(RIGHT);
        let gone = world.now();
        world.run_for(120 * SECOND);
        let last = world.last_punch(LEFT).expect("it sent");
        println!("the last packet left {} ms after", last.saturating_sub(gone) / 1_000);
        assert!(last <= gone + 10 * SECOND, "{} ms after the peer was gone", (last - gone) / 1_000);
    }
}

#[test]
fn nothing_is_sent_to_or_by_one_who_wants_no_direct_way() {
    for off in [LEFT, RIGHT] {
        let mut world = homes(seed(1));
        world.edit(off, |config, _| config.punch = false);
        world.start_all();
        world.run_for(120 * SECOND);
        assert_eq!(borne_by(&mut world), [Some("relay"); 2]);
        assert_eq!((world.last_punch(LEFT), world.last_punch(RIGHT)), (None, None), "not a packet");
        let other = LEFT + RIGHT - off;
        assert_eq!(failures(&world, other), ["off"], "asked once, and told why");
        let known = world.explain(other, off).expect("known").punch.expect("it was tried");
        assert!(known.advice.is_some_and(|advice| advice.contains("switched off")));
        assert!(!world.status(off).punch.enabled);
    }
}

#[test]
fn clocks_a_year_apart_agree_on_the_instant() {
    const YEAR_US: i64 = 31_536_000_000_000;
    for wrong in [LEFT, RIGHT] {
        for offset_us in [YEAR_US, -YEAR_US, 40_000_000, -40_000_000] {
            let mut world = sites(seed(3), Site::Behind(Router::lax()), Site::Behind(Router::port()), FAR).0;
            world.set_clock(wrong, WallClock { offset_us, drift_ppm: 20 });
            // A signal server does not list what has ended by its own clock, so one that is behind knows a member.
            world.edit(wrong, |config, _| config.peers = vec!["203.0.113.4:6000".parse().expect("an address")]);
            world.start_all();
            let found = punched(&mut world, 120 * SECOND);
            let (borne, refused) = (borne_by(&mut world), [LEFT, RIGHT].map(|node| world.status(node).punch));
            assert!(found.is_some(), "{offset_us} at {wrong}: {borne:?} {:?} {refused:?}", failures(&world, LEFT));
            println!("{offset_us} at {wrong}: {found:?}");
        }
    }
}

#[test]
fn garbage_in_the_place_of_records_is_refused() {
    let mut world = homes(seed(1));
    world.start_all();
    world.run_for(3 * SECOND);
    for (flow, body) in
        [&b"{}"[..], b"{\"punch\":{\"call\":{\"signed\":\"{}\",\"by\":\"x\",\"sig\":\"\"}}}", &[0xff; 5_000]]
            .into_iter()
            .enumerate()
    {
        let _ = world.send_service(RIGHT, LEFT, ("punch", u32::try_from(flow).expect("few")), body);
        world.run_for(SECOND);
    }
    assert!(world.status(LEFT).refused.get("invalid_message").is_some_and(|count| *count >= 1));
}
