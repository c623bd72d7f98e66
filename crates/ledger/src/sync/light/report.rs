//! How far a light client is, for people and programs.

use std::collections::BTreeMap;

use crate::chain::Chain;
use crate::store::Store;
use crate::sync::light::Light;
use crate::sync::light::scan::Done;
use crate::sync::peer::Peer;
use crate::sync::{Now, PeerReport, Phase};

/// How far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct LightReport {
    /// What it does; blocks are not fetched, but looked through by their filters.
    pub phase: Phase,
    /// Height of the last good header.
    pub height: u32,
    /// Up to which height blocks were looked through; `None` before the first.
    pub scanned: Option<u32>,
    /// Where the looking through began.
    pub from: u32,
    /// The first block of which the filters were taken on the word of one peer alone.
    pub alone_from: Option<u32>,
    /// Peers that serve filters.
    pub serving: usize,
    /// Blocks that were fetched whole.
    pub blocks: u64,
    /// Peers with the same chain.
    pub peers: Vec<PeerReport>,
    /// Offences of peers, by name.
    pub offences: BTreeMap<&'static str, u64>,
}

impl Light {
    /// How far it is.
    #[must_use]
    pub fn report<S: Store>(&self, chain: &Chain<S>) -> LightReport {
        let of_headers = self.sync.report(chain);
        let height = chain.best_header().1;
        let scanned = Some(self.scan.done.height).filter(|height| *height != u32::MAX);
        let phase = match of_headers.phase {
            Phase::Alone => Phase::Alone,
            Phase::Headers | Phase::Blocks | Phase::Synced if !self.has_headers(chain) => Phase::Headers,
            Phase::Headers | Phase::Blocks | Phase::Synced if self.is_scanned(chain) => Phase::Synced,
            Phase::Headers | Phase::Blocks | Phase::Synced => Phase::Blocks,
        };
        let alone_from = self.scan.alone.as_ref().map(|alone| alone.before.height.wrapping_add(1));
        let serving = self.sync.peers.values().filter(|peer| peer.is_useful() && peer.serves_filters).count();
        LightReport {
            phase,
            height,
            scanned,
            from: self.from,
            alone_from,
            serving,
            blocks: self.blocks,
            peers: of_headers.peers,
            offences: of_headers.offences,
        }
    }

    /// What the peer that asks for most asks of transactions, in base units for 1,000 bytes.
    #[must_use]
    pub fn fee_rate(&self) -> u64 {
        let speaking = self.sync.peers.values().filter(|peer| peer.is_speaking());
        speaking.map(|peer| peer.fee_filter).max().unwrap_or(0)
    }

    /// Whether no more transactions are looked for, because too many were found.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.watch.is_full()
    }

    /// Whether no peer has better headers.
    pub(super) fn has_headers<S: Store>(&self, chain: &Chain<S>) -> bool {
        let best = chain.work_at(&chain.best_header().0).unwrap_or_default();
        let may = |peer: &Peer| peer.may_have_more(best, chain) || peer.pass.is_some() || peer.is_asked_headers();
        self.sync.second.is_none() && !self.sync.peers.values().any(may)
    }

    /// Whether all blocks were looked through, or nothing is looked for.
    pub(super) fn is_scanned<S: Store>(&self, chain: &Chain<S>) -> bool {
        let Done { height, hash, .. } = self.scan.done;
        self.watch.is_idle() || height != u32::MAX && hash == chain.best_header().0
    }

    /// When [`Light::handle`] wants a tick at the latest, on the steady clock, in microseconds.
    #[must_use]
    pub fn poll_timeout(&self, now: Now) -> u64 {
        let span = self.scan.span.as_ref();
        let patience = span.into_iter().flat_map(|span| self.patience(span));
        let lacking = self.lacking.values().copied();
        let due = patience.chain(lacking).filter(|until| *until > now.mono_us).min();
        self.sync.poll_timeout(now).min(due.unwrap_or(u64::MAX))
    }
}
