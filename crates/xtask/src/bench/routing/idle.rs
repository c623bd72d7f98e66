//! How long until a silent cut of an idle link shows: pairs of hosts, linked at different times, all cut together.

use std::time::Duration;

use super::arrivals::{Heard, now_us};
use super::hosts::Host;
use crate::bench::process::wait;
use crate::bench::table::Row;
use crate::bench::{Bench, median};

/// Idle links ask every fifteen seconds: they are made at different times of such a span.
const SPAN: Duration = Duration::from_secs(15);

/// Two linked hosts, and the end of the cable between them that can be cut.
struct Pair {
    port: String,
    heard: Heard,
    _far: Heard,
    _hosts: [Host; 2],
}

pub(in crate::bench) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let Ok(switch) = Host::new() else {
        println!("skipped: the silent cut of idle links: no network namespaces here");
        return Ok(Vec::new());
    };
    let count = bench.size(20, 3);
    let mut pairs = Vec::new();
    for number in 1..=count {
        pairs.push(pair(bench, &switch, number)?);
        std::thread::sleep(SPAN / u32::try_from(count).unwrap_or(1));
    }
    // The first messages of a link count as traffic for one span; another passes until all asks are far apart.
    std::thread::sleep(2 * SPAN);
    let mut began = Vec::new();
    for pair in &pairs {
        switch.run(&format!("ip link set {} nomaster", pair.port))?;
        began.push(now_us());
    }
    let took = pairs.iter().zip(began).map(|(pair, began)| given_up(pair, began)).collect::<Result<Vec<_>, _>>()?;
    let worst = took.iter().copied().fold(0.0, f64::max);
    let value = format!("{:.1} s, worst {worst:.1} s", median(&took));
    println!("idle links cut silently: {value}");
    Ok(vec![Row::new(format!("Until a silent cut of an idle link shows, {count} links"), value, "≤ 21.5 s")])
}

fn pair(bench: &Bench, switch: &Host, number: usize) -> Result<Pair, String> {
    let program = bench.bin.join("examples/bench").to_string_lossy().into_owned();
    let (near, far) = (Host::new()?, Host::new()?);
    let (bridge, port) = (format!("bridge{number}"), format!("near{number}"));
    near.plug(switch, &bridge, &port, "eth")?;
    far.plug(switch, &bridge, &format!("far{number}"), "eth")?;
    near.run("ip addr add 10.5.0.1/24 dev eth")?;
    far.run("ip addr add 10.5.0.2/24 dev eth")?;
    let mut listening = far.command(&program);
    let far_end = Heard::start(listening.args(["member", "--key", "2", "--listen", "10.5.0.2:7000"]))?;
    let mut dialling = near.command(&program);
    let heard = Heard::start(dialling.args(["member", "--key", "1", "--watch", "2", "--peer", "10.5.0.2:7000"]))?;
    wait("a way", Duration::from_millis(20), || heard.last("ways ").is_some_and(|ways| ways == "1"))?;
    Ok(Pair { port, heard, _far: far_end, _hosts: [near, far] })
}

/// Seconds until the dialling end gives its link up.
fn given_up(pair: &Pair, began: u64) -> Result<f64, String> {
    wait("the link is given up", Duration::from_millis(20), || pair.heard.last("down ").is_some())?;
    let at = pair.heard.last("down ").and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(Duration::from_micros(at.unwrap_or(0).saturating_sub(began)).as_secs_f64())
}
