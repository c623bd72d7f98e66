//! Frames from which mostly nothing follows but their answer.
//!
//! Nearly all that comes is what nodes tell each other about themselves. It is then not looked at in all areas what else
//! there is to do, but only in those that the frame bears on; all others are due no sooner than they were.

use std::time::Duration;

use meshline_protocol::Message;

use super::Node;
use crate::input::LinkId;
use crate::now::Mono;

/// All areas are looked at so often at least when frames come: not all that a look finds has a timer.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// When something is due.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// When all areas were looked at last.
    pub(super) looked_at: Mono,
    /// The soonest that anything is due.
    pub(super) due_at: Option<Mono>,
    /// Whether that is so. If not, all areas have to be asked.
    pub(super) is_known: bool,
}

impl Agenda {
    fn hasten(&mut self, at: Mono) {
        self.due_at = Some(self.due_at.map_or(at, |due| due.min(at)));
    }
}

/// What a frame of routine bears on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Routine {
    /// Its link, of which this was due at this time.
    Link(Option<Mono>),
    Routing,
    Gossip,
    /// Nothing here: it is for a service.
    Service,
}

impl Node {
    /// What a frame bears on, if it is one of those and all areas were looked at lately.
    pub(super) fn routine_of(&self, id: LinkId, message: &Message) -> Option<Routine> {
        let link = self.links.get(id).filter(|link| link.is_complete())?;
        let routine = match message {
            Message::Time(_) => Routine::Link(Some(link.liveness.next_timeout())),
            Message::Routing(_) => Routine::Routing,
            Message::Gossip(_) => Routine::Gossip,
            Message::Chat(_) | Message::Services(_) => Routine::Service,
            Message::Hello(_)
            | Message::Goodbye(_)
            | Message::Error(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Revocation(_)
            | Message::Peers(_)
            | Message::Rebuild(_)
            | Message::Ring(_)
            | Message::Broadcast(_)
            | Message::Relay(_)
            | Message::Nat(_)
            | Message::Punch(_)
            | Message::Companion(_)
            | Message::Probe(_)
            | Message::Datagram(_)
            | Message::Ledger(_) => return None,
        };
        let is_recent = self.shared.now.mono.since(self.agenda.looked_at) < LOOK_WITHIN;
        // On a ring whatever comes may be what the order was waiting for.
        (is_recent && !self.ring.is_enabled()).then_some(routine)
    }

    /// Does what follows from a frame of routine.
    pub(super) fn follow_up(&mut self, id: LinkId, routine: Routine) {
        if self.agenda.is_known {
            self.look_where(id, routine);
        }
        if !self.agenda.is_known {
            self.plan();
        }
        if self.agenda.due_at.is_some_and(|at| at <= self.shared.now.mono) {
            self.handle_timeout();
            return;
        }
        self.store();
        self.note_traffic();
        if let Some(at) = self.store_at {
            self.agenda.hasten(at);
        }
    }

    /// Looks when something is due in the areas that a frame bears on.
    fn look_where(&mut self, id: LinkId, routine: Routine) {
        let link = self.links.get(id).map(|link| link.liveness.next_timeout());
        // Nothing else was due as soon as this link, which now is later.
        self.agenda.is_known &=
            !matches!(routine, Routine::Link(before) if before == self.agenda.due_at && before < link);
        let times = match routine {
            Routine::Link(_) => [self.rebuild.next_timeout(&self.shared), None],
            Routine::Routing => [self.routing.next_timeout(), self.broadcast.next_timeout(&self.shared)],
            Routine::Gossip => [self.gossip.next_timeout(&self.shared, self.routing.is_part()), None],
            Routine::Service => [None, None],
        };
        times.into_iter().chain([link]).flatten().for_each(|at| self.agenda.hasten(at));
    }

    /// Looks in all areas when something is due.
    pub(super) fn plan(&mut self) {
        // What was marked since the places to dial were looked at would wake the node at once, mostly for nothing.
        self.peers.settle(&self.links, self.shared.now.mono);
        self.agenda.due_at = self.next_timeout();
        self.agenda.is_known = true;
    }

    /// Something changed that may make anything due.
    pub(super) fn disturb(&mut self) {
        self.agenda.is_known = false;
    }

    /// Something of a link is due sooner than it was.
    pub(super) fn hasten_link(&mut self, id: LinkId) {
        if let Some(at) = self.links.get(id).map(|link| link.liveness.next_timeout()) {
            self.agenda.hasten(at);
        }
    }

    /// Something is due now.
    pub(super) fn hasten_now(&mut self) {
        self.agenda.hasten(self.shared.now.mono);
    }
}
