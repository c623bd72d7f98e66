//! Holes through address translation: attempts agreed on by both sides, made at the same instant.
//!
//! [`Punch`] holds a pursuit for each member to whom a direct way is wanted: a call, the attempt that came of it, and the
//! pause until the next. It sends packets itself; what concerns others (records to members, connections to open) it wishes
//! for, and the node takes the wishes to their areas.
//!
//! What is found is kept open by a packet a second until there is a link, for some seconds. From then on the link's own
//! time frames do that: nothing is sent twice.

mod hosts;
mod offer;
mod outcome;
mod plan;
mod pursuit;
mod records;
mod report;
mod run;

#[cfg(test)]
mod hosts_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use meshline_identity::Sequence;
use meshline_protocol::message::{NatThere, Punch as Message, PunchMapping};
use meshline_protocol::{Address, NodeId};

use crate::bucket::{Bucket, Rate};
use crate::input::{DialId, SocketId};
use crate::nat::Candidates;
use crate::now::Mono;
use crate::output::DialTarget;
use crate::shared::Shared;
use hosts::Hosts;
use offer::Own;
use pursuit::{Held, Pursuit};
use report::Counts;
use run::{Run, Step};

/// Packets sent of our own accord, all attempts together. Answers are bounded by what came.
const PACE: Rate = Rate { per_second: 1_000, burst: 256 };

/// Attempts under way at once; those beyond it wait for their turn.
const MAX_RUNS: usize = 32;

/// A way was found and no link came of it: both have waited for this long.
const LINK_LIMIT: Duration = Duration::from_secs(5);

/// The other side may hear of the success later: it is answered for so long.
const LINGER: Duration = Duration::from_secs(3);

/// However often the own addresses change, all attempts begin anew only so often.
const CHANGE_PAUSE: Duration = Duration::from_secs(5);

/// What others see of this node is asked for at the start; an attempt before the answers would be made with half of what
/// is soon known. So long after the first of them no more is waited for,
const EVIDENCE_WAIT: Duration = Duration::from_secs(1);

/// and so long after the addresses of this host are known, if nobody answers.
const NO_EVIDENCE_WAIT: Duration = Duration::from_secs(3);

/// Members are gone through so often at most.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// Members remembered. Beyond it those are forgotten with whom nothing is under way.
const MAX_PURSUITS: usize = 1_024;

/// A link that did not last so long shows that the way is not one.
const SHAKY: Duration = Duration::from_secs(30);

/// What an attempt works with.
pub(super) struct Cx<'a> {
    shared: &'a mut Shared,
    counts: &'a mut Counts,
    pace: &'a mut Bucket,
    searching: &'a mut Option<NodeId>,
    hosts: &'a mut Hosts,
    /// No datagram of this node passes, as far as is known.
    silent: bool,
}

/// What others are to do.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// Tell a member something, over a link or over others.
    Tell(NodeId, Message),
    /// Open a connection to a member.
    Dial(NodeId, DialTarget),
    /// Give up an attempt to connect.
    Cancel(DialId),
    /// Ask others whether a host is a member's.
    Confirm(NodeId, IpAddr),
}

/// A member to whom a direct way is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) peer: NodeId,
    /// The round trip to it as things are, in microseconds.
    pub(crate) rtt_us: Option<u64>,
}

/// The attempts.
#[derive(Debug)]
pub(crate) struct Punch {
    pursuits: BTreeMap<NodeId, Pursuit>,
    /// Attempts under way by their number.
    numbers: BTreeMap<u32, NodeId>,
    own: Option<Own>,
    /// Where others see this node is being asked.
    asking: bool,
    /// This host has other addresses than before, and those it tried in vain were not told to hurry yet.
    moved: bool,
    moved_at: Option<Mono>,
    known_since: Option<Mono>,
    seen_since: Option<Mono>,
    /// Where this node was seen last, and how many ports searches of its own have taken since.
    counted_from: Option<SocketAddr>,
    taken: u32,
    look_at: Mono,
    look_waits: bool,
    next_call: Option<Mono>,
    seq: Sequence,
    pace: Bucket,
    searching: Option<NodeId>,
    hosts: Hosts,
    wishes: Vec<Wish>,
    counts: Counts,
}

