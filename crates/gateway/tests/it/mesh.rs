//! The same over real nodes, links and tunnels.

use std::sync::Arc;

use meshline_gateway::{Directory, ForwardState, Gateway, GatewaySettings, Member, Patience, Rules};
use meshline_identity::KeyPair;
use meshline_mesh::{Config, Node};
use meshline_net::{Clock, MeshHandle, Settings, start};
use meshline_protocol::{Code, NodeId};
use meshline_services::Stack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::support::*;

/// Everybody is known by an id alone.
struct ByIds(Vec<NodeId>);

impl Directory for ByIds {
    fn members(&self) -> Vec<Member> {
        let member =
            |id: &NodeId| Member { id: *id, name: id.short(), is_name_proved: false, roles: vec![], cost_us: Some(1) };
        self.0.iter().map(member).collect()
    }
}

async fn node(secret: u8, peers: Vec<meshline_protocol::Address>) -> (NodeId, MeshHandle) {
    let mut config = Config::new("lab".parse().unwrap(), "node".parse().unwrap());
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config.peers = peers;
    let (clock, key) = (Clock::start(), KeyPair::from_secret([secret; 32]));
    let (settings, id) = (Settings::new(clock, key.clone(), &config), key.id());
    let node = Node::new(config, key, *id.as_bytes(), clock.now());
    (id, start(settings, Stack::new(node, Default::default(), clock.now())).await.unwrap())
}

/// Two members with gateways on their tunnels: the first has the settings, the second reaches it.
async fn pair(settings: GatewaySettings) -> ((Gateway, MeshHandle), (Gateway, MeshHandle), NodeId) {
    let (bobby, bobbys) = node(1, vec![]).await;
    let (alice, alices) = node(2, vec![bobbys.listening()[0].clone()]).await;
    let tunnels = alices.tunnels().clone();
    within(async {
        while tunnels.open(bobby).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let at_bobby = Gateway::start(settings, bobbys.tunnels().clone(), Arc::new(ByIds(vec![alice]))).await;
    let at_alice = Gateway::start(GatewaySettings::default(), tunnels, Arc::new(ByIds(vec![bobby]))).await;
    ((at_bobby, bobbys), (at_alice, alices), bobby)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwards_run_through_tunnels() {
    let (echo, echo_udp) = (tcp(echo_server().await), udp(udp_echo_server().await));
    let expose = vec![expose("echo", &echo, &["*"]), expose("echo-udp", &echo_udp, &["*"])];
    let settings = GatewaySettings { rules: Rules { expose, ..Rules::default() }, ..GatewaySettings::default() };
    let (_bobby, (alice, _mesh), bobby) = pair(settings).await;
    let bobby = bobby.to_string();
    let row = alice.add_forward(forward("tcp://127.0.0.1:0", &bobby, Some(echo))).await.unwrap();
    let data: Vec<u8> = (0..3_000_000_u32).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect();
    let mut stream = TcpStream::connect(listening(&alice)).await.unwrap();
    assert!(exchange(&mut stream, &data).await == data);
    alice.remove_forward(row.id).unwrap();

    alice.add_forward(forward("udp://127.0.0.1:0", &bobby, Some(echo_udp))).await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(listening(&alice)).await.unwrap();
    let (payload, mut back) = (vec![9; 30_000], vec![0; 65_536]);
    within(async {
        loop {
            socket.send(&payload).await.unwrap();
            let wait = std::time::Duration::from_millis(500);
            if let Ok(Ok(bytes)) = tokio::time::timeout(wait, socket.recv(&mut back)).await {
                assert!(back[..bytes] == payload);
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_and_refusals_pass_through_tunnels() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = tcp(listener.local_addr().unwrap());
    let rules = Rules { expose: vec![expose("server", &target, &["*"])], ..Rules::default() };
    let settings = GatewaySettings { rules, patience: Patience::default(), ..GatewaySettings::default() };
    let (_bobby, (alice, _mesh), bobby) = pair(settings).await;
    let named = forward("tcp://127.0.0.1:0", &bobby.short(), Some(target.clone()));
    alice.set_forwards(vec![named]).await;
    // A name that is only claimed leads nowhere.
    ends_at_once(listening(&alice)).await;
    assert_eq!(alice.forwards()[0].traffic.refused.get("no_such_peer"), Some(&1));
    alice.set_forwards(vec![]).await;
    let bobby = bobby.to_string();
    alice.add_forward(forward("tcp://127.0.0.1:0", &bobby, Some(target))).await.unwrap();
    let mut client = TcpStream::connect(listening(&alice)).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    server.write_all(b"half").await.unwrap();
    within(client.read_exact(&mut [0; 4])).await.unwrap();
    server.set_zero_linger().unwrap();
    drop(server);
    let error = within(client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let refusal = within(alice.connect(&bobby, Some(tcp(closed_port().await)))).await.unwrap_err();
    assert_eq!(refusal.code, Code::Forbidden);
    let nowhere = within(alice.connect(&id(77).to_string(), Some(tcp(closed_port().await)))).await.unwrap_err();
    assert_eq!(nowhere.code, Code::NoRoute);
    assert!(matches!(alice.forwards()[0].state, ForwardState::Listening(_)));
}
