//! How long a node takes to look something up in a full directory of services. Prints one JSON object.
//!
//! `lookup MEMBERS EACH`

#![allow(clippy::expect_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program")]

use std::time::Instant;

use meshline_protocol::message::Health;
use meshline_services::discovery::Filter;
use meshline_sim::{SECOND, World, address, offered};

/// Look-ups that are timed of each sort.
const TIMES: usize = 2_000;

fn argument(at: usize, otherwise: usize) -> usize {
    std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn timed(world: &mut World, filters: &[Filter]) -> [f64; 2] {
    let mut micros: Vec<f64> = filters
        .iter()
        .map(|filter| {
            let began = Instant::now();
            let found = world.services_by(0, filter.clone());
            let passed = began.elapsed().as_secs_f64() * 1e6;
            assert!(!found.is_empty(), "{filter:?}");
            passed
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    let at = |share: f64| micros.get((micros.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    [at(0.5), at(0.99)]
}

fn main() {
    let (members, each) = (argument(1, 160), argument(2, 64));
    let mut world = World::new(1);
    for node in 0..members {
        world.add(|config| {
            config.peers = (node > 0).then(|| address(0)).into_iter().collect();
            config.max_links = 8;
        });
    }
    world.start_all();
    world.run_for(30 * SECOND);
    for node in 0..members {
        let kind = |number: usize| format!("_k{}._tcp", (node * each + number) % 100);
        let all = (0..each).map(|number| offered(&format!("s{number}-{node}"), &kind(number), Health::Up));
        world.offer(node, all.collect()).expect("as many as may be");
        world.run_for(SECOND / 2);
    }
    world.run_for(20 * SECOND);
    let services = world.services(0).len();
    let name =
        |number: usize| Filter { name: format!("s{}-{}", number % each, number % members).parse().ok(), kind: None };
    let kind = |number: usize| Filter { name: None, kind: format!("_k{}._tcp", number % 100).parse().ok() };
    let by_name = timed(&mut world, &(0..TIMES).map(name).collect::<Vec<_>>());
    let by_kind = timed(&mut world, &(0..TIMES).map(kind).collect::<Vec<_>>());
    let all = timed(&mut world, &vec![Filter::default(); TIMES / 20]);
    println!(
        "{{\"services\":{services},\"name_p50_us\":{:.2},\"name_p99_us\":{:.2},\"kind_p50_us\":{:.2},\"kind_p99_us\":{:.2},\
         \"all_p50_us\":{:.2},\"all_p99_us\":{:.2}}}",
        by_name[0], by_name[1], by_kind[0], by_kind[1], all[0], all[1]
    );
}
