//! What a proxy's pipe carries and costs, beside a plain copy relay (tokio, 64 KiB buffers) and a plain splice relay
//! (blocking threads) on the same machine in the same minutes, and what a thousand pairs take of memory.
//!
//! The two ends are plain sockets: two members get tickets from the proxy, and what they would do with them is done here.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::thread;
use std::time::{Duration, Instant};

use meshline_net::MeshHandle;
use meshline_protocol::message::Role;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::Plan;
use crate::child::{Served, announce};
use crate::figures::median;
use crate::stack::{key, node, status};
use crate::usage::{cpu_ns, rss_bytes};

const PIECE: usize = 64 * 1024;

/// Members that make 1,035 pairs.
const MEMBERS: u32 = 46;

/// Bytes of an echo.
const MESSAGE: usize = 64;

/// A proxy that relays so much.
pub(crate) async fn serve_proxy(relays: usize) {
    let key = key(u32::MAX);
    let id = key.id();
    let mesh = node(key, |config| {
        config.roles = vec![Role::Proxy];
        (config.max_links, config.max_relays, config.max_relays_per_member) = (256, relays, relays);
    })
    .await;
    announce(mesh.listening()[0].as_str().parse().unwrap(), Some(id));
    std::future::pending().await
}

/// A relay that copies.
pub(crate) async fn serve_copy(to: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    announce(listener.local_addr().unwrap(), None);
    loop {
        let (mut one, _) = listener.accept().await.unwrap();
        let to = to.to_owned();
        drop(tokio::spawn(async move {
            let Ok(mut other) = TcpStream::connect(to).await else { return };
            let _ = (one.set_nodelay(true), other.set_nodelay(true));
            let _ = copy_bidirectional_with_sizes(&mut one, &mut other, PIECE, PIECE).await;
        }));
    }
}

/// A relay that splices, with a thread each way.
pub(crate) fn serve_splice(to: &str) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    announce(listener.local_addr().unwrap(), None);
    for one in listener.incoming() {
        let (one, Ok(other)) = (one.unwrap(), StdStream::connect(to)) else { continue };
        let _ = (one.set_nodelay(true), other.set_nodelay(true));
        let ends = (one.try_clone().unwrap(), other.try_clone().unwrap());
        for (from, to) in [(one, other), (ends.1, ends.0)] {
            drop(thread::Builder::new().stack_size(PIECE).spawn(move || splice_all(&from, &to)).unwrap());
        }
    }
}

fn splice_all(from: &StdStream, to: &StdStream) {
    let (out, into) = pipe().unwrap();
    let _ = fcntl_setpipe_size(&into, 4 * PIECE);
    let flags = SpliceFlags::MOVE;
    while let Ok(mut left @ 1..) = splice(from, None, &into, None, 4 * PIECE, flags) {
        while left > 0 {
            let Ok(moved @ 1..) = splice(&out, None, to, None, left, flags) else { return };
            left -= moved;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// One way through a relay.
struct Path {
    name: &'static str,
    relay: Option<u32>,
    near: StdStream,
    far: StdStream,
}

/// What was measured of one.
#[derive(Default)]
struct Figures {
    mbit: Vec<f64>,
    cpu_ns_per_kib: Vec<f64>,
    rtt_us: Vec<f64>,
}

pub(crate) async fn run(plan: Plan) {
    let proxy = Served::start(&["serve-proxy", "--relays", "16"]);
    let ours = through_proxy(&proxy, [1, 2]).await;
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let copy = Served::start(&["serve-relay-copy", "--to", &to.to_string()]);
    let spliced = Served::start(&["serve-relay-splice", "--to", &to.to_string()]);
    let mut paths = vec![Path { name: "proxy", relay: Some(proxy.pid()), near: ours.0, far: ours.1 }];
    for (name, at, relay) in [
        ("copy", copy.address, Some(copy.pid())),
        ("splice", spliced.address, Some(spliced.pid())),
        ("direct", to, None),
    ] {
        let near = StdStream::connect(at).unwrap();
        paths.push(Path { name, relay, near, far: listener.accept().unwrap().0 });
    }
    for path in &paths {
        let _ = (path.near.set_nodelay(true), path.far.set_nodelay(true));
    }
    let mut figures: Vec<Figures> = paths.iter().map(|_| Figures::default()).collect();
    for round in 0..=plan.rounds {
        for turn in 0..paths.len() {
            // Each begins a round once.
            let at = (turn + round) % paths.len();
            let measured = measure(&paths[at], plan.size << 20);
            // The first round warms up.
            if round > 0 {
                let [mbit, cpu, rtt] = measured;
                figures[at].mbit.push(mbit);
                figures[at].cpu_ns_per_kib.push(cpu);
                figures[at].rtt_us.push(rtt);
            }
        }
    }
    let pairs = memory(&copy, &spliced, &listener).await;
    report(&paths, &figures, pairs);
}

/// Throughput in Mbit/s, the relay's processor time for a KiB in nanoseconds, and the median round trip in microseconds.
fn measure(path: &Path, bytes: usize) -> [f64; 3] {
    let cpu = || path.relay.map_or(0, cpu_ns);
    let before = cpu();
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| give(&path.near, bytes));
        take(&path.far, bytes);
    });
    let took = began.elapsed().as_secs_f64();
    let used = (cpu() - before) as f64;
    let echoes = 2_000;
    let mut trips: Vec<f64> = Vec::with_capacity(echoes);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut message, mut far) = ([0; MESSAGE], &path.far);
            for _ in 0..echoes {
                far.read_exact(&mut message).unwrap();
                far.write_all(&message).unwrap();
            }
        });
        let (mut message, mut near) = ([7; MESSAGE], &path.near);
        for _ in 0..echoes {
            let began = Instant::now();
            near.write_all(&message).unwrap();
            near.read_exact(&mut message).unwrap();
            trips.push(began.elapsed().as_secs_f64() * 1e6);
        }
    });
    [bytes as f64 * 8.0 / took / 1e6, used / (bytes as f64 / 1024.0), median(trips)]
}

