//! When others are asked, and whom.
//!
//! A start asks until three witnesses have answered, and more of them if they do not agree. After that, all are asked
//! again every 20 to 26 s while a hole is open or wanted (a router that forgets in 30 s is kept from it, one that moves
//! is noticed), and otherwise seldom: an idle node sleeps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use meshline_protocol::message::NatTransport;
use meshline_protocol::{Address, NodeId};

use super::calls::{MAX_FAILURES, Purpose};
use super::picture::Witness;
use super::questions::MAX_QUESTIONS;
use super::{Mapping, Nat};
use crate::event::Direction;
use crate::input::Transport;
use crate::now::Mono;
use crate::shared::Shared;

/// Between rounds while a hole is open or wanted: 20 s and up to 6 s more.
const FRESH: Duration = Duration::from_secs(20);
const FRESH_JITTER_MS: usize = 6_000;

/// Between rounds otherwise, a quarter more or less.
const SELDOM: Duration = Duration::from_secs(1_200);

/// Rounds are never closer than this, whatever makes them.
const LEAST_PAUSE: Duration = Duration::from_secs(5);

/// Witnesses that are heard: two tell the mapping, the third tells whether ports are counted and whether one lies.
pub(super) const WANTED: usize = 3;

/// Witnesses that are heard if they do not agree.
pub(super) const WANTED_IF_DISPUTED: usize = 5;

/// Addresses asked of one member: that of its link, and another port.
const MAX_PORTS: usize = 2;

/// What was reached is tried again after this, in the next round: routers forget what they forward.
const REACHED_FOR: Duration = Duration::from_secs(1_800);

/// A linked member as far as questions go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Linked {
    transport: Transport,
    remote: Option<SocketAddr>,
    /// Where it takes datagrams: the ports it listens on, at the host it was seen at.
    asked: Vec<SocketAddr>,
}

impl Linked {
    /// A member is static if we dialled it, or if it comes from where it says that it listens.
    pub(crate) fn new(transport: Transport, direction: Direction, remote: &Address, announced: &[Address]) -> Self {
        let remote = remote.as_str().parse::<SocketAddr>().ok().filter(|_| transport != Transport::Relay);
        let announced = announced.iter().filter_map(|address| address.as_str().parse().ok());
        let same_host =
            announced.filter(|address: &SocketAddr| remote.is_some_and(|remote| remote.ip() == address.ip()));
        let dialled = remote.filter(|_| direction == Direction::Outbound);
        let mut asked: Vec<SocketAddr> = Vec::new();
        for address in dialled.into_iter().chain(same_host) {
            if !asked.contains(&address) {
                asked.push(address);
            }
        }
        asked.truncate(MAX_PORTS);
        Self { transport, remote, asked }
    }

    /// The other end of a QUIC link: datagrams go there all the time.
    pub(super) fn quic_host(&self) -> Option<SocketAddr> {
        self.remote.filter(|_| self.transport == Transport::Quic)
    }

    /// Whether it is known to take datagrams.
    pub(super) fn can_be_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether a hole is open to it, or would be of use.
    fn wants_hole(&self) -> bool {
        matches!(self.transport, Transport::Quic | Transport::Relay)
    }
}

/// When.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    next_at: Option<Mono>,
    last: Option<Mono>,
    fresh: bool,
    /// Something happened that may want another question or call.
    looks: bool,
}

impl Rounds {
    /// A round is due.
    pub(super) fn hurry(&mut self, now: Mono) {
        self.next_at = Some(now);
        self.looks = true;
    }

    /// Something happened.
    pub(super) fn look_again(&mut self) {
        self.looks = true;
    }

    /// The outside has changed: a round soon.
    pub(super) fn moved(&mut self, now: Mono) {
        let earliest = self.last.map_or(now, |last| last.after(LEAST_PAUSE)).max(now);
        self.next_at = Some(self.next_at.map_or(earliest, |at| at.min(earliest)));
    }

    pub(super) fn links_changed(&mut self, linked: &BTreeMap<NodeId, Linked>, shared: &mut Shared) {
        self.looks = true;
        self.plan(linked, shared);
    }

    pub(super) fn keep_fresh(&mut self, fresh: bool, linked: &BTreeMap<NodeId, Linked>, shared: &mut Shared) {
        if self.fresh != fresh {
            self.fresh = fresh;
            self.plan(linked, shared);
        }
    }

    /// Brings the next round forward if it is to be soon now.
    fn plan(&mut self, linked: &BTreeMap<NodeId, Linked>, shared: &mut Shared) {
        let Some(last) = self.last else { return };
        if self.is_fresh(linked) {
            let soon = last.after(FRESH).max(shared.now.mono);
            self.next_at = Some(self.next_at.map_or(soon, |at| at.min(soon)));
        }
    }

