//! Echoes of 64 bytes: between two nodes over one TLS link, and over raw TCP.

use std::time::Instant;

use meshline_mesh::{Command, Reply};
use meshline_net::MeshHandle;
use meshline_protocol::NodeId;
use serde_json::{Value, json};

use crate::Plan;
use crate::child::Served;
use crate::figures::{median, median_ratio, percentile, rounded};
use crate::placement::placements;
use crate::raw::{Line, Raw};
use crate::stack::{key, linked, node};

/// With a number of four digits, `{"ping":{"nonce":1234,"text":"…"}}` and LF are 64 bytes.
const TEXT: &str = "thirty bytes to come back here";

/// Echoes before the first that counts.
const WARM_UP: usize = 500;

/// p50 and p99 of each round, in microseconds.
#[derive(Debug, Default)]
struct Rounds {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, mut nanos: Vec<u64>) {
        self.p50.push(percentile(&mut nanos, 0.5) / 1e3);
        self.p99.push(percentile(&mut nanos, 0.99) / 1e3);
    }

    fn last(&self) -> String {
        let (p50, p99) = (self.p50.last().unwrap(), self.p99.last().unwrap());
        format!("p50 {p50:6.1} µs, p99 {p99:6.1} µs")
    }
}

pub(crate) async fn run(plan: Plan) {
    let (raw_side, mesh_side) = (Served::start(&["serve-raw"]), Served::start(&["serve-stack"]));
    let mut raw = Raw::connect(raw_side.address).await;
    let peer = mesh_side.id.unwrap();
    let mesh = node(key(1), |config| config.peers = vec![mesh_side.address.into()]).await;
    linked(&mesh, peer).await;
    let mut results = Vec::new();
    for placement in placements() {
        placement.apply(&[raw_side.pid(), mesh_side.pid()]);
        raw_echoes(&mut raw, WARM_UP).await;
        mesh_echoes(&mesh, peer, WARM_UP).await;
        let (mut of_raw, mut of_mesh) = (Rounds::default(), Rounds::default());
        for round in 1..=plan.rounds {
            of_raw.add(raw_echoes(&mut raw, plan.size).await);
            of_mesh.add(mesh_echoes(&mesh, peer, plan.size).await);
            println!("echo, {}, round {round}: raw {} | mesh {}", placement.name, of_raw.last(), of_mesh.last());
        }
        results.push(result(placement.name, &of_mesh, &of_raw));
    }
    mesh.shutdown().await;
    println!("{}", json!({ "mode": "echo", "rounds": plan.rounds, "size": plan.size, "placements": results }));
}

fn result(placement: &str, of_mesh: &Rounds, of_raw: &Rounds) -> Value {
    let middle = |values: &[f64]| rounded(median(values.iter().copied()), 1);
    json!({
        "placement": placement,
        "mesh_p50_us": middle(&of_mesh.p50), "raw_p50_us": middle(&of_raw.p50),
        "mesh_p99_us": middle(&of_mesh.p99), "raw_p99_us": middle(&of_raw.p99),
        "ratio_p50": rounded(median_ratio(&of_mesh.p50, &of_raw.p50), 2),
        "ratio_p99": rounded(median_ratio(&of_mesh.p99, &of_raw.p99), 2),
    })
}

async fn raw_echoes(raw: &mut Raw, count: usize) -> Vec<u64> {
    let mut nanos = Vec::with_capacity(count);
    for nonce in (1_000..).take(count) {
        let began = Instant::now();
        raw.write(&Line::Ping { nonce, text: TEXT.to_owned() }).await;
        let Some(Line::Pong { nonce: back, text }) = raw.read().await else { panic!("no pong") };
        nanos.push(u64::try_from(began.elapsed().as_nanos()).unwrap());
        assert!(back == nonce && text == TEXT, "another echo");
    }
    nanos
}

async fn mesh_echoes(mesh: &MeshHandle, peer: NodeId, count: usize) -> Vec<u64> {
    let mut nanos = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        let ping = Command::Ping { peer, text: TEXT.to_owned() };
        let reply = mesh.command(meshline_services::Command::Mesh(ping)).await;
        nanos.push(u64::try_from(began.elapsed().as_nanos()).unwrap());
        assert!(matches!(reply, meshline_services::Reply::Mesh(Reply::Pong { .. })), "{reply:?}");
    }
    nanos
}
