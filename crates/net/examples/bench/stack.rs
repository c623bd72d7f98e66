//! Whole nodes, and the bare TLS acceptor that idle links and handshakes are held against.

use std::time::Duration;

use meshline_identity::KeyPair;
use meshline_mesh::{Command, Config, Node, Reply, Status};
use meshline_net::tls::TlsIdentity;
use meshline_net::{Clock, MeshHandle, Settings, start};
use meshline_protocol::{NetworkId, NodeId};
use meshline_services::Stack;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::child::announce;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The open network of the benchmark.
pub(crate) fn network() -> NetworkId {
    "bench".parse().unwrap()
}

/// A key of this run; the same number gives the same key.
pub(crate) fn key(number: u32) -> KeyPair {
    let mut secret = [7; 32];
    secret[..4].copy_from_slice(&number.to_le_bytes());
    KeyPair::from_secret(secret)
}

/// A node as the programs run it.
pub(crate) async fn node(key: KeyPair, configure: impl FnOnce(&mut Config)) -> MeshHandle {
    let mut config = Config::new(network(), key.id().short().parse().unwrap());
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    configure(&mut config);
    let clock = Clock::start();
    let settings = Settings::new(clock, key.clone(), &config);
    let seed = *key.id().as_bytes();
    start(settings, Stack::new(Node::new(config, key, seed, clock.now()), Default::default(), clock.now()))
        .await
        .unwrap()
}

/// A node that others link to.
pub(crate) async fn serve(max_links: usize, plain: bool) {
    let key = key(u32::MAX);
    let id = key.id();
    let mesh = node(key, |config| (config.max_links, config.plain) = (max_links, plain)).await;
    announce(mesh.listening()[0].as_str().parse().unwrap(), Some(id));
    std::future::pending().await
}

/// Asks a node about itself.
pub(crate) async fn status(mesh: &MeshHandle) -> Status {
    let command = meshline_services::Command::Mesh(Command::Status);
    let reply = mesh.command(command).await;
    let meshline_services::Reply::Mesh(Reply::Status(status)) = reply else { panic!("no status: {reply:?}") };
    *status
}

/// Waits for a link to a member.
pub(crate) async fn linked(mesh: &MeshHandle, id: NodeId) {
    let linked = async {
        while !status(mesh).await.links.iter().any(|link| link.peer == id) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, linked).await.expect("a link");
}

/// The rival of idle links: the same TLS, a task a connection, and a buffer only while there is something to read.
pub(crate) async fn serve_bare() {
    let key = key(u32::MAX);
    let tls = TlsIdentity::new(&key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    announce(listener.local_addr().unwrap(), Some(key.id()));
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        drop(tokio::spawn(hold(tls.clone(), socket)));
    }
}

async fn hold(tls: TlsIdentity, socket: TcpStream) {
    socket.set_nodelay(true).unwrap();
    // In a box: what an idle task holds should not have room for a handshake.
    let Ok((mut stream, _)) = Box::pin(tls.accept(socket)).await else { return };
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|count| count > 0) {}
}
