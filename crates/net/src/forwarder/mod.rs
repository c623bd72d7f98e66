//! The forwarding plane: readers pass on datagrams by the ways the core published, without passing through it.
//!
//! What a datagram is forwarded by is one immutable snapshot, the table and the links that are up, swapped whole. The
//! decision itself is the core's function [`forward`]; whatever it does not send on (for this node, no way, refused)
//! goes to the core, which delivers, counts and reports.

mod counters;
mod ends;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use meshline_mesh::{Forward, LinkId, Mono, Table, datagram_line, forward};
use meshline_protocol::message::{Datagram, Over};
use meshline_protocol::{Bounded, Frame, NodeId, ServiceName};
use meshline_tunnel::{Arrival, PathInfo};

use crate::clock::Clock;
use crate::companion::Carried;
use crate::link::{Outlet, Pushed, Tallies, Waiting};
use crate::tap::Tap;
use crate::tunnel::{self, Registry};
use counters::Counters;

pub use counters::Forwarding;

/// The core is told so often that a destination is in use; it looks for several ways to those that are (it forgets
/// them after five minutes).
const TELL_USE_EVERY: Duration = Duration::from_secs(60);

/// Destinations of datagrams from here that are remembered; more are told to the core each time.
const MAX_DESTINATIONS: usize = 256;

/// What a link costs for as long as routing has not said: the path is used, but is nobody's first choice.
const UNKNOWN_COST_US: u64 = 100_000;

/// Why a datagram is dropped that wants UDP or nothing.
const NO_UDP: &str = "no_udp";

/// A datagram that does not go on, with its content.
type Back = (Box<Datagram>, Bytes);

/// What datagrams are forwarded by.
#[derive(Debug, Default)]
struct Ways {
    table: Arc<Table>,
    /// The links that are up.
    outlets: BTreeMap<NodeId, Outlet>,
}

impl Ways {
    /// Whether packets of the tunnel with `peer` may take the link to `first`. A tunnel that carries links must rest on
    /// none that is carried, or it might rest on itself.
    fn bears_tunnel(&self, peer: &NodeId, first: &NodeId) -> bool {
        let is_carried = |outlet: &Outlet| outlet.through().is_some();
        let carries = || self.outlets.values().any(|outlet| outlet.through().as_ref() == Some(peer));
        self.outlets.get(first).is_some_and(|outlet| !is_carried(outlet) || !carries())
    }
}

/// The ways as the core published them last, and what was done by them.
#[derive(Default)]
pub(crate) struct Forwarder {
    ways: ArcSwap<Ways>,
    counters: Counters,
    /// Destinations of datagrams from here, with the time when the core was told.
    told: Mutex<BTreeMap<NodeId, Mono>>,
    /// While somebody watches frames, datagrams go through the core, where they are copied.
    tap: Arc<Tap>,
    /// What takes the packets of tunnels.
    tunnels: OnceLock<Served>,
    /// Bytes that wait for all links.
    waiting: Arc<AtomicUsize>,
    tallies: Tallies,
}

/// Whose tunnels they are.
struct Served {
    own: NodeId,
    clock: Clock,
    tunnels: Weak<Registry>,
}

/// What became of a datagram from here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It waits for its link.
    Queued,
    /// It was dropped, for this reason.
    Dropped(&'static str),
    /// The core has to see to it.
    Unsettled(Bytes),
}

impl Forwarder {
    /// A plane without ways.
    pub(crate) fn new(tap: Arc<Tap>) -> Self {
        Self { tap, ..Self::default() }
    }

    /// Forward by this from now on. Like all that changes the ways, it is called by the driver alone.
    pub(crate) fn publish(&self, table: Arc<Table>) {
        let outlets = self.ways.load().outlets.clone();
        self.ways.store(Arc::new(Ways { table, outlets }));
        self.tell_tunnels();
    }

    /// Packets of tunnels go there from now on.
    pub(crate) fn serve(&self, own: NodeId, clock: Clock, tunnels: Weak<Registry>) {
        // There is one for life.
        let _ = self.tunnels.set(Served { own, clock, tunnels });
    }

    /// This node, which tunnels know before there is a table.
    fn own(&self) -> Option<NodeId> {
        self.tunnels.get().map(|served| served.own)
    }

    fn tunnels(&self) -> Option<Arc<Registry>> {
        self.tunnels.get()?.tunnels.upgrade()
    }

    fn tell_tunnels(&self) {
        if let Some(tunnels) = self.tunnels() {
            tunnels.review_paths();
        }
    }

    /// A link is up.
    pub(crate) fn link_up(&self, peer: NodeId, outlet: Outlet) {
        outlet.introduce(peer);
        let before = self.ways.load_full();
        let mut outlets = before.outlets.clone();
        outlets.insert(peer, outlet);
        self.ways.store(Arc::new(Ways { table: Arc::clone(&before.table), outlets }));
        self.tell_tunnels();
    }

