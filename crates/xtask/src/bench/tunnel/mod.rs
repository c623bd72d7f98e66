//! `cargo xtask bench tunnel`: what people get from a forward over tunnels, real programs at both ends, beside the
//! kernel, one TLS connection, ssh and virtual networks on the same hosts.

mod carriers;
mod rivals;

use std::time::Duration;

use super::routing::arrivals::{longest_gap_ms, now_us};
use super::routing::has_program;
use super::table::Row;
use super::{Bench, Figure, median};
use carriers::{Carrying, DIRECT, ECHO, IPERF, PROXY, Plan, TAKE, THROUGH, Who};

/// The parts, by the names that `--only` knows.
pub(super) const PARTS: &[(&str, Figure)] = &[
    ("through", through),
    ("direct", direct),
    ("paths", two_paths),
    ("echo", small_under_bulk),
    ("gaps", gaps),
    ("socks", socks),
    ("udp", udp),
];

/// The rate of a slow cable, as tbf writes it.
const SLOW: Option<&str> = Some("100mbit");

/// Streams at once.
const STREAMS: [usize; 2] = [1, 8];

/// One who carries, and his figures by [`STREAMS`].
struct Contender {
    who: Who,
    rates: [Vec<f64>; STREAMS.len()],
}

fn contenders(bench: &Bench, all: &[Who]) -> Vec<Contender> {
    let is_wanted = |who: &&Who| {
        let names = bench.rivals.as_ref();
        **who == Who::Mesh || names.is_none_or(|names| names.iter().any(|name| who.name().starts_with(name)))
    };
    let is_there = |who: &&Who| {
        let is_there = who.program().is_none_or(|program| has_program(program) || has_program_of_root(program));
        if !is_there {
            println!("skipped: {}: it is not installed", who.name());
        }
        is_there
    };
    all.iter()
        .filter(is_wanted)
        .filter(is_there)
        .map(|who| Contender { who: *who, rates: Default::default() })
        .collect()
}

fn has_program_of_root(name: &str) -> bool {
    ["/usr/sbin", "/sbin"].iter().any(|folder| std::path::Path::new(folder).join(name).is_file())
}

/// The member in the middle: at rest, and the most it ever took, in MiB.
type Memory = (f64, f64);

/// Every contender once a round, and what the member in the middle took.
fn race(bench: &Bench, plan: Plan, all: &[Who]) -> (Vec<Contender>, Vec<Memory>) {
    let mut contenders = contenders(bench, all);
    let (mut memory, seconds) = (Vec::new(), bench.size(5, 2));
    for round in 1..=bench.rounds(3, 1) {
        for contender in &mut contenders {
            let name = contender.who.name();
            match lap(bench, plan, contender, seconds) {
                Ok(took) => memory.extend(took),
                Err(why) => println!("{:?}, round {round}: {name}: no figure: {why}", plan.path),
            }
            let last: Vec<f64> = contender.rates.iter().filter_map(|rates| rates.last().copied()).collect();
            println!("{:?}, round {round}: {name}: {last:.0?} Mbit/s by {STREAMS:?} streams", plan.path);
        }
    }
    (contenders, memory)
}

fn lap(bench: &Bench, plan: Plan, contender: &mut Contender, seconds: usize) -> Result<Option<Memory>, String> {
    let carrying = Carrying::start(bench, contender.who, plan)?;
    let middle = carrying.members.get(1).and_then(Option::as_ref);
    let at_rest = middle.map(super::process::Running::rss_mib);
    for (streams, rates) in STREAMS.into_iter().zip(&mut contender.rates) {
        rates.push(carrying.throughput(seconds, streams)?);
    }
    Ok(at_rest.zip(middle.map(super::process::Running::peak_mib)))
}

/// The mesh beside each of the others.
fn rows(figure: &str, contenders: &[Contender], aim: &'static str) -> Vec<Row> {
    let Some((mesh, others)) = contenders.split_first() else { return Vec::new() };
    let mut rows = Vec::new();
    for ((streams, own), number) in STREAMS.into_iter().zip(&mesh.rates).zip(0..) {
        let value = format!("{:.0} Mbit/s", median(own));
        let word = if streams == 1 { "stream" } else { "streams" };
        rows.push(Row::new(format!("{figure}, {streams} {word}"), value.clone(), aim));
        for other in others {
            let theirs = other.rates.get(number).map_or(f64::NAN, |rates| median(rates));
            let row = Row::new("… beside", value.clone(), "");
            rows.push(row.beside(format!("{}: {theirs:.0} Mbit/s", other.who.name()), median(own) / theirs));
        }
    }
    rows
}

