//! Requests a second that the local API answers with the state of a node, over connections that are kept, beside a bare
//! hyper server that answers the same bytes. Both run for the whole measurement and are asked in turns.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::bare::Bare;
use crate::bench::process::{Running, wait};
use crate::bench::ring::Ring;
use crate::bench::scratch::Scratch;
use crate::bench::table::Row;
use crate::bench::{Bench, api, median, output};

const PATH: &str = "/api/v1/status";

/// Connections at once: one page, a monitor, and a tool that asks as fast as it can.
const CONNECTIONS: [usize; 3] = [1, 8, 32];

pub(in crate::bench) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, 2, false)?;
    let (_peer, node) = (ring.start(1)?, ring.start(2)?);
    let pause = Duration::from_millis(5);
    wait("the node has its link", pause, || api::links(&ring.socket(2)) == 1)?;
    let place = ring.http(2);
    let scratch = Scratch::new("api")?;
    let file = scratch.path().join("status.json");
    let body = api::document(&ring.socket(2), PATH).ok_or("the node does not tell its state")?;
    fs::write(&file, &body).map_err(|error| error.to_string())?;
    let bare = Bare::serve(bench, &file)?;
    let both = Both { program: bench.bin.join("examples/http"), node: (place, node), bare };
    CONNECTIONS.iter().map(|count| both.measure(bench, *count, body.len())).collect()
}

/// The two that are asked in turns.
struct Both {
    program: PathBuf,
    node: (String, Running),
    bare: Bare,
}

impl Both {
    fn measure(&self, bench: &Bench, connections: usize, bytes: usize) -> Result<Row, String> {
        let millis = bench.size(2_000, 300);
        let (node, bare) = ((&self.node.0, &self.node.1), (&self.bare.address, &self.bare.process));
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut cost, mut bare_cost) = (Vec::new(), Vec::new());
        for _ in 0..bench.size(7, 5) {
            let (rate, cpu_us) = self.ask(node, PATH, connections, millis)?;
            let (bare_rate, bare_cpu_us) = self.ask(bare, "/", connections, millis)?;
            ours.push(rate);
            theirs.push(bare_rate);
            ratios.push(rate / bare_rate);
            cost.push(cpu_us);
            bare_cost.push(bare_cpu_us);
        }
        let told = |rates: &[f64], costs: &[f64]| format!("{:.0}/s, {:.1} CPU-µs each", median(rates), median(costs));
        let (value, rival) = (told(&ours, &cost), told(&theirs, &bare_cost));
        println!("status over {connections} connections: {value}; bare hyper {rival}");
        let figure = format!("GET {PATH}, {bytes} bytes, over {connections} kept connections");
        Ok(Row::new(figure, value, "≥ 0.6 ×").beside(format!("bare hyper: {rival}"), median(&ratios)))
    }

    /// Answers a second, and what one costs the server.
    fn ask(
        &self,
        (place, server): (&String, &Running),
        path: &str,
        connections: usize,
        millis: usize,
    ) -> Result<(f64, f64), String> {
        let before = server.cpu_s();
        let mut client = Command::new(&self.program);
        client.args(["ask", place, path, &connections.to_string(), &millis.to_string()]);
        let rate: f64 = output(&mut client)?.trim().parse().map_err(|error| format!("no rate: {error}"))?;
        let answers = rate * Duration::from_millis(millis as u64).as_secs_f64();
        Ok((rate, (server.cpu_s() - before) * 1e6 / answers))
    }
}