    /// A link is gone, up or not.
    pub(crate) fn link_down(&self, link: LinkId) {
        let before = self.ways.load_full();
        if before.outlets.values().any(|outlet| outlet.link() == link) {
            let mut outlets = before.outlets.clone();
            outlets.retain(|_, outlet| outlet.link() != link);
            self.ways.store(Arc::new(Ways { table: Arc::clone(&before.table), outlets }));
            self.tell_tunnels();
        }
    }

    /// Passes on a datagram that a linked member sent; returns what the core has to see to.
    pub(crate) fn pass_on(
        &self,
        from: &NodeId,
        is_encrypted: bool,
        datagram: Box<Datagram>,
        body: Bytes,
    ) -> Option<Back> {
        if datagram.service.as_str() == tunnel::SERVICE
            && self.own() == Some(datagram.dst)
            && let Some(tunnels) = self.tunnels()
        {
            if self.drops_circle(from, &datagram) {
                return None;
            }
            self.show((from, false), &datagram, body.len());
            let arrival = Arrival { from: *from, is_private: is_encrypted && *from == datagram.src };
            tunnels.deliver(datagram.src, body, arrival);
            return None;
        }
        // What looks for its way is counted, and may end anywhere.
        if self.tap.is_watched() || datagram.seek.is_some() {
            return Some((datagram, body));
        }
        let ways = self.ways.load();
        match forward(&ways.table, &datagram, Some(from), |id| ways.outlets.contains_key(id)) {
            Forward::To(next, line) => {
                let came = Came { datagram, from: Some(*from), body };
                match ways.put(&next, line, came, &self.counters) {
                    Ok(_) => None,
                    Err(came) => Some((came.datagram, came.body)),
                }
            }
            Forward::Deliver | Forward::Drop(_) => Some((datagram, body)),
        }
    }

    /// Sends a frame that may wait to a linked member; `false` if it is not linked or has too much waiting.
    pub(crate) fn send_bulk(&self, peer: &NodeId, frame: &Frame) -> bool {
        self.ways.load().outlets.get(peer).is_some_and(|outlet| outlet.push_bulk(frame))
    }

    /// Sends a datagram from here, if the core was told lately that its destination is in use.
    pub(crate) fn send(
        &self,
        to: NodeId,
        (service, flow, over): (ServiceName, u32, Over),
        body: Bytes,
        now: Mono,
    ) -> Sent {
        let ways = self.ways.load();
        let is_ours = |own: &NodeId| *own != to && !self.tap.is_watched() && self.was_told(to, now);
        let Some(own) = ways.table.own.filter(is_ours) else {
            return Sent::Unsettled(body);
        };
        let datagram = Box::new(Datagram { over, ..datagram_line(own, to, flow, service) });
        match forward(&ways.table, &datagram, None, |id| ways.outlets.contains_key(id)) {
            Forward::To(next, line) => {
                match ways.put(&next, line, Came { datagram, from: None, body }, &self.counters) {
                    Ok(None) => Sent::Queued,
                    Ok(Some(reason)) => Sent::Dropped(reason),
                    Err(came) => Sent::Unsettled(came.body),
                }
            }
            Forward::Deliver | Forward::Drop(_) => Sent::Unsettled(body),
        }
    }

    /// The ways to a member that begin with a link that is up: those routing found, and the link to it if there is one.
    pub(crate) fn paths(&self, to: &NodeId) -> Vec<PathInfo> {
        let ways = self.ways.load();
        let known = ways.table.routes.get(to).map(|route| route.paths.as_slice()).unwrap_or_default();
        let mut paths: Vec<PathInfo> = known
            .iter()
            .filter(|path| path.hops.first().is_some_and(|first| ways.bears_tunnel(to, first)))
            .map(|path| PathInfo { hops: path.hops.clone().into(), cost_us: path.cost_us, is_private: false })
            .collect();
        if let Some(outlet) = ways.outlets.get(to).filter(|_| ways.bears_tunnel(to, to)) {
            let is_direct = |path: &PathInfo| path.hops.len() == 1;
            if !paths.iter().any(is_direct) {
                paths.push(PathInfo { hops: [*to].into(), cost_us: UNKNOWN_COST_US, is_private: false });
            }
            paths.iter_mut().filter(|path| is_direct(path)).for_each(|path| path.is_private = outlet.is_encrypted());
        }
        paths
    }

    /// Sends a packet of a tunnel along a path, and on no other: some must not leave it. `false` if its flow has enough
    /// waiting on the first link; `filler` is woken when there is room.
    pub(crate) fn send_along(
        &self,
        (to, hops): (NodeId, &[NodeId]),
        (service, flow): (ServiceName, u32),
        body: Bytes,
        filler: impl FnOnce() -> Waker,
    ) -> bool {
        let ways = self.ways.load();
        let (Some(own), Some(next)) = (self.own(), hops.first()) else { return true };
        // Packets of a path whose link has gone are lost; the tunnel hears of that path's end.
        let Some(outlet) = ways.outlets.get(next) else { return true };
        if meshline_tunnel::is_open(&body) && !outlet.is_encrypted() {
            // The link it was made for has been replaced by one that anybody can read.
            return true;
        }
        let between = hops.len().saturating_sub(1);
        let datagram = datagram_line(own, to, flow, service);
        let path = Bounded::from_first(hops.iter().copied().take(between).skip(1));
        let line = Box::new(Datagram { ttl: datagram.ttl.saturating_sub(1), path, ..datagram.clone() });
        self.show((next, true), &line, body.len());
        let came = Came { datagram: Box::new(datagram), from: None, body };
        // What finds no room is lost, and the tunnel notices.
        let _ = put(outlet, line, came, &self.counters);
        !outlet.is_enough(own, flow, filler)
    }

