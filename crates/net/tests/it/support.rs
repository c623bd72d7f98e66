//! Nodes in this process, and strangers who speak the wire by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use meshline_identity::{KeyPair, sign};
use meshline_mesh::{Command, Config, Event as MeshEvent, LinkRow, Node, Reply, Status};
use meshline_net::tls::TlsIdentity;
use meshline_net::{Clock, MeshHandle, Settings, start};
use meshline_protocol::message::{Announcement, Hello, RecordText, Role};
use meshline_protocol::{
    Address, Bounded, Decoder, Encoding, Frame, Message, NetworkId, NodeId, Ping, UnixMicros, frame,
};
use meshline_services::{Event, Stack, chat};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

static KEYS: AtomicU8 = AtomicU8::new(1);

/// A key no other test of this run has.
pub(crate) fn new_key() -> KeyPair {
    KeyPair::from_secret([KEYS.fetch_add(1, Ordering::Relaxed); 32])
}

pub(crate) fn network() -> NetworkId {
    "lab".parse().unwrap()
}

/// A running node and what it tells.
pub(crate) struct Running {
    pub(crate) id: NodeId,
    pub(crate) handle: MeshHandle,
    pub(crate) events: Receiver<Arc<Event>>,
}

pub(crate) fn config(name: &str) -> Config {
    let mut config = Config::new(network(), name.parse().unwrap());
    config.listen = vec!["127.0.0.1:0".parse().unwrap()];
    config
}

pub(crate) async fn run(config: Config) -> Running {
    run_as(new_key(), config).await
}

pub(crate) async fn run_as(key: KeyPair, config: Config) -> Running {
    let clock = Clock::start();
    let settings = Settings::new(clock, key.clone(), &config);
    let seed = *key.id().as_bytes();
    let id = key.id();
    let handle =
        start(settings, Stack::new(Node::new(config, key, seed, clock.now()), Default::default(), clock.now()))
            .await
            .unwrap();
    let events = handle.subscribe();
    Running { id, handle, events }
}

impl Running {
    pub(crate) fn address(&self) -> Address {
        self.handle.listening()[0].clone()
    }

    /// Waits for an event and returns what `find` makes of it.
    pub(crate) async fn event<T>(&mut self, what: &str, mut find: impl FnMut(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = find(&self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {what}"))
    }

    pub(crate) async fn mesh_event<T>(&mut self, what: &str, mut find: impl FnMut(&MeshEvent) -> Option<T>) -> T {
        self.event(what, |event| match event {
            Event::Mesh(event) => find(event),
            Event::Chat(_) | Event::Discovery(_) => None,
        })
        .await
    }

    pub(crate) async fn linked_to(&mut self, id: NodeId) {
        let status = self.status().await;
        if status.links.iter().any(|link| link.peer == id) {
            return;
        }
        self.mesh_event("link", |event| match event {
            MeshEvent::LinkUp { peer, .. } if peer.id == id => Some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) async fn status(&self) -> Status {
        match self.handle.command(meshline_services::Command::Mesh(Command::Status)).await {
            meshline_services::Reply::Mesh(Reply::Status(status)) => *status,
            other => panic!("no status: {other:?}"),
        }
    }

    pub(crate) async fn link_to(&self, id: NodeId) -> LinkRow {
        self.status().await.links.into_iter().find(|link| link.peer == id).expect("a link")
    }

    pub(crate) async fn say(&self, text: &str) {
        let send = chat::Command::Send { text: text.to_owned() };
        let reply = self.handle.command(meshline_services::Command::Chat(send)).await;
        assert!(matches!(reply, meshline_services::Reply::Chat(chat::Reply::Sent(_))), "{reply:?}");
    }

    pub(crate) async fn hears(&mut self, text: &str) {
        self.event(text, |event| match event {
            Event::Chat(chat::Event::Message { message, own: false }) if message.text == text => Some(()),
            _ => None,
        })
        .await;
    }
}

/// Two nodes with a link between them.
pub(crate) async fn pair() -> (Running, Running) {
    let mut one = run(config("one")).await;
    let mut other = config("other");
    other.peers = vec![one.address()];
    let mut other = run(other).await;
    one.linked_to(other.id).await;
    other.linked_to(one.id).await;
    (one, other)
}

/// A connection whose frames are written and read by hand.
pub(crate) struct Wire {
    pub(crate) stream: Box<dyn Stream>,
    input: bytes::BytesMut,
    decoder: Decoder,
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Wire {
    pub(crate) async fn tcp(address: &Address) -> Self {
        Self::over(TcpStream::connect(address.as_str()).await.unwrap())
    }

    pub(crate) async fn tls(address: &Address, key: &KeyPair) -> Self {
        let socket = TcpStream::connect(address.as_str()).await.unwrap();
        let (stream, _) = TlsIdentity::new(key).unwrap().connect(socket).await.unwrap();
        Self::over(stream)
    }

    /// Of a split connection, the half that reads.
    pub(crate) fn reading(half: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let mut wire = Self::over(tokio::io::join(half, tokio::io::sink()));
        wire.decoder.accept(Encoding::Json);
        wire
    }

    fn over(stream: impl Stream + 'static) -> Self {
        Self { stream: Box::new(stream), input: bytes::BytesMut::new(), decoder: Decoder::new() }
    }

    /// A stranger that is linked: both hellos are through.
    pub(crate) async fn linked(address: &Address, key: &KeyPair) -> Self {
        let mut wire = Self::tls(address, key).await;
        wire.send(hello(key, &network())).await;
        assert!(matches!(wire.read().await, Ok(Message::Hello(_))));
        wire.decoder.accept(Encoding::Json);
        wire
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.send_frame(message.into()).await;
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame) {
        let bytes = frame::encode(&frame, Encoding::Json).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next message, or what ended the connection.
    pub(crate) async fn read(&mut self) -> Result<Message, String> {
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Some(meshline_protocol::Decoded::Frame(frame))) => return Ok(frame.message),
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(fault) => return Err(fault.to_string()),
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err("closed".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Reads to the end and returns the name of the last refusal, if there was one.
    pub(crate) async fn last_refusal(&mut self) -> Option<&'static str> {
        let mut last = None;
        while let Ok(message) = self.read().await {
            if let Message::Error(error) = message {
                last = Some(error.code.name());
            }
        }
        last
    }
}

/// A hello that is valid in `network`, if that is the node's.
pub(crate) fn hello(key: &KeyPair, network: &NetworkId) -> Message {
    let now = Clock::start().now().wall;
    let announcement = Announcement {
        kind: Announcement::TYPE.to_owned(),
        network: network.clone(),
        seq: now,
        expires: now.offset(60_000_000),
        name: "stranger".parse().unwrap(),
        roles: Bounded::from_first([Role::View]),
        addresses: Bounded::default(),
        next: None,
        membership: None,
    };
    Message::Hello(Box::new(Hello {
        network: network.clone(),
        version: 1,
        id: key.id(),
        time: UnixMicros::new(now.get()),
        ping: Ping::UNKNOWN,
        announcement: sign(&announcement, key).unwrap(),
        encoding: Encoding::Json,
        revocations: 0,
        agent: String::new(),
    }))
}
