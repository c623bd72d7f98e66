//! Routes: every member tells all which links it has and how well they go; everybody computes the ways from that.
//!
//! `lsdb` keeps the newest advertisement of each member, `flood` passes them on until they are acknowledged, `own`
//! decides when our own is worth telling, `damping` keeps flapping links out of it, `cost` makes one number of what was
//! measured, `spf` finds the ways in the `graph` of links that both ends claim, and `table` is what datagrams are
//! forwarded by, here and in the driver's forwarding plane. `area` says whose advertisements are kept in a large network,
//! `greedy` where datagrams go whose destination is beyond, and `far` what ways were found there.

mod area;
mod burst;
mod cost;
pub(crate) mod damping;
mod datagram;
mod far;
mod fit;
mod flood;
mod graph;
pub(crate) mod greedy;
mod linked;
mod lsdb;
pub(crate) mod own;
mod spf;
mod table;
mod taken;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshline_identity::Sequence;
use meshline_protocol::limits::MAX_ADVERTISED_LINKS;
use meshline_protocol::message::{
    AdvertisedLink, LinkState, RecordText, Routing as Message, RoutingAdvertisement, RoutingSummary, RoutingWant,
    SummaryEntry,
};
use meshline_protocol::{Bounded, Code, Message as Wire, NodeId};

use crate::bucket::Bucket;
use crate::now::Mono;
use crate::output::Output;
use crate::report::{RoundTrips, RoutingReport};
use crate::shared::Shared;
use area::Area;
use burst::Burst;
use damping::Damping;
use far::Far;
use flood::Flood;
use lsdb::{Entry, Lsdb};
use own::{Own, VALIDITY};
use wanted::Wanted;

pub(crate) use area::MAX_AREA;
pub use cost::cost_us;
pub(crate) use cost::{ASSUMED_KBPS, loss_ppm};
pub use datagram::line as datagram_line;
pub(crate) use datagram::{Datagrams, REPORT, Report};
pub use graph::Graph;
pub use greedy::Landmarks;
pub use table::{Drop, Forward, Path, Route, Table, forward};

/// Between two comparisons of what a peer and we hold; they repair what a crash or a bug lost.
const COMPARE_EVERY: Duration = Duration::from_secs(60);

/// Destinations for which several ways are kept in a large network, and for how long after they were last used.
const MAX_USED: usize = 64;
const USED_FOR: Duration = Duration::from_secs(300);

/// The state of routing.
#[derive(Debug)]
pub(crate) struct Routing {
    lsdb: Lsdb,
    area: Area,
    far: Far,
    flood: Flood,
    wanted: Wanted,
    own: Own,
    damping: Damping,
    seq: Sequence,
    rates: BTreeMap<NodeId, Bucket>,
    table: Arc<Table>,
    /// The version of the advertisements that the table was computed from, and when.
    computed: (u64, Option<Mono>),
    /// Links in the graph of that.
    links: usize,
    /// How often the best way to a member became another one.
    pub(crate) changes: u64,
    compute_at: Option<Mono>,
    burst: Burst,
    /// Destinations in use, with the time of the last use.
    used: BTreeMap<NodeId, Mono>,
    compare_at: Mono,
    compared: Option<NodeId>,
}

impl Routing {
    /// Keeps the advertisements of up to `max_area` members.
    pub(crate) fn new(now: Mono, max_area: usize) -> Self {
        Self {
            lsdb: Lsdb::default(),
            area: Area::new(max_area),
            far: Far::default(),
            flood: Flood::default(),
            wanted: Wanted::default(),
            own: Own::new(),
            damping: Damping::default(),
            seq: Sequence::default(),
            rates: BTreeMap::new(),
            table: Arc::default(),
            computed: (0, None),
            links: 0,
            changes: 0,
            compute_at: None,
            burst: Burst::new(now),
            used: BTreeMap::new(),
            compare_at: now.after(COMPARE_EVERY),
            compared: None,
        }
    }

    /// The ways as they are now.
    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What a member advertises.
    pub(crate) fn advertised(&self, id: &NodeId) -> Option<&LinkState> {
        self.lsdb.get(id).map(|entry| &entry.state)
    }

    /// The graph of all links that both ends claim.
    pub(crate) fn graph(&self) -> Graph {
        Graph::new(self.lsdb.iter())
    }

    /// The figures of `status`, those of datagrams left to be filled in.
    pub(crate) fn report(&self, carries: bool) -> RoutingReport {
        RoutingReport {
            carries,
            advertisements: self.lsdb.len(),
            radius: self.area.radius(),
            links: self.links,
            routes: self.table.routes.values().map(|route| route.paths.len()).sum(),
            damped: self.damping.kept_out(),
            changes: self.changes,
            forwarded: 0,
            dropped: BTreeMap::new(),
            round_trips: RoundTrips::default(),
        }
    }

    /// Whether the link with a peer came and went too often to be advertised.
    pub(crate) fn is_damped(&self, peer: &NodeId) -> bool {
        self.damping.is_kept_out(peer)
    }