impl Punch {
    pub(crate) fn new(now: Mono) -> Self {
        Self {
            pursuits: BTreeMap::new(),
            numbers: BTreeMap::new(),
            own: None,
            asking: false,
            moved: false,
            moved_at: None,
            known_since: None,
            seen_since: None,
            counted_from: None,
            taken: 0,
            look_at: now,
            look_waits: false,
            next_call: None,
            seq: Sequence::default(),
            pace: Bucket::new(PACE, now),
            searching: None,
            hosts: Hosts::default(),
            wishes: Vec::new(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn take_wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    /// Whether any attempt is under way.
    pub(crate) fn is_punching(&self) -> bool {
        self.pursuits.values().any(Pursuit::is_trying)
    }

    /// Takes in where this node may be reached now. Another place means that what was in vain may succeed.
    pub(crate) fn set_own(
        &mut self,
        known: &Candidates,
        (listening, seen): (Option<&Address>, &[IpAddr]),
        shared: &mut Shared,
    ) {
        let now = shared.now.mono;
        let own = Own::new(known, listening, seen);
        let seen = own.candidates.reflexive.first().copied();
        if self.counted_from != seen {
            (self.counted_from, self.taken) = (seen, 0);
        }
        let own = own.counted_on(self.taken);
        self.moved |= self.own.as_ref().is_some_and(|before| {
            // Where others see the same host as before it is this that tells that datagrams pass again.
            before.places() != own.places() || (before.silent && !own.silent)
        });
        if own.has_udp() && self.known_since.is_none() {
            self.known_since = Some(now);
        }
        if !own.candidates.reflexive.is_empty() && self.seen_since.is_none() {
            self.seen_since = Some(now);
        }
        self.own = Some(own);
        let settled = self.moved_at.is_none_or(|at| now.since(at) >= CHANGE_PAUSE);
        if self.moved && settled {
            (self.moved, self.moved_at) = (false, Some(now));
            for (peer, pursuit) in &mut self.pursuits {
                pursuit.hurry(shared.id > *peer, shared);
            }
        }
    }

    /// Some of those that were asked where this node is seen have not answered yet.
    pub(crate) fn set_asking(&mut self, asking: bool) {
        self.asking = asking;
    }

    /// Whether there is something to begin with. That ports are chosen by chance, or counted by how much, is not known as
    /// long as a witness is awaited.
    pub(crate) fn is_ready(&self, shared: &Shared) -> bool {
        let Some(own) = self.own.as_ref().filter(|own| own.has_udp() && shared.config.punch) else { return false };
        let waited = |since: Option<Mono>, wait| since.is_some_and(|since| shared.now.mono.since(since) >= wait);
        let waited = waited(self.seen_since, EVIDENCE_WAIT) || waited(self.known_since, NO_EVIDENCE_WAIT);
        let is_told = match own.mapping {
            PunchMapping::Unknown => false,
            PunchMapping::Independent => true,
            PunchMapping::Random | PunchMapping::Counting(_) => !self.asking,
        };
        waited || is_told
    }

    /// Answers the calls that came before there was something to begin with.
    pub(crate) fn answer_held(&mut self, shared: &mut Shared) {
        let held = |(peer, pursuit): (&NodeId, &mut Pursuit)| Some((*peer, pursuit.held.take()?));
        let held: Vec<(NodeId, Held)> = self.pursuits.iter_mut().filter_map(held).collect();
        for (peer, call) in held {
            if let Err(code) = self.answer(peer, &call, shared) {
                self.refuse(code);
            }
        }
    }

    /// Calls those to whom a direct way is wanted and due, and forgets those to whom none is wanted any more.
    pub(crate) fn pursue(&mut self, wanted: &[Wanted], shared: &mut Shared) {
        let now = shared.now.mono;
        if self.pursuits.len() > MAX_PURSUITS {
            self.pursuits.retain(|_, pursuit| pursuit.is_trying() || pursuit.run.is_some());
        }
        for Wanted { peer, .. } in wanted {
            let is_larger = shared.id > *peer;
            self.pursuits.entry(*peer).or_insert_with(|| Pursuit::new(is_larger, shared));
            let runs = self.pursuits.values().filter(|pursuit| pursuit.is_trying()).count();
            let is_due = |pursuit: &&mut Pursuit| !pursuit.is_trying() && pursuit.next_at <= now && runs < MAX_RUNS;
            if self.pursuits.get_mut(peer).filter(is_due).is_some() {
                self.call(*peer, shared);
            }
        }
        let pursuits = wanted.iter().filter_map(|wanted| self.pursuits.get(&wanted.peer));
        // With all places taken, whoever is due waits until one is free.
        let waiting = pursuits.filter(|pursuit| !pursuit.is_trying() && pursuit.next_at > now);
        self.next_call = waiting.map(|pursuit| pursuit.next_at).min();
    }

    /// Whether those to whom a direct way is wanted are looked for now: after something happened, and not too often.
    pub(crate) fn takes_look(&mut self, now: Mono) -> bool {
        let is_due = now >= self.look_at || self.next_call.is_some_and(|at| at <= now);
        self.look_waits = !is_due;
        if is_due {
            self.look_at = now.after(LOOK_PAUSE);
        }
        is_due
    }

    /// What was looked for now is not ready yet.
    pub(crate) fn look_again(&mut self) {
        self.look_waits = true;
    }

    /// Members that are gone for good.
    pub(crate) fn forget(&mut self, peer: &NodeId, shared: &mut Shared) {
        self.close_run(peer, shared);
        self.pursuits.remove(peer);
    }

    /// A datagram with the number of an attempt.
    pub(crate) fn handle_packet(
        &mut self,
        at: (SocketId, SocketAddr),
        number: u32,
        bytes: &Bytes,
        shared: &mut Shared,
    ) {
        let silent = self.own.as_ref().is_some_and(|own| own.silent);
        let Some(peer) = self.numbers.get(&number).copied() else { return };
        let Some(pursuit) = self.pursuits.get_mut(&peer) else { return };
        let Some(run) = pursuit.run.as_mut() else { return };
        let Self { counts, pace, searching, hosts, .. } = self;
        let mut cx = Cx { shared, counts, pace, searching, hosts, silent };
        match run.handle(at, bytes, &mut cx) {
            Ok(Some(step)) => self.on_step(peer, step, shared),
            Ok(None) => {}
            Err(code) => *self.counts.refused.entry(code.name()).or_default() += 1,
        }
    }

    /// Sends what is due and ends what is over.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        let peers: Vec<NodeId> = self.numbers.values().copied().collect();
        let silent = self.own.as_ref().is_some_and(|own| own.silent);
        for peer in peers {
            let Some(pursuit) = self.pursuits.get_mut(&peer) else { continue };
            let Some(run) = pursuit.run.as_mut() else { continue };
            let Self { counts, pace, searching, hosts, .. } = self;
            let mut cx = Cx { shared, counts, pace, searching, hosts, silent };
            let steps = run.handle_timeout(&mut pursuit.supply, &mut cx);
            for step in steps {
                self.on_step(peer, step, shared);
            }
        }
        let late: Vec<NodeId> = self.pursuits.iter().filter(|(_, one)| one.is_late(now)).map(|(id, _)| *id).collect();
        for peer in late {
            self.on_late(peer, shared);
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        let of = |pursuit: &Pursuit| {
            let run = pursuit.run.as_ref();
            let call = pursuit.call.as_ref().map(|call| call.until);
            [run.and_then(|run| run.next_timeout()), run.map(|_| pursuit.ends_at), call].into_iter().flatten().min()
        };
        let look = self.look_waits.then_some(self.look_at);
        self.pursuits.values().filter_map(of).chain(look).chain(self.next_call).min()
    }

    /// What an attempt found or wants.
    fn on_step(&mut self, peer: NodeId, step: Step, shared: &mut Shared) {
        let Some(pursuit) = self.pursuits.get_mut(&peer) else { return };
        match step {
            Step::Found(way) => {
                let now = shared.now.mono;
                pursuit.ends_at = now.after(LINK_LIMIT);
                let Some(run) = pursuit.run.as_mut() else { return };
                let kept = run.quic.filter(|_| run.has_begun(way, now));
                let (ours, others): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut run.dials).into_iter().partition(|dial| Some(*dial) == kept);
                (run.dials, run.quic) = (ours, kept);
                self.wishes.extend(others.into_iter().map(Wish::Cancel));
                // The smaller id opens the connection, the other accepts it.
                if shared.id < peer && kept.is_none() {
                    self.wishes.push(Wish::Dial(peer, way.target(peer)));
                }
            }
            Step::Begin(way) => {
                let Some(run) = pursuit.run.as_mut() else { return };
                if let Some(before) = run.quic.take() {
                    run.dials.retain(|dial| *dial != before);
                    self.wishes.push(Wish::Cancel(before));
                }
                self.wishes.push(Wish::Dial(peer, way.target(peer)));
            }
            Step::Meet => self.meet(peer, None, shared),
        }
    }

    /// A link that goes straight to a member has this host at its other end, or had until now.
    pub(crate) fn note_link(&mut self, peer: NodeId, host: IpAddr, now: Mono) {
        self.hosts.note_link(peer, host, now);
    }

    /// These are being asked whether a host is a member's.
    pub(crate) fn asked(&mut self, peer: NodeId, host: IpAddr, witnesses: &[NodeId], now: Mono) {
        self.hosts.asked(peer, host, witnesses, now);
    }

    /// A member says whether it sees another one at a host.
    pub(crate) fn told(&mut self, witness: NodeId, there: NatThere, shared: &mut Shared) {
        let (peer, host, now) = (there.peer, there.host, shared.now.mono);
        let was_confirmed = self.hosts.is_confirmed(peer, host, now);
        self.hosts.told(witness, (peer, host), there.seen);
        let is_meeting = |run: &Run| run.has_met && !run.over && run.best.is_none();
        let runs = self.pursuits.get(&peer).and_then(|pursuit| pursuit.run.as_deref()).is_some_and(is_meeting);
        if runs && !was_confirmed && self.hosts.is_confirmed(peer, host, now) {
            self.meet(peer, Some(host), shared);
        }
    }

    /// A socket could not be opened, or broke.
    pub(crate) fn socket_failed(&mut self, socket: SocketId, _detail: &str) {
        *self.counts.refused.entry("socket_failed").or_default() += 1;
        for pursuit in self.pursuits.values_mut() {
            if let Some(run) = pursuit.run.as_mut() {
                run.socket_failed(socket);
            }
        }
    }
}
