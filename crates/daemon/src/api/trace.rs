//! Each member on the way to another is asked for echoes: how far the way goes, and how long each part of it takes.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use meshline_mesh::{Command, Explanation, LinkEnds, Reply};
use meshline_protocol::{Code, NodeId};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinSet;

use super::extract::Segment;
use super::problem::Problem;
use super::reads::explanation;
use super::{Api, Shared};

/// Traces at once: each has a datagram for each hop of its way under way.
pub(super) const MAX_TRACES: usize = 4;

/// Echoes asked of each hop.
const PROBES: usize = 3;

/// After so many echoes that did not come a hop is asked for no more: each takes seconds to be given up.
const MAX_LOST: usize = 2;

/// Between two echoes of one hop, so that one burst of other traffic does not bear on all of them.
const PAUSE: Duration = Duration::from_millis(20);

/// The document of `trace`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Trace {
    /// `meshline/trace/1`.
    schema: &'static str,
    /// The destination.
    peer: NodeId,
    /// Its name.
    name: String,
    /// Whether it answered.
    reached: bool,
    /// Expected delivery time by the advertisements, in microseconds.
    cost: Option<u64>,
    /// The members on the way, the destination last.
    hops: Vec<Hop>,
    /// Where the way ends before the destination.
    ends: Option<End>,
}

/// One member on the way.
#[derive(Debug, Serialize, JsonSchema)]
struct Hop {
    /// Its place, from 1.
    hop: usize,
    /// The member.
    peer: NodeId,
    /// Its name.
    name: String,
    /// Echoes asked for.
    sent: usize,
    /// The round trip of each echo that came, in microseconds.
    rtts_us: Vec<u64>,
    /// The shortest.
    min_us: Option<u64>,
    /// Their mean.
    avg_us: Option<u64>,
    /// The link that leads to it from the one before, as both of its ends advertise it.
    link: Option<LinkEnds>,
    /// Why the last echo did not come.
    failure: Option<End>,
}

/// Where and why a way ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct End {
    /// The last member that is known to have been reached.
    at: NodeId,
    /// Its name.
    name: String,
    /// `no_route`, `ttl_exceeded` or `not_carried` as it reports; `no_answer` where nobody reports anything.
    reason: String,
}

/// What came of the echoes asked of one hop.
#[derive(Debug, Default)]
struct Probed {
    sent: usize,
    rtts_us: Vec<u64>,
    /// Who reported why, if anybody did.
    failure: Option<(Option<NodeId>, String)>,
}

pub(super) async fn trace(State(api): State<Api>, Segment(selector): Segment) -> Result<Json<Trace>, Problem> {
    let _room = api.traces.try_acquire().map_err(|_| Problem::too_many("traces"))?;
    let explanation = explanation(&api, &selector).await?;
    let Reply::Status(status) = super::reads::mesh(&api, Command::Status).await? else {
        return Err(Problem::unexpected());
    };
    let own = (status.id, status.name);
    let path = explanation.ways.first().map_or_else(|| vec![explanation.row.id], |way| way.path.clone());
    let probed = probe_all(&api, &path).await;
    Ok(Json(document(own, &explanation, &path, probed)))
}

/// Asks all hops at once; the answers in the order of the path.
async fn probe_all(shared: &Shared, path: &[NodeId]) -> Vec<Probed> {
    let mut tasks = JoinSet::new();
    for count in 1..=path.len() {
        let (mesh, prefix) = (shared.mesh.clone(), path.iter().take(count).copied().collect());
        tasks.spawn(async move { (count, probe(&mesh, prefix).await) });
    }
    let mut probed = Vec::new();
    while let Some(done) = tasks.join_next().await {
        probed.extend(done);
    }
    probed.sort_by_key(|(count, _)| *count);
    probed.into_iter().map(|(_, probed)| probed).collect()
}

