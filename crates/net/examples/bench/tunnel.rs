//! The rate of one stream of a tunnel, through a whole node in the middle and over a direct link, beside one TLS
//! connection end to end through a process that copies bytes, and beside one TLS connection alone. All ends are
//! processes of their own.

use std::time::{Duration, Instant};

use meshline_net::tls::TlsIdentity;
use meshline_net::{MeshHandle, TunnelStream};
use meshline_protocol::NodeId;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Plan;
use crate::child::{Served, announce, announce_with};
use crate::figures::{median, median_ratio, rounded};
use crate::stack::{key, linked, node};
use crate::usage::cpu_ns;

/// Bytes in one write.
const CHUNK: usize = 128 * 1024;

/// Small messages of one round of echoes.
const ECHOES: usize = 500;

/// Takes streams and connections: a zero byte begins an echo, anything else is thrown away up to its end, which is
/// then confirmed.
pub(crate) async fn serve(middle: Option<&str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = key(77);
    let tls = TlsIdentity::new(&own).unwrap();
    let address = listener.local_addr().unwrap();
    drop(tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            let tls = tls.clone();
            drop(tokio::spawn(async move {
                if let Ok((stream, _)) = tls.accept(socket).await {
                    take(stream).await;
                }
            }));
        }
    }));
    let id = own.id();
    let mesh = node(own, |config| {
        config.peers = middle.iter().map(|address| address.parse().unwrap()).collect();
        config.max_links = if middle.is_some() { 1 } else { 8 };
    })
    .await;
    announce_with(mesh.listening()[0].as_str(), id, address);
    while let Some(stream) = mesh.tunnels().accept().await {
        drop(tokio::spawn(take(stream)));
    }
}

async fn take(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut buffer = vec![0; CHUNK];
    let Ok(kind) = stream.read_u8().await else { return };
    while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
        if kind == 0 && stream.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
        if kind == 0 && stream.flush().await.is_err() {
            return;
        }
    }
    let _ = stream.write_all(&[1]).await;
    let _ = stream.shutdown().await;
}

/// Mbit/s of so many bytes.
async fn rate(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: usize) -> f64 {
    let chunk = vec![5; CHUNK];
    stream.write_all(&[1]).await.unwrap();
    let began = Instant::now();
    for _ in 0..bytes.div_ceil(CHUNK) {
        stream.write_all(&chunk).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 1);
    (bytes.div_ceil(CHUNK) * CHUNK) as f64 * 8.0 / began.elapsed().as_secs_f64() / 1e6
}

/// Does something, and says how many milliseconds of processor all these processes took meanwhile.
async fn weighed<T>(processes: [u32; 5], work: impl Future<Output = T>) -> (T, f64) {
    let used = || processes.iter().map(|process| cpu_ns(*process)).sum::<u64>();
    let before = used();
    let done = work.await;
    (done, (used() - before) as f64 / 1e6)
}

/// Microseconds of an echo: median and 99th of a hundred.
async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> (f64, f64) {
    stream.write_all(&[0]).await.unwrap();
    let mut times = vec![];
    let mut message = [9; 64];
    for _ in 0..ECHOES {
        let began = Instant::now();
        stream.write_all(&message).await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut message).await.unwrap();
        times.push(began.elapsed().as_secs_f64() * 1e6);
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    if std::env::var_os("MESHLINE_BENCH_TIMES").is_some() {
        let slow: Vec<_> = times.iter().enumerate().filter(|(_, time)| **time > 3_000.0).collect();
        eprintln!("slow echoes: {slow:?}");
    }
    times.sort_by(f64::total_cmp);
    (times[ECHOES / 2], times[ECHOES * 99 / 100])
}