fn give(mut to: &StdStream, bytes: usize) {
    let piece = vec![5; 2 * PIECE];
    for _ in 0..bytes / piece.len() {
        to.write_all(&piece).unwrap();
    }
}

fn take(mut from: &StdStream, bytes: usize) {
    let (mut piece, mut left) = (vec![0; 4 * PIECE], bytes);
    while left > 0 {
        let most = left.min(piece.len());
        left -= from.read(&mut piece[..most]).unwrap();
    }
}

/// Two ends joined by a proxy: the tickets that two members got are shown here.
pub(crate) async fn through_proxy(proxy: &Served, keys: [u32; 2]) -> (StdStream, StdStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shim = listener.local_addr().unwrap();
    let (tickets, mut came) = mpsc::unbounded_channel();
    let to = proxy.address;
    drop(tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            drop(tokio::spawn(between(near, to, tickets.clone())));
        }
    }));
    let members = [member(keys[0], shim).await, member(keys[1], shim).await];
    let mut ends = Vec::new();
    for _ in 0..2 {
        let ticket: String = came.recv().await.unwrap();
        let mut end = StdStream::connect(to).unwrap();
        end.write_all(ticket.as_bytes()).unwrap();
        ends.push(end);
    }
    // Their keys may be used again; the proxy lets what it carries for them go on.
    for member in members {
        member.shutdown().await;
    }
    (ends.pop().unwrap(), ends.pop().unwrap())
}

/// A member's connection: links go on to the proxy, tickets come here.
async fn between(mut near: TcpStream, to: SocketAddr, tickets: mpsc::UnboundedSender<String>) {
    let mut first = [0];
    if near.peek(&mut first).await.unwrap_or(0) == 0 {
        return;
    }
    if first == *b"{" {
        let mut line = String::new();
        if BufReader::new(near).read_line(&mut line).await.is_ok() {
            let _ = tickets.send(line);
        }
    } else if let Ok(mut far) = TcpStream::connect(to).await {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}

async fn member(number: u32, proxy: SocketAddr) -> MeshHandle {
    node(key(number), |config| {
        config.listen.clear();
        (config.proxies, config.max_links) = (vec![proxy.into()], 256);
    })
    .await
}

/// Bytes of memory a pair takes of each: of the proxy, of what copies, of what splices.
async fn memory(copy: &Served, spliced: &Served, listener: &StdListener) -> [f64; 3] {
    let [without, with] = [members_of(0).await, members_of(65_536).await];
    let pairs = f64::from(MEMBERS * (MEMBERS - 1) / 2);
    let rival = |served: &Served| {
        let before = rss_bytes(served.pid());
        let count = 1_000;
        let held: Vec<_> =
            (0..count).map(|_| (StdStream::connect(served.address).unwrap(), listener.accept().unwrap())).collect();
        for (near, (far, _)) in &held {
            // Something must have been carried, or a relay would not have begun.
            give_little(near, far);
        }
        (rss_bytes(served.pid()) as f64 - before as f64) / held.len() as f64
    };
    [(with - without) / pairs, rival(copy), rival(spliced)]
}

fn give_little(mut near: &StdStream, mut far: &StdStream) {
    near.write_all(&[1; MESSAGE]).unwrap();
    far.read_exact(&mut [0; MESSAGE]).unwrap();
}

/// Memory of a proxy with all members linked to it, and to each other through it as far as it lets them.
async fn members_of(relays: usize) -> f64 {
    let proxy = Served::start(&["serve-proxy", "--relays", &relays.to_string()]);
    let mut members: Vec<MeshHandle> = Vec::new();
    for number in 1..=MEMBERS {
        let joining = member(number + 100, proxy.address).await;
        // One after the other: a thousand handshakes at once would measure this machine's patience.
        let wanted = if relays == 0 { 1 } else { 1 + members.len() };
        let began = Instant::now();
        while status(&joining).await.links.len() < wanted {
            assert!(began.elapsed() < Duration::from_secs(60), "member {number} is not linked with {wanted}");
            sleep(Duration::from_millis(20)).await;
        }
        members.push(joining);
    }
    // What the start took is given back.
    sleep(Duration::from_secs(5)).await;
    rss_bytes(proxy.pid()) as f64
}

fn report(paths: &[Path], figures: &[Figures], pairs: [f64; 3]) {
    let mut result = serde_json::Map::new();
    let of = |values: &Vec<f64>| median(values.iter().copied());
    for (path, figures) in paths.iter().zip(figures) {
        let (mbit, cpu, rtt) = (of(&figures.mbit), of(&figures.cpu_ns_per_kib), of(&figures.rtt_us));
        println!("{:8} {mbit:8.0} Mbit/s  {cpu:6.1} CPU-ns/KiB  {rtt:6.1} us round trip", path.name);
        println!("         rounds: {:.0?} Mbit/s", figures.mbit);
        result.insert(
            path.name.to_owned(),
            serde_json::json!({ "mbit": mbit, "cpu_ns_per_kib": cpu, "rtt_us": rtt, "rounds": figures.mbit.len() }),
        );
    }
    println!("memory of a pair: proxy {:.0}, copy {:.0}, splice {:.0} bytes", pairs[0], pairs[1], pairs[2]);
    result.insert("pair_bytes".to_owned(), serde_json::json!(pairs));
    println!("{}", serde_json::Value::Object(result));
}
