//! Calls we ask for: a linked member comes back to an address of ours with a nonce. It shows which addresses can be
//! reached, and what a firewall in between lets through.
//!
//! What arrives is proof, wherever it was asked for; that nothing arrived is the member's word. So one arrival outweighs
//! any number of calls in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use meshline_protocol::message::{Nat as NatMessage, NatCall, NatCalled, NatTransport};
use meshline_protocol::{Code, Message, NodeId};

use super::answers::written;
use super::spoken::Spoken;
use crate::input::SocketId;
use crate::now::Mono;
use crate::shared::Shared;

/// Calls under way at once.
const MAX_CALLS: usize = 8;

/// The member tries for a second and a half, and a TCP attempt takes longer; then it says so.
const PATIENCE: Duration = Duration::from_secs(8);

/// After the member said that it is over, its last datagram may still be under way.
const GRACE: Duration = Duration::from_millis(300);

/// Results kept: of all addresses that a node may announce and have mapped, over both transports.
const MAX_RESULTS: usize = 32;

/// Calls in vain before an address that was reached counts as reached no more, and is left alone until something changes.
pub(super) const MAX_FAILURES: u32 = 3;

/// A member that has made enough calls is left alone for so long, and twice as long each time that it says so again: what
/// it may not send somewhere comes back after minutes.
const REST: Duration = Duration::from_secs(10);
const MAX_DOUBLED: u32 = 6;

/// What passes a firewall or translation in between (RFC 4787 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Filtering {
    /// Not enough has been tried.
    #[default]
    Unknown,
    /// Datagrams of everybody.
    Independent,
    /// Those of hosts that were sent something.
    Address,
    /// Those of ports that were sent something.
    Port,
}

/// What a call is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// Whether a host that was sent nothing gets through.
    Stranger,
    /// Whether another port of a host that was sent something gets through.
    AnotherPort,
    /// Whether an address can be reached.
    Verify,
}

/// A call that was asked for.
#[derive(Debug)]
struct Call {
    by: NodeId,
    purpose: Purpose,
    transport: NatTransport,
    address: SocketAddr,
    nonce: u32,
    over_at: Mono,
    /// It came.
    arrived: bool,
    /// It came by a way that was open already, and shows nothing.
    open_already: bool,
    /// The member said how it went.
    told: Option<Option<Code>>,
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The member that came, if it said who it is.
    pub(super) by: Option<NodeId>,
    pub(super) purpose: Purpose,
    pub(super) transport: NatTransport,
    /// Where it came to; for a stranger that nobody asked for, from where.
    pub(super) address: SocketAddr,
    pub(super) at: Mono,
    /// Whether it came.
    pub(super) reached: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pending: Vec<Call>,
    outcomes: Vec<Outcome>,
    /// Calls in vain by address.
    failed: BTreeMap<(NatTransport, SocketAddr), u32>,
    /// Members that do not call there.
    refused: BTreeSet<(NodeId, NatTransport, SocketAddr)>,
    /// Members that have made enough calls, until then.
    resting: BTreeMap<NodeId, Mono>,
    /// How often in a row they said so.
    limited: BTreeMap<NodeId, u32>,
}

impl Calls {
    /// Asks a member to call; says whether it was asked.
    pub(super) fn ask(
        &mut self,
        by: NodeId,
        purpose: Purpose,
        (transport, address): (NatTransport, SocketAddr),
        shared: &mut Shared,
    ) -> bool {
        let is_asked = |call: &Call| (call.purpose, call.transport, call.address) == (purpose, transport, address);
        let is_resting = self.resting.contains_key(&by);
        if is_resting || self.pending.len() >= MAX_CALLS || self.pending.iter().any(is_asked) {
            return false;
        }
        let Some(told) = written(address) else { return false };
        let nonce = shared.random_u32();
        // A hole that is open for the member's own port would let it in whatever the address is worth. And a Linux router that
        // takes in what comes to itself remembers a call in vain: questions to where that came from get another port then,
        // and so does whoever is written to after them, though all others see the usual one.
        let another_port = transport == NatTransport::Udp;
        let call = NatCall { nonce, transport, address: told, another_port };
        if !shared.send(&by, Message::Nat(NatMessage::Call(call))) {
            return false;
        }
        let over_at = shared.now.mono.after(PATIENCE);
        self.pending.push(Call {
            by,
            purpose,
            transport,
            address,
            nonce,
            over_at,
            arrived: false,
            open_already: false,
            told: None,
        });
        true
    }

