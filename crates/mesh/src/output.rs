//! Everything a node can want done.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::message::{CompanionOffer, Datagram, ErrorMessage};
use meshline_protocol::signal::RefreshRequest;
use meshline_protocol::{Address, Code, Encoding, Frame, NodeId, SignedRecord, Ticket};

use crate::config::Saved;
use crate::event::Event;
use crate::input::{DialId, LinkId, RelayConnection, SocketId};
use crate::report::{Explanation, PeerRow, RouteRow, Status};
use crate::routing::Table;

/// Names a command, so that its reply finds the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One thing to do, in the order given.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a frame. The same frame may go to many links; it is encoded once an encoding.
    Send {
        /// Where to.
        link: LinkId,
        /// What.
        frame: Arc<Frame>,
    },
    /// The link's hello was accepted: read long lines from now on, in this encoding, and write in it too.
    Accepted {
        /// Which.
        link: LinkId,
        /// The encoding agreed on, for both directions.
        encoding: Encoding,
        /// Who is there.
        peer: NodeId,
    },
    /// Send the error, if any, and what was queued before it, then end the connection. No `LinkClosed` is wanted.
    Close {
        /// Which.
        link: LinkId,
        /// The last message.
        error: Option<ErrorMessage>,
    },
    /// Open a connection.
    Dial {
        /// Named again in the outcome.
        dial: DialId,
        /// Where to and how.
        target: DialTarget,
    },
    /// Give up an attempt. No outcome is wanted.
    CancelDial {
        /// Which.
        dial: DialId,
    },
    /// Send a datagram. Whether it leaves is not told.
    SendPacket {
        /// From which socket.
        socket: SocketId,
        /// Where to.
        to: SocketAddr,
        /// All of it.
        bytes: Bytes,
        /// How many hops it may go, if not as many as usual.
        ttl: Option<u8>,
    },
    /// Open another UDP socket.
    OpenSocket {
        /// What it is called from now on.
        socket: SocketId,
        /// On this port; on any, if none is named.
        port: Option<u16>,
    },
    /// Close a socket, unless a QUIC connection uses it: then when that ends.
    CloseSocket {
        /// Which.
        socket: SocketId,
    },
    /// Connect to a proxy: a ticket that is to be shown there is asked for. Nothing comes of it but that the dial with
    /// the ticket is a round trip shorter.
    ApproachProxy {
        /// Its `host:port`.
        proxy: Address,
    },
    /// Look a name up and tell where it leads.
    Resolve {
        /// A `host:port`.
        name: Address,
    },
    /// Both sides want UDP beside a link.
    OpenCompanion {
        /// Which.
        link: LinkId,
        /// How it is done.
        beside: Box<Beside>,
    },
    /// Whether datagrams that may go over UDP beside a link do.
    UseCompanion {
        /// Which.
        link: LinkId,
        /// They do.
        works: bool,
    },
    /// Send a frame over UDP beside a link. Whether it leaves is not told.
    SendBeside {
        /// Which.
        link: LinkId,
        /// What.
        frame: Arc<Frame>,
    },
    /// Splice two relay connections.
    RelayJoin {
        /// The one end.
        first: RelayConnection,
        /// The other.
        second: RelayConnection,
        /// Whose they are: what flows counts for both.
        members: [NodeId; 2],
    },
    /// Refuse or end a relay connection (and the one it is joined with).
    RelayDrop {
        /// Which.
        connection: RelayConnection,
        /// Why.
        code: Code,
    },
    /// Talk to a signal server.
    Signal {
        /// The configured URL.
        url: String,
        /// What to say.
        request: SignalRequest,
    },
    /// Keep this on disk, in place of what was kept before.
    Store(Box<Saved>),
    /// The reply to a command.
    Reply {
        /// Which.
        request: RequestId,
        /// The reply.
        reply: Reply,
    },
    /// A message of a linked member that is for a service. Whatever drives a node without services ignores it.
    Service {
        /// Who sent it.
        peer: NodeId,
        /// What.
        frame: Frame,
    },
    /// A datagram for this node, for a service that is not the node's own.
    Datagram {
        /// Its line.
        datagram: Box<Datagram>,
        /// Its content.
        body: Bytes,
    },
    /// Forward datagrams by this from now on.
    Routes(Arc<Table>),
    /// Something worth telling.
    Event(Event),
}

