//! A few members who know each other, and servers to reach.

pub(crate) mod pipes;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meshline_gateway::{
    Allow, Directory, Expose, ForwardConfig, ForwardState, Gateway, GatewaySettings, Member, ProxyConfig, ProxyState,
    Rules,
};
use meshline_protocol::message::Role;
use meshline_protocol::{NodeId, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use pipes::Pipes;

/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is waited for, or a failure.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("in time")
}

/// A network of members that know all others.
#[derive(Clone, Default)]
pub(crate) struct Members {
    pub(crate) pipes: Pipes,
    known: Arc<Mutex<Vec<Member>>>,
}

struct Known(NodeId, Members);

impl Directory for Known {
    fn members(&self) -> Vec<Member> {
        let known = self.1.known.lock().unwrap();
        known.iter().filter(|member| member.id != self.0).cloned().collect()
    }
}

pub(crate) fn id(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

impl Members {
    /// A member with this name, whose number is its distance too.
    pub(crate) async fn start(&self, number: u8, name: &str, roles: &[Role], settings: GatewaySettings) -> Gateway {
        let member = Member {
            id: id(number),
            name: name.to_owned(),
            is_name_proved: true,
            roles: roles.to_vec(),
            cost_us: Some(u64::from(number)),
        };
        self.known.lock().unwrap().push(member);
        Gateway::start(settings, self.pipes.join(id(number)), Arc::new(Known(id(number), self.clone()))).await
    }

    /// One with nothing.
    pub(crate) async fn plain(&self, number: u8, name: &str) -> Gateway {
        self.start(number, name, &[Role::Node], GatewaySettings::default()).await
    }

    /// One that exposes a target to everybody.
    pub(crate) async fn exposing(&self, number: u8, name: &str, service: &str, target: &Target) -> Gateway {
        let rules = Rules { expose: vec![expose(service, target, &["*"])], ..Rules::default() };
        self.start(number, name, &[Role::Node], GatewaySettings { rules, ..GatewaySettings::default() }).await
    }
}

pub(crate) fn expose(name: &str, target: &Target, allow: &[&str]) -> Expose {
    let allow = allow.iter().map(|text| Allow::try_from((*text).to_owned()).unwrap()).collect();
    Expose::new(name.parse().unwrap(), target.clone(), allow)
}

/// The same, reached through another member.
pub(crate) fn expose_via(name: &str, target: &Target, via: &str) -> Expose {
    Expose { via: Some(via.to_owned()), ..expose(name, target, &["*"]) }
}

pub(crate) fn tcp(address: SocketAddr) -> Target {
    Target::Tcp(address.into())
}

pub(crate) fn udp(address: SocketAddr) -> Target {
    Target::Udp(address.into())
}

pub(crate) fn forward(listen: &str, peer: &str, target: Option<Target>) -> ForwardConfig {
    ForwardConfig { listen: listen.parse().unwrap(), peer: peer.to_owned(), target, reverse: false }
}

/// Where the only forward of a member listens.
pub(crate) fn listening(gateway: &Gateway) -> SocketAddr {
    match &gateway.forwards()[0].state {
        ForwardState::Listening(target) => target.address().unwrap().as_str().parse().unwrap(),
        other @ (ForwardState::Asking | ForwardState::Refused(_)) => panic!("{other:?}"),
    }
}

/// A member's settings with a proxy on a free port.
pub(crate) fn with_proxy(exit: &str) -> GatewaySettings {
    let proxy = ProxyConfig { listen: "127.0.0.1:0".parse().unwrap(), exit: exit.to_owned(), users: vec![] };
    GatewaySettings { proxy: Some(proxy), ..GatewaySettings::default() }
}

/// Where the proxy of a member listens.
pub(crate) fn proxy_of(gateway: &Gateway) -> SocketAddr {
    match gateway.report().proxy.unwrap().state {
        ProxyState::Listening(address) => address.as_str().parse().unwrap(),
        ProxyState::Refused(refusal) => panic!("{refusal:?}"),
    }
}

/// A server that sends everything back, until the client ends.
pub(crate) async fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reading, mut writing) = stream.split();
                let _ = tokio::io::copy(&mut reading, &mut writing).await;
                let _ = writing.shutdown().await;
            });
        }
    });
    address
}

/// The same for UDP.
pub(crate) async fn udp_echo_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((bytes, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..bytes], from).await;
        }
    });
    address
}

/// A port of loopback at which nobody listens.
pub(crate) async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Sends that and reads until the end.
pub(crate) async fn exchange(stream: &mut TcpStream, data: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = stream.split();
    let send = async {
        writing.write_all(data).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let mut back = vec![];
    let ((), got) = within(async { tokio::join!(send, reading.read_to_end(&mut back)) }).await;
    got.unwrap();
    back
}

/// A connection there ends at once: while it is made or when it is read.
pub(crate) async fn ends_at_once(address: SocketAddr) {
    let connection = async { TcpStream::connect(address).await?.read_u8().await };
    let ended = within(connection).await;
    assert!(ended.is_err(), "{ended:?}");
}
