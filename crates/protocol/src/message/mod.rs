//! Every message, one file an area. A message on the wire is externally tagged: `{"hello":{…}}`,
//! `{"ring":{"token":{…}}}`.

mod broadcast;
mod chat;
mod companion;
mod find;
mod gossip;
mod hello;
mod ledger;
mod link;
mod nat;
mod peers;
mod punch;
mod rebuild;
mod record;
mod relay;
mod ring;
mod routing;
mod services;

pub use broadcast::{
    Broadcast, BroadcastAck, BroadcastCompare, BroadcastGraft, BroadcastHave, BroadcastKind, BroadcastMessage,
    BroadcastName, BroadcastPlace, BroadcastPrune, BroadcastTrail, BroadcastWant,
};
pub use chat::{Chat, ChatCompare, ChatEntry, ChatKey, ChatKeys, ChatMessages, ChatRange, ChatRanges, ChatWant};
pub use companion::{Companion, CompanionOffer, CompanionSealed};
pub use find::{Find, FindAnswer, FindAsk, FindWhat, Finding, Found};
pub use gossip::{Gossip, Records, Summary, SummaryEntry, Want};
pub use hello::{Hello, Role};
pub use ledger::{
    Ledger, LedgerCompact, LedgerFee, LedgerHeaders, LedgerIndexes, LedgerInv, LedgerKind, LedgerLocate,
    LedgerNotFound, LedgerPart, LedgerPlace, LedgerProve, LedgerSpan, LedgerVersion, LedgerWant,
};
pub use link::{
    Echo, ErrorMessage, Goodbye, Header, Probe, ProbeNumber, ProbeReport, ProbeSize, TimeFrame, TimeStamps,
};
pub use nat::{Nat, NatBack, NatCall, NatCalled, NatThere, NatTransport, NatWhere};
pub use peers::{LinkPurpose, Peers, PeersAnswer, PeersAsk, PeersKnock, PeersOthers, PeersPurpose, PeersShuffle};
pub use punch::{Punch, PunchCandidates, PunchEnd, PunchInstant, PunchMapping, PunchOffer, PunchReason};
pub use rebuild::{Rebuild, RebuildAbort, RebuildCause, RebuildInstant, RebuildKnown, RebuildOrder, RebuildProposal};
pub use record::{Announcement, Departure, Membership, RecordText, Revocation, SignedBroadcast, SignedRecord};
pub use relay::{Relay, RelayPeer, RelayRefusal, RelayTicket};
pub use ring::{Ring, RingAttach, RingToken};
pub use routing::{
    AdvertisedLink, AdvertisementPart, Datagram, LinkState, Over, Routing, RoutingAck, RoutingAdvertisement,
    RoutingAdvertisements, RoutingSummary, RoutingWant, Seek,
};
pub use services::{
    Health, OfferedService, ServiceList, Services, ServicesCompare, ServicesEntry, ServicesLists, ServicesName,
    ServicesNames, ServicesWant,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One message of the protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The first message of each side.
    Hello(Box<Hello>),
    /// One step of a clock measurement, and the sign of life.
    Time(Box<TimeFrame>),
    /// A refusal with its name.
    Error(ErrorMessage),
    /// The sender leaves the network.
    Goodbye(Goodbye),
    /// Asks for a `pong` with the same content.
    Ping(Echo),
    /// The answer to `ping`.
    Pong(Echo),
    /// Ends a membership; signed by the network key.
    Revocation(SignedRecord),
    /// What the link carries, tried out.
    Probe(Probe),
    /// UDP beside the link.
    Companion(Companion),
    /// News about members.
    Gossip(Gossip),
    /// Who follows whom on the ring.
    Ring(Ring),
    /// A service's signed message to all members.
    Broadcast(Broadcast),
    /// A proxy's errands.
    Relay(Relay),
    /// Direct ways through address translation.
    Punch(Punch),
    /// Chat histories compared.
    Chat(Chat),
    /// Copies of the directory of services compared.
    Services(Services),
    /// Links told to all.
    Routing(Routing),
    /// Addresses tried out from outside.
    Nat(Nat),
    /// Which links are kept, and for what.
    Peers(Peers),
    /// Blocks and transactions.
    Ledger(Ledger),
    /// Links chosen anew at an agreed instant.
    Rebuild(Rebuild),
    /// Something carried from member to member. Has a body.
    Datagram(Box<Datagram>),
}

