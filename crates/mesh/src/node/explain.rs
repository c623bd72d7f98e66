//! What is known of one member and the ways to it, gathered for the rules of `explain`.

use std::time::Duration;

use meshline_protocol::NodeId;
use meshline_protocol::message::Role;

use super::Node;
use crate::explain::{Facts, advice, ended, link_ends, link_kept, span, was_linked, why};
use crate::input::Transport;
use crate::report::{AttemptRow, Explanation, LinkEnds, PeerRow, RouteRow};
use crate::routing::Graph;

impl Node {
    pub(super) fn explain(&self, id: &NodeId) -> Option<Explanation> {
        let known = self.gossip.members.get(id)?;
        let row = self.peer_row(known);
        let now = self.shared.now.mono;
        let (attempts, next) = self.attempts(id);
        let graph = self.routing.graph();
        let ways = self.ways_to(id, &graph);
        let links = ways.first().map(|best| self.links_of(best, &graph)).unwrap_or_default();
        let direct_link = self.ends_of((self.shared.id, *id), &graph);
        let up = self.shared.up.get(id);
        let facts = Facts {
            peer: &row,
            through: up.and_then(|up| self.links.get(up.link)).and_then(|link| link.through),
            relayed: up.is_some_and(|up| up.transport == Transport::Relay),
            listens: !self.shared.config.listen.is_empty(),
            views: (!self.shared.config.carries(), known.member.has_role(Role::View)),
            advertises: self.routing.advertised(id).is_some(),
            ways: &ways,
            links: &links,
            direct: direct_link.as_ref(),
            damped: self.routing.is_damped(id),
            steered: self.steered_through(id),
            clock: up.and_then(|up| self.links.get(up.link)).and_then(|link| self.clock_offset(link)),
            attempts: &attempts,
            proxy: ended(&attempts).and_then(|end| end.via).map(|proxy| self.proxy_state(&proxy)),
            name_of: &|id| self.any_name(id),
        };
        let (mut why, advice, damped) = (why(&facts), advice(&facts), facts.damped);
        why.extend(self.kept_for(&row));
        if !row.direct {
            // What stands between here and everybody stands between here and this one.
            why.extend(self.nat.words());
        }
        Some(Explanation {
            schema: "meshline/explain/1",
            summary: summary(&row, (up.is_some(), ways.first()), &attempts, facts.through_name().as_deref()),
            next_attempt_ms: next.filter(|_| !row.direct).map(|at| at.micros_since(now) / 1_000),
            steered_through: facts.steered,
            punch: self.punch.state_of(id, row.direct, now),
            row,
            attempts,
            ways,
            links,
            direct_link,
            damped,
            why,
            advice,
        })
    }

    /// Where there are more members than links: what the link is kept for, or why there is none.
    fn kept_for(&self, row: &PeerRow) -> Option<String> {
        let set = self.peers.set.report(self.peers.book.counts(), &self.shared);
        let (ours, theirs) = self.peers.set.purposes(&row.id);
        let linked = self.shared.up.contains_key(&row.id);
        set.bounded.then(|| match linked {
            true => link_kept(&row.name, &ours.names(), &theirs.names()),
            false => format!(
                "there are more members than links: {} of them are kept, and {} is not chosen",
                set.room, row.name
            ),
        })
    }

    fn attempts(&self, id: &NodeId) -> (Vec<AttemptRow>, Option<crate::now::Mono>) {
        let now = self.shared.now.mono;
        let (attempts, next) = self.peers.history(*id);
        let row = |attempt: crate::peers::Attempt| AttemptRow {
            ago_ms: now.micros_since(attempt.at) / 1_000,
            transport: attempt.transport,
            address: attempt.address,
            outcome: attempt.outcome.map_or("up", meshline_protocol::Code::name),
            detail: match attempt.lasted {
                Some(lasted) => self.end_detail(lasted, attempt.via, &attempt.detail),
                None => attempt.detail,
            },
            lasted_ms: attempt.lasted.map(|lasted| u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX)),
            via: attempt.via,
        };
        (attempts.into_iter().map(row).collect(), next)
    }

    /// How long a link was up, who carried it, and what ended it.
    fn end_detail(&self, lasted: Duration, via: Option<NodeId>, detail: &str) -> String {
        let lasted = span(u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX));
        let through = via.map(|proxy| format!(" through {}", self.any_name(&proxy))).unwrap_or_default();
        format!("up for {lasted}{through}: {detail}")
    }

    fn proxy_state(&self, proxy: &NodeId) -> (String, bool) {
        (self.any_name(proxy), self.shared.up.contains_key(proxy))
    }

    /// Each link of a way.
    fn links_of(&self, way: &RouteRow, graph: &Graph) -> Vec<LinkEnds> {
        let from = std::iter::once(&self.shared.id).chain(&way.path);
        from.zip(&way.path).filter_map(|(from, to)| self.ends_of((*from, *to), graph)).collect()
    }

    fn ends_of(&self, ends: (NodeId, NodeId), graph: &Graph) -> Option<LinkEnds> {
        link_ends(ends, graph, |id| self.routing.advertised(id), |id| self.any_name(id))
    }

    /// The name of any member, this one among them.
    fn any_name(&self, id: &NodeId) -> String {
        if *id == self.shared.id { self.own_name().name } else { self.peer_name(id).name }
    }
}

/// The state of a member in a sentence.
fn summary(
    row: &PeerRow,
    (linked, best): (bool, Option<&RouteRow>),
    attempts: &[AttemptRow],
    through: Option<&str>,
) -> String {
    let name = &row.name;
    let is_detour = best.is_some_and(|best| best.hops > 1);
    let failure = attempts.last().filter(|last| last.outcome != "up" && last.lasted_ms.is_none());
    let end = ended(attempts).map(|end| was_linked(name, end));
    if let (true, Some(through)) = (linked, through) {
        return format!("{name} is linked through {through}'s exit");
    }
    match (row.direct, linked, row.reachable) {
        (true, _, _) if is_detour => format!("{name} is linked directly, but reached faster over others"),
        (true, _, _) => format!("{name} is linked directly"),
        (false, true, _) => format!("{name} is linked through a proxy, because no direct attempt has succeeded"),
        (false, false, true) => format!("{name} is {} hops away", row.hops),
        (false, false, false) if row.left => format!("{name} said goodbye and has not come back"),
        (false, false, false) if row.addresses.is_empty() => match end {
            Some(end) => format!("{end}; it announces no address, so only it can connect again"),
            None => format!("{name} announces no address: it only connects out, and is not linked to this node"),
        },
        (false, false, false) => match (end, failure) {
            (Some(end), Some(last)) => format!("{end}; the last attempt ended with {}", last.outcome),
            (Some(end), None) => end,
            (None, Some(last)) => format!("{name} is not reachable; the last attempt ended with {}", last.outcome),
            (None, None) => format!("{name} is not reachable, and no attempt has failed yet"),
        },
    }
}
