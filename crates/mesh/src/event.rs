//! What happened, for logs, consoles, pages and the services on top.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use meshline_protocol::message::SignedBroadcast;
use meshline_protocol::{Address, Code, Name, NodeId, UnixMicros};

use crate::input::{LinkId, Transport};

/// Which side opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// We did.
    Outbound,
    /// They did.
    Inbound,
}

impl Direction {
    /// The name in status and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
        }
    }
}

/// A peer as it is shown: names of open networks carry a piece of the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerName {
    /// The id.
    pub id: NodeId,
    /// `bobby`, or `bobby~abcd` where names are only claimed.
    pub name: String,
}

/// A service's text as its author signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedText {
    /// The author.
    pub by: NodeId,
    /// Its sequence, as in the body.
    pub seq: UnixMicros,
    /// The signature over the body, base64.
    pub sig: String,
    /// The signed text: a [`SignedBroadcast`] as JSON.
    pub body: Bytes,
}

/// How far an own message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits for the ring to close, or for anybody to come.
    Queued,
    /// It was sent.
    OnItsWay,
    /// It is known to have reached all that could be.
    Complete,
}

/// How far an own message has come, with numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// In a word.
    pub state: DeliveryState,
    /// Other members that have it.
    pub delivered_to: usize,
    /// Other members it is for; 0 while that is not known.
    pub delivered_of: usize,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The listener is up.
    Listening {
        /// Where.
        address: Address,
    },
    /// An attempt to connect failed.
    ConnectFailed {
        /// Where to.
        address: Address,
        /// Counted since the last success.
        attempt: u32,
        /// Fast attempts configured.
        retries: u32,
        /// Why.
        code: Code,
        /// More about it.
        detail: String,
    },
    /// A link is up.
    LinkUp {
        /// Which.
        link: LinkId,
        /// Who.
        peer: PeerName,
        /// What bears it.
        transport: Transport,
        /// Who dialled.
        direction: Direction,
        /// The address at this end.
        local: Address,
        /// The address at the other end.
        remote: Address,
    },
    /// A link that was up is up no more.
    LinkDown {
        /// Which.
        link: LinkId,
        /// Who.
        peer: PeerName,
        /// Why.
        code: Code,
        /// More about it.
        detail: String,
        /// Whether it bore the successor or predecessor of a ring.
        ring: Option<RingSide>,
    },
    /// A connection was refused, by us or by them, before it became a link.
    Refused {
        /// The other end.
        remote: Address,
        /// Who it proved to be.
        peer: Option<NodeId>,
        /// Why.
        code: Code,
        /// More about it.
        detail: String,
        /// Whether the other side refused us.
        by_them: bool,
    },
    /// A linked peer sent something that was refused.
    Misbehaved {
        /// Who.
        peer: PeerName,
        /// Why.
        code: Code,
        /// More about it.
        detail: String,
    },
    /// A member is known that was not, or is back.
    MemberJoined {
        /// Who.
        peer: PeerName,
    },
    /// A member said goodbye.
    MemberLeft {
        /// Who.
        peer: PeerName,
    },
    /// A member was expelled.
    MemberRevoked {
        /// Who.
        id: NodeId,
        /// Its name, if known.
        name: Option<Name>,
        /// Whether it is this node itself.
        own: bool,
    },
    /// The successor or predecessor on the ring changed.
    RingChanged {
        /// The successor now.
        next: Option<PeerName>,
        /// The predecessor now.
        previous: Option<PeerName>,
    },
    /// One's own token came round after the ring had been open or different.
    RingClosed {
        /// Live members, oneself included.
        length: usize,
    },
    /// A service's message from another member arrived, once.
    Broadcast {
        /// Who wrote it.
        author: PeerName,
        /// What.
        message: Box<SignedBroadcast>,
        /// The same as it was signed.
        signed: Arc<SignedText>,
        /// The way it came: the author first, the last one before us at the end; of those in between only the known.
        path: Vec<NodeId>,
    },
    /// A message of our own has come further.
    Delivered {
        /// Its sequence.
        seq: UnixMicros,
        /// How far.
        delivery: Delivery,
    },
    /// The best way to a member is another one now, or there is none any more.
    RouteChanged {
        /// To whom.
        peer: PeerName,
        /// The members on it now, the destination last; empty if there is no way.
        path: Vec<NodeId>,
        /// Expected delivery time now, in microseconds.
        cost_us: Option<u64>,
        /// Why, in a few words.
        cause: &'static str,
    },
    /// Where others can reach this node by UDP is known otherwise than before.
    AddressesChanged {
        /// Addresses beyond this host: those verified first, then those seen of late.
        seen: Vec<SocketAddr>,
        /// `unknown`, `independent` or `dependent`: how ports outside follow from the destination.
        mapping: &'static str,
        /// `unknown`, `independent`, `address` or `port`: from where datagrams get in.
        filtering: &'static str,
    },
    /// A signal server did not answer or refused.
    SignalFailed {
        /// The URL.
        url: String,
        /// What went wrong.
        detail: String,
    },
    /// A signal server answered.
    SignalAnswered {
        /// The URL.
        url: String,
        /// Members it listed.
        members: usize,
    },
    /// A second relayed link to a peer is up, through another proxy, for when the one in use breaks.
    StandsBy {
        /// Which.
        link: LinkId,
        /// Who.
        peer: PeerName,
        /// Through which proxy.
        proxy: PeerName,
    },
    /// A relayed link to a peer broke, or became slow, while one through another proxy works and carries what is sent to it:
    /// so it is the proxy that failed.
    ProxyFailed {
        /// To whom.
        peer: PeerName,
        /// The proxy.
        proxy: PeerName,
        /// Why: `slower`, or the code with which the link ended.
        reason: &'static str,
        /// More about it.
        detail: String,
    },
    /// The state of this node is another one: at the start it is `idle`.
    StateChanged {
        /// What it was.
        before: &'static str,
        /// `idle`, `punching` or `connected`: nobody linked and nothing tried, something tried, somebody linked.
        state: &'static str,
    },
    /// An attempt at a direct way to a member begins: both agreed to it.
    PunchStarted {
        /// With whom.
        peer: PeerName,
    },
    /// A direct link came of an attempt.
    PunchSucceeded {
        /// With whom.
        peer: PeerName,
        /// How: `near`, `told`, `seen`, `predicted`, `birthday`, `tcp`, or `linked` in another way meanwhile.
        kind: &'static str,
        /// The other end.
        address: Address,
        /// Milliseconds after the agreed instant.
        took_ms: u64,
    },
    /// No direct link came of an attempt.
    PunchFailed {
        /// With whom.
        peer: PeerName,
        /// Why, as a fixed word.
        reason: &'static str,
    },
    /// All members choose their links anew at an instant, or were to.
    Rebuild {
        /// Who signed the order.
        by: NodeId,
        /// Its sequence.
        seq: UnixMicros,
        /// The instant, in network time.
        at: UnixMicros,
        /// Whether nothing is changed by it.
        dry_run: bool,
        /// What happened.
        step: RebuildStep,
    },
    /// A member finds the mesh badly shaped.
    RebuildProposed {
        /// Who.
        by: NodeId,
        /// What is wrong, as a fixed word.
        cause: &'static str,
        /// How many members propose it now.
        count: usize,
    },
    /// A proxy joined two members.
    Relayed {
        /// The one.
        first: NodeId,
        /// The other.
        second: NodeId,
    },
}

/// How far an order to choose links anew is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildStep {
    /// This node has it.
    Planned,
    /// It was ended before its instant.
    Aborted,
    /// Another one stands in its place.
    Superseded,
    /// It is not done: it expired, or another one was done a moment before.
    Skipped,
    /// It changes nothing; this is what it would change.
    Tried {
        /// Members to be linked.
        fresh: usize,
        /// Links that may go.
        idle: usize,
    },
    /// Links are chosen anew now.
    Started {
        /// Members to be linked at once.
        fresh: usize,
        /// Links that may go.
        idle: usize,
        /// Network time less the instant, in microseconds.
        late_us: i64,
    },
    /// New links are up and old ones gone.
    Done {
        /// Links that came up.
        linked: usize,
        /// Links let go from here.
        let_go: usize,
    },
}

impl RebuildStep {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Aborted => "aborted",
            Self::Superseded => "superseded",
            Self::Skipped => "skipped",
            Self::Tried { .. } => "tried",
            Self::Started { .. } => "started",
            Self::Done { .. } => "done",
        }
    }
}

/// A place on the ring next to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingSide {
    /// The one we hand messages to.
    Next,
    /// The one that hands messages to us.
    Previous,
    /// Both, on a ring of two.
    Both,
}