    fn is_fresh(&self, linked: &BTreeMap<NodeId, Linked>) -> bool {
        self.fresh || linked.values().any(Linked::wants_hole)
    }

    fn begin(&mut self, linked: &BTreeMap<NodeId, Linked>, shared: &mut Shared) {
        let now = shared.now.mono;
        self.last = Some(now);
        self.next_at = Some(if self.is_fresh(linked) {
            let jitter = u64::try_from(shared.below(FRESH_JITTER_MS)).unwrap_or(0);
            now.after(FRESH + Duration::from_millis(jitter))
        } else {
            shared.jittered(SELDOM)
        });
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        if self.looks { Some(Mono(0)) } else { self.next_at }
    }
}

impl Nat {
    /// Asks and has itself called, as far as something is due. Without a UDP socket there is nothing to ask for.
    pub(super) fn proceed(&mut self, shared: &mut Shared) {
        let is_due = self.rounds.next_at.is_some_and(|at| at <= shared.now.mono);
        if self.candidates.host.is_empty() || shared.leaving || !(is_due || self.rounds.looks) {
            self.rounds.looks = false;
            return;
        }
        self.rounds.looks = false;
        if is_due {
            self.servers.look_up(shared);
            self.rounds.begin(&self.linked, shared);
        }
        self.ask_witnesses(is_due, shared);
        self.have_called(shared);
        if let Some(to) = self.translated() {
            self.hairpin.attempt(to, shared);
        }
    }

    /// A question was given up. If nobody has answered in this round, what others saw before it holds no more: it would be
    /// told to peers, who would search for this node there.
    pub(super) fn note_silence(&mut self, shared: &mut Shared) {
        let has_answered = self.picture.iter().any(|sighting| self.rounds.last.is_some_and(|last| sighting.at >= last));
        if self.questions.is_idle() && !has_answered {
            self.candidates.silent = true;
            self.picture.clear();
            self.refresh(shared);
        }
    }

    /// In a round all witnesses are asked, else those still wanted.
    fn ask_witnesses(&mut self, all: bool, shared: &mut Shared) {
        for to in self.servers.addresses(&self.candidates.host) {
            if all || !(self.picture.has_heard(&to) || self.questions.is_silent(&to)) {
                self.questions.ask(Witness::Server(to.ip()), to, shared);
            }
        }
        let wanted = if self.picture.is_disputed() { WANTED_IF_DISPUTED } else { WANTED };
        let reserved = self.reserved(shared);
        let mut members: Vec<(NodeId, Vec<SocketAddr>)> = self
            .linked
            .iter()
            .filter(|(id, linked)| !linked.asked.is_empty() && Some(**id) != reserved)
            .map(|(id, linked)| (*id, linked.asked.clone()))
            .collect();
        // Those that have answered before come first, those that were silent last.
        members.sort_by_key(|(_, asked)| {
            let any = |is: &dyn Fn(&SocketAddr) -> bool| asked.iter().any(is);
            (!any(&|to| self.picture.has_heard(to)), any(&|to| self.questions.is_silent(to)))
        });
        for (id, asked) in members.into_iter().take(wanted) {
            for to in asked {
                if all || !(self.picture.has_heard(&to) || self.questions.is_silent(&to)) {
                    self.questions.ask(Witness::Member(id), to, shared);
                }
            }
        }
        self.ask_further(all, shared);
        // With as many silent as are remembered the next round asks the others.
        let remembers_more = self.questions.silent().count() < MAX_QUESTIONS;
        if self.questions.next_timeout().is_none() && self.picture.voices() == 0 && remembers_more {
            self.ask_silent(shared, reserved);
        }
    }

    /// All that were chosen are silent: the others are tried too.
    fn ask_silent(&mut self, shared: &mut Shared, reserved: Option<NodeId>) {
        let untried = self.linked.iter().filter(|(id, _)| Some(**id) != reserved).flat_map(|(id, linked)| {
            let silent = |to: &&SocketAddr| !self.questions.is_silent(to);
            linked.asked.iter().filter(silent).map(|to| (*id, *to))
        });
        let untried: Vec<(NodeId, SocketAddr)> = untried.take(WANTED).collect();
        for (id, to) in untried {
            self.questions.ask(Witness::Member(id), to, shared);
        }
    }

    /// A member that is not asked before it has called: to a firewall it is a stranger until then.
    fn reserved(&self, shared: &Shared) -> Option<NodeId> {
        if self.calls.is_tried(Purpose::Stranger) || self.has_loopback_only() {
            return None;
        }
        let stranger = self.stranger(shared)?;
        let answers = |(id, linked): (&NodeId, &Linked)| {
            *id != stranger && linked.asked.iter().any(|to| !self.questions.is_silent(to))
        };
        let others_answer = self.picture.voices() > 0 || self.linked.iter().any(answers);
        others_answer.then_some(stranger)
    }

