//! Why a member is reached the way it is, and what would make that better: rules over what is known, in words.
//!
//! [`Facts`] holds all that the words rest on, so each rule is a function of plain values. `why` tells how the way in
//! use compares with the others; `advice` tells what somebody could change.

mod advice;
mod why;
mod words;

use meshline_protocol::NodeId;
use meshline_protocol::message::{AdvertisedLink, LinkState};

use crate::report::{AttemptRow, LinkEnds, LinkView, PeerRow, RouteRow};
use crate::routing::{Graph, cost_us};

pub(crate) use advice::advice;
pub(crate) use why::why;
pub(crate) use words::{link_kept, span};

/// What is neither preferred nor avoided, in per cent.
const NEUTRAL: u16 = 100;

/// All that is known of one member and the ways to it.
pub(crate) struct Facts<'a> {
    /// Its row.
    pub(crate) peer: &'a PeerRow,
    /// The member through whose exit our link with it goes.
    pub(crate) through: Option<NodeId>,
    /// Whether a proxy carries our link with it.
    pub(crate) relayed: bool,
    /// Whether this node can be dialled.
    pub(crate) listens: bool,
    /// Whether this node only connects out by its role, and whether the member does.
    pub(crate) views: (bool, bool),
    /// Whether an advertisement of the member is here.
    pub(crate) advertises: bool,
    /// The ways to it, the best first.
    pub(crate) ways: &'a [RouteRow],
    /// The links of the best way.
    pub(crate) links: &'a [LinkEnds],
    /// The link between the two, if either end claims one.
    pub(crate) direct: Option<&'a LinkEnds>,
    /// Whether that link came and went too often to be advertised here.
    pub(crate) damped: bool,
    /// Through whom the configuration wants it reached.
    pub(crate) steered: Option<NodeId>,
    /// The member's clock less ours, and the bound on the error of that, in microseconds.
    pub(crate) clock: Option<(i64, u64)>,
    /// The last attempts, oldest first.
    pub(crate) attempts: &'a [AttemptRow],
    /// The proxy that carried the last link, if it was a relayed one, by name, and whether there is a link to it.
    pub(crate) proxy: Option<(String, bool)>,
    /// Names.
    pub(crate) name_of: &'a dyn Fn(&NodeId) -> String,
}

impl Facts<'_> {
    /// The name of whoever our link goes through.
    pub(crate) fn through_name(&self) -> Option<String> {
        self.through.as_ref().map(self.name_of)
    }

    /// How the last link with it ended, unless there is one now.
    fn ended(&self) -> Option<&AttemptRow> {
        ended(self.attempts).filter(|_| !self.peer.direct && !self.relayed)
    }

    /// The best way.
    fn best(&self) -> Option<&RouteRow> {
        self.ways.first()
    }

    /// The members between here and the end of a way, by name.
    fn over(&self, way: &RouteRow) -> String {
        let between = way.path.len().saturating_sub(1);
        way.path.iter().take(between).map(self.name_of).collect::<Vec<_>>().join(", ")
    }
}

/// How the last link ended, of all attempts.
pub(crate) fn ended(attempts: &[AttemptRow]) -> Option<&AttemptRow> {
    attempts.iter().rfind(|attempt| attempt.lasted_ms.is_some())
}

/// Until when a member was linked, and why it is not any more.
pub(crate) fn was_linked(name: &str, end: &AttemptRow) -> String {
    format!("{name} was linked until {} ago ({})", ago(end), end.outcome)
}

fn ago(attempt: &AttemptRow) -> String {
    span(attempt.ago_ms.saturating_mul(1_000))
}

/// A link as the advertisements of its two ends describe it; `None` if neither claims it.
pub(crate) fn link_ends<'a>(
    (from, to): (NodeId, NodeId),
    graph: &Graph,
    advertised: impl Fn(&NodeId) -> Option<&'a LinkState>,
    name_of: impl Fn(&NodeId) -> String,
) -> Option<LinkEnds> {
    let view = |author: &NodeId, other: &NodeId| {
        let links = &advertised(author)?.links;
        links.iter().find(|link| link.peer == *other).map(view_of)
    };
    let (there, back) = (view(&from, &to), view(&to, &from));
    (there.is_some() || back.is_some()).then(|| LinkEnds {
        from,
        from_name: name_of(&from),
        to,
        to_name: name_of(&to),
        cost: graph.cost(&from, &to),
        there,
        back,
    })
}

fn view_of(link: &AdvertisedLink) -> LinkView {
    LinkView {
        rtt_us: u64::from(link.rtt_us),
        jitter_us: u64::from(link.jitter_us),
        loss: f64::from(link.loss_ppm) / 1e6,
        goodput_bps: u64::from(link.goodput_kbps) * 1_000,
        weight: link.weight,
        cost: cost_us(link),
    }
}

#[cfg(test)]
mod tests;
