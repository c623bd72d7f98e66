//! What happens, as server-sent events: the chat, and who comes and goes.

#[cfg(feature = "ledger")]
mod ledger;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use meshline_mesh::{Event as MeshEvent, PeerName, RebuildStep};
use meshline_net::MeshHandle;
use meshline_protocol::{NodeId, UnixMicros};
use meshline_services::{Event, chat, discovery};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use super::Api;
use super::documents::{MessageRow, rfc3339};
use super::extract::Params;
use super::problem::Problem;
use super::services::{ServiceRemoved, ServiceRow};
use crate::feed::{Bounds, Entry, Feed};
use crate::files::{FileError, random_bytes};
#[cfg(feature = "ledger")]
pub(super) use ledger::fill_ledger;

/// Events kept for those who come back: ten seconds of a chat in which a hundred people write.
const MAX_EVENTS: usize = 1_024;

/// Bytes kept: ten of the longest texts with every character escaped, or all events at a thousand bytes.
const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// Readers at once: half of the connections, so that a page always finds one for its requests.
const MAX_EVENT_READERS: usize = 64;

const BOUNDS: Bounds = Bounds { entries: MAX_EVENTS, bytes: MAX_EVENT_BYTES, readers: MAX_EVENT_READERS };

/// Events of before that are told unless `limit` says otherwise: a few screens.
const DEFAULT_LIMIT: usize = 200;

/// All events matter the same.
const RANK: u8 = 0;

/// The id of the last event seen, for clients that cannot set the header.
#[derive(Debug, Deserialize)]
pub(super) struct Resume {
    last_event_id: Option<String>,
}

pub(super) async fn stream(
    State(api): State<Api>,
    Params(resume): Params<Resume>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reader = api.events.read(last_id(&headers, resume.last_event_id.as_deref()), RANK);
    std::future::ready(reader.map(crate::feed::Reader::into_response).map_err(|_| Problem::too_many_readers())).await
}

/// What may stand behind the `?` of what happened before.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    limit: Option<usize>,
}

/// The document of what happened before.
#[derive(Serialize, JsonSchema)]
pub(super) struct Past {
    /// `meshline/events/1`.
    schema: &'static str,
    /// Oldest first.
    events: Vec<Happened>,
    /// The stream of events goes on behind them with this id.
    last_event_id: String,
}

/// One event of before.
#[derive(Serialize, JsonSchema)]
struct Happened {
    /// RFC 3339 in UTC with microseconds, by the clock of this host.
    time: String,
    /// Its name, as in the stream.
    event: String,
    /// What the stream has as its data.
    #[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")]
    data: serde_json::Value,
}

impl From<&Entry> for Happened {
    fn from(entry: &Entry) -> Self {
        // It was written as JSON.
        let data = serde_json::from_slice(entry.data()).unwrap_or_default();
        Self { time: rfc3339(entry.at()), event: entry.name().to_owned(), data }
    }
}

pub(super) async fn past(State(api): State<Api>, Params(wanted): Params<Wanted>) -> Result<Json<Past>, Problem> {
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_EVENTS).contains(&limit) {
        return Err(Problem::bad_request(format!("`limit` is 1 to {MAX_EVENTS}")));
    }
    let (entries, last_event_id) = api.events.last_with_id(limit, RANK);
    let events = entries.iter().map(Happened::from).collect();
    std::future::ready(Ok(Json(Past { schema: "meshline/events/1", events, last_event_id }))).await
}

/// The header wins: a browser that lost the connection sets it and leaves the query as it was at first.
pub(super) fn last_id<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a str> {
    let header = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    header.or(query).filter(|id| !id.is_empty())
}

/// An empty memory of events, with a name of its own for this run.
///
/// # Errors
/// If the system gives no random bytes.
pub(super) fn feed() -> Result<Arc<Feed>, FileError> {
    let [a, b, c, d, ..] = random_bytes()?;
    Ok(Feed::new(format!("{:08x}-", u32::from_be_bytes([a, b, c, d])), 1, BOUNDS))
}

