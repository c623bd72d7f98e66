//! What is told of orders in `status`.

use std::collections::BTreeMap;

use meshline_protocol::message::RebuildOrder;
use meshline_protocol::{NodeId, UnixMicros};
use schemars::JsonSchema;
use serde::Serialize;

use super::orders::Key;
use super::proposals::cause_name;
use super::{Rebuild, RedrawPlan, Redrawn};
use crate::shared::Shared;

/// Links chosen anew by all at an instant of network time: the order that stands, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RebuildReport {
    /// `none`, `planned`, `running`, `done`, `tried` (a dry run), `skipped`, `aborted` or `superseded`.
    pub state: &'static str,
    /// The instant, in microseconds of network time.
    pub at: Option<UnixMicros>,
    /// Microseconds until then, while it is planned.
    pub in_us: Option<i64>,
    /// Who signed it: the network key, or a member with the role `rebuild`.
    pub by: Option<NodeId>,
    /// Its sequence.
    pub seq: Option<UnixMicros>,
    /// Whether nothing is changed by it.
    pub dry_run: bool,
    /// Why, as its author says.
    pub reason: Option<String>,
    /// Members that are known to have it, this one among them; of more than 256 an estimate.
    pub known_by: usize,
    /// Members known, with this one.
    pub of: usize,
    /// Network time when it began here, less the instant, in microseconds.
    pub late_us: Option<i64>,
    /// Bound on the error of network time then.
    pub error_us: Option<u64>,
    /// Members to be linked by it at once; others follow.
    pub link: Vec<NodeId>,
    /// Links that it made idle here; those that the other end needs stay.
    pub let_go: Vec<NodeId>,
    /// When it was done: links that came up.
    pub linked: usize,
    /// Links let go from here.
    pub ended: usize,
    /// Links from before that stayed.
    pub stayed: usize,
    /// Most links at once meanwhile.
    pub most_links: usize,
    /// Orders done since the start.
    pub done: u64,
    /// Orders skipped since the start.
    pub skipped: u64,
    /// Members that propose one, and why.
    pub proposals: usize,
    /// The same by cause.
    pub causes: BTreeMap<&'static str, usize>,
    /// What this member finds: `good`, `long_ways`, `uneven_load` or `idle_links`.
    pub shape: &'static str,
    /// Links on the longest of the best ways, at the last look.
    pub longest_way: usize,
    /// Whether this member signs orders by itself when enough propose it.
    pub auto: bool,
}

/// What became of an order here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Whatever an earlier run did.
    Before,
    Done,
    /// It only said what it would do.
    Tried,
    Skipped,
    Aborted,
    Superseded,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Before | Self::Done => "done",
            Self::Tried => "tried",
            Self::Skipped => "skipped",
            Self::Aborted => "aborted",
            Self::Superseded => "superseded",
        }
    }
}

/// The last order that was settled here.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) key: Key,
    at: UnixMicros,
    dry_run: bool,
    reason: Option<String>,
    outcome: Outcome,
    plan: RedrawPlan,
    pub(super) late_us: Option<i64>,
    pub(super) error_us: Option<u64>,
    pub(super) redrawn: Option<Redrawn>,
}

impl Last {
    pub(super) fn new(key: Key, order: &RebuildOrder, outcome: Outcome, plan: Option<RedrawPlan>) -> Self {
        Self {
            key,
            at: order.at,
            dry_run: order.dry_run,
            reason: order.reason.clone(),
            outcome,
            plan: plan.unwrap_or_default(),
            late_us: None,
            error_us: None,
            redrawn: None,
        }
    }

    fn fill(&self, report: &mut RebuildReport) {
        report.state = self.outcome.name();
        (report.by, report.seq, report.at) = (Some(self.key.1), Some(self.key.0), Some(self.at));
        (report.dry_run, report.reason) = (self.dry_run, self.reason.clone());
        (report.late_us, report.error_us) = (self.late_us, self.error_us);
        report.link = self.plan.fresh.iter().copied().collect();
        report.let_go = self.plan.idle.iter().copied().collect();
        if let Some(redrawn) = self.redrawn {
            (report.linked, report.ended, report.stayed) = (redrawn.linked, redrawn.let_go, redrawn.stayed);
            report.most_links = redrawn.most;
        }
    }
}

impl Rebuild {
    /// For `status`; `members` with this node, and whether it signs orders by itself.
    pub(crate) fn report(&self, members: usize, is_auto: bool, shared: &Shared) -> RebuildReport {
        let mut report = RebuildReport {
            state: "none",
            of: members,
            done: self.done,
            skipped: self.skipped,
            proposals: shared.words.proposals.len(),
            causes: shared.words.proposals.causes(),
            shape: self.watch.cause().map_or("good", cause_name),
            longest_way: self.watch.longest(),
            auto: is_auto,
            ..RebuildReport::default()
        };
        if let Some(last) = &self.last {
            last.fill(&mut report);
        }
        self.fill_planned(&mut report, shared);
        if self.running.is_some() {
            report.state = "running";
        }
        report
    }

    fn fill_planned(&self, report: &mut RebuildReport, shared: &Shared) {
        let Some(quorum) = &self.quorum else { return };
        let is_planned = self.planned().is_some();
        if is_planned || report.seq == Some(quorum.key.0) {
            report.known_by = quorum.count().min(report.of);
        }
        let Some(held) = shared.words.orders.get(&quorum.key).filter(|_| is_planned) else { return };
        let order = &held.order;
        *report = RebuildReport {
            state: "planned",
            at: Some(order.at),
            in_us: Some(order.at.since(shared.network_time().0)),
            by: Some(quorum.key.1),
            seq: Some(order.seq),
            dry_run: order.dry_run,
            reason: order.reason.clone(),
            late_us: None,
            error_us: None,
            link: Vec::<NodeId>::new(),
            let_go: Vec::new(),
            ..std::mem::take(report)
        };
    }
}
