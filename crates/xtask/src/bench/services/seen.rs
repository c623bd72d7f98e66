//! From the request to advertise a service until another member tells of it, over real nodes on this machine.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use serde_json::json;

use super::at_share;
use crate::bench::Bench;
use crate::bench::ring::Ring;
use crate::bench::table::Row;

/// Meshes, by their nodes. All of them share the processors of this machine.
const MESHES: &[u16] = &[5, 50];
const SMALL: &[u16] = &[3];

/// Longer than it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two advertisements: the one before is withdrawn, and a list follows another after half a second at the soonest.
const PAUSE: Duration = Duration::from_millis(1_200);

/// When somebody told of a service, and of which.
type Told = (String, Instant);

pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let meshes = if bench.small { SMALL } else { MESHES };
    let rows = meshes.iter().map(|nodes| measure(bench, *nodes)).collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn measure(bench: &Bench, nodes: u16) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, nodes, true)?;
    let _signal = ring.start_signal()?;
    let _running = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    ring.wait_linked()?;
    let (sender, told) = mpsc::channel();
    for number in ring.numbers().skip(1) {
        listen(&ring.socket(number), sender.clone())?;
    }
    std::thread::sleep(Duration::from_secs(2));
    let count = bench.rounds(25, 5);
    let mut millis = Vec::new();
    for round in 0..count {
        millis.extend(once(&ring.socket(1), &format!("bench-{round}"), (&told, usize::from(nodes) - 1))?);
        std::thread::sleep(PAUSE);
    }
    let (p50, p99) = (at_share(&millis, 0.5), at_share(&millis, 0.99));
    println!("{nodes} nodes: advertise to seen p50 {p50:.1} ms, p99 {p99:.1} ms");
    let figure = |share: &str| format!("Advertise to seen by the others, {nodes} nodes, {count} services, {share}");
    Ok(vec![
        Row::new(figure("p50"), format!("{p50:.1} ms"), "≤ 1 s"),
        Row::new(figure("p99"), format!("{p99:.1} ms"), ""),
    ])
}

/// Tells of each service that a node tells of, with the time.
fn listen(socket: &Path, sender: Sender<Told>) -> Result<(), String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| format!("{}: {error}", socket.display()))?;
    let request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    stream.write_all(request).map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        let mut is_added = false;
        // It ends with the node.
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Some(name) = line.strip_prefix("event:") {
                is_added = name.trim() == "service_added";
            }
            let name = line.split_once("\"name\":\"").and_then(|(_, rest)| rest.split_once('"'));
            if let Some((name, _)) = name.filter(|_| is_added && line.starts_with("data:"))
                && sender.send((name.to_owned(), Instant::now())).is_err()
            {
                return;
            }
        }
    });
    Ok(())
}

/// Milliseconds until each of the others told of it.
fn once(socket: &Path, name: &str, (told, others): (&Receiver<Told>, usize)) -> Result<Vec<f64>, String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    let body = json!({"name": name, "kind": "_http._tcp", "target": "tcp://127.0.0.1:9", "allow": ["*"]}).to_string();
    let head = "POST /api/v1/services HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let began = Instant::now();
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut millis = Vec::new();
    while millis.len() < others {
        let (found, at) = told
            .recv_timeout(PATIENCE)
            .map_err(|_| format!("{} of {others} tell of {name} within {} s", millis.len(), PATIENCE.as_secs()))?;
        if found == name {
            millis.push(at.saturating_duration_since(began).as_secs_f64() * 1e3);
        }
    }
    Ok(millis)
}
