//! Tunnels and their paths.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use meshline_net::{PathReport, TunnelReport};
use meshline_protocol::NodeId;
use schemars::JsonSchema;
use serde::Serialize;

use super::Api;
use super::problem::Problem;
use super::reads::rows;

/// The document of `tunnels`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TunnelList {
    /// `meshline/tunnels/1`.
    schema: &'static str,
    /// One row a tunnel.
    tunnels: Vec<TunnelRow>,
}

/// A tunnel with another member, whoever of the two opened it.
#[derive(Debug, Serialize, JsonSchema)]
struct TunnelRow {
    /// The member at the other end.
    peer: NodeId,
    /// Its name.
    name: String,
    /// Whether both ends have proved who they are.
    up: bool,
    /// Its age in milliseconds.
    age_ms: u64,
    /// Streams that are open.
    streams: usize,
    /// Bytes in packets sent.
    sent_bytes: u64,
    /// Bytes in packets received.
    received_bytes: u64,
    /// Packets that were lost.
    lost: u64,
    /// Bytes of streams that were sent again.
    repeated_bytes: u64,
    /// Packets that were forged, repeated or out of place.
    forged: u64,
    /// How often traffic moved because a path died.
    failovers: u64,
    /// UDP payloads dropped on their way out.
    dropped_out: u64,
    /// UDP payloads dropped on their way in.
    dropped_in: u64,
    /// The paths in use.
    paths: Vec<PathRow>,
}

/// A path of a tunnel.
#[derive(Debug, Serialize, JsonSchema)]
struct PathRow {
    /// The members on it: the first is linked with us, the last is the other end.
    path: Vec<NodeId>,
    /// Their names.
    names: Vec<String>,
    /// Smoothed round trip in microseconds, if measured.
    rtt_us: Option<u64>,
    /// Least round trip in microseconds, if measured.
    rtt_min_us: Option<u64>,
    /// Bytes of bulk that may be under way.
    window_bytes: u64,
    /// Bytes under way.
    under_way_bytes: u64,
    /// Whether it answers.
    alive: bool,
    /// Whether it is a single link, whose own TLS seals the packets.
    direct: bool,
}

pub(super) async fn list(State(api): State<Api>) -> Result<Json<TunnelList>, Problem> {
    let names = rows(&api).await?.into_iter().map(|row| (row.id, row.name)).collect();
    let tunnels = api.mesh.tunnels().reports().into_iter().map(|(peer, report)| row(peer, report, &names)).collect();
    Ok(Json(TunnelList { schema: "meshline/tunnels/1", tunnels }))
}

fn row(peer: NodeId, report: TunnelReport, names: &BTreeMap<NodeId, String>) -> TunnelRow {
    let (dropped_out, dropped_in) = report.dropped;
    TunnelRow {
        peer,
        name: name_of(peer, names),
        up: report.is_up,
        age_ms: report.age_us / 1_000,
        streams: report.streams,
        sent_bytes: report.sent_bytes,
        received_bytes: report.received_bytes,
        lost: report.lost,
        repeated_bytes: report.repeated_bytes,
        forged: report.forged,
        failovers: report.failovers,
        dropped_out,
        dropped_in,
        paths: report.paths.into_iter().map(|path| path_row(path, names)).collect(),
    }
}

fn path_row(report: PathReport, names: &BTreeMap<NodeId, String>) -> PathRow {
    PathRow {
        names: report.hops.iter().map(|hop| name_of(*hop, names)).collect(),
        path: report.hops,
        rtt_us: report.rtt_us,
        rtt_min_us: report.rtt_min_us,
        window_bytes: report.window,
        under_way_bytes: report.under_way,
        alive: report.is_alive,
        direct: report.is_private,
    }
}

fn name_of(id: NodeId, names: &BTreeMap<NodeId, String>) -> String {
    names.get(&id).cloned().unwrap_or_else(|| id.short())
}