/// How UDP beside a link is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// What this node told the other.
    pub ours: CompanionOffer,
    /// What the other told this node.
    pub theirs: CompanionOffer,
    /// Where the other is, until its packets come from elsewhere.
    pub remote: SocketAddr,
}

/// Where and how to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialTarget {
    /// Straight to an address.
    Direct {
        /// `host:port`.
        address: Address,
        /// Who must answer, if known; another key is refused with [`Code::IdentityMismatch`].
        expected: Option<NodeId>,
        /// Without TLS (labs).
        plain: bool,
    },
    /// By QUIC to where packets have come from, or will soon. The other side accepts.
    Quic {
        /// From which socket.
        socket: SocketId,
        /// Where to.
        remote: SocketAddr,
        /// Who must answer.
        peer: NodeId,
        /// The round trip as far as it is known, in microseconds: what is lost at first is sent again a little later.
        rtt_us: Option<u64>,
    },
    /// By TCP from the listening port to one that does the same at the same time (RFC 9293 §3.5), again and again
    /// until the limit of an attempt.
    Meet {
        /// The address to connect from: one this node listens on.
        local: Address,
        /// Where to.
        remote: SocketAddr,
        /// Who must answer.
        peer: NodeId,
        /// Whether this side acts as TLS client.
        client: bool,
        /// The round trip as far as it is known, in microseconds: what is lost is sent again a little later.
        rtt_us: Option<u64>,
    },
    /// Through a proxy that granted a ticket.
    Relay {
        /// The proxy's `host:port`.
        proxy: Address,
        /// Shown to the proxy as the first line.
        ticket: Ticket,
        /// Who must answer.
        peer: NodeId,
        /// Whether this side acts as TLS client.
        client: bool,
    },
}

/// What to say to a signal server. A static list takes none of it: it is only fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// Announce and ask for the list.
    Announce(SignedRecord),
    /// Prolong the entry and ask for the list.
    Refresh {
        /// The entry.
        refresh: RefreshRequest,
        /// What to announce if the server does not know the entry any more.
        record: SignedRecord,
    },
    /// Serve this revocation too. Nobody waits for the answer.
    Revoke(SignedRecord),
    /// Take the entry off the list. Nobody waits for the answer.
    Leave(SignedRecord),
}

/// The reply to a [`crate::Command`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To `Status`.
    Status(Box<Status>),
    /// To `Peers`.
    Peers(Vec<PeerRow>),
    /// To `Explain`; `None` if no such member is known.
    Explanation(Option<Box<Explanation>>),
    /// To `Ping`: the echo came back after so many microseconds.
    Pong {
        /// From the request to the answer.
        micros: u64,
    },
    /// To `Find`: the members, which are known now.
    Found(Vec<NodeId>),
    /// To `Routes`.
    Routes(Vec<RouteRow>),
    /// To `SendDatagram`: it is on its way.
    Sent,
    /// To `Apply`: what it did, for people.
    Applied(String),
    /// To `Reconfigure`.
    Reconfigured,
    /// To `Leave`.
    Left,
    /// The command was refused.
    Refused {
        /// The name of the refusal.
        code: Code,
        /// A sentence for people.
        detail: String,
    },
}

/// Room that an empty queue of outputs keeps: mostly no more is in it, and after a burst it would hold its greatest length
/// for good.
const KEPT_OUTPUTS: usize = 32;

/// Takes the first of a queue. One that is empty gives back what room it does not need.
pub fn take_first<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if first.is_none() && queue.capacity() > KEPT_OUTPUTS {
        *queue = VecDeque::new();
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_keeps_no_room_for_a_burst() {
        let mut queue: VecDeque<usize> = (0..10 * KEPT_OUTPUTS).collect();
        while take_first(&mut queue).is_some() {}
        assert!(queue.capacity() <= KEPT_OUTPUTS, "{}", queue.capacity());
        queue.extend(0..3);
        while take_first(&mut queue).is_some() {}
        assert!(queue.capacity() >= 3, "room for what is usual stays");
    }
}