fn through(bench: &Bench) -> Result<Vec<Row>, String> {
    let all = [Who::Mesh, Who::Kernel, Who::Tls, Who::Ssh, Who::Tinc, Who::Nebula, Who::Yggdrasil];
    let (contenders, memory) = race(bench, THROUGH, &all);
    let mut rows = rows("A to C over B", &contenders, "≥ 0.7 of TLS, ≥ 1.5 of the best network");
    let (idle, peak): (Vec<f64>, Vec<f64>) = memory.into_iter().unzip();
    let value = format!("{:.1} MiB at rest, {:.1} MiB at most", median(&idle), median(&peak));
    rows.push(Row::new("RSS of the member at B during it", value, "≤ at rest + 8 MiB"));
    Ok(rows)
}

fn direct(bench: &Bench) -> Result<Vec<Row>, String> {
    let (contenders, _) = race(bench, DIRECT, &[Who::Mesh, Who::Kernel, Who::Tls, Who::Ssh]);
    Ok(rows("A to B, linked", &contenders, "≥ 0.8 of TLS"))
}

/// A, and C over B and D.
fn square(rates: [Option<&'static str>; 4]) -> Plan {
    Plan { path: &[0, 1, 2], helpers: &[3], rates }
}

/// Waits until A has both ways.
fn wait_for_ways(bench: &Bench, carrying: &Carrying) -> Result<(), String> {
    super::process::wait("two ways", Duration::from_millis(200), || carrying.ways(bench, 2) == 2)
}

fn two_paths(bench: &Bench) -> Result<Vec<Row>, String> {
    let pairs = [("100 and 100", "100mbit", "≥ 185 Mbit/s"), ("100 and 30", "30mbit", "≥ 118 Mbit/s")];
    let mut rows = Vec::new();
    for (name, second, aim) in pairs {
        let mut rates = Vec::new();
        for round in 1..=bench.rounds(3, 1) {
            let plan = square([SLOW, SLOW, Some(second), Some(second)]);
            let measured = Carrying::start(bench, Who::Mesh, plan).and_then(|carrying| {
                wait_for_ways(bench, &carrying)?;
                carrying.throughput(bench.size(15, 8), 1)
            });
            println!("two paths of {name} Mbit/s, round {round}: {measured:.1?}");
            rates.extend(measured);
        }
        rows.push(Row::new(
            format!("One stream over two paths of {name} Mbit/s"),
            format!("{:.0} Mbit/s", median(&rates)),
            aim,
        ));
    }
    Ok(rows)
}

/// Median and 99th of a hundred, of echoes in milliseconds.
fn echoes(bench: &Bench, carrying: &Carrying) -> Result<(f64, f64), String> {
    let count = bench.size(1_000, 300);
    let told = carrying.near(bench, &["tcp-ask", "--to", &carrying.to(ECHO), "--count", &count.to_string()])?;
    let mut times: Vec<f64> = told.lines().filter_map(|line| line.parse::<f64>().ok()).map(|us| us / 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(f64::NAN);
    Ok((at(50), at(99)))
}

/// Echoes at rest, then beside a stream that fills the cables: median and 99th of a hundred of each.
fn echoes_twice(bench: &Bench, who: Who) -> Result<[f64; 4], String> {
    let carrying = Carrying::start(bench, who, Plan { rates: [SLOW, SLOW, None, None], ..THROUGH })?;
    let idle = echoes(bench, &carrying)?;
    let mut bulk = carrying.square.host(0)?.command("iperf3");
    bulk.args(["-c", &carrying.host, "-p", &IPERF.to_string(), "-t", "60"]);
    let _bulk = super::process::Running::start(&mut bulk)?;
    std::thread::sleep(Duration::from_secs(2));
    let loaded = echoes(bench, &carrying)?;
    Ok([idle.0, idle.1, loaded.0, loaded.1])
}

fn small_under_bulk(bench: &Bench) -> Result<Vec<Row>, String> {
    let contenders = contenders(bench, &[Who::Mesh, Who::Tls, Who::Kernel, Who::Ssh]);
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 1..=bench.rounds(3, 1) {
        for (Contender { who, .. }, times) in contenders.iter().zip(&mut times) {
            let measured = echoes_twice(bench, *who);
            println!("echo idle and under bulk, round {round}, {}: {measured:.2?} ms", who.name());
            times.extend(measured);
        }
    }
    let row = |(Contender { who, .. }, times): (&Contender, &Vec<[f64; 4]>)| {
        let [p50, p99, p50_loaded, p99_loaded] =
            [0, 1, 2, 3].map(|at| median(&times.iter().filter_map(|times| times.get(at).copied()).collect::<Vec<_>>()));
        let worst = times.iter().map(|[.., p99]| *p99).fold(f64::NAN, f64::max);
        let value = format!(
            "idle p50 {p50:.2} ms, p99 {p99:.2} ms; under bulk p50 {p50_loaded:.2} ms, p99 {p99_loaded:.2} ms, worst {worst:.2} ms"
        );
        let aim = if *who == Who::Mesh { "p99 ≤ 12 ms under bulk" } else { "" };
        Row::new(format!("Echo A to C over B, 100 Mbit/s, {}", who.name()), value, aim)
    };
    Ok(contenders.iter().zip(&times).map(row).collect())
}

/// What becomes of the way in use.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    Cut,
}

fn gaps(bench: &Bench) -> Result<Vec<Row>, String> {
    let figures = [(Fault::Kill, "killed", "≤ 30 ms"), (Fault::Cut, "not heard any more", "≤ 3 RTT + 100 ms")];
    let mut rows = Vec::new();
    for (fault, word, aim) in figures {
        let mut times = Vec::new();
        for round in 1..=bench.rounds(10, 3) {
            let measured = gap(bench, fault);
            println!("{fault:?}, round {round}: {measured:.1?} ms");
            times.extend(measured);
        }
        let worst = times.iter().copied().fold(f64::NAN, f64::max);
        let figure =
            format!("Longest gap of a stream of 9.6 Mbit/s, {} rounds, the member in the middle {word}", times.len());
        rows.push(Row::new(figure, format!("{:.0} ms, worst {worst:.0} ms", median(&times)), aim));
    }
    Ok(rows)
}

/// The longest time without a record, in milliseconds, around a fault.
fn gap(bench: &Bench, fault: Fault) -> Result<f64, String> {
    let mut carrying = Carrying::start(bench, Who::Mesh, square([SLOW; 4]))?;
    wait_for_ways(bench, &carrying)?;
    let to = carrying.to(TAKE);
    let mut give = carrying.square.host(0)?.command(&bench.bin.join("examples/bench").to_string_lossy());
    let _give = super::routing::arrivals::Heard::start(give.args(["tcp-give", "--to", &to, "--body", "1200"]))?;
    std::thread::sleep(Duration::from_secs(3));
    let middle = carrying.square.in_use()?.unwrap_or(1);
    let began = now_us();
    match fault {
        Fault::Kill => drop(carrying.members.get_mut(middle).and_then(Option::take)),
        Fault::Cut => carrying.square.cut(0, middle)?,
    }
    std::thread::sleep(Duration::from_secs(5));
    let arrivals = carrying.taken.arrivals(began - 100_000);
    if arrivals.is_empty() {
        return Err("nothing arrived".to_owned());
    }
    Ok(longest_gap_ms(&arrivals, now_us()))
}

/// Mbit/s of UDP that are tried, one after the other, until more than a per cent is lost.
const UDP_RATES: [usize; 7] = [50, 100, 200, 400, 800, 1_200, 1_600];

fn udp(bench: &Bench) -> Result<Vec<Row>, String> {
    let mut contenders = contenders(bench, &[Who::Mesh, Who::Kernel, Who::Tinc, Who::Nebula]);
    for round in 1..=bench.rounds(3, 1) {
        for Contender { who, rates: [rates, _] } in &mut contenders {
            let best = Carrying::start(bench, *who, THROUGH).map(|carrying| best_udp(bench, &carrying));
            println!("UDP, round {round}: {}: {best:?} Mbit/s", who.name());
            rates.extend(best);
        }
    }
    let row = |Contender { who, rates: [rates, _] }: &Contender| {
        let figure = format!("UDP of 1,200 bytes A to C over B, {}, most with at most 1 % lost", who.name());
        Row::new(figure, format!("{:.0} Mbit/s", median(rates)), "")
    };
    Ok(contenders.iter().map(row).collect())
}

fn best_udp(bench: &Bench, carrying: &Carrying) -> f64 {
    let is_carried = |rate: &usize| {
        let loss = carrying.udp_loss(bench.size(5, 2), *rate);
        println!("… {rate} Mbit/s: {loss:.2?} % lost");
        loss.is_ok_and(|lost| lost <= 1.0)
    };
    UDP_RATES.into_iter().take_while(is_carried).last().unwrap_or(0) as f64
}

fn socks(bench: &Bench) -> Result<Vec<Row>, String> {
    let count = bench.size(2_000, 300).to_string();
    let mut rows = Vec::new();
    for at_once in ["1", "16"] {
        let rate = |who: Who, to: &str| {
            let carrying = Carrying::start(bench, who, THROUGH)?;
            let words = ["socks", "--proxy", PROXY, "--to", to, "--count", &count, "--at-once", at_once];
            let told = carrying.near(bench, &words)?;
            told.trim().parse::<f64>().map_err(|error| format!("{told}: {error}"))
        };
        let own = rate(Who::Mesh, &format!("eddy.mesh:{ECHO}"));
        let ssh = rate(Who::Ssh, &format!("127.0.0.1:{ECHO}"));
        println!("SOCKS5, {at_once} at once: meshline {own:.0?}, ssh {ssh:.0?} a second");
        let own = own.unwrap_or(f64::NAN);
        let row = Row::new(
            format!("SOCKS5 connections with an echo over B, {at_once} at once"),
            format!("{own:.0} a second"),
            "",
        );
        rows.push(match ssh {
            Ok(ssh) => row.beside(format!("ssh -D -J: {ssh:.0} a second"), own / ssh),
            Err(_) => row,
        });
    }
    Ok(rows)
}
