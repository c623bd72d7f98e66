//! A full mesh on this machine: how long from the first process to the last link, and what of it is what.

use std::time::Instant;

use super::process::Running;
use super::ring::Ring;
use super::table::Row;
use super::{Bench, links};

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let nodes = u16::try_from(bench.size(50, 10)).unwrap_or(50);
    let links = f64::from(nodes) * f64::from(nodes - 1) / 2.0;
    let (handshake_us, handshakes) = links::handshakes(bench)?;
    let ring = Ring::write(bench, nodes, true)?;
    // Without the signal server nobody finds anybody: what it takes is what the starts take.
    let starts = measure(&ring, Ring::wait_listening)?;
    let signal = ring.start_signal()?;
    let mesh = measure(&ring, Ring::wait_linked)?;
    drop(signal);
    println!("{nodes} nodes: started {starts}, full mesh {mesh}");
    let aim = |aim| if bench.small { "" } else { aim };
    Ok(vec![
        handshakes,
        Row::new(format!("{nodes} nodes to full mesh, {links:.0} links"), mesh.to_string(), aim("≤ 3 s")),
        Row::new(format!("… starts alone, until all {nodes} listen"), starts.to_string(), ""),
        Row::new(
            "… handshakes alone, by the figure above",
            format!("{:.2} CPU-s", handshake_us * links / 1e6),
            aim("about 0.4 CPU-s"),
        ),
    ])
}

/// Time on the clock, and of the processors for all nodes together.
struct Took {
    wall_s: f64,
    cpu_s: f64,
}

impl std::fmt::Display for Took {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:.2} s, {:.2} CPU-s", self.wall_s, self.cpu_s)
    }
}

/// Starts all nodes and waits; ends them again.
fn measure(ring: &Ring, wait: fn(&Ring) -> Result<(), String>) -> Result<Took, String> {
    let began = Instant::now();
    let nodes = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    wait(ring)?;
    Ok(Took { wall_s: began.elapsed().as_secs_f64(), cpu_s: nodes.iter().map(Running::cpu_s).sum() })
}
