//! Forwards: listed, added and removed.

use axum::Json;
use axum::extract::State;
use meshline_gateway::{ExitRules, Expose, ForwardConfig, ForwardRow, ProxyReport, Refusal, Traffic};
use meshline_mesh::Sought;
use meshline_protocol::Code;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::extract::{Posted, Segment};
use super::problem::Problem;
use super::select::{look_for, sought};
use super::services;

/// The document of `forward list`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Forwards {
    /// `meshline/forwards/1`.
    schema: &'static str,
    /// The forwards, oldest first.
    forwards: Vec<ForwardRow>,
    /// The local proxy, if there is one.
    socks5: Option<ProxyReport>,
    /// What is exposed here, and to whom.
    exposed: Vec<Expose>,
    /// What else other members may reach through this one, and where they may have it listen.
    exit: ExitRules,
    /// What other members used here.
    served: Traffic,
}

/// A forward that was added.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Added {
    /// `meshline/forward/1`.
    schema: &'static str,
    /// The forward.
    #[serde(flatten)]
    forward: ForwardRow,
}

/// A forward that was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Removed {
    /// `meshline/forward-removed/1`.
    schema: &'static str,
    /// The number it had.
    id: u32,
    /// What it was.
    forward: ForwardConfig,
}

pub(super) async fn list(State(api): State<Api>) -> Json<Forwards> {
    let report = api.gateway.report();
    let (forwards, socks5, exposed) = (report.forwards, report.proxy, report.expose);
    let (exit, served) = (report.exit, report.served);
    std::future::ready(Json(Forwards { schema: "meshline/forwards/1", forwards, socks5, exposed, exit, served })).await
}

pub(super) async fn add(
    State(api): State<Api>,
    Posted(mut forward): Posted<ForwardConfig>,
) -> Result<Json<Added>, Problem> {
    if forward.target.is_some() {
        one_at_most(&api, &mut forward.peer).await?;
    }
    let (word, has_target) = (forward.peer.clone(), forward.target.is_some());
    match api.gateway.add(forward).await {
        Ok(forward) => Ok(Json(Added { schema: "meshline/forward/1", forward })),
        // Nothing was dialled yet, so it is the listener that failed.
        Err(Refusal { code: Code::TargetRefused | Code::TargetUnreachable, detail }) => {
            Err(Problem::cannot_listen(detail))
        }
        Err(refusal) => Err(services::refused(&api, &word, has_target, refusal)),
    }
}

pub(super) async fn remove(State(api): State<Api>, Segment(id): Segment) -> Result<Json<Removed>, Problem> {
    let id = id.parse().map_err(|_| Problem::bad_request("the number of a forward is a whole number"))?;
    match api.gateway.remove(id).await {
        Ok(forward) => Ok(Json(Removed { schema: "meshline/forward-removed/1", id, forward })),
        Err(Refusal { code: Code::NoSuchService, detail }) => Err(Problem::no_such_forward(detail)),
        Err(Refusal { code, detail }) => Err(Problem::refused(code, detail)),
    }
}

/// Words that may mean several members mean none. Whom nobody knows here is looked for, and named by its id if it is found.
pub(super) async fn one_at_most(api: &Api, peer: &mut String) -> Result<(), Problem> {
    let known = api.gateway.meant(peer);
    if known.len() > 1 {
        return Err(Problem::ambiguous(peer, known));
    }
    let sought = known.first().map_or_else(|| sought(peer), |id| Some(Sought::Id(*id)));
    match look_for(api, sought.filter(|_| peer.as_str() != "auto")).await?.as_slice() {
        [id] if known.is_empty() => *peer = id.to_string(),
        [] | [_] => {}
        found => return Err(Problem::ambiguous(peer, found.to_vec())),
    }
    Ok(())
}