async fn open(mesh: &MeshHandle, to: NodeId) -> TunnelStream {
    loop {
        match mesh.tunnels().open(to).await {
            Ok(stream) => return stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// One TLS connection to a process, perhaps through another that copies.
async fn tls(address: std::net::SocketAddr) -> impl AsyncRead + AsyncWrite + Unpin {
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    TlsIdentity::new(&key(78)).unwrap().connect(socket).await.unwrap().0
}

pub(crate) async fn run(plan: Plan) {
    let middle = Served::start(&["serve-stack"]);
    let middle_address = middle.address.to_string();
    let far = Served::start(&["serve-tunnel", "--middle", &middle_address]);
    let near = Served::start(&["serve-tunnel"]);
    let (far_id, near_id) = (far.id.unwrap(), near.id.unwrap());
    let copy = Served::start(&["serve-tcp-copy", "--to", &far.words[2]]);
    let far_socket: std::net::SocketAddr = far.words[2].parse().unwrap();
    let through = node(key(1), |config| {
        config.max_links = 1;
        config.peers = vec![middle_address.parse().unwrap()];
    })
    .await;
    linked(&through, middle.id.unwrap()).await;
    let direct = node(key(2), |config| config.peers = vec![near.address.to_string().parse().unwrap()]).await;
    linked(&direct, near_id).await;
    let bytes = plan.size * 1024 * 1024;
    let all = [std::process::id(), middle.pid(), far.pid(), near.pid(), copy.pid()];
    let mut rates = [const { Vec::new() }; 4];
    let mut costs = [const { Vec::new() }; 4];
    let mut echoes = [const { Vec::new() }; 4];
    for round in 0..=plan.rounds {
        let results = [
            weighed(all, rate(open(&through, far_id).await, bytes)).await,
            weighed(all, rate(tls(copy.address).await, bytes)).await,
            weighed(all, rate(open(&direct, near_id).await, bytes)).await,
            weighed(all, rate(tls(far_socket).await, bytes)).await,
        ];
        let times = [
            echo(open(&through, far_id).await).await,
            echo(tls(copy.address).await).await,
            echo(open(&direct, near_id).await).await,
            echo(tls(far_socket).await).await,
        ];
        // The first round warms up.
        if round > 0 {
            rates.iter_mut().zip(results).for_each(|(all, (rate, _))| all.push(rate));
            costs.iter_mut().zip(results).for_each(|(all, (_, cost))| all.push(cost * 1024.0 / plan.size as f64));
            echoes.iter_mut().zip(times).for_each(|(all, one)| all.push(one));
        }
    }
    for (_, report) in through.tunnels().reports().into_iter().chain(direct.tunnels().reports()) {
        eprintln!("{report:?}");
    }
    eprintln!("through: {:?}\ndirect: {:?}", through.forwarding(), direct.forwarding());
    let names = ["through a node", "TLS through a copy", "direct", "TLS alone"];
    let rows: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let rival = &rates[at | 1];
            let (p50, p99): (Vec<f64>, Vec<f64>) = echoes[at].iter().copied().unzip();
            json!({
                "way": name,
                "mbit": rounded(median(rates[at].clone()), 0),
                "ratio": rounded(median_ratio(&rates[at], rival), 2),
                "cpu_ms_a_gib": rounded(median(costs[at].clone()), 0),
                "echo_p50_us": rounded(median(p50), 0),
                "echo_p99_us": rounded(median(p99), 0),
            })
        })
        .collect();
    println!("{}", json!({ "mode": "tunnel", "rounds": plan.rounds, "mebibytes": plan.size, "ways": rows }));
}

/// Copies bytes between whoever connects and another address.
pub(crate) async fn serve_copy(to: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    announce(listener.local_addr().unwrap(), None);
    loop {
        let (mut one, _) = listener.accept().await.unwrap();
        let mut other = TcpStream::connect(to).await.unwrap();
        one.set_nodelay(true).unwrap();
        other.set_nodelay(true).unwrap();
        drop(tokio::spawn(async move {
            let _ = tokio::io::copy_bidirectional_with_sizes(&mut one, &mut other, 1 << 17, 1 << 17).await;
        }));
    }
}
