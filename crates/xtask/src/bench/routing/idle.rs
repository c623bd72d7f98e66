//! How long until a silent cut of an idle link shows: many hosts, linked to one whose cable is cut.

use std::time::Duration;

use super::arrivals::{Heard, now_us};
use super::hosts::Host;
use crate::bench::process::wait;
use crate::bench::table::Row;
use crate::bench::{Bench, median};

/// Idle links ask every fifteen seconds: they are made at different times of such a span, and rest for one.
const SPAN: Duration = Duration::from_secs(15);

pub(in crate::bench) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let (Ok(switch), Ok(hub)) = (Host::new(), Host::new()) else {
        println!("skipped: the silent cut of idle links: no network namespaces here");
        return Ok(Vec::new());
    };
    let program = bench.bin.join("examples/bench").to_string_lossy().into_owned();
    let count = bench.size(20, 3);
    hub.plug(&switch, "bridge", "hub", "eth")?;
    hub.run("ip addr add 10.5.0.100/24 dev eth")?;
    let mut command = hub.command(&program);
    let _hub = Heard::start(command.args(["member", "--key", "100", "--listen", "10.5.0.100:7000"]))?;
    let mut leaves = Vec::new();
    for number in 1..=count {
        let leaf = Host::new()?;
        leaf.plug(&switch, "bridge", &format!("leaf{number}"), "eth")?;
        leaf.run(&format!("ip addr add 10.5.0.{number}/24 dev eth"))?;
        let mut command = leaf.command(&program);
        command.args(["member", "--key", &number.to_string(), "--watch", "100", "--peer", "10.5.0.100:7000"]);
        let heard = Heard::start(&mut command)?;
        leaves.push((leaf, heard));
        std::thread::sleep(SPAN / u32::try_from(count).unwrap_or(1));
    }
    for (_, heard) in &leaves {
        wait("a way to the hub", Duration::from_millis(20), || heard.last("ways ").is_some_and(|ways| ways == "1"))?;
    }
    std::thread::sleep(SPAN + SPAN);
    let began = now_us();
    switch.run("ip link set hub nomaster")?;
    let mut took = Vec::new();
    for (_, heard) in &leaves {
        wait("the link is given up", Duration::from_millis(20), || heard.last("down ").is_some())?;
        let at = heard.last("down ").and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
        took.push(Duration::from_micros(at.saturating_sub(began)).as_secs_f64());
    }
    let worst = took.iter().copied().fold(0.0, f64::max);
    let value = format!("{:.1} s, worst {worst:.1} s", median(&took));
    println!("idle links cut silently: {value}");
    Ok(vec![Row::new(format!("Until a silent cut of an idle link shows, {count} links"), value, "≤ 21.5 s")])
}
