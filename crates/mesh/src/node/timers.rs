//! When the node looks at the time, and at what.

use std::time::Duration;

use super::{ALONE_AFTER, Node};
use crate::input::LinkId;
use crate::now::Mono;

/// Least time between two looks at the timers.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

impl Node {
    /// When to call [`Node::handle_input`] with a timeout at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        // What is due now was done now. Whatever could not be done waits a little, lest a driver that comes back at
        // once does nothing else.
        let at = if self.agenda.is_known { self.agenda.due_at } else { self.next_timeout() };
        at.map(|at| at.max(self.shared.now.mono.after(LEAST_PAUSE)))
    }

    /// The soonest that anything is due, looked for in all areas.
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        let alone = self.started.after(ALONE_AFTER);
        let timeouts = [
            self.links.next_timeout(),
            self.gossip.next_timeout(&self.shared, self.routing.is_part()),
            self.ring.next_timeout(),
            self.relay_server.next_timeout(),
            self.echoes.next_timeout(),
            self.companions.next_timeout(|link| self.is_active(link)),
            self.probes.next_timeout(&self.shared),
            self.routing.next_timeout(),
            self.broadcast.next_timeout(&self.shared),
            self.datagrams.next_timeout(),
            self.find.next_timeout(!self.shared.up.is_empty()),
            self.store_at,
            Some(self.renew_at),
            Some(self.sweep_at),
            Some(alone).filter(|alone| *alone > self.shared.now.mono),
        ];
        let while_here = [
            self.peers.next_timeout(self.shared.now.mono, &self.links),
            // On a ring nothing is chosen: what is due there stays so.
            self.peers.set.next_timeout().filter(|_| !self.ring.is_enabled()),
            self.rebuild.next_timeout(&self.shared),
            self.peers.asks.next_timeout(),
            self.signal.next_timeout(),
            self.nat.next_timeout(),
            self.lan.next_timeout(),
            self.relay_client.next_timeout(),
            self.punch.next_timeout(),
        ];
        let timeouts = timeouts.into_iter().chain(while_here.into_iter().filter(|_| !self.shared.leaving));
        timeouts.flatten().min()
    }

    fn is_active(&self, link: LinkId) -> bool {
        self.links.get(link).is_some_and(|link| link.is_active(self.shared.now.mono))
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self) {
        self.agenda.looked_at = self.shared.now.mono;
        self.expire_links();
        self.rebuild_when_due();
        self.choose_links();
        self.exchange_addresses();
        self.lan.handle_timeout(&mut self.peers, &self.shared);
        self.peers.handle_timeout(&mut self.shared, &self.links);
        self.gossip.handle_timeout(&mut self.shared, &self.routing);
        if self.ring.handle_timeout(&mut self.shared) {
            self.reselect_ring();
        }
        if let Some(place) = self.ring.place().filter(|_| self.broadcast.is_watching()) {
            self.broadcast.retry(place, &mut self.shared);
        }
        self.broadcast.handle_timeout(&mut self.shared);
        self.relay();
        self.relay_server.handle_timeout(&mut self.shared);
        self.echoes.handle_timeout(&mut self.shared);
        let (links, now) = (&self.links, self.shared.now.mono);
        let is_active = |link| links.get(link).is_some_and(|link| link.is_active(now));
        self.companions.handle_timeout(is_active, &mut self.shared);
        self.probes.handle_timeout(&mut self.links, &mut self.shared);
        self.route();
        self.seek_members();
        self.punch();
        self.signal.handle_timeout(&mut self.shared);
        self.look_further();
        self.nat.handle_timeout(&mut self.shared);
        self.renew();
        self.sweep();
        self.store();
        self.note_traffic();
        self.tell_state();
        self.plan();
    }
}
