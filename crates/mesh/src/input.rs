//! Everything that can happen to a node.

use std::net::SocketAddr;

use bytes::Bytes;
use meshline_protocol::message::NatTransport;
use meshline_protocol::signal::NodeList;
use meshline_protocol::{Address, Code, Fault, Frame, NodeId, SignedRecord, Ticket};

use crate::config::RoutingPolicy;
use crate::lan::LanSighting;
use crate::now::Mono;
use crate::output::RequestId;

/// Names a connection. Given out by whoever opens connections, never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Names an attempt to connect. Given out by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// Names a connection that came with a relay ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayConnection(pub u64);

/// Names a UDP socket of this node. Given out by the core, except [`SocketId::MAIN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

impl SocketId {
    /// The socket on the port this node listens on. It is there from the start and bears QUIC too.
    pub const MAIN: Self = Self(0);
}

/// A port of a router that it says it forwards here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// Of what.
    pub transport: NatTransport,
    /// The router's address and port on the other side.
    pub external: SocketAddr,
    /// How it was asked: `pcp`, `nat_pmp` or `upnp`.
    pub by: &'static str,
}

/// What bears a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TLS 1.3 over TCP.
    Tcp,
    /// QUIC over UDP, through a hole where there had to be one.
    Quic,
    /// TLS 1.3 over a proxy's pipe.
    Relay,
    /// TCP without TLS, for labs.
    Plain,
}

impl Transport {
    /// The name in configurations, status and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
            Self::Relay => "relay",
            Self::Plain => "plain",
        }
    }
}

/// A connection whose transport is ready to carry frames.
#[derive(Clone, Debug)]
pub struct LinkOpened {
    /// The new connection.
    pub link: LinkId,
    /// The attempt it came from; `None` if the other side dialled.
    pub dial: Option<DialId>,
    /// What bears it.
    pub transport: Transport,
    /// The address at this end.
    pub local: Address,
    /// The address at the other end (of a relayed link: the proxy's).
    pub remote: Address,
    /// The key the other side proved; `None` on a plain link.
    pub proved: Option<NodeId>,
    /// The member through whose exit it goes, where the configuration says `via`.
    pub through: Option<NodeId>,
    /// Time already spent on the transport's own handshake, in microseconds: it counts towards the limit.
    pub spent_us: u64,
}

