//! How far the synchronisation is, for people and programs.

use std::collections::{BTreeMap, VecDeque};

use meshline_protocol::NodeId;

use crate::chain::Chain;
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::headers::best_work;
use crate::sync::limits::SECOND;
use crate::sync::peer::Peer;
use crate::sync::{Now, Sync};

/// What the synchronisation does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No peer has the same chain.
    Alone,
    /// It learns which chain has the most work.
    Headers,
    /// It fetches blocks.
    Blocks,
    /// All is here.
    Synced,
}

impl Phase {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Headers => "headers",
            Self::Blocks => "blocks",
            Self::Synced => "synced",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What it does.
    pub phase: Phase,
    /// Height of the last whole block.
    pub height: u32,
    /// Height of the last good header, or what the best peer claims.
    pub target: u32,
    /// Blocks a second, of late.
    pub blocks_per_s: f64,
    /// Seconds until all is here at that rate; `None` where that is not known.
    pub remaining_s: Option<u64>,
    /// Peers with the same chain.
    pub peers: Vec<PeerReport>,
    /// Offences of peers, by name.
    pub offences: BTreeMap<&'static str, u64>,
    /// Answers that came too late.
    pub late: u64,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerReport {
    /// Who.
    pub peer: NodeId,
    /// Height of its last block, as it says.
    pub height: u32,
    /// Blocks that came from it.
    pub blocks: u64,
    /// Blocks it was asked for and has not brought.
    pub in_flight: usize,
    /// How much it did wrong, of 100.
    pub score: u32,
}

/// Blocks over the last seconds.
#[derive(Debug, Default)]
pub(super) struct Rate {
    fresh: u64,
    /// When, and how many since the one before.
    steps: VecDeque<(u64, u64)>,
}

/// Missing blocks with which this chain may still be the best one in a moment: a fork of equals, a block under way.
const FEW_MISSING: usize = 8;

/// The rate is taken over so many steps of a second.
const STEPS: usize = 20;

impl Rate {
    pub(super) const fn add(&mut self, blocks: u64) {
        self.fresh += blocks;
    }

    pub(super) fn step(&mut self, now: u64) {
        if self.steps.back().is_some_and(|(last, _)| now < last.saturating_add(SECOND)) {
            return;
        }
        if self.steps.len() >= STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back((now, std::mem::take(&mut self.fresh)));
    }

    fn per_second(&self) -> f64 {
        let (Some((first, _)), Some((last, _))) = (self.steps.front(), self.steps.back()) else { return 0.0 };
        let blocks: u64 = self.steps.iter().skip(1).map(|(_, blocks)| blocks).sum();
        if last > first { blocks as f64 * SECOND as f64 / (last - first) as f64 } else { 0.0 }
    }
}

impl<V: SignatureVerifier> Sync<V> {
    /// How far it is.
    pub fn report<S: Store>(&self, chain: &Chain<S>) -> Report {
        let speaking = || self.peers.iter().filter(|(_, peer)| peer.is_speaking());
        let claimed = speaking().map(|(_, peer)| peer.claimed_height).max().unwrap_or(0);
        let (height, headers) = (chain.height(), chain.best_header().1);
        let best = best_work(chain);
        let leads = |peer: &Peer| peer.pass.is_some() || peer.may_have_more(best, chain);
        let is_judging = self.second.is_some() || speaking().any(|(_, peer)| leads(peer));
        let phase = if speaking().next().is_none() {
            Phase::Alone
        } else if is_judging {
            Phase::Headers
        } else if headers > height {
            Phase::Blocks
        } else {
            Phase::Synced
        };
        let target = if is_judging { headers.max(claimed) } else { headers };
        let (rate, left) = (self.rate.per_second(), target.saturating_sub(height));
        let remaining_s = match (left, rate > 0.0) {
            (0, _) => Some(0),
            (_, true) => Some((f64::from(left) / rate).ceil() as u64),
            (_, false) => None,
        };
        let peers = speaking().map(|(id, peer)| PeerReport {
            peer: *id,
            height: peer.claimed_height,
            blocks: peer.blocks,
            in_flight: peer.in_flight(),
            score: peer.score,
        });
        let (peers, offences, late) = (peers.collect(), self.offences.clone(), self.late);
        Report { phase, height, target, blocks_per_s: rate, remaining_s, peers, offences, late }
    }

    /// Whether so many blocks are known to be missing, and somebody brings them, that a block made now would be for nothing.
    pub fn is_fetching(&self) -> bool {
        self.bodies.window.len() > FEW_MISSING
    }

    /// When [`Sync::handle`] wants a tick at the latest, on the steady clock, in microseconds.
    pub fn poll_timeout(&self, now: Now) -> u64 {
        let deadlines = self.peers.values().flat_map(|peer| peer.asked.values().map(|asked| asked.deadline));
        let paused = self.peers.values().map(|peer| peer.paused_until).chain([self.bodies.paused_until()]);
        let paused = paused.filter(|until| *until > now.mono_us && !self.bodies.window.is_empty());
        let stall = self.bodies.stall_at().into_iter().chain(self.hurry_at()).filter(|at| *at > now.mono_us);
        let trickles = self.peers.values().filter(|peer| !peer.to_announce.is_empty()).map(|peer| peer.announce_at);
        let own = self.relay.next_own().into_iter().chain(self.filters_at).chain(self.coins_at);
        let due = deadlines.chain(paused).chain(stall).chain(trickles).chain(own).min();
        due.unwrap_or(u64::MAX).min(now.mono_us.saturating_add(SECOND))
    }
}
