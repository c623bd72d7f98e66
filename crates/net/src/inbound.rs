//! What strangers may say before there is a link: one byte tells TLS from a plain line, and there is room for one
//! short line. Whatever else arrives is answered with a named error and closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use meshline_mesh::{Mono, Transport};
use meshline_protocol::limits::MAX_LINE_BEFORE_HELLO;
use meshline_protocol::message::{ErrorMessage, Message, Relay};
use meshline_protocol::{Code, Decoded, Decoder, Encoding, Fault, Frame, NodeId, Ticket, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

use crate::clock::Clock;
use crate::connection::{Connection, Stream, keep_little_unsent, shown};
use crate::driver::Notice;
use crate::gate::{Gate, Permit};
use crate::gulp::Gulp;
use crate::limits::{CLOSE_LIMIT, HANDSHAKE_LIMIT, LINGER_BYTES, LINGER_LIMIT};
use crate::meet::Meetings;
use crate::refusals::Refusals;
use crate::relay::Half;
use crate::tls::TlsIdentity;

/// The first byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// What all connections that arrive share.
pub(crate) struct Door {
    pub(crate) tls: TlsIdentity,
    /// Plain links are taken, from loopback.
    pub(crate) plain: bool,
    /// Relay tickets are taken.
    pub(crate) proxy: bool,
    pub(crate) gate: Arc<Gate>,
    /// Those who are met from both sides.
    pub(crate) meetings: Arc<Meetings>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) notices: mpsc::Sender<Notice>,
    pub(crate) clock: Clock,
}

impl Door {
    /// Counts and tells a refusal. It is told only if it is logged too and there is room, so that strangers cannot
    /// crowd out the links; who goes by itself was not refused.
    pub(crate) fn note(&self, code: Code, remote: SocketAddr, detail: &str) {
        let remote = shown(remote);
        let is_logged = self.refusals.note(code, &remote, detail, self.clock.mono());
        if is_logged && code != Code::ConnectionLost {
            let _ = self.notices.try_send(Notice::Refused { remote, code, detail: detail.to_owned() });
        }
    }
}

/// A connection that arrived.
struct Arrival {
    remote: SocketAddr,
    began: Mono,
    permit: Permit,
}

/// How it began.
enum Opening {
    Tls,
    Ticket(Ticket),
    /// The first line of a plain link.
    Plain(BytesMut),
}

/// Takes one connection to where it is a link, half a relay pipe, or refused.
pub(crate) async fn receive(door: Arc<Door>, mut stream: TcpStream, remote: SocketAddr, permit: Permit) {
    let arrival = Arrival { remote, began: door.clock.mono(), permit };
    let deadline = door.clock.instant(arrival.began.after(HANDSHAKE_LIMIT));
    let opening = timeout_at(deadline, open(&door, &mut stream, remote)).await;
    match opening.unwrap_or_else(|_| Err(too_slow())) {
        Ok(Opening::Tls) => match timeout_at(deadline, Box::pin(secure(&door, stream, arrival))).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => door.note(fault.code, remote, &fault.detail),
            Err(_) => door.note(Code::HandshakeTimeout, remote, "TLS handshake too slow"),
        },
        Ok(Opening::Ticket(ticket)) => {
            let half = Half::new(stream, arrival.permit);
            let _ = door.notices.send(Notice::RelayArrived { ticket, half }).await;
        }
        Ok(Opening::Plain(early)) => plain(&door, stream, early, arrival).await,
        Err(fault) => {
            door.note(fault.code, remote, &fault.detail);
            // In a box: lingering takes a buffer, for which connections that become links should hold no room.
            Box::pin(refuse(stream, fault)).await;
        }
    }
}

/// Looks at the first byte and, if it opens a line, reads the line.
async fn open(door: &Door, stream: &mut TcpStream, remote: SocketAddr) -> Result<Opening, Fault> {
    let mut first = [0];
    if stream.peek(&mut first).await.map_err(|error| lost(&error))? == 0 {
        return Err(Fault::new(Code::ConnectionLost, "closed without a word"));
    }
    match first {
        [TLS_HANDSHAKE] => Ok(Opening::Tls),
        [b'{'] => judge(door, first_line(stream).await?, remote),
        [other] => {
            Err(Fault::new(Code::InvalidFrame, format!("neither TLS nor a JSON line: first byte 0x{other:02x}")))
        }
    }
}

