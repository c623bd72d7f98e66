//! A full mesh on this machine: how long from the first process to the last link, and what of it is what.

use std::time::Instant;

use super::process::Running;
use super::ring::Ring;
use super::table::Row;
use super::{Bench, links};

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let nodes = u16::try_from(bench.size(50, 10)).unwrap_or(50);
    let links = f64::from(nodes) * f64::from(nodes - 1) / 2.0;
    let (handshake, row) = links::handshakes(bench)?;
    let measured = measure(&Ring::write(bench, nodes, true)?)?;
    let share = handshake * links / 1e6;
    let full = format!("{:.2} s, {:.2} CPU-s", measured.full_s, measured.full_cpu_s);
    println!("{nodes} nodes to full mesh: {full}; all listen after {:.2} s", measured.listen_s);
    let parts = format!("{share:.2} CPU-s");
    let started = format!("{:.2} s, {:.2} CPU-s", measured.listen_s, measured.listen_cpu_s);
    let name = format!("{nodes} nodes to full mesh");
    Ok(vec![
        row,
        Row::new(format!("{name} ({links:.0} links)"), full, if nodes == 50 { "≤ 3 s" } else { "" }),
        Row::new("… of this: processes started, all listen", started, ""),
        Row::new("… of this: handshakes, by the figure above", parts, if nodes == 50 { "about 0.4 CPU-s" } else { "" }),
    ])
}

struct Measured {
    listen_s: f64,
    listen_cpu_s: f64,
    full_s: f64,
    full_cpu_s: f64,
}

fn measure(ring: &Ring) -> Result<Measured, String> {
    let _signal = ring.start_signal()?;
    let began = Instant::now();
    let nodes = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    let cpu_s = || nodes.iter().map(Running::cpu_s).sum::<f64>();
    ring.wait_listening()?;
    let (listen_s, listen_cpu_s) = (began.elapsed().as_secs_f64(), cpu_s());
    ring.wait_linked()?;
    Ok(Measured { listen_s, listen_cpu_s, full_s: began.elapsed().as_secs_f64(), full_cpu_s: cpu_s() })
}