/// Encodes what the mesh tells, once for all readers, until the mesh ends.
pub(super) async fn fill(feed: Arc<Feed>, mesh: MeshHandle) {
    let mut events = mesh.subscribe();
    drop(mesh);
    loop {
        match events.recv().await {
            Ok(event) => keep(&feed, &event),
            Err(RecvError::Lagged(missed)) => put(&feed, "lagged", &Lagged { missed }),
            Err(RecvError::Closed) => return,
        }
    }
}

/// The form of the data of each event.
pub(super) fn shapes(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
    let shapes = vec![
        ("chat", schemas.subschema_for::<MessageRow>()),
        ("delivered", schemas.subschema_for::<Delivered>()),
        ("link_up", schemas.subschema_for::<LinkUp>()),
        ("link_down", schemas.subschema_for::<LinkDown>()),
        ("member_joined", schemas.subschema_for::<Member>()),
        ("member_left", schemas.subschema_for::<Member>()),
        ("member_revoked", schemas.subschema_for::<Revoked>()),
        ("ring_changed", schemas.subschema_for::<RingChanged>()),
        ("ring_closed", schemas.subschema_for::<RingClosed>()),
        ("route_changed", schemas.subschema_for::<RouteChanged>()),
        ("state_changed", schemas.subschema_for::<StateChanged>()),
        ("punch_started", schemas.subschema_for::<Member>()),
        ("punch_succeeded", schemas.subschema_for::<PunchSucceeded>()),
        ("punch_failed", schemas.subschema_for::<PunchFailed>()),
        ("proxy_failed", schemas.subschema_for::<ProxyFailed>()),
        ("service_added", schemas.subschema_for::<ServiceRow>()),
        ("service_changed", schemas.subschema_for::<ServiceRow>()),
        ("service_removed", schemas.subschema_for::<ServiceRemoved>()),
        ("rebuild", schemas.subschema_for::<Rebuilt>()),
        ("rebuild_proposed", schemas.subschema_for::<RebuildProposed>()),
        ("nat_changed", schemas.subschema_for::<NatChanged>()),
        ("lagged", schemas.subschema_for::<Lagged>()),
        ("reset", schemas.subschema_for::<Reset>()),
    ];
    #[cfg(feature = "ledger")]
    let shapes = [shapes, ledger::shapes(schemas)].concat();
    shapes
}

fn put(feed: &Feed, name: &str, data: &impl Serialize) {
    // A document of strings and numbers can always be written.
    feed.push(name, RANK, |_, text| text.push_str(&serde_json::to_string(data).unwrap_or_default()));
}

fn keep(feed: &Feed, event: &Event) {
    match event {
        Event::Chat(chat::Event::Message { message, .. }) => put(feed, "chat", &MessageRow::from(message.clone())),
        Event::Chat(chat::Event::Delivered { message, .. }) => put(feed, "delivered", &Delivered::from(message)),
        Event::Mesh(event) => keep_mesh(feed, event),
        Event::Discovery(discovery::Event::Added(entry)) => put(feed, "service_added", &ServiceRow::from(entry)),
        Event::Discovery(discovery::Event::Changed(entry)) => put(feed, "service_changed", &ServiceRow::from(entry)),
        Event::Discovery(discovery::Event::Removed { entry, cause }) => {
            put(feed, "service_removed", &ServiceRemoved::new(entry, *cause));
        }
    }
}