fn judge(door: &Door, line: BytesMut, remote: SocketAddr) -> Result<Opening, Fault> {
    let is_plain = door.plain && remote.ip().to_canonical().is_loopback();
    match Decoder::new().decode(&mut line.clone())? {
        Some(Decoded::Frame(Frame { message: Message::Relay(Relay::Ticket(ticket)), .. })) if door.proxy => {
            Ok(Opening::Ticket(ticket))
        }
        Some(Decoded::Frame(Frame { message: Message::Relay(Relay::Ticket(_)), .. })) => {
            Err(Fault::new(Code::Forbidden, "this node relays nothing"))
        }
        // Whether the message is fit to be the first one is for the core to say.
        _ if is_plain => Ok(Opening::Plain(line)),
        _ => Err(Fault::new(Code::TlsRequired, "this port speaks TLS 1.3")),
    }
}

/// Reads up to the end of the first line and not a byte further: what follows a ticket is not ours.
async fn first_line(stream: &mut TcpStream) -> Result<BytesMut, Fault> {
    let mut line = BytesMut::new();
    let mut seen = [0; 512];
    loop {
        let count = stream.peek(&mut seen).await.map_err(|error| lost(&error))?;
        let fresh = seen.get(..count).unwrap_or_default();
        let end = fresh.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(count, |at| at + 1);
        let taken = seen.get_mut(..taken).unwrap_or_default();
        stream.read_exact(taken).await.map_err(|error| lost(&error))?;
        line.extend_from_slice(taken);
        if line.len() > MAX_LINE_BEFORE_HELLO || end.is_none() && line.len() == MAX_LINE_BEFORE_HELLO {
            return Err(Fault::new(
                Code::FrameTooLong,
                format!("first line longer than {MAX_LINE_BEFORE_HELLO} bytes"),
            ));
        }
        if end.is_some() {
            return Ok(line);
        }
        if count == 0 {
            return Err(Fault::new(Code::ConnectionLost, "closed within the first line"));
        }
    }
}

async fn secure(door: &Door, stream: TcpStream, arrival: Arrival) -> Result<(), Fault> {
    let socket = keep_little_unsent(&stream);
    let local = stream.local_addr().map_err(|error| lost(&error))?;
    let (stream, proved) =
        door.tls.accept(Gulp::new(stream)).await.map_err(|error| Fault::new(error.code, error.detail))?;
    let connection = arrival.into_connection(door, Box::new(stream), local, Some(proved));
    let connection = Box::new(Connection { socket, ..*connection });
    let _ = door.notices.send(Notice::Opened { connection, dial: None }).await;
    Ok(())
}

async fn plain(door: &Door, stream: TcpStream, early: BytesMut, arrival: Arrival) {
    let socket = keep_little_unsent(&stream);
    let Ok(local) = stream.local_addr() else { return };
    let connection = arrival.into_connection(door, Box::new(stream), local, None);
    let connection = Box::new(Connection { early, socket, ..*connection });
    let _ = door.notices.send(Notice::Opened { connection, dial: None }).await;
}

impl Arrival {
    fn into_connection(
        self,
        door: &Door,
        stream: Box<dyn Stream>,
        local: SocketAddr,
        proved: Option<NodeId>,
    ) -> Box<Connection> {
        Box::new(Connection {
            stream,
            socket: None,
            early: BytesMut::new(),
            transport: if proved.is_some() { Transport::Tcp } else { Transport::Plain },
            local: shown(local),
            remote: shown(self.remote),
            proved,
            through: None,
            spent_us: door.clock.mono().micros_since(self.began),
            permit: Some(self.permit),
            quic: None,
        })
    }
}

/// Says why, closes our side, and waits a little for theirs: closing with unread bytes would reset the connection
/// and the reason would never be read.
pub(crate) async fn refuse(mut stream: TcpStream, fault: Fault) {
    let message = Message::Error(ErrorMessage::new(fault.code, fault.detail));
    let Ok(line) = frame::encode(&message.into(), Encoding::Json) else { return };
    let said = async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    };
    if matches!(timeout(CLOSE_LIMIT, said).await, Ok(Ok(()))) {
        let _ = timeout(LINGER_LIMIT, discard(&mut stream)).await;
    }
}

async fn discard(stream: &mut TcpStream) -> io::Result<()> {
    let mut scratch = [0; 4_096];
    let mut left = LINGER_BYTES;
    while left > 0 {
        match stream.read(&mut scratch).await? {
            0 => break,
            count => left = left.saturating_sub(count),
        }
    }
    Ok(())
}

fn lost(error: &io::Error) -> Fault {
    Fault::new(Code::ConnectionLost, error.to_string())
}

fn too_slow() -> Fault {
    Fault::new(Code::HandshakeTimeout, format!("nothing complete within {} s", HANDSHAKE_LIMIT.as_secs()))
}
