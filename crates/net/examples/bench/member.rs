//! A member whose wire is spoken by hand: real TLS, a real hello, time frames answered, and nothing else.

use std::future::poll_fn;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use meshline_identity::{KeyPair, RevocationList, admit, sign};
use meshline_net::Clock;
use meshline_net::tls::TlsIdentity;
use meshline_protocol::limits::PROTOCOL_VERSION;
use meshline_protocol::message::{Announcement, Hello, RecordText, Role, TimeFrame, TimeStamps};
use meshline_protocol::{
    Address, Bounded, Decoded, Decoder, Encoding, Frame, Message, Ping, SignedRecord, UnixMicros, frame,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::stack::network;

/// Announcements hold so long.
const VALIDITY: i64 = 3_600_000_000;

/// Who it is, ready to link.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    key: KeyPair,
    tls: TlsIdentity,
    announcement: SignedRecord,
}

/// What bears a link.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A link of such a member.
pub(crate) struct Wire {
    member: Member,
    stream: Box<dyn Stream>,
    decoder: Decoder,
    input: BytesMut,
}

impl Member {
    /// A member that says it listens there, or nowhere.
    pub(crate) fn new(key: KeyPair, listen: Option<Address>) -> Self {
        let now = wall();
        let announcement = Announcement {
            kind: Announcement::TYPE.to_owned(),
            network: network(),
            seq: now,
            expires: now.offset(VALIDITY),
            name: key.id().short().parse().unwrap(),
            roles: Bounded::from_first([Role::Node]),
            addresses: Bounded::from_first(listen),
            next: None,
            membership: None,
        };
        let announcement = sign(&announcement, &key).unwrap();
        Self { tls: TlsIdentity::new(&key).unwrap(), key, announcement }
    }

    /// TLS alone.
    pub(crate) async fn connect(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        self.tls.connect(socket).await.unwrap().0
    }

    /// Links, and returns once the other side has called the link up.
    pub(crate) async fn link(&self, address: SocketAddr) -> Wire {
        self.introduce(Box::new(self.connect(address).await)).await
    }

    /// Links without TLS.
    pub(crate) async fn link_plain(&self, address: SocketAddr) -> Wire {
        self.introduce(Box::new(plain(address).await)).await
    }

    /// A connection to something that is no node and passes on what it gets.
    pub(crate) async fn bare(&self, address: SocketAddr) -> Wire {
        let mut wire = self.over(Box::new(plain(address).await));
        wire.decoder.accept(Encoding::Json);
        wire
    }

    fn over(&self, stream: Box<dyn Stream>) -> Wire {
        Wire { member: self.clone(), stream, decoder: Decoder::new(), input: BytesMut::new() }
    }

    async fn introduce(&self, stream: Box<dyn Stream>) -> Wire {
        let mut wire = self.over(stream);
        wire.send(self.hello()).await;
        let Message::Hello(hello) = wire.read().await else { panic!("no hello") };
        admit(&hello.announcement, &network(), &RevocationList::default(), wall()).unwrap();
        wire.decoder.accept(Encoding::Json);
        // The answer to our answer comes only once the link is up.
        while wire.read_and_answer().await != Some(2) {}
        wire
    }

    fn hello(&self) -> Message {
        Message::Hello(Box::new(Hello {
            network: network(),
            version: PROTOCOL_VERSION,
            id: self.key.id(),
            time: wall(),
            ping: Ping::UNKNOWN,
            announcement: self.announcement.clone(),
            encoding: Encoding::Json,
            revocations: 0,
            agent: "bench".to_owned(),
        }))
    }
}

impl Wire {
    async fn send(&mut self, message: Message) {
        let bytes = frame::encode(&Frame::from(message), Encoding::Json).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Writes encoded frames together, as the writer of a link does.
    pub(crate) async fn write_batch(&mut self, frames: &[Bytes]) {
        let mut slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        let mut slices = slices.as_mut_slice();
        while !slices.is_empty() {
            let written = self.stream.write_vectored(slices).await.unwrap();
            IoSlice::advance_slices(&mut slices, written);
        }
    }

    /// Has everything that was written go out.
    pub(crate) async fn flush(&mut self) {
        self.stream.flush().await.unwrap();
    }

    async fn read(&mut self) -> Message {
        loop {
            match self.decoder.decode(&mut self.input).unwrap() {
                Some(Decoded::Frame(frame)) => return frame.message,
                Some(other) => panic!("no frame: {other:?}"),
                None => self.more().await,
            }
        }
    }

    async fn more(&mut self) {
        self.input.reserve(64 * 1024);
        assert!(self.stream.read_buf(&mut self.input).await.unwrap() > 0, "closed");
    }

    /// Reads one message and answers it if it asks for the time. Returns the step of a time frame.
    async fn read_and_answer(&mut self) -> Option<u8> {
        let message = self.read().await;
        self.answer(&message).await
    }

    async fn answer(&mut self, message: &Message) -> Option<u8> {
        if let Message::Error(error) = message {
            panic!("refused: {error:?}");
        }
        let Message::Time(step) = message else { return None };
        if let Some(answer) = answer(step, &self.member.key) {
            self.send(Message::Time(Box::new(answer))).await;
        }
        Some(step.step)
    }

    /// Waits for the pong of this number.
    pub(crate) async fn pong(&mut self, number: u32) {
        loop {
            let message = self.read().await;
            if matches!(&message, Message::Pong(echo) if echo.nonce == number) {
                return;
            }
            self.answer(&message).await;
        }
    }

    /// Waits for a datagram.
    pub(crate) async fn datagram(&mut self) {
        loop {
            let message = self.read().await;
            if matches!(message, Message::Datagram(_)) {
                return;
            }
            self.answer(&message).await;
        }
    }

    /// Answers what has come already, without waiting for more.
    pub(crate) async fn answer_what_came(&mut self) {
        loop {
            while let Some(decoded) = self.decoder.decode(&mut self.input).unwrap() {
                let Decoded::Frame(frame) = decoded else { panic!("no frame: {decoded:?}") };
                self.answer(&frame.message).await;
            }
            let mut read = std::pin::pin!(self.stream.read_buf(&mut self.input));
            let at_once = poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
            let Poll::Ready(read) = at_once else { return };
            assert!(read.unwrap() > 0, "closed");
        }
    }

    /// Stays linked, with nothing to say but the time.
    pub(crate) async fn stay(&mut self) {
        loop {
            self.read_and_answer().await;
        }
    }

    /// Ends the connection.
    pub(crate) async fn close(mut self) {
        let _ = self.stream.shutdown().await;
    }
}

/// The step that answers one of another member.
fn answer(step: &TimeFrame, key: &KeyPair) -> Option<TimeFrame> {
    let now = wall();
    let ping = match step.step {
        0 => Ping::UNKNOWN,
        2 => Ping::measured(1),
        _ => return None,
    };
    Some(TimeFrame {
        network: network(),
        version: PROTOCOL_VERSION,
        id: key.id(),
        time: now,
        ping,
        exchange: step.exchange,
        step: step.step + 1,
        stamps: Some(TimeStamps { origin: step.time, receive: now }),
        seen: None,
        attempt: None,
        mac: None,
    })
}

async fn plain(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

fn wall() -> UnixMicros {
    Clock::start().now().wall
}
