//! The documents that are not the core's own.

use std::collections::BTreeMap;

use meshline_gateway::{ForwardRow, ForwardState, GatewayReport, ProxyState, Traffic};
use meshline_mesh::{PeerRow, Readiness, RouteRow, Status};
use meshline_net::TunnelReport;
use meshline_protocol::{NodeId, UnixMicros};
use meshline_services::chat::{Bounds, Listing, Message, Report};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::services::ServicesReport;

/// The document of `status`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatusDocument {
    /// Of the mesh.
    #[serde(flatten)]
    pub(crate) mesh: Status,
    /// Of the chat.
    pub(crate) chat: ChatReport,
    /// Of the directory of services.
    pub(crate) services: ServicesReport,
    /// Of forwards, the local proxy and what others use here.
    pub(crate) gateway: GatewayStatus,
    /// Of all tunnels together.
    pub(crate) tunnels: TunnelsStatus,
}

/// What the gateway does, in short.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GatewayStatus {
    /// Forwards, configured and added.
    forwards: usize,
    /// Of them those that could not begin.
    failed: usize,
    /// Services exposed.
    exposed: usize,
    /// Whether the local proxy listens; null if there is none.
    socks5: Option<bool>,
    /// What went through forwards and the proxy.
    local: UseRow,
    /// What other members used here.
    served: UseRow,
}

/// What went through.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct UseRow {
    /// Connections, or UDP addresses, that were served.
    connections: u64,
    /// Of them those that are open.
    open: u64,
    /// Bytes sent into tunnels.
    sent_bytes: u64,
    /// Bytes that came out of them.
    received_bytes: u64,
    /// What was refused, by reason.
    refused: BTreeMap<String, u64>,
}

impl UseRow {
    fn of<'a>(all: impl Iterator<Item = &'a Traffic>) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum.connections += one.connections;
            sum.open += one.open;
            sum.sent_bytes += one.sent_bytes;
            sum.received_bytes += one.received_bytes;
            for (code, count) in &one.refused {
                *sum.refused.entry(code.clone()).or_default() += count;
            }
            sum
        })
    }
}

impl From<&GatewayReport> for GatewayStatus {
    fn from(report: &GatewayReport) -> Self {
        let is_failed = |row: &&ForwardRow| matches!(row.state, ForwardState::Refused(_));
        let forwards = report.forwards.iter().map(|row| &row.traffic);
        Self {
            forwards: report.forwards.len(),
            failed: report.forwards.iter().filter(is_failed).count(),
            exposed: report.expose.len(),
            socks5: report.proxy.as_ref().map(|proxy| matches!(proxy.state, ProxyState::Listening(_))),
            local: UseRow::of(forwards.chain(report.proxy.iter().map(|proxy| &proxy.traffic))),
            served: UseRow::of(std::iter::once(&report.served)),
        }
    }
}

/// All tunnels together.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct TunnelsStatus {
    /// Tunnels that are up.
    up: usize,
    /// Streams that are open.
    streams: usize,
    /// Bytes in packets sent.
    sent_bytes: u64,
    /// Bytes in packets received.
    received_bytes: u64,
    /// Packets that were lost.
    lost: u64,
    /// How often traffic moved because a path died.
    failovers: u64,
}

impl TunnelsStatus {
    pub(crate) fn of(reports: &[(NodeId, TunnelReport)]) -> Self {
        reports.iter().fold(Self::default(), |sum, (_, one)| Self {
            up: sum.up + usize::from(one.is_up),
            streams: sum.streams + one.streams,
            sent_bytes: sum.sent_bytes + one.sent_bytes,
            received_bytes: sum.received_bytes + one.received_bytes,
            lost: sum.lost + one.lost,
            failovers: sum.failovers + one.failovers,
        })
    }
}

/// The document of `readyz`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ready {
    /// `meshline/ready/1`.
    schema: &'static str,
    /// Whether, and why or why not.
    #[serde(flatten)]
    readiness: Readiness,
}

impl Ready {
    pub(crate) fn new(readiness: Readiness) -> Self {
        Self { schema: "meshline/ready/1", readiness }
    }
}

/// The answer to a record.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Applied {
    /// `meshline/applied/1`.
    schema: &'static str,
    /// What came of it, in words.
    result: String,
}