    /// Whether a call of a purpose has ended.
    pub(super) fn is_tried(&self, purpose: Purpose) -> bool {
        self.outcomes.iter().any(|outcome| outcome.purpose == purpose)
    }

    /// Whether calls of a purpose are under way.
    pub(super) fn is_under_way(&self, purpose: Purpose) -> bool {
        self.pending.iter().any(|call| call.purpose == purpose)
    }

    /// Whether a call of a purpose has ended or is under way.
    pub(super) fn is_begun(&self, purpose: Purpose) -> bool {
        self.is_tried(purpose) || self.is_under_way(purpose)
    }

    /// A time frame of step 0 arrived: whether it is a call that was asked for. A stranger must come from a host that was
    /// sent nothing, another port from the host that was asked.
    pub(super) fn arrive(
        &mut self,
        (socket, from): (SocketId, SocketAddr),
        (id, nonce): (NodeId, u32),
        spoken: &Spoken,
        now: Mono,
    ) -> bool {
        let is_it = |call: &&mut Call| {
            call.transport == NatTransport::Udp && call.by == id && call.nonce == nonce && socket == SocketId::MAIN
        };
        let Some(call) = self.pending.iter_mut().find(is_it) else { return false };
        let shows = match call.purpose {
            Purpose::Stranger => spoken.is_stranger(from.ip(), now),
            Purpose::AnotherPort => !spoken.has_port(from),
            Purpose::Verify => true,
        };
        call.arrived |= shows;
        call.open_already |= !shows;
        true
    }

    /// A nonce was said on a connection of its own.
    pub(super) fn back(&mut self, id: NodeId, nonce: u32) -> bool {
        let is_it = |call: &&mut Call| call.transport == NatTransport::Tcp && call.by == id && call.nonce == nonce;
        let Some(call) = self.pending.iter_mut().find(is_it) else { return false };
        call.arrived = true;
        true
    }

    /// The member says how a call went.
    pub(super) fn told(&mut self, by: NodeId, called: NatCalled, now: Mono) {
        if let Some(call) = self.pending.iter_mut().find(|call| call.by == by && call.nonce == called.nonce) {
            call.told = Some(called.code);
            call.over_at = call.over_at.min(now.after(GRACE));
        }
    }

    /// A member is linked no more: what it was asked for is over.
    pub(super) fn forget(&mut self, by: &NodeId, now: Mono) {
        for call in self.pending.iter_mut().filter(|call| call.by == *by) {
            call.over_at = call.over_at.min(now);
        }
    }

    /// Ends what is over; says whether anything was.
    pub(super) fn expire(&mut self, now: Mono) -> bool {
        let (over, pending): (Vec<Call>, Vec<Call>) =
            std::mem::take(&mut self.pending).into_iter().partition(|call| call.arrived || call.over_at <= now);
        self.pending = pending;
        let resting = self.resting.len();
        self.resting.retain(|_, until| *until > now);
        let changed = resting != self.resting.len() || !over.is_empty();
        for call in over {
            self.end(&call, now);
        }
        changed
    }

    fn end(&mut self, call: &Call, now: Mono) {
        let key = (call.transport, call.address);
        let is_told = matches!(call.told, Some(None | Some(Code::Unreachable)));
        let declined = !call.arrived && (call.open_already || !is_told);
        if declined && call.told == Some(Some(Code::RateLimited)) {
            let times = self.limited.entry(call.by).or_default();
            self.resting.insert(call.by, now.after(REST * 2_u32.pow((*times).min(MAX_DOUBLED))));
            *times = times.saturating_add(1);
            while self.limited.len() > MAX_RESULTS {
                self.limited.pop_first();
            }
            return;
        }
        self.limited.remove(&call.by);
        if declined {
            self.refused.insert((call.by, call.transport, call.address));
            if self.refused.len() > MAX_RESULTS {
                self.refused.pop_first();
            }
            return;
        }
        if call.arrived {
            self.failed.remove(&key);
        } else {
            *self.failed.entry(key).or_default() += 1;
            while self.failed.len() > MAX_RESULTS {
                self.failed.pop_first();
            }
        }
        let outcome = Outcome {
            by: Some(call.by),
            purpose: call.purpose,
            transport: call.transport,
            address: call.address,
            at: now,
            reached: call.arrived,
        };
        self.note(outcome);
    }