fn keep_mesh(feed: &Feed, event: &MeshEvent) {
    match event {
        MeshEvent::LinkUp { peer, transport, .. } => {
            let Member { peer, name } = peer.into();
            put(feed, "link_up", &LinkUp { peer, name, transport: transport.name() });
        }
        MeshEvent::LinkDown { peer, code, .. } => {
            let Member { peer, name } = peer.into();
            put(feed, "link_down", &LinkDown { peer, name, code: code.name() });
        }
        MeshEvent::MemberJoined { peer } => put(feed, "member_joined", &Member::from(peer)),
        MeshEvent::MemberLeft { peer } => put(feed, "member_left", &Member::from(peer)),
        MeshEvent::MemberRevoked { id, .. } => put(feed, "member_revoked", &Revoked { peer: *id }),
        MeshEvent::RingChanged { next, previous } => {
            let id = |peer: &Option<PeerName>| peer.as_ref().map(|peer| peer.id);
            put(feed, "ring_changed", &RingChanged { next: id(next), previous: id(previous) });
        }
        MeshEvent::RingClosed { length } => put(feed, "ring_closed", &RingClosed { length: *length }),
        MeshEvent::RouteChanged { peer, path, cost_us, cause } => {
            let Member { peer, name } = peer.into();
            put(feed, "route_changed", &RouteChanged { peer, name, path: path.clone(), cost: *cost_us, cause });
        }
        MeshEvent::StateChanged { before, state } => put(feed, "state_changed", &StateChanged { before, state }),
        MeshEvent::PunchStarted { peer } => put(feed, "punch_started", &Member::from(peer)),
        MeshEvent::PunchSucceeded { peer, kind, address, took_ms } => {
            let Member { peer, name } = peer.into();
            let (address, took_ms) = (address.clone(), *took_ms);
            put(feed, "punch_succeeded", &PunchSucceeded { peer, name, kind, address, took_ms });
        }
        MeshEvent::PunchFailed { peer, reason } => {
            let Member { peer, name } = peer.into();
            put(feed, "punch_failed", &PunchFailed { peer, name, reason });
        }
        MeshEvent::ProxyFailed { peer, proxy, reason, .. } => {
            let (Member { peer, name }, Member { peer: proxy, name: proxy_name }) = (peer.into(), proxy.into());
            put(feed, "proxy_failed", &ProxyFailed { peer, name, proxy, proxy_name, reason });
        }
        MeshEvent::Rebuild { by, seq, at, dry_run, step } => {
            put(feed, "rebuild", &Rebuilt::new((*by, *seq), (*at, *dry_run), *step));
        }
        MeshEvent::RebuildProposed { by, cause, count } => {
            put(feed, "rebuild_proposed", &RebuildProposed { by: *by, cause, count: *count });
        }
        MeshEvent::AddressesChanged { seen, mapping, filtering } => {
            let udp = seen.iter().map(ToString::to_string).collect();
            put(feed, "nat_changed", &NatChanged { udp, mapping, filtering });
        }
        MeshEvent::Listening { .. }
        | MeshEvent::ConnectFailed { .. }
        | MeshEvent::Refused { .. }
        | MeshEvent::Misbehaved { .. }
        | MeshEvent::Broadcast { .. }
        | MeshEvent::Delivered { .. }
        | MeshEvent::SignalFailed { .. }
        | MeshEvent::SignalAnswered { .. }
        | MeshEvent::StandsBy { .. }
        | MeshEvent::Relayed { .. } => {}
    }
}

/// `route_changed`: the best way to a member is another one now; an empty path means that there is none.
#[derive(Serialize, JsonSchema)]
struct RouteChanged {
    peer: NodeId,
    name: String,
    path: Vec<NodeId>,
    /// Expected delivery time in microseconds.
    cost: Option<u64>,
    cause: &'static str,
}

/// `state_changed`: the state of this member, as in `status`; at its start it is `idle`.
#[derive(Serialize, JsonSchema)]
struct StateChanged {
    before: &'static str,
    /// `idle`, `punching` or `connected`.
    state: &'static str,
}

/// `punch_succeeded`: a direct link came of an attempt, so long after the instant agreed on.
#[derive(Serialize, JsonSchema)]
struct PunchSucceeded {
    peer: NodeId,
    name: String,
    /// `near`, `told`, `seen`, `predicted`, `birthday`, `tcp` or `linked`.
    kind: &'static str,
    address: meshline_protocol::Address,
    took_ms: u64,
}

/// `punch_failed`: none did.
#[derive(Serialize, JsonSchema)]
struct PunchFailed {
    peer: NodeId,
    name: String,
    reason: &'static str,
}

/// `proxy_failed`: a link to a peer through a proxy broke or became slow, and one through another proxy carries.
#[derive(Serialize, JsonSchema)]
struct ProxyFailed {
    peer: NodeId,
    name: String,
    proxy: NodeId,
    proxy_name: String,
    /// `slower`, or the code with which the link ended.
    reason: &'static str,
}

