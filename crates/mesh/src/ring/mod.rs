//! The ring: whom we hand messages to, who hands them to us, and the token that proves it closed.
//!
//! Every member computes the same order and takes the first member behind itself to which it has a link for
//! its successor. A break heals past whoever is missing because the next candidate is dialled; whoever comes
//! back is linked again because its announcement makes it a candidate again, and because the configured
//! successor is tried for ever.

mod order;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshline_protocol::message::{Ring as Message, Role};
use meshline_protocol::{Message as Wire, NodeId};

pub use order::{RingMember, ring_order};

use crate::event::{Event, PeerName, RingSide};
use crate::gossip::Members;
use crate::now::Mono;
use crate::report::RingReport;
use crate::shared::Shared;
use token::Token;

/// Candidates dialled together when a successor is lost. Half as many more are added after each interval, so that
/// half of the longest ring can be missing and the next member is still found in seconds.
const FIRST_REACH: usize = 2;
const REACH_INTERVAL: Duration = Duration::from_millis(300);

/// The state of the ring.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Whether this node has a place on the ring (views and proxies have none).
    enabled: bool,
    /// The members behind us, nearest first.
    candidates: Vec<NodeId>,
    successor: Option<NodeId>,
    epoch: u32,
    /// Who named us successor, with the epoch of the naming.
    attached: BTreeMap<NodeId, u32>,
    predecessor: Option<NodeId>,
    /// Places held by members who said goodbye, until the link to them has ended: the news of a goodbye may come by
    /// another way, and the ring close past them, before that.
    former: BTreeMap<NodeId, RingSide>,
    reach: usize,
    reach_at: Option<Mono>,
    token: Token,
}

/// Where a node stands on the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingPlace<'a> {
    pub(crate) successor: Option<NodeId>,
    /// Own tokens sent and returned.
    pub(crate) rounds: (u32, u32),
    /// Whether the last one returned and nothing changed since.
    pub(crate) complete: bool,
    /// Everyone it passed, ourselves first.
    pub(crate) members: &'a [NodeId],
}

/// What a change of links or members leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RingChange {
    /// The members that should be linked from now on.
    pub(crate) wanted: BTreeSet<NodeId>,
}