    /// A linked member whose datagrams would come from a host that was sent nothing.
    fn stranger(&self, shared: &Shared) -> Option<NodeId> {
        let seen = self.seen();
        let is_stranger = |(id, linked): &(&NodeId, &Linked)| {
            let Some(host) = linked.remote.map(|remote| remote.ip()) else { return false };
            let speaks_family = seen.is_none_or(|seen| seen.is_ipv4() == host.is_ipv4());
            let refuses = seen.is_some_and(|seen| self.calls.is_refused(**id, NatTransport::Udp, seen));
            shared.spoken.is_stranger(host, shared.now.mono) && speaks_family && !refuses
        };
        self.linked.iter().filter(is_stranger).map(|(id, _)| *id).next_back()
    }

    /// Where this node was seen last: an address of a hole, or its own.
    fn seen(&self) -> Option<SocketAddr> {
        self.picture.iter().next_back().map(|sighting| sighting.seen)
    }

    /// The address others see, if it is not this host's and more than one say so.
    fn translated(&self) -> Option<SocketAddr> {
        let hosts = &self.candidates.host;
        let seen = self.candidates.reflexive.first().filter(|_| self.candidates.mapping != Mapping::Unknown)?;
        hosts.iter().all(|host| host.ip() != seen.ip()).then_some(*seen)
    }

    pub(super) fn has_loopback_only(&self) -> bool {
        self.candidates.host.iter().all(|address| address.ip().is_loopback())
    }

    /// Has members come back to where this node was seen, and to what it says it can be reached at.
    fn have_called(&mut self, shared: &mut Shared) {
        if self.has_loopback_only() {
            return;
        }
        if let Some(seen) = self.seen() {
            self.have_filter_tried(seen, shared);
        }
        // Its datagrams would open the way for calls that are to find it closed.
        if self.calls.is_under_way(Purpose::Stranger)
            || self.calls.is_under_way(Purpose::AnotherPort)
            || self.is_asking()
        {
            return;
        }
        for (transport, address) in self.offered(shared) {
            self.have_verified(transport, address, shared);
        }
    }

    /// Whether the first answer is still awaited.
    fn is_asking(&self) -> bool {
        self.picture.voices() == 0 && self.questions.next_timeout().is_some()
    }

    fn have_filter_tried(&mut self, seen: SocketAddr, shared: &mut Shared) {
        if !self.calls.is_begun(Purpose::Stranger)
            && let Some(id) = self.stranger(shared)
        {
            self.calls.ask(id, Purpose::Stranger, (NatTransport::Udp, seen), shared);
        }
        if self.calls.is_begun(Purpose::AnotherPort) {
            return;
        }
        // At the address that this very member saw: there may be another one for each.
        let heard = self.picture.iter().rev().find_map(|sighting| match sighting.by {
            Witness::Member(id) if self.linked.contains_key(&id) => Some((id, sighting.seen)),
            Witness::Member(_) | Witness::Server(_) => None,
        });
        if let Some((id, seen)) = heard.filter(|(id, seen)| !self.calls.is_refused(*id, NatTransport::Udp, *seen)) {
            self.calls.ask(id, Purpose::AnotherPort, (NatTransport::Udp, seen), shared);
        }
    }

    /// What this node says it can be reached at: what it announces, and what routers forward.
    pub(super) fn offered(&self, shared: &Shared) -> Vec<(NatTransport, SocketAddr)> {
        let announced = shared.config.listen.iter().filter_map(|address| address.as_str().parse::<SocketAddr>().ok());
        let announced = announced.filter(|address| !address.ip().is_loopback() && !address.ip().is_unspecified());
        let both = announced.flat_map(|address| [(NatTransport::Udp, address), (NatTransport::Tcp, address)]);
        self.mapped.iter().map(|mapped| (mapped.transport, mapped.external)).chain(both).collect()
    }

    fn have_verified(&mut self, transport: NatTransport, address: SocketAddr, shared: &mut Shared) {
        let failures = self.calls.failures(transport, address);
        let reached = self.calls.verified_at(transport, address);
        let is_fresh = reached.is_some_and(|at| shared.now.mono.since(at) < REACHED_FOR);
        if is_fresh || failures >= MAX_FAILURES {
            return;
        }
        let calls_there = |(id, linked): &(&NodeId, &Linked)| {
            linked.remote.is_some_and(|remote| remote.is_ipv4() == address.is_ipv4())
                && !self.calls.is_refused(**id, transport, address)
        };
        let able: Vec<NodeId> = self.linked.iter().filter(calls_there).map(|(id, _)| *id).collect();
        // Another one after each call in vain.
        let turn = usize::try_from(failures).unwrap_or(0).checked_rem(able.len());
        if let Some(id) = turn.and_then(|turn| able.get(turn)) {
            self.calls.ask(*id, Purpose::Verify, (transport, address), shared);
        }
    }
}