    /// What links count together.
    pub(crate) fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// What the queues of links count together.
    pub(crate) fn waiting(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.waiting)
    }

    /// Whether the core knows that this destination is in use; it is going to be told if not.
    fn was_told(&self, to: NodeId, now: Mono) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&to).is_some_and(|at| now.since(*at) < TELL_USE_EVERY) {
            return true;
        }
        if told.len() >= MAX_DESTINATIONS {
            told.retain(|_, at| now.since(*at) < TELL_USE_EVERY);
        }
        if told.len() < MAX_DESTINATIONS {
            told.insert(to, now);
        }
        false
    }

    /// Queues a datagram that the core sends on a link.
    pub(crate) fn queue(&self, outlet: &Outlet, line: &Datagram, body: Bytes) {
        let ways = self.ways.load();
        // Should it have to go another way, it has no path any more; and if it is another's, that is its one detour.
        let detours = line.detours + u8::from(ways.table.own != Some(line.src));
        let datagram = Box::new(Datagram { path: Bounded::default(), detours, ..line.clone() });
        // The link may have been closed in this very step: then the datagram is lost with it.
        if put(outlet, Box::new(line.clone()), Came { datagram, from: None, body }, &self.counters).is_err() {
            self.counters.drop("link_down", 1);
        }
    }

    /// Sends what waited for a link that is gone over other links, or drops it.
    pub(crate) fn reroute(&self, waiting: Vec<Waiting>) {
        let ways = self.ways.load();
        for Waiting { datagram, from, body, .. } in waiting {
            if from.is_none() && datagram.service.as_str() == tunnel::SERVICE {
                // The tunnel sends it again, and seals it first if it has to.
                self.counters.drop("link_down", 1);
                continue;
            }
            match forward(&ways.table, &datagram, from.as_ref(), |id| ways.outlets.contains_key(id)) {
                Forward::To(next, line) => match ways.put(&next, line, Came { datagram, from, body }, &self.counters) {
                    Ok(_) => self.counters.reroute(),
                    Err(_) => self.counters.drop("link_down", 1),
                },
                Forward::Drop(reason) => self.counters.drop(reason.name(), 1),
                // Nothing for this node waits for a link.
                Forward::Deliver => self.counters.drop("link_down", 1),
            }
        }
    }

    /// What was forwarded and dropped, and what waits.
    pub(crate) fn report(&self) -> Forwarding {
        let mut report = self.counters.report();
        for (frames, bytes) in self.ways.load().outlets.values().map(Outlet::depth) {
            report.waiting_frames += frames;
            report.waiting_bytes += bytes;
        }
        report
    }
}

/// A datagram as it came.
struct Came {
    datagram: Box<Datagram>,
    /// Who handed it to this node's forwarding plane; `None` if it is from here, or from the core.
    from: Option<NodeId>,
    body: Bytes,
}

impl Ways {
    /// Puts a datagram into the queue of the next link, with the line it goes on with. Returns why it was dropped
    /// there, if it was; or the datagram, if the link takes none.
    fn put(
        &self,
        next: &NodeId,
        line: Box<Datagram>,
        came: Came,
        counters: &Counters,
    ) -> Result<Option<&'static str>, Came> {
        match self.outlets.get(next) {
            Some(outlet) => put(outlet, line, came, counters),
            None => Err(came),
        }
    }
}

fn put(outlet: &Outlet, line: Box<Datagram>, came: Came, counters: &Counters) -> Result<Option<&'static str>, Came> {
    let Came { datagram, from, body } = came;
    let is_from_others = from.is_some() || datagram.detours > 0;
    match outlet.carry_beside(&line, &body) {
        Carried::ByLink => {}
        Carried::Sent(bytes) => {
            counters.forward(bytes, is_from_others);
            return Ok(None);
        }
        Carried::Dropped => {
            counters.drop(NO_UDP, 1);
            return Ok(Some(NO_UDP));
        }
    }
    let Some(head) = outlet.head(line, &body) else { return Err(Came { datagram, from, body }) };
    let bytes = head.len() + body.len();
    match outlet.push(Waiting { datagram, from, head, body }) {
        Pushed::Done(dropped) => {
            if let Some(dropped) = dropped {
                counters.drop(dropped.reason.name(), dropped.others + u64::from(dropped.this));
            }
            let reason = dropped.filter(|dropped| dropped.this).map(|dropped| dropped.reason.name());
            if reason.is_none() {
                counters.forward(bytes, is_from_others);
            }
            Ok(reason)
        }
        Pushed::Closed(Waiting { datagram, from, body, .. }) => Err(Came { datagram, from, body }),
    }
}

#[cfg(test)]
mod tests;
