//! From the start of a node's process to "ready", with one peer that runs already.

use std::time::{Duration, Instant};

use super::process::wait;
use super::ring::Ring;
use super::table::Row;
use super::{Bench, api, median};

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, 2, false)?;
    let _peer = ring.start(1)?;
    let pause = Duration::from_millis(1);
    wait("the peer is ready", pause, || api::is_ready(&ring.socket(1)))?;
    let (mut millis, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..bench.size(10, 3) {
        let began = Instant::now();
        let node = ring.start(2)?;
        wait("the node is ready", pause, || api::is_ready(&ring.socket(2)))?;
        millis.push(began.elapsed().as_secs_f64() * 1e3);
        cpu.push(node.cpu_s() * 1e3);
        drop(node);
        wait("the peer lost its link", pause, || api::links(&ring.socket(1)) == 0)?;
    }
    let (least, most) =
        (millis.iter().copied().fold(f64::INFINITY, f64::min), millis.iter().copied().fold(0.0, f64::max));
    let value = format!("{:.0} ms ({least:.0} to {most:.0}), {:.0} CPU-ms", median(&millis), median(&cpu));
    println!("start to ready: {value}");
    Ok(vec![Row::new(format!("Start to ready, {} runs", millis.len()), value, "≤ 150 ms")])
}