    /// A link was measured. Says whether that is worth a look.
    pub(crate) fn measured(&mut self, link: &AdvertisedLink, now: Mono) -> bool {
        self.own.measured(link, now)
    }

    /// What the operator says about the ways is another thing now.
    pub(crate) fn policy_changed(&mut self, now: Mono) {
        self.own.changed(now);
        self.look_again(now);
    }

    /// The ways are to be computed anew though no advertisement is.
    pub(crate) fn look_again(&mut self, now: Mono) {
        self.compute_at = Some(now);
    }

    /// A link came up: both sides compare what they hold.
    pub(crate) fn link_up(&mut self, peer: NodeId, shared: &mut Shared) {
        self.flood.link_up(peer);
        self.wanted.link_up(&peer);
        self.own.regrouped(self.is_large(), shared.now.mono);
        self.compare_with(&peer, shared);
    }

    /// A link is gone for this reason.
    pub(crate) fn link_down(&mut self, peer: &NodeId, code: Code, shared: &Shared) {
        let now = shared.now.mono;
        self.flood.link_down(peer);
        self.wanted.link_down(peer, now);
        if code == Code::NotNeeded && self.is_large() {
            self.own.regrouped(true, now);
            return;
        }
        if !matches!(code, Code::NotNeeded | Code::ShuttingDown | Code::Revoked) {
            self.damping.ended(*peer, now);
        }
        self.own.changed(now);
    }

    /// Whether there are so many members that what is in motion is told at leisure.
    fn is_large(&self) -> bool {
        self.members() > table::ALL_PATHS_UP_TO
    }

    /// Members as far as their number matters here: where a part is kept there are many, however few these are.
    fn members(&self) -> usize {
        let least = if self.is_part() { table::ALL_PATHS_UP_TO + 1 } else { 0 };
        self.lsdb.len().max(least)
    }

    /// A link goes away soon and bears nothing new: others are told while it still takes what is under way.
    pub(crate) fn link_parting(&mut self, peer: &NodeId, now: Mono) {
        self.flood.link_down(peer);
        self.wanted.link_down(peer, now);
        self.own.changed(now);
    }

    /// A member left or was expelled.
    pub(crate) fn purge(&mut self, id: &NodeId) {
        self.lsdb.remove(id);
        self.rates.remove(id);
    }

    /// Takes in a message of a peer.
    pub(crate) fn handle(
        &mut self,
        from: NodeId,
        message: Message,
        body: Option<Bytes>,
        shared: &mut Shared,
    ) -> Result<(), Code> {
        match message {
            Message::Advertisement(line) => {
                let body = body.unwrap_or_default();
                self.handle_advertisement(from, line, (&body, || body.clone()), shared)
            }
            Message::Advertisements(several) => {
                self.handle_advertisements(from, several, &body.unwrap_or_default(), shared)
            }
            Message::Ack(ack) => {
                self.flood.acked(&from, &ack);
                self.want(&from, &ack.entries, shared);
                Ok(())
            }
            Message::Summary(summary) => {
                self.handle_summary(from, &summary, shared);
                Ok(())
            }
            Message::Want(want) => {
                self.flood.send(&from, want.ids.iter().copied(), &self.lsdb, shared);
                Ok(())
            }
        }
    }

    fn handle_summary(&mut self, from: NodeId, summary: &RoutingSummary, shared: &mut Shared) {
        self.flood.compared(&from);
        self.flood.set_radius(&from, summary.radius);
        if summary.radius.is_some() && !self.is_part() {
            self.look_again(shared.now.mono);
        }
        if summary.radius.is_some() || self.area.radius().is_some() {
            self.handle_near_summary(&from, summary, shared);
            return;
        }
        if summary.entries.is_empty() && summary.digest == self.lsdb.digest() {
            return;
        }
        if summary.reply {
            for list in self.lsdb.lists() {
                let entries = Bounded::from_first(list);
                let own = RoutingSummary { digest: self.lsdb.digest(), entries, reply: false, radius: None };
                shared.send(&from, Wire::Routing(Message::Summary(own)));
            }
            if summary.entries.is_empty() {
                return;
            }
        }
        self.want(&from, &summary.entries, shared);
        // Offered and not sent: when much is new, other peers have sent most of it meanwhile.
        let newer = self.lsdb.newer_than(&summary.entries);
        flood::offer(&from, &newer, shared);
    }

    /// Asks a peer for what is newer there.
    fn want(&mut self, peer: &NodeId, entries: &[SummaryEntry], shared: &mut Shared) {
        let newer = self.lsdb.older_than(entries);
        let newer = newer.filter(|entry| self.lsdb.get(&entry.id).is_some() || self.area.lacks(&entry.id));
        let wanted = self.wanted.ask(*peer, newer, shared.now.mono);
        if !wanted.is_empty() {
            let want = RoutingWant { ids: Bounded::from_first(wanted) };
            shared.send(peer, Wire::Routing(Message::Want(want)));
        }
    }

