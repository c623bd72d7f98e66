//! A full link over TLS and TCP, and then over QUIC between the same two nodes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use meshline_mesh::{Command, Config, DialId, DialTarget, Mono, Node, Now, Output, Reply, SocketId};
use meshline_net::{Clock, Core, MeshHandle, Settings, start};
use meshline_protocol::NodeId;
use meshline_services::{Command as ServiceCommand, Input, Stack};

use crate::Plan;
use crate::child::Served;
use crate::figures::median;
use crate::stack::{key, linked, network, status};

/// Bytes of one datagram.
const BODY: usize = 16 * 1024;

/// A stack that also dials what it is told to.
struct Dialling {
    stack: Stack,
    wanted: Arc<Mutex<Option<DialTarget>>>,
}

impl Core for Dialling {
    fn handle_input(&mut self, input: Input, now: Now) {
        self.stack.handle_input(input, now);
    }

    fn poll_output(&mut self) -> Option<meshline_services::Output> {
        if let Some(target) = self.wanted.lock().unwrap().take() {
            let dial = DialId(1 << 40);
            return Some(meshline_services::Output::Mesh(Output::Dial { dial, target }));
        }
        self.stack.poll_output()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.stack.poll_timeout()
    }
}

/// `plan.size` MiB a round.
pub(crate) async fn run(plan: Plan) {
    let far = Served::start(&["serve-stack"]);
    let far_id = far.id.unwrap();
    let wanted = Arc::default();
    let mesh = node(far_id, Arc::clone(&wanted), far.address.into()).await;
    linked(&mesh, far_id).await;
    let tcp = rounds(&mesh, far_id, plan).await;
    let target = DialTarget::Quic { socket: SocketId::MAIN, remote: far.address, peer: far_id, rtt_us: None };
    *wanted.lock().unwrap() = Some(target);
    while status(&mesh).await.links.iter().all(|link| link.transport != "quic") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let quic = rounds(&mesh, far_id, plan).await;
    let row = status(&mesh).await.links.remove(0);
    println!(
        "{}",
        serde_json::json!({
            "tcp_mib_s": tcp, "quic_mib_s": quic, "ratio": quic / tcp, "transport": row.transport,
            "rtt_us": row.rtt_us, "loss": row.loss, "goodput_bps": row.goodput_bps,
        })
    );
}

/// A node whose id is smaller than the other's, so that its QUIC takes the place of its TCP.
async fn node(far: NodeId, wanted: Arc<Mutex<Option<DialTarget>>>, address: meshline_protocol::Address) -> MeshHandle {
    let key = (0..).map(key).find(|key| key.id() < far).unwrap();
    let mut config = Config::new(network(), key.id().short().parse().unwrap());
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.peers = vec![address];
    let clock = Clock::start();
    let settings = Settings::new(clock, key.clone(), &config);
    let seed = *key.id().as_bytes();
    let stack = Stack::new(Node::new(config, key, seed, clock.now()), Default::default(), clock.now());
    start(settings, Dialling { stack, wanted }).await.unwrap()
}

async fn rounds(mesh: &MeshHandle, far: NodeId, plan: Plan) -> f64 {
    let mut figures = vec![];
    for _ in 0..plan.rounds {
        figures.push(fill(mesh, far, plan.size).await);
    }
    median(figures)
}

/// Puts so many MiB into the link as fast as it takes them, and waits until no more of it waits.
async fn fill(mesh: &MeshHandle, far: NodeId, mib: usize) -> f64 {
    let (service, body) = ("bench".parse::<meshline_protocol::ServiceName>().unwrap(), Bytes::from(vec![7; BODY]));
    let began = Instant::now();
    for _ in 0..mib * 1024 * 1024 / BODY {
        while mesh.forwarding().waiting_bytes > 512 * 1024 {
            tokio::task::yield_now().await;
        }
        let sent = mesh.send_datagram(far, service.clone(), 1, body.clone()).await;
        assert_eq!(sent, Reply::Sent);
    }
    while mesh.forwarding().waiting_bytes > 0 {
        tokio::task::yield_now().await;
    }
    let seconds = began.elapsed().as_secs_f64();
    // The driver sees to what else there is before the next round.
    let _ = mesh.command(ServiceCommand::Mesh(Command::Routes)).await;
    mib as f64 / seconds
}