    /// A stranger got in without having been asked to.
    pub(super) fn note_stranger(&mut self, by: Option<NodeId>, from: SocketAddr, at: Mono) {
        let (purpose, transport) = (Purpose::Stranger, NatTransport::Udp);
        if self.filtering() != Filtering::Independent {
            self.outcomes.retain(|outcome| outcome.purpose != purpose);
            self.note(Outcome { by, purpose, transport, address: from, at, reached: true });
        }
    }

    /// One outcome for each purpose and address: an arrival is not undone by a single call in vain.
    fn note(&mut self, outcome: Outcome) {
        let key = |outcome: &Outcome| (outcome.purpose, outcome.transport, outcome.address);
        let before = self.outcomes.iter().position(|old| key(old) == key(&outcome));
        if let Some(at) = before {
            let old = self.outcomes.remove(at);
            let failures = self.failures(outcome.transport, outcome.address);
            if old.reached && !outcome.reached && failures < MAX_FAILURES {
                self.outcomes.push(old);
                return;
            }
        }
        self.outcomes.push(outcome);
        if self.outcomes.len() > MAX_RESULTS {
            self.outcomes.remove(0);
        }
    }

    /// Nothing of it holds any more.
    pub(super) fn clear(&mut self) {
        (self.pending, self.outcomes) = (Vec::new(), Vec::new());
        (self.failed, self.refused) = (BTreeMap::new(), BTreeSet::new());
        (self.resting, self.limited) = (BTreeMap::new(), BTreeMap::new());
    }

    /// An address is not ours any more.
    pub(super) fn drop_address(&mut self, transport: NatTransport, address: SocketAddr) {
        self.outcomes.retain(|outcome| (outcome.transport, outcome.address) != (transport, address));
        self.failed.remove(&(transport, address));
    }

    pub(super) fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// How often an address was called in vain since it was last reached.
    pub(super) fn failures(&self, transport: NatTransport, address: SocketAddr) -> u32 {
        self.failed.get(&(transport, address)).copied().unwrap_or(0)
    }

    /// Whether a member was asked to call there and would not.
    pub(super) fn is_refused(&self, by: NodeId, transport: NatTransport, address: SocketAddr) -> bool {
        self.refused.contains(&(by, transport, address))
    }

    /// When somebody last came to an address.
    pub(super) fn verified_at(&self, transport: NatTransport, address: SocketAddr) -> Option<Mono> {
        let shows =
            |outcome: &&Outcome| (outcome.transport, outcome.address) == (transport, address) && outcome.reached;
        self.outcomes
            .iter()
            .find(|outcome| shows(outcome) && outcome.purpose == Purpose::Verify)
            .map(|outcome| outcome.at)
    }

    /// Whether somebody came to an address.
    pub(super) fn is_verified(&self, transport: NatTransport, address: SocketAddr) -> bool {
        self.verified_at(transport, address).is_some()
    }

    /// What passes, as far as it was tried.
    pub(super) fn filtering(&self) -> Filtering {
        let of =
            |purpose| self.outcomes.iter().rev().find(|outcome| outcome.purpose == purpose).map(|found| found.reached);
        match (of(Purpose::Stranger), of(Purpose::AnotherPort)) {
            (Some(true), _) => Filtering::Independent,
            (_, Some(true)) => Filtering::Address,
            (_, Some(false)) => Filtering::Port,
            (_, None) => Filtering::Unknown,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        let calls = self.pending.iter().map(|call| if call.arrived { Mono(0) } else { call.over_at });
        calls.chain(self.resting.values().copied()).min()
    }
}