/// Asks the last member of a path. It is named in the path too: so the datagram goes just there, even where the best
/// way to that member is another one.
async fn probe(mesh: &meshline_net::MeshHandle, path: Vec<NodeId>) -> Probed {
    let mut probed = Probed::default();
    let Some(to) = path.last().copied() else { return probed };
    while probed.sent < PROBES && probed.sent - probed.rtts_us.len() < MAX_LOST {
        if probed.sent > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        probed.sent += 1;
        let command = Command::Probe { to, path: path.clone() };
        match mesh.command(meshline_services::Command::Mesh(command)).await {
            meshline_services::Reply::Mesh(Reply::Pong { micros }) => probed.rtts_us.push(micros),
            meshline_services::Reply::Mesh(Reply::Refused { code, detail }) => {
                probed.failure = Some(failure(code, &detail));
            }
            meshline_services::Reply::Mesh(_)
            | meshline_services::Reply::Chat(_)
            | meshline_services::Reply::Discovery(_) => return probed,
        }
    }
    probed
}

/// Who reported what, out of the refusal of an echo: `no_route`, or `no_route at …`.
fn failure(code: Code, detail: &str) -> (Option<NodeId>, String) {
    if code == Code::LinkTimeout {
        return (None, "no_answer".to_owned());
    }
    match detail.split_once(" at ") {
        Some((reason, at)) => (at.parse().ok(), reason.to_owned()),
        None => (None, detail.to_owned()),
    }
}

fn document(own: (NodeId, String), explanation: &Explanation, path: &[NodeId], probed: Vec<Probed>) -> Trace {
    let names = Names { own, links: &explanation.links, peer: (explanation.row.id, &explanation.row.name) };
    let mut before = names.own.0;
    let mut hops = Vec::new();
    for (index, (peer, probed)) in path.iter().zip(probed).enumerate() {
        hops.push(hop(index, *peer, before, probed, &names));
        before = *peer;
    }
    let reached = hops.last().is_some_and(|hop| !hop.rtts_us.is_empty());
    let silent = hops.iter().find(|hop| hop.rtts_us.is_empty()).filter(|_| !reached);
    let ends = silent.and_then(|hop| hop.failure.clone());
    Trace {
        schema: "meshline/trace/1",
        peer: explanation.row.id,
        name: explanation.row.name.clone(),
        reached,
        cost: explanation.ways.first().map(|way| way.cost),
        hops,
        ends,
    }
}

fn hop(index: usize, peer: NodeId, before: NodeId, probed: Probed, names: &Names<'_>) -> Hop {
    let Probed { sent, rtts_us, failure } = probed;
    let failure = failure.map(|(at, reason)| {
        // Nobody reported: the way was sound up to the one before, as far as is known.
        let at = at.unwrap_or(before);
        End { at, name: names.of(&at), reason }
    });
    let count = u64::try_from(rtts_us.len()).unwrap_or(u64::MAX);
    Hop {
        hop: index + 1,
        peer,
        name: names.of(&peer),
        sent,
        min_us: rtts_us.iter().min().copied(),
        avg_us: rtts_us.iter().sum::<u64>().checked_div(count),
        rtts_us,
        link: names.links.get(index).cloned(),
        failure,
    }
}

/// The names of those on a way.
struct Names<'a> {
    own: (NodeId, String),
    links: &'a [LinkEnds],
    peer: (NodeId, &'a str),
}

impl Names<'_> {
    fn of(&self, id: &NodeId) -> String {
        let on_the_way = self.links.iter().find(|link| link.to == *id).map(|link| link.to_name.clone());
        let own = (*id == self.own.0).then(|| self.own.1.clone());
        let peer = (*id == self.peer.0).then(|| self.peer.1.to_owned());
        on_the_way.or(own).or(peer).unwrap_or_else(|| id.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_echo_says_who_reported_what() {
        let id = NodeId::from_bytes([1; 32]);
        assert_eq!(failure(Code::NoRoute, &format!("no_route at {id}")), (Some(id), "no_route".to_owned()));
        assert_eq!(failure(Code::NoRoute, "no_route"), (None, "no_route".to_owned()));
        assert_eq!(failure(Code::LinkTimeout, "no answer"), (None, "no_answer".to_owned()));
    }
}
