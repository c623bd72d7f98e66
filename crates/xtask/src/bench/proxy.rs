//! What a proxy carries and costs, beside a copy relay, a splice relay and the kernel's own forwarding.

use std::time::Duration;

use serde_json::Value;

use super::process::{Running, wait};
use super::routing::hosts::Host;
use super::table::Row;
use super::{Bench, Figure, links, median, output};

pub(super) const FIGURES: &[Figure] = &[pipe, fair, kernel];

/// By the example `bench` of `crates/net`, over loopback.
fn pipe(bench: &Bench) -> Result<Vec<Row>, String> {
    let result = links::measure(bench, "relay", bench.size(7, 3), bench.size(2_048, 256))?;
    let of = |who: &str, what: &str| {
        let found = result.get(who).and_then(|figures| figures.get(what)).and_then(Value::as_f64);
        found.unwrap_or(f64::NAN)
    };
    let mbit = |who| of(who, "mbit");
    let row = |figure: &str, value: String, aim| Row::new(figure, value, aim);
    let rate = row("Relayed through a proxy, one stream", format!("{:.0} Mbit/s", mbit("proxy")), "≥ 0.95 × copy")
        .beside(format!("copy relay: {:.0} Mbit/s", mbit("copy")), mbit("proxy") / mbit("copy"));
    let beside_splice = row("The same", format!("{:.0} Mbit/s", mbit("proxy")), "").beside(
        format!("splice relay: {:.0}, without relay: {:.0} Mbit/s", mbit("splice"), mbit("direct")),
        mbit("proxy") / mbit("splice"),
    );
    let cpu = |who| of(who, "cpu_ns_per_kib");
    let cost = |aim, name: &str, who| {
        row("Processor time of the proxy", format!("{:.0} ns/KiB", cpu("proxy")), aim)
            .beside(format!("{name}: {:.0} ns/KiB; KiB a CPU second against it", cpu(who)), cpu(who) / cpu("proxy"))
    };
    let added = |who| of(who, "rtt_us") - of("direct", "rtt_us");
    let trip = row("Round trip it adds, 64 bytes", format!("{:.1} µs", added("proxy")), "≤ 1.1 ×")
        .beside(format!("copy relay: {:.1} µs", added("copy")), added("proxy") / added("copy"));
    let costs = [cost("", "copy relay", "copy"), cost("≥ 0.9 ×", "splice relay", "splice")];
    let pairs: Vec<f64> =
        result.get("pair_bytes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_f64).collect();
    let [ours, copy, splice] = pairs.as_slice() else { return Err("no memory of pairs".to_owned()) };
    let memory = row("RSS of a relayed pair, of 1,035", format!("{:.1} KB", ours / 1e3), "")
        .beside(format!("copy relay: {:.1} KB, splice relay: {:.1} KB", copy / 1e3, splice / 1e3), ours / copy);
    Ok([rate, beside_splice].into_iter().chain(costs).chain([trip, memory]).collect())
}

/// Nine members that ask for 64 KiB every 10 ms each, beside one that floods through eight streams.
fn fair(bench: &Bench) -> Result<Vec<Row>, String> {
    let result = links::measure(bench, "fair", bench.rounds(5, 1), bench.size(3_000, 1_000))?;
    let of = |who: &str, path: &str| {
        let found = result.pointer(&format!("/{who}/{path}")).and_then(Value::as_f64);
        found.unwrap_or(f64::NAN)
    };
    let times = |who: &str, when: &str| {
        let of = |what| of(who, &format!("{when}/{what}"));
        format!("{:.0} / {:.0} µs, {:.0} Mbit/s", of("p50_us"), of("p99_us"), of("mbit"))
    };
    let row = |figure: &str, when: &str| {
        Row::new(figure, times("proxy", when), "").beside(
            format!("copy relay: {}", times("copy", when)),
            of("proxy", &format!("{when}/p99_us")) / of("copy", &format!("{when}/p99_us")),
        )
    };
    let part = Row::new(
        "What a member gets by eight streams against one of nine with one each, all greedy",
        format!("{:.2} ×", of("proxy", "part")),
        "≤ 1.25 ×",
    );
    Ok(vec![
        row("Nine members, each 64 KiB every 10 ms, alone: p50 / p99, all together", "alone"),
        row("… beside a member that floods by eight streams", "flooded"),
        part.beside(format!("copy relay: {:.2} ×", of("copy", "part")), of("proxy", "part") / of("copy", "part")),
    ])
}

/// What the kernel forwards between two hosts by way of a third, as a ceiling.
fn kernel(bench: &Bench) -> Result<Vec<Row>, String> {
    let forwarded = match iperf3(bench.size(5, 3)) {
        Ok(mbit) => format!("{:.0} Mbit/s", median(&mbit)),
        Err(why) => format!("not measured: {why}"),
    };
    Ok(vec![Row::new("iperf3 through kernel forwarding, one stream between three hosts", forwarded, "")])
}

fn iperf3(rounds: usize) -> Result<Vec<f64>, String> {
    let [switch, a, b, c] = [Host::new()?, Host::new()?, Host::new()?, Host::new()?];
    for (host, bridge, card, address) in [
        (&a, "left", "eth0", "10.1.0.1/24"),
        (&b, "left", "eth0", "10.1.0.2/24"),
        (&b, "right", "eth1", "10.2.0.2/24"),
        (&c, "right", "eth0", "10.2.0.1/24"),
    ] {
        let port = format!("p{}", address.replace(['.', '/'], ""));
        host.plug(&switch, bridge, &port, card)?;
        host.run(&format!("ip addr add {address} dev {card}"))?;
    }
    b.run("sysctl -qw net.ipv4.ip_forward=1")?;
    a.run("ip route add 10.2.0.0/24 via 10.1.0.2")?;
    c.run("ip route add 10.1.0.0/24 via 10.2.0.2")?;
    let mut server = c.command("iperf3");
    let _server = Running::start(server.args(["-s", "-p", "5201"]))?;
    wait("iperf3", Duration::from_millis(100), || a.run("iperf3 -c 10.2.0.1 -p 5201 -n 1M").is_ok())?;
    let one = || {
        let text = output(a.command("iperf3").args(["-c", "10.2.0.1", "-p", "5201", "-t", "3", "-J"]))?;
        let report: Value = serde_json::from_str(&text).map_err(|error| format!("iperf3: {error}"))?;
        let bps = report.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64);
        bps.map(|bps| bps / 1e6).ok_or_else(|| "iperf3 says nothing".to_owned())
    };
    (0..rounds).map(|_| one()).collect()
}
