//! What bounds the area in a large network: who is let go, who is asked for, and what peers compare.

use meshline_protocol::message::{LinkState, Routing as Message, RoutingSummary, RoutingWant, SummaryEntry};
use meshline_protocol::{Bounded, Message as Wire, NodeId, UnixMicros};

use super::greedy::Landmarks;
use super::{Graph, MAX_USED, Routing, Table, flood};
use crate::shared::Shared;

impl Routing {
    /// Whether there may be members of whom nothing is known here.
    pub(crate) fn is_part(&self) -> bool {
        self.area.radius().is_some()
    }

    /// How many links a member is away, if that is known; in a small network nobody asks.
    pub(crate) fn level(&self, id: &NodeId) -> Option<u8> {
        self.area.level(id)
    }

    /// Whether news of a member is passed on from here: peers may be near enough to it as well.
    pub(crate) fn is_shared(&self, id: &NodeId) -> bool {
        self.area.radius().is_none_or(|radius| self.area.level(id).is_some_and(|level| level < radius))
    }

    /// The members near, each with the linked one over which it was found.
    pub(crate) fn area_members(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.area.members()
    }

    /// Looks at who is near: forgets the others, and asks for those that are missing. Gives the graph of what is left.
    pub(super) fn fit(&mut self, shared: &mut Shared) -> Graph {
        let graph = self.graph();
        let linked = (shared.up.keys().copied(), self.flood.is_any_part());
        let fit = self.area.fit((&self.lsdb, &graph), shared.id, linked);
        for id in &fit.outside {
            self.lsdb.remove(id);
            self.rates.remove(id);
        }
        for (peer, ids) in fit.missing {
            let entries: Vec<SummaryEntry> =
                ids.into_iter().map(|id| SummaryEntry { id, seq: UnixMicros::new(1) }).collect();
            let ids = self.wanted.ask(peer, entries.into_iter(), shared.now.mono);
            if !ids.is_empty() {
                let want = RoutingWant { ids: Bounded::from_first(ids) };
                shared.send(&peer, Wire::Routing(Message::Want(want)));
            }
        }
        if fit.moved {
            let peers: Vec<NodeId> = shared.up.keys().copied().collect();
            for peer in peers {
                self.tell_near(&peer, false, shared);
            }
        }
        if fit.outside.is_empty() { graph } else { graph.without(&fit.outside) }
    }

    /// Compares what a peer and this node hold.
    pub(super) fn compare_with(&self, peer: &NodeId, shared: &mut Shared) {
        if self.is_part() || self.flood.radius(peer).is_some() {
            self.tell_near(peer, true, shared);
        } else {
            let entries = Bounded::default();
            let summary = RoutingSummary { digest: self.lsdb.digest(), entries, reply: true, radius: None };
            shared.send(peer, Wire::Routing(Message::Summary(summary)));
        }
    }

    /// Tells a peer what it should hold too, and how far this node looks.
    fn tell_near(&self, peer: &NodeId, reply: bool, shared: &mut Shared) {
        let radius = self.area.radius();
        let limit = self.flood.radius(peer).or(radius);
        let is_near = |id: &NodeId| {
            let level = if *id == shared.id { Some(0) } else { self.area.level(id) };
            *id != *peer && limit.is_none_or(|limit| level.is_none_or(|level| level < limit))
        };
        let entries = Bounded::from_first(self.lsdb.pairs().filter(|pair| is_near(&pair.id)));
        let summary = RoutingSummary { digest: self.lsdb.digest(), entries, reply, radius };
        shared.send(peer, Wire::Routing(Message::Summary(summary)));
    }

    /// A summary where one of both holds a part only: what it does not list says nothing.
    pub(super) fn handle_near_summary(&mut self, from: &NodeId, summary: &RoutingSummary, shared: &mut Shared) {
        self.want(from, &summary.entries, shared);
        let newer: Vec<SummaryEntry> = self.lsdb.newer_among(&summary.entries).collect();
        flood::offer(from, &newer, shared);
        if summary.reply {
            self.tell_near(from, false, shared);
        }
    }

    /// Adds what is known of members beyond the area: those listed there, and ways that were found.
    pub(super) fn reaching_beyond(&mut self, mut table: Table, shared: &Shared) -> Table {
        let is_part = self.is_part();
        let carries = |state: &LinkState| state.carries;
        let area = table.routes.keys().filter(|id| self.lsdb.get(id).is_some_and(|entry| carries(&entry.state)));
        let area: Vec<NodeId> = area.copied().collect();
        let beyond = self.area.fringe().filter(|(id, by)| {
            is_part && *id != shared.id && table.routes.contains_key(by) && !table.routes.contains_key(id)
        });
        table.landmarks = Landmarks::new(area.into_iter(), beyond, self.lsdb.len());
        table.radius = self.area.radius();
        if is_part {
            self.far.retain(&self.used, |id| shared.up.contains_key(id));
            for id in self.used.keys() {
                table.reach(id, self.far.get(id));
            }
        }
        table
    }

    /// Somebody sends to a member: in a large network several ways to it are looked for.
    pub(crate) fn note_use(&mut self, to: NodeId, shared: &Shared) {
        let now = shared.now.mono;
        let is_new = self.used.insert(to, now).is_none();
        let is_far = self.is_part() && !self.table.routes.contains_key(&to);
        if is_far {
            self.far.lack(to, now);
        }
        if is_new && (is_far || self.is_large()) {
            self.look_again(now);
        }
        if self.used.len() > MAX_USED {
            let oldest = self.used.iter().min_by_key(|(_, at)| **at).map(|(id, _)| *id);
            oldest.map(|id| self.used.remove(&id));
        }
    }

    /// The way to a member beyond the area became known.
    pub(crate) fn learn_way(&mut self, to: NodeId, way: &super::Path, shared: &Shared) {
        if self.far.learn(to, way, shared.now.mono) {
            self.note_use(to, shared);
            self.look_again(shared.now.mono);
        }
    }

    /// The way to a member beyond the area broke, as somebody on it says.
    pub(crate) fn doubt_way(&mut self, to: &NodeId, shared: &Shared) {
        if self.far.doubt(to, shared.now.mono) {
            self.look_again(shared.now.mono);
        }
    }

    /// Nobody answers any more at the end of a way that was found.
    pub(crate) fn forget_way(&mut self, to: &NodeId, shared: &Shared) {
        if self.far.forget(to) {
            self.look_again(shared.now.mono);
        }
    }

    /// Members beyond the area that are in use and to which no way is known.
    pub(crate) fn take_lacking(&mut self, shared: &Shared) -> Vec<NodeId> {
        let (table, now) = (&self.table, shared.now.mono);
        self.far.take_lacking(now, |id| table.routes.contains_key(id))
    }
}
