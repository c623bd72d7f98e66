//! The directory of services: what members offer, and what this one offers while a request is open.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use meshline_gateway::{Allow, Expose, Refusal};
use meshline_protocol::{Code, NodeId, ServiceKind, ServiceName, ServiceText, Target};
use meshline_services::discovery::{Command, Entry, Filter, Reply, Report};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::events::Lagged;
use super::extract::{Params, Posted};
use super::operations::Parameter;
use super::problem::Problem;
use super::{Api, Shared, ask};
use crate::feed::{Bounds, Feed};

/// The document of `services`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Services {
    /// `meshline/services/1`.
    schema: &'static str,
    /// By name; of one name the nearest that may answer first.
    services: Vec<ServiceRow>,
}

/// A service that a member offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct ServiceRow {
    /// Its name: services of one name and kind are the same, at several members.
    name: ServiceName,
    /// What is spoken there, as in DNS-SD.
    kind: ServiceKind,
    /// Who offers it.
    member: NodeId,
    /// The name of that member.
    member_name: String,
    /// Its port at the member, 0 if it has none.
    port: u16,
    /// What its owner says of it.
    text: ServiceText,
    /// `up` or `down` if its owner tries, else `unknown`.
    health: &'static str,
    /// Milliseconds until it is gone unless its owner renews it.
    expires_ms: u64,
    /// Expected delivery time to the member in microseconds, 0 for this one; null if no way leads there.
    cost: Option<u64>,
    /// Whether it comes and goes so often that its changes are not told.
    damped: bool,
    /// What it has gathered by that: 1,000 for each change, half of it forgotten in a minute; damped from 3,500 to 1,500.
    penalty: u32,
}

impl From<&Entry> for ServiceRow {
    fn from(entry: &Entry) -> Self {
        let Entry { name, kind, member, member_name, port, text, health, expires_us, cost_us, damped, penalty } =
            entry.clone();
        let (health, expires_ms) = (health.name(), expires_us / 1_000);
        Self { name, kind, member, member_name, port, text, health, expires_ms, cost: cost_us, damped, penalty }
    }
}

/// `service_removed`: it is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ServiceRemoved {
    /// As it was.
    #[serde(flatten)]
    service: ServiceRow,
    /// `withdrawn`, `left` or `expired`.
    cause: &'static str,
}

impl ServiceRemoved {
    pub(super) fn new(entry: &Entry, cause: meshline_services::discovery::Cause) -> Self {
        Self { service: entry.into(), cause: cause.name() }
    }
}

/// How much there is in the directory.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ServicesReport {
    /// Services of all members, this one too.
    services: usize,
    /// Members that offer any.
    owners: usize,
    /// Services that this member offers.
    own: usize,
    /// Services whose changes are not told.
    damped: usize,
    /// Bytes of signed lists.
    bytes: usize,
    /// Lists that this member sent.
    published: u64,
    /// Lists refused, by reason.
    refused: std::collections::BTreeMap<&'static str, u64>,
}

impl From<Report> for ServicesReport {
    fn from(report: Report) -> Self {
        let Report { services, owners, own, damped, bytes, published, refused } = report;
        Self { services, owners, own, damped, bytes, published, refused }
    }
}

pub(super) const PARAMETERS: [Parameter; 2] = [
    Parameter {
        name: "kind",
        place: "query",
        description: "Only services of this kind, such as _http._tcp.",
        shape: |schemas| schemas.subschema_for::<ServiceKind>(),
    },
    Parameter {
        name: "name",
        place: "query",
        description: "Only services of this name.",
        shape: |schemas| schemas.subschema_for::<ServiceName>(),
    },
];

/// What may stand behind the `?`.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    kind: Option<ServiceKind>,
    name: Option<ServiceName>,
}

pub(super) async fn list(State(api): State<Api>, Params(wanted): Params<Wanted>) -> Result<Json<Services>, Problem> {
    let Wanted { kind, name } = wanted;
    let Reply::Listed(found) = directory(&api, Command::List(Filter { name, kind })).await? else {
        return Err(Problem::unexpected());
    };
    Ok(Json(Services { schema: "meshline/services/1", services: found.iter().map(ServiceRow::from).collect() }))
}

/// How much there is.
pub(super) async fn report(shared: &Shared) -> Result<Report, Problem> {
    match directory(shared, Command::Report).await? {
        Reply::Report(report) => Ok(report),
        Reply::Offered | Reply::Listed(_) | Reply::Refused { .. } => Err(Problem::unexpected()),
    }
}

async fn directory(shared: &Shared, command: Command) -> Result<Reply, Problem> {
    match ask(shared, meshline_services::Command::Discovery(command)).await? {
        meshline_services::Reply::Discovery(reply) => Ok(reply),
        meshline_services::Reply::Mesh(_) | meshline_services::Reply::Chat(_) => Err(Problem::unexpected()),
    }
}