impl Ring {
    pub(crate) fn new(shared: &Shared) -> Self {
        let in_ring = shared.config.topology == crate::Topology::Ring;
        Self {
            enabled: in_ring && shared.config.carries() && !shared.config.is_proxy(),
            candidates: Vec::new(),
            successor: None,
            epoch: 0,
            attached: BTreeMap::new(),
            predecessor: None,
            former: BTreeMap::new(),
            reach: FIRST_REACH,
            reach_at: None,
            token: Token::default(),
        }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Which place next to ours a member holds, or held when it said goodbye.
    pub(crate) fn side_of(&self, peer: &NodeId) -> Option<RingSide> {
        self.former.get(peer).copied().or_else(|| self.current_side_of(peer))
    }

    fn current_side_of(&self, peer: &NodeId) -> Option<RingSide> {
        match (self.successor.as_ref() == Some(peer), self.predecessor.as_ref() == Some(peer)) {
            (true, true) => Some(RingSide::Both),
            (true, false) => Some(RingSide::Next),
            (false, true) => Some(RingSide::Previous),
            (false, false) => None,
        }
    }

    /// Members changed: computes the order anew. Members whose announcements have ended are no part of it, since
    /// newcomers do not hear of them any more and must compute the same; they come last.
    pub(crate) fn reorder(&mut self, shared: &Shared, members: &Members) {
        let own =
            RingMember { id: shared.id, addresses: shared.config.listen.clone(), next: shared.config.next.clone() };
        let now = shared.judged();
        let has_place = |known: &&crate::gossip::Known| {
            !known.has_left() && !known.member.has_role(Role::View) && !known.member.has_role(Role::Proxy)
        };
        let (current, ended): (Vec<_>, Vec<_>) =
            members.iter().filter(has_place).partition(|known| known.is_current(now));
        let others = current.into_iter().map(|known| RingMember {
            id: known.member.id,
            addresses: known.member.addresses.clone(),
            next: known.member.next.clone(),
        });
        let mut order = ring_order(&std::iter::once(own).chain(others).collect::<Vec<_>>());
        let own_place = order.iter().position(|id| *id == shared.id).unwrap_or(0);
        order.rotate_left(own_place);
        self.candidates = order.into_iter().skip(1).chain(ended.into_iter().map(|known| known.member.id)).collect();
    }

    /// Links or order changed: chooses the successor and says whom to link.
    pub(crate) fn reselect(&mut self, shared: &mut Shared, names: &Members) -> RingChange {
        self.remember_leavers(shared);
        let chosen = self.candidates.iter().position(|id| shared.up.contains_key(id));
        let successor = chosen.and_then(|at| self.candidates.get(at)).copied();
        if successor != self.successor {
            self.change_successor(successor, shared);
        }
        // Whoever stands before the chosen one may be reachable too: the chosen one may be a stopgap.
        let wanted = chosen.map_or(self.candidates.len(), |at| at + 1);
        if wanted <= FIRST_REACH {
            self.reach = FIRST_REACH;
        }
        if self.reach >= wanted {
            self.reach_at = None;
        } else if self.reach_at.is_none() {
            self.reach_at = Some(shared.now.mono.after(REACH_INTERVAL));
        }
        self.choose_predecessor(shared, names, successor);
        let reach = self.reach.min(wanted);
        RingChange { wanted: self.candidates.iter().copied().take(reach).chain(successor).collect() }
    }

    /// Neighbours that are linked still but have no place on the ring any more keep theirs in memory.
    fn remember_leavers(&mut self, shared: &Shared) {
        let has_left = |id: &NodeId| shared.up.contains_key(id) && !self.candidates.contains(id);
        self.former.retain(|id, _| has_left(id));
        for id in [self.successor, self.predecessor].into_iter().flatten().filter(has_left) {
            if let Some(side) = self.current_side_of(&id) {
                self.former.entry(id).or_insert(side);
            }
        }
    }

    fn change_successor(&mut self, successor: Option<NodeId>, shared: &mut Shared) {
        self.epoch = self.epoch.wrapping_add(1);
        let attach = meshline_protocol::message::RingAttach { epoch: self.epoch };
        if let Some(old) = self.successor {
            shared.send(&old, Wire::Ring(Message::Detach(attach)));
        }
        self.successor = successor;
        if let Some(new) = successor {
            shared.send(&new, Wire::Ring(Message::Attach(attach)));
        }
        self.token.reset(shared.now.mono);
        // Told by `choose_predecessor`, which follows and knows both sides.
    }

    /// A new link to a member is up: what was said on an older one may have been lost with it.
    pub(crate) fn relink(&mut self, peer: &NodeId, shared: &mut Shared) {
        self.attached.remove(peer);
        if self.successor.as_ref() == Some(peer) {
            let attach = meshline_protocol::message::RingAttach { epoch: self.epoch };
            shared.send(peer, Wire::Ring(Message::Attach(attach)));
            self.token.reset(shared.now.mono);
        }
    }

    /// The nearest member before us that named us its successor.
    fn choose_predecessor(&mut self, shared: &mut Shared, names: &Members, successor: Option<NodeId>) {
        self.attached.retain(|id, _| shared.up.contains_key(id));
        let nearest = self.candidates.iter().rev().find(|id| self.attached.contains_key(id)).copied();
        let predecessor = nearest.or_else(|| self.attached.keys().next().copied());
        let told = (self.token.told_successor, self.predecessor);
        self.predecessor = predecessor;
        if told != (successor, predecessor) {
            self.token.told_successor = successor;
            let shown = |id: Option<NodeId>| id.map(|id| shown_name(shared, names, id));
            let event = Event::RingChanged { next: shown(successor), previous: shown(predecessor) };
            shared.event(event);
        }
    }

    /// Takes in a message of a peer; says whether the ring must be looked at again.
    pub(crate) fn handle(&mut self, from: NodeId, message: Message, shared: &mut Shared) -> bool {
        if !self.enabled {
            return false;
        }
        match message {
            Message::Attach(attach) => {
                self.attached.insert(from, attach.epoch);
                true
            }
            Message::Detach(_) => self.attached.remove(&from).is_some(),
            Message::Token(token) => {
                if self.attached.contains_key(&from) {
                    self.token.handle(token, self.successor, shared);
                }
                false
            }
        }
    }

    /// The place on the ring, if this node has one.
    pub(crate) fn place(&self) -> Option<RingPlace<'_>> {
        self.enabled.then(|| RingPlace {
            successor: self.successor,
            rounds: self.token.rounds(),
            complete: self.token.is_complete(),
            members: self.token.members(),
        })
    }

    /// Sends the token and reaches further when it is time; says whether the ring must be looked at again.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) -> bool {
        if !self.enabled {
            return false;
        }
        self.token.handle_timeout(self.successor, shared);
        let due = self.reach_at.is_some_and(|at| at <= shared.now.mono);
        if due {
            self.reach += (self.reach / 2).max(1);
            self.reach_at = None;
        }
        due
    }

    /// Whether a link that we dialled serves the ring.
    pub(crate) fn needs(&self, peer: &NodeId) -> bool {
        self.successor.as_ref() == Some(peer) || self.attached.contains_key(peer)
    }

    pub(crate) fn report(&self) -> RingReport {
        RingReport {
            next: self.successor,
            previous: self.predecessor,
            length: self.token.length(),
            complete: self.token.is_complete(),
        }
    }

    /// The members of the closed ring behind us, in order.
    pub(crate) fn members(&self) -> &[NodeId] {
        self.token.members()
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        if !self.enabled {
            return None;
        }
        [self.reach_at, self.token.next_timeout(self.successor.is_some())].into_iter().flatten().min()
    }
}

fn shown_name(shared: &Shared, members: &Members, id: NodeId) -> PeerName {
    let name = members.get(&id).map_or("", |known| known.member.name.as_str());
    shared.shown(&id, name)
}