/// Tags that hold their message directly.
const PLAIN_TAGS: &[&str] = &["hello", "time", "error", "goodbye", "ping", "pong", "revocation", "datagram"];

/// Tags that hold an area, with the messages of the area.
const AREA_TAGS: &[(&str, &[&str])] = &[
    ("probe", &["ask", "agree", "decline", "filler", "report"]),
    ("companion", &["offer", "sealed"]),
    ("gossip", &["summary", "want", "records", "departure"]),
    ("ring", &["attach", "detach", "token"]),
    ("broadcast", &["flood", "ring", "ack", "have", "want", "graft", "prune", "place", "compare"]),
    ("relay", &["request", "offer", "accept", "grant", "refuse", "ticket"]),
    ("punch", &["call", "answer", "withdraw"]),
    ("nat", &["call", "called", "back", "where", "there"]),
    ("peers", &["purpose", "others", "shuffle", "ask", "knock", "echo", "answer"]),
    ("rebuild", &["record", "known", "instant"]),
    ("chat", &["compare", "ranges", "keys", "want", "messages"]),
    ("services", &["compare", "names", "want", "lists"]),
    (
        "ledger",
        &[
            "version",
            "getheaders",
            "headers",
            "getblocks",
            "inv",
            "getdata",
            "block",
            "tx",
            "notfound",
            "feefilter",
            "sendcmpct",
            "cmpctblock",
            "getblocktxn",
            "blocktxn",
            "getcfilters",
            "cfilter",
            "getcfheaders",
            "cfheaders",
            "getproof",
            "proof",
        ],
    ),
    ("routing", &["advertisement", "advertisements", "ack", "summary", "want"]),
];

impl Message {
    /// Whether this version knows a message by its tag and, in an area, by the tag inside.
    #[must_use]
    pub fn is_known(tag: &str, inner: Option<&str>) -> bool {
        PLAIN_TAGS.contains(&tag)
            || AREA_TAGS
                .iter()
                .any(|(area, messages)| *area == tag && inner.is_none_or(|inner| messages.contains(&inner)))
    }

    /// The name of the message for logs and counters.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Time(_) => "time",
            Self::Error(_) => "error",
            Self::Goodbye(_) => "goodbye",
            Self::Ping(_) => "ping",
            Self::Pong(_) => "pong",
            Self::Revocation(_) => "revocation",
            Self::Probe(probe) => probe.kind(),
            Self::Companion(companion) => companion.kind(),
            Self::Gossip(gossip) => gossip.kind(),
            Self::Ring(ring) => ring.kind(),
            Self::Broadcast(broadcast) => broadcast.kind(),
            Self::Relay(relay) => relay.kind(),
            Self::Punch(punch) => punch.kind(),
            Self::Chat(chat) => chat.kind(),
            Self::Services(services) => services.kind(),
            Self::Routing(routing) => routing.kind(),
            Self::Nat(nat) => nat.kind(),
            Self::Peers(peers) => peers.kind(),
            Self::Ledger(ledger) => ledger.kind(),
            Self::Rebuild(rebuild) => rebuild.kind(),
            Self::Datagram(_) => "datagram",
        }
    }

    /// Whether raw bytes must follow the line (and otherwise must not).
    #[must_use]
    pub fn takes_body(&self) -> bool {
        if let Self::Ledger(ledger) = self {
            return ledger.takes_body();
        }
        matches!(
            self,
            Self::Broadcast(Broadcast::Flood(_) | Broadcast::Ring(_))
                | Self::Chat(Chat::Messages(_))
                | Self::Services(Services::Lists(_))
                | Self::Routing(Routing::Advertisement(_) | Routing::Advertisements(_))
                | Self::Probe(Probe::Filler(_))
                | Self::Companion(Companion::Sealed(_))
                | Self::Datagram(_)
        )
    }
}