/// A service to offer while the answer is read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Advert {
    /// What it is called.
    name: ServiceName,
    /// What is spoken there, as in DNS-SD ("_http._tcp").
    kind: ServiceKind,
    /// Where it is on this host or near it: tcp://host:port, udp://host:port or unix:/path.
    target: Target,
    /// What else there is to say of it.
    #[serde(default)]
    text: ServiceText,
    /// Who may use it: "*", full ids, names of a closed network, "role:…".
    allow: Vec<Allow>,
    /// Seconds between two attempts to connect to it; missing: none.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3600))]
    check_s: Option<u32>,
}

/// `advertised`: others can find and reach it from now on.
#[derive(Debug, Serialize, JsonSchema)]
struct Advertised {
    /// `meshline/advertised/1`.
    schema: &'static str,
    name: ServiceName,
    kind: ServiceKind,
    target: Target,
    /// Names in `allow` that no known member has: they allow nobody, until somebody is called so.
    unknown: Vec<String>,
}

/// The form of the data of each event.
pub(super) fn shapes(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
    vec![("advertised", schemas.subschema_for::<Advertised>()), ("lagged", schemas.subschema_for::<Lagged>())]
}

/// One event and one reader.
const BOUNDS: Bounds = Bounds { entries: 4, bytes: 16 * 1024, readers: 1 };

pub(super) async fn advertise(State(api): State<Api>, Posted(advert): Posted<Advert>) -> Result<Response, Problem> {
    let Advert { name, kind, target, text, allow, check_s } = advert;
    if check_s.is_some_and(|seconds| !(1..=3_600).contains(&seconds)) {
        return Err(Problem::bad_request("`check_s` is 1 to 3600"));
    }
    if allow.is_empty() {
        return Err(Problem::bad_request("nobody may use it: `allow` names those who may, \"*\" is everybody"));
    }
    if target.is_udp() != kind.as_str().ends_with("._udp") {
        return Err(Problem::bad_request(format!("what is of kind {kind} is not at {target}")));
    }
    let unknown = allow.iter().filter_map(|entry| unknown_name(&api, entry)).collect();
    let advertised = Advertised {
        schema: "meshline/advertised/1",
        name: name.clone(),
        kind: kind.clone(),
        target: target.clone(),
        unknown,
    };
    let (advertise, kind) = (Some(true), Some(kind));
    let expose = Expose { advertise, kind, text, check_s, ..Expose::new(name, target, allow) };
    let held = api.gateway.hold(expose).await.map_err(|Refusal { code, detail }| Problem::refused(code, detail))?;
    let feed = Feed::new("advert-".to_owned(), 1, BOUNDS);
    let reader = feed.read(None, 0).map_err(|_| Problem::too_many_readers())?;
    feed.push("advertised", 0, |_, data| data.push_str(&serde_json::to_string(&advertised).unwrap_or_default()));
    Ok(reader.into_response_holding(held))
}

/// A name that nobody has.
fn unknown_name(api: &Api, entry: &Allow) -> Option<String> {
    let Allow::Name(name) = entry else { return None };
    api.gateway.meant(name.as_str()).is_empty().then(|| name.to_string())
}

/// A refusal of words that may mean a service: what does not name a member names none, and `services` lists them.
pub(super) fn refused(shared: &Shared, word: &str, has_target: bool, refusal: Refusal) -> Problem {
    let Refusal { code, detail } = refusal;
    let word = word.parse::<meshline_gateway::ServiceWord>();
    let is_service = word.is_ok_and(|word| word.at.is_none_or(|at| !shared.gateway.meant(&at).is_empty()));
    if code == Code::NoSuchPeer && is_service && !has_target {
        return Problem::no_service(detail);
    }
    Problem::refused(code, detail)
}

/// Whether anybody offers a service that a word may mean.
pub(super) async fn is_offered(shared: &Shared, word: &str) -> bool {
    let Ok(word) = word.parse::<meshline_gateway::ServiceWord>() else { return false };
    let filter = Filter { name: Some(word.name), kind: None };
    matches!(directory(shared, Command::List(filter)).await, Ok(Reply::Listed(found)) if !found.is_empty())
}

/// What became of a word that nobody could be found by.
pub(super) async fn unknown(shared: &Shared, word: &str, has_target: bool, refusal: Refusal) -> Problem {
    let is_nobody = refusal.code == Code::NoSuchService && shared.gateway.meant(word).is_empty();
    if !is_nobody || (!has_target && is_offered(shared, word).await) {
        return refused(shared, word, has_target, refusal);
    }
    if has_target { Problem::no_such_peer(word) } else { Problem::no_such_service(word) }
}