impl Applied {
    pub(crate) fn new(result: String) -> Self {
        Self { schema: "meshline/applied/1", result }
    }
}

/// The document of `peers`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Peers {
    /// `meshline/peers/1`.
    schema: &'static str,
    /// One row a member.
    peers: Vec<PeerRow>,
}

impl Peers {
    pub(crate) fn new(peers: Vec<PeerRow>) -> Self {
        Self { schema: "meshline/peers/1", peers }
    }
}

/// The document of `routes`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Routes {
    /// `meshline/routes/1`.
    schema: &'static str,
    /// One row a way, those to one member together, the one in use first.
    routes: Vec<RouteRow>,
}

impl Routes {
    pub(crate) fn new(routes: Vec<RouteRow>) -> Self {
        Self { schema: "meshline/routes/1", routes }
    }
}

/// One message of the chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageRow {
    /// Its place in the order of arrival at this member: give it to `after` to read on from here.
    pub cursor: String,
    /// Who wrote it.
    pub author: NodeId,
    /// The author's name.
    pub name: String,
    /// What.
    pub text: String,
    /// When, by the author's clock: RFC 3339 in UTC with microseconds.
    pub time: String,
    /// The hybrid clock in microseconds: with author and `seq` the order in which all members show the messages.
    pub clock: u64,
    /// The author's sequence in microseconds.
    pub seq: u64,
    /// Whether it was written here.
    pub own: bool,
    /// Own messages: `queued` until the ring closes or somebody comes, `sent` on its way, `delivered` once everybody
    /// who can be reached has it. Others': `received`.
    pub state: String,
    /// Own messages: how many other members are known to have it.
    pub delivered_to: usize,
    /// Own messages: how many other members it is for; 0 while that is not known.
    pub delivered_of: usize,
    /// The way it came, from the author to the last one before this member; empty if unknown or written here.
    pub path: Vec<NodeId>,
}

impl From<Message> for MessageRow {
    fn from(message: Message) -> Self {
        Self {
            cursor: message.cursor.to_string(),
            author: message.author,
            name: message.name,
            text: message.text,
            time: rfc3339(message.time),
            clock: message.clock.get(),
            seq: message.seq.get(),
            own: message.own,
            state: message.delivery.state.name().to_owned(),
            delivered_to: message.delivery.delivered_to,
            delivered_of: message.delivery.delivered_of,
            path: message.path,
        }
    }
}

/// The answer to a message: as it stands in the history.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Sent {
    /// `meshline/message/1`.
    schema: &'static str,
    /// The message.
    #[serde(flatten)]
    message: MessageRow,
}

impl Sent {
    pub(crate) fn new(message: Message) -> Self {
        Self { schema: "meshline/message/1", message: message.into() }
    }
}

/// The document of `chat history`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Messages {
    /// `meshline/messages/1`.
    pub schema: String,
    /// In the common order, oldest first.
    pub messages: Vec<MessageRow>,
    /// Give it to `after` to read on behind what this document covers.
    pub cursor: String,
    /// Whether there are more on the side that was asked for.
    pub more: bool,
}

impl Messages {
    pub(crate) fn new(listing: Listing) -> Self {
        Self {
            schema: "meshline/messages/1".to_owned(),
            messages: listing.messages.into_iter().map(MessageRow::from).collect(),
            cursor: listing.cursor.to_string(),
            more: listing.more,
        }
    }
}

/// How much of the chat is kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatReport {
    /// Messages.
    messages: usize,
    /// Bytes of signed texts.
    bytes: usize,
    /// Messages at most; the oldest give way.
    max_messages: usize,
    /// Bytes at most.
    max_bytes: usize,
    /// The newest cursor.
    cursor: String,
    /// Whether the last write to disk went well.
    durable: bool,
}

impl From<Report> for ChatReport {
    fn from(Report { messages, bytes, bounds, cursor, durable }: Report) -> Self {
        let Bounds { max_messages, max_bytes } = bounds;
        Self { messages, bytes, max_messages, max_bytes, cursor: cursor.to_string(), durable }
    }
}

/// A time as documents show it.
pub(crate) fn rfc3339(time: UnixMicros) -> String {
    let time = i64::try_from(time.get()).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    time.map_or_else(String::new, |time| format!("{time:.6}"))
}