/// `rebuild`: how far an order to choose all links anew is here.
#[derive(Serialize, JsonSchema)]
struct Rebuilt {
    /// Who signed it.
    by: NodeId,
    seq: UnixMicros,
    /// The instant, in microseconds of network time.
    at: UnixMicros,
    dry_run: bool,
    /// `planned`, `started`, `done`, `tried`, `skipped`, `aborted` or `superseded`.
    step: &'static str,
    /// Links that come at once (`started`, `tried`), or came (`done`).
    linked: usize,
    /// Links made idle (`started`, `tried`), or let go from here (`done`).
    let_go: usize,
    /// `started`: network time less the instant, in microseconds.
    late_us: Option<i64>,
}

impl Rebuilt {
    fn new((by, seq): (NodeId, UnixMicros), (at, dry_run): (UnixMicros, bool), step: RebuildStep) -> Self {
        let (linked, let_go, late_us) = match step {
            RebuildStep::Tried { fresh, idle } => (fresh, idle, None),
            RebuildStep::Started { fresh, idle, late_us } => (fresh, idle, Some(late_us)),
            RebuildStep::Done { linked, let_go } => (linked, let_go, None),
            RebuildStep::Planned | RebuildStep::Aborted | RebuildStep::Superseded | RebuildStep::Skipped => {
                (0, 0, None)
            }
        };
        Self { by, seq, at, dry_run, step: step.name(), linked, let_go, late_us }
    }
}

/// `rebuild_proposed`: a member finds the mesh badly shaped.
#[derive(Serialize, JsonSchema)]
struct RebuildProposed {
    by: NodeId,
    /// `long_ways`, `uneven_load` or `idle_links`.
    cause: &'static str,
    /// Members that propose it now.
    count: usize,
}

/// `nat_changed`: where others reach this node by UDP is known otherwise than before.
#[derive(Serialize, JsonSchema)]
struct NatChanged {
    /// Addresses beyond this host: verified ones first, then those seen of late.
    udp: Vec<String>,
    /// As in `status`.
    mapping: &'static str,
    /// As in `status`.
    filtering: &'static str,
}

/// `delivered`: an own message has come further.
#[derive(Serialize, JsonSchema)]
struct Delivered {
    cursor: String,
    state: &'static str,
    delivered_to: usize,
    delivered_of: usize,
}

impl From<&chat::Message> for Delivered {
    fn from(message: &chat::Message) -> Self {
        let chat::Delivery { state, delivered_to, delivered_of } = message.delivery;
        Self { cursor: message.cursor.to_string(), state: state.name(), delivered_to, delivered_of }
    }
}

/// `link_up`
#[derive(Serialize, JsonSchema)]
struct LinkUp {
    peer: NodeId,
    name: String,
    transport: &'static str,
}

/// `link_down`, with the reason.
#[derive(Serialize, JsonSchema)]
struct LinkDown {
    peer: NodeId,
    name: String,
    code: &'static str,
}

/// `member_joined` and `member_left`
#[derive(Serialize, JsonSchema)]
struct Member {
    peer: NodeId,
    name: String,
}

impl From<&PeerName> for Member {
    fn from(peer: &PeerName) -> Self {
        Self { peer: peer.id, name: peer.name.clone() }
    }
}

/// `member_revoked`
#[derive(Serialize, JsonSchema)]
struct Revoked {
    peer: NodeId,
}

/// `ring_changed`: who comes after and before this member now.
#[derive(Serialize, JsonSchema)]
struct RingChanged {
    next: Option<NodeId>,
    previous: Option<NodeId>,
}

/// `ring_closed`: so many members are on it.
#[derive(Serialize, JsonSchema)]
struct RingClosed {
    length: usize,
}

/// `lagged`: so many events are lost to this reader, which should read again what it shows.
#[derive(Serialize, JsonSchema)]
pub(super) struct Lagged {
    missed: u64,
}

/// `reset`: what came after the event last seen is not known; what is shown should be read again.
#[derive(Serialize, JsonSchema)]
pub(super) struct Reset {
    reason: &'static str,
}