/// What the bearer of a link tells of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkMeasured {
    /// When bytes arrived last, if any did since this was told, if only a part of a frame.
    pub heard: Option<Mono>,
    /// Datagrams went over it, either way, since this was told last.
    pub carried: bool,
    /// Bits a second that get there when more is sent than gets there.
    pub goodput_bps: Option<u64>,
    /// Bits a second received while something came.
    pub goodput_in_bps: Option<u64>,
    /// Share of what was sent again, in millionths.
    pub loss_ppm: Option<u32>,
    /// The least round trip the system has seen.
    pub min_rtt_us: Option<u64>,
    /// Bytes that stand before what is written now.
    pub waiting_bytes: u64,
    /// Something was lost, and what came behind it waits until it has been sent again.
    pub stalled: bool,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The listener is up (its real port where port 0 was asked for).
    Listening {
        /// The address.
        address: Address,
    },
    /// A connection carries frames now.
    LinkOpened(LinkOpened),
    /// A connection ended, or was ended because of what came over it.
    LinkClosed {
        /// Which.
        link: LinkId,
        /// Why.
        code: Code,
        /// More about it, for people.
        detail: String,
    },
    /// An attempt to connect failed before a link came of it.
    DialFailed {
        /// Which.
        dial: DialId,
        /// Why.
        code: Code,
        /// More about it, for people.
        detail: String,
    },
    /// A frame arrived over UDP beside a link, sealed by the other end.
    FrameBeside {
        /// Which link.
        link: LinkId,
        /// The message.
        frame: Frame,
    },
    /// A known message arrived.
    Frame {
        /// On which link.
        link: LinkId,
        /// The message.
        frame: Frame,
    },
    /// A message of an unknown type arrived and was skipped.
    UnknownMessage {
        /// On which link.
        link: LinkId,
        /// Its type.
        tag: String,
    },
    /// An invalid message arrived and was skipped; the stream goes on.
    InvalidMessage {
        /// On which link.
        link: LinkId,
        /// What was wrong.
        fault: Fault,
    },
    /// What a link has carried so far; comes before `Status`, which shows it.
    LinkCounters {
        /// Which.
        link: LinkId,
        /// Bytes of frames sent.
        sent_bytes: u64,
        /// Bytes of frames received.
        received_bytes: u64,
    },
    /// What a proxy has relayed for a member so far; comes before `Status`, which shows it.
    RelayCounters {
        /// Who.
        member: NodeId,
        /// Bytes, both ways together.
        bytes: u64,
    },
    /// What is known of a link without the core: comes every 100 ms while datagrams pass, seldom otherwise.
    LinkMeasured {
        /// Which.
        link: LinkId,
        /// What is known now, with what was known before where nothing newer is.
        measured: LinkMeasured,
    },
    /// A connection arrived that showed a relay ticket.
    RelayArrived {
        /// Which.
        connection: RelayConnection,
        /// The ticket.
        ticket: Ticket,
    },
    /// Two joined relay connections ended, or a waiting one did.
    RelayEnded {
        /// Either of the two.
        connection: RelayConnection,
    },
    /// A signal server or static list answered.
    SignalAnswer {
        /// The configured URL.
        url: String,
        /// The list, or what went wrong.
        result: Result<Box<NodeList>, String>,
    },
    /// The addresses of this host at which its UDP socket receives: at the start, and whenever they change.
    UdpAddresses {
        /// Each with the port; loopback ones only if the node listens on nothing else.
        addresses: Vec<SocketAddr>,
    },
    /// Ports that routers forward here, all of them: whenever that changes.
    PortsMapped {
        /// Nothing is believed of them but that they are worth a try.
        mapped: Vec<PortMapping>,
    },
    /// A name that the core wanted looked up leads there, or nowhere.
    Resolved {
        /// As in the output.
        name: Address,
        /// Where it leads.
        addresses: Vec<SocketAddr>,
    },
    /// Somebody announces a node on the local segment; nothing is believed of it.
    LanSeen(LanSighting),
    /// Such an announcement was taken back or has run out; under which name it was.
    LanGone(String),
    /// A datagram arrived at a UDP socket that is not QUIC's.
    Packet {
        /// On which socket.
        socket: SocketId,
        /// From where.
        from: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// A socket that the core asked for could not be opened, or broke.
    SocketFailed {
        /// Which.
        socket: SocketId,
        /// Why, for people.
        detail: String,
    },
    /// Somebody on this machine wants something.
    Command {
        /// Named again in the reply.
        request: RequestId,
        /// What.
        command: Command,
    },
    /// The time of [`crate::Node::poll_timeout`] has come.
    Timeout,
    /// Somebody on this machine sends to a member for a while: several ways to it are worth looking for.
    DestinationUsed(NodeId),
}

/// The settings that can change while a node runs; see [`crate::Config`] for what each is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfiguration {
    /// Members to dial, by address. Links that are up stay up.
    pub peers: Vec<Address>,
    /// Members to dial, by id.
    pub peer_ids: Vec<NodeId>,
    /// Proxies to keep a link to.
    pub proxies: Vec<Address>,
    /// Signal servers and static lists.
    pub signal: Vec<String>,
    /// STUN servers.
    pub stun: Vec<Address>,
    /// Links at most. Surplus links stay up until they end by themselves.
    pub max_links: usize,
    /// Fast attempts.
    pub retries: u32,
    /// Whether direct ways through address translation are tried.
    pub punch: bool,
    /// What bears on the ways.
    pub routing: RoutingPolicy,
}

/// What somebody on this machine can want of the core.
#[derive(Clone, Debug)]
pub enum Command {
    /// The node's own state.
    Status,
    /// All members known.
    Peers,
    /// Every attempt to reach one member.
    Explain(NodeId),
    /// Asks a linked member for an echo; the reply comes with its answer.
    Ping {
        /// Who.
        peer: NodeId,
        /// What comes back, at most 1,024 bytes.
        text: String,
    },
    /// Asks any member for an echo, over a path of members or over the best one; the reply comes with its answer, or
    /// with the report of whoever could not pass it on.
    Probe {
        /// Who.
        to: NodeId,
        /// The members in between, the first one linked; empty for the best path.
        path: Vec<NodeId>,
    },
    /// Sends a datagram.
    SendDatagram {
        /// For whom.
        to: NodeId,
        /// For which of its services.
        service: meshline_protocol::ServiceName,
        /// What it belongs to.
        flow: u32,
        /// What may bear it.
        over: meshline_protocol::message::Over,
        /// What it holds, at most 64 KiB.
        body: Bytes,
    },
    /// Looks for a member, in a network too large to know all: it is asked for where it is. The reply comes with the answer.
    Find(crate::Sought),
    /// The ways to all members.
    Routes,
    /// Takes in a signed record: a membership of this node, or a revocation, which it spreads.
    Apply(SignedRecord),
    /// Changes what can change while the node runs.
    Reconfigure(Box<Reconfiguration>),
    /// Says goodbye to all and links no more.
    Leave,
}
