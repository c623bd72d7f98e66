//! A ring in virtual time: how long it takes to close, to heal and to carry a message.
//!
//! `cargo run -p meshline-sim --example ring -- --nodes 20 --seed 1`

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use meshline_mesh::Topology;
use meshline_sim::invariants::{one_ring, ring};
use meshline_sim::{MS, SECOND, World, address};

const USAGE: &str = "usage: ring [--nodes N] [--seed N] [--latency-ms N]";

/// What the command line asks for.
struct Settings {
    nodes: usize,
    seed: u64,
    latency_ms: u64,
}

fn settings() -> Option<Settings> {
    let mut settings = Settings { nodes: 20, seed: 1, latency_ms: 1 };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let number: u64 = arguments.next()?.parse().ok()?;
        match flag.as_str() {
            "--nodes" => settings.nodes = usize::try_from(number).ok().filter(|count| (2..=256).contains(count))?,
            "--seed" => settings.seed = number,
            "--latency-ms" => settings.latency_ms = number,
            _ => return None,
        }
    }
    Some(settings)
}

/// Runs until these members are one ring; prints what happened and how long it took.
fn closes(world: &mut World, what: &str, members: &[usize], ordered: bool) -> bool {
    let took = world.run_until(120 * SECOND, 10 * MS, |world| {
        if ordered { ring(world, members).is_ok() } else { one_ring(world, members).is_ok() }
    });
    match took {
        Some(took) => println!("{what:<40} {:>8.2} s", seconds(took)),
        None => println!("{what:<40} not within 120 s: {}", one_ring(world, members).err().unwrap_or_default()),
    }
    took.is_some()
}

fn seconds(micros: u64) -> f64 {
    u32::try_from(micros).map_or(f64::INFINITY, f64::from) / 1e6
}

fn play(settings: &Settings) -> bool {
    let count = settings.nodes;
    let latency = settings.latency_ms * MS;
    let mut world = World::new(settings.seed).latency(latency / 2, latency);
    for node in 0..count {
        world.add(|config| {
            config.topology = Topology::Ring;
            config.next = Some(address((node + 1) % count));
        });
    }
    let all: Vec<usize> = (0..count).collect();
    world.start_all();
    let mut well = closes(&mut world, "all started at once: closed after", &all, true);
    world.run_for(5 * SECOND);
    let seq = world.say(0, "once around");
    let round = world.run_until(60 * SECOND, MS, |world| world.delivered(0, seq) == Some((count - 1, true)));
    println!("{:<40} {:>8.3} s", "a message is back after", round.map_or(f64::NAN, seconds));
    let gone = count / 2;
    let left: Vec<usize> = all.iter().copied().filter(|node| *node != gone).collect();
    world.kill(gone);
    well &= closes(&mut world, "one killed: closed past it after", &left, true);
    world.start(gone);
    well &= closes(&mut world, "it is back: in its place after", &all, true);
    let (one, other) = all.split_at(gone);
    world.part(one, other);
    well &= closes(&mut world, "parted: the first half closed after", one, false);
    well &= closes(&mut world, "the second half closed after a further", other, false);
    world.run_for(60 * SECOND);
    world.heal();
    well &= closes(&mut world, "healed after a minute: one ring after", &all, true);
    well && round.is_some()
}

fn main() -> ExitCode {
    let Some(settings) = settings() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("ring of {}, seed {}, paths of about {} ms", settings.nodes, settings.seed, settings.latency_ms);
    if play(&settings) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