    /// Advertises, passes on, computes, where it is due. Says whether the ways changed.
    pub(crate) fn handle_timeout(
        &mut self,
        shared: &mut Shared,
        links: impl Fn() -> Vec<AdvertisedLink>,
        via: impl Fn() -> BTreeMap<NodeId, NodeId>,
    ) -> bool {
        let now = shared.now.mono;
        if self.damping.is_watching() && self.own.next_timeout().is_some_and(|at| at <= now) {
            self.own.changed(now);
        }
        let many = self.is_large().then(|| u32::try_from(self.members()).unwrap_or(u32::MAX));
        if self.own.is_due(many, now, &links) && !shared.leaving {
            self.advertise(links(), shared);
        }
        if self.damping.is_watching() {
            self.own.look_by(Own::next_look(now));
        }
        self.flood.handle_timeout((&self.lsdb, self.area.radius()), shared);
        for (peer, entry) in self.wanted.take_late(now) {
            self.want(&peer, &[entry], shared);
        }
        if self.compare_at <= now {
            self.compare(shared);
        }
        self.compute(shared, via)
    }

    fn advertise(&mut self, mut links: Vec<AdvertisedLink>, shared: &mut Shared) {
        let now = shared.now.mono;
        links.retain(|link| !self.damping.is_suppressed(&link.peer, now));
        links.sort_by_key(cost_us);
        links.truncate(MAX_ADVERTISED_LINKS);
        links.sort_by_key(|link| link.peer);
        self.own.told(links.clone(), now);
        let state = LinkState {
            kind: LinkState::TYPE.to_owned(),
            network: shared.config.network.clone(),
            seq: self.seq.next(shared.steady()),
            expires: shared.latest().max(self.seq.last()).offset(VALIDITY),
            carries: shared.config.carries_for_others(),
            links: Bounded::from_first(links),
        };
        let Ok(body) = serde_json::to_vec(&state) else { return };
        let line = RoutingAdvertisement { by: shared.id, seq: state.seq, sig: shared.key.sign_bytes(&body) };
        let entry = Arc::new(Entry { line, body: body.into(), state });
        if self.lsdb.insert(Arc::clone(&entry)) {
            self.flood.spread((&entry, &self.lsdb), (None, 0), shared);
            // What this node sends first of all depends on its own links.
            self.compute_at = Some(Burst::soonest(self.members(), self.computed.1, now));
        }
    }

    /// Compares with one linked peer after the other.
    fn compare(&mut self, shared: &mut Shared) {
        self.compare_at = shared.now.mono.after(COMPARE_EVERY);
        self.lsdb.expire(shared.judged());
        let now = shared.now.mono;
        self.rates.retain(|_, rate| !rate.is_full(now));
        let after = self.compared.and_then(|last| shared.up.keys().find(|peer| **peer > last));
        let Some(peer) = after.or_else(|| shared.up.keys().next()).copied() else { return };
        self.compared = Some(peer);
        self.compare_with(&peer, shared);
    }

    /// Computes the ways anew if anything that bears on them changed, but not all the time.
    fn compute(&mut self, shared: &mut Shared, via: impl Fn() -> BTreeMap<NodeId, NodeId>) -> bool {
        let now = shared.now.mono;
        if self.computed.0 != self.lsdb.version && self.compute_at.is_none() {
            self.compute_at = Some(self.burst.earliest(self.members(), self.computed.1, now));
        }
        let versions = (self.lsdb.version, self.computed.0);
        if let Some(at) = self.compute_at {
            // The ways of a moment ago are of no use to anybody.
            self.compute_at = Some(self.burst.wait(versions, now).map_or(at, |until| until.max(at)));
        }
        if self.compute_at.is_none_or(|at| at > now) {
            return false;
        }
        self.compute_at = None;
        self.burst.end(versions, now);
        self.computed = (self.lsdb.version, Some(now));
        self.used.retain(|_, at| now.since(*at) < USED_FOR);
        let graph = self.fit(shared);
        self.computed.0 = self.lsdb.version;
        let carries = shared.config.carries_for_others();
        self.links = graph.links();
        let has_spares = |id: &NodeId| !self.is_large() || self.used.contains_key(id);
        let table = Table::compute(&graph, shared.id, carries, has_spares).steered(&graph, &via());
        let table = self.reaching_beyond(table, shared);
        if table == *self.table {
            return false;
        }
        self.table = Arc::new(table);
        shared.push(Output::Routes(Arc::clone(&self.table)));
        true
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        if self.compute_at.is_none() && self.computed.0 != self.lsdb.version {
            // When the ways are computed is still to be said.
            return Some(Mono::default());
        }
        let areas =
            [self.far.next_timeout(), self.own.next_timeout(), self.flood.next_timeout(), self.wanted.next_timeout()];
        areas.into_iter().chain([self.compute_at, Some(self.compare_at)]).flatten().min()
    }
}
