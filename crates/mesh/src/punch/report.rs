//! What is told of attempts: figures, rows of `explain`, advice.

use std::collections::BTreeMap;

use meshline_protocol::NodeId;
use meshline_protocol::message::PunchMapping;

use super::Punch;
use crate::now::Mono;
use crate::report::{PunchReport, PunchRow, PunchState};

/// What was counted since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Packets sent of our own accord.
    pub(crate) probes: u64,
    /// Attempts by how they ended.
    pub(crate) attempts: BTreeMap<&'static str, u64>,
    /// Packets and records refused, by reason.
    pub(crate) refused: BTreeMap<&'static str, u64>,
}

impl Punch {
    /// For `status`.
    pub(crate) fn report(&self, enabled: bool) -> PunchReport {
        PunchReport {
            enabled,
            under_way: self.pursuits.values().filter(|pursuit| pursuit.is_trying()).count(),
            probes_sent: self.counts.probes,
            attempts: self.counts.attempts.clone(),
            refused: self.counts.refused.clone(),
        }
    }

    /// For `explain`.
    pub(crate) fn state_of(&self, peer: &NodeId, direct: bool, now: Mono) -> Option<PunchState> {
        let pursuit = self.pursuits.get(peer)?;
        let trying = pursuit.is_trying();
        let rows = pursuit.log.iter().map(|ended| PunchRow {
            ago_ms: now.micros_since(ended.at) / 1_000,
            called: ended.called,
            stage: ended.stage,
            outcome: ended.outcome,
            address: ended.address.clone(),
            probes: ended.probes,
            took_ms: ended.took_us.map(|us| us / 1_000),
        });
        Some(PunchState {
            state: match (direct, trying) {
                (true, _) => "connected",
                (false, true) => "punching",
                (false, false) => "idle",
            },
            stage: pursuit.run.as_ref().filter(|_| trying).map(|run| run.stage),
            next_attempt_ms: (!direct && !trying).then(|| pursuit.next_at.micros_since(now) / 1_000),
            attempts: rows.collect(),
            advice: pursuit.log.back().and_then(|last| advice(last.outcome, last.mappings)),
        })
    }
}

/// What would help, in words; nothing if the last attempt succeeded.
fn advice(outcome: &str, mappings: Option<(PunchMapping, PunchMapping)>) -> Option<String> {
    let is_hard = |mapping| matches!(mapping, PunchMapping::Random | PunchMapping::Counting(_));
    let text = match outcome {
        "off" => "the other member has direct ways switched off (\"punch\": false)",
        "no_answer" => "the other member did not answer: it may be of an older version, or gone",
        "no_link" => {
            "packets pass, but no QUIC connection came of them: see whether something in between drops large packets"
        }
        "unconfirmed" => {
            "no member that is linked with both sees the other one where it says it is, so its ports are not searched: link both with the same proxy or static member"
        }
        "no_way" => match mappings {
            Some((ours, theirs)) if is_hard(ours) && is_hard(theirs) => {
                "the routers of both give every destination another port: forward a port to one of the two, or give it IPv6"
            }
            Some((ours, _)) if is_hard(ours) => {
                "the router here gives every destination another port: forward a port to this node, or switch port mapping on"
            }
            Some((_, theirs)) if is_hard(theirs) => {
                "the other member's router gives every destination another port: forward a port to it"
            }
            Some(_) | None => "no packet came through: see whether a firewall on either side drops UDP",
        },
        _ => return None,
    };
    Some(text.to_owned())
}
