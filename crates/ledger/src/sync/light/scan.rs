//! Looking through the blocks, a span at a time: [what their filters are](super::compare), filters that must be these, and
//! the blocks whose filter matches.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;
use meshline_protocol::message::{Ledger, LedgerSpan};

use crate::chain::Chain;
use crate::encode::Decoder;
use crate::filter::{Filter, FilterHash, FilterHeader};
use crate::hash::BlockHash;
use crate::store::Store;
use crate::sync::light::compare::fold;
use crate::sync::light::limits::*;
use crate::sync::light::voices::Ends;
use crate::sync::light::{Event, Light, Place, Question};
use crate::sync::limits::MAX_FILTERS_BYTES;
use crate::sync::peer::Peer;
use crate::sync::{At, Reason, hash_out};
use crate::transaction::Transaction;

/// Up to where blocks were looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) height: u32,
    pub(super) hash: BlockHash,
    /// Header of the filter there, if it is known.
    pub(super) header: Option<FilterHeader>,
}

/// What was taken on the word of a single peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alone {
    /// Up to here it was not.
    pub(super) before: Done,
    /// Whose word it was.
    pub(super) by: BTreeSet<NodeId>,
}

/// The blocks that are looked through at the moment.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) stop: u32,
    pub(super) hash: BlockHash,
    pub(super) begun: u64,
    pub(super) answers: BTreeMap<NodeId, Answer>,
    /// What others say that the filters come to.
    pub(super) ends: BTreeMap<NodeId, Ends>,
    /// Whose word is wanted beside the answers: the same ones until they are gone.
    pub(super) voices: BTreeSet<NodeId>,
    /// Of these, who did not say the same, and was asked for the hashes.
    pub(super) doubting: BTreeSet<NodeId>,
    /// What filters are, by blocks that were fetched to decide.
    pub(super) truths: BTreeMap<u32, FilterHash>,
    pub(super) agreed: Option<Agreed>,
    /// The first block whose filter was not looked at.
    next: u32,
    /// What was found in blocks of it.
    arrived: BTreeMap<u32, (Place, Vec<Transaction>)>,
}

/// What a peer says that the filters of the span are.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) before: FilterHeader,
    pub(super) hashes: Vec<FilterHash>,
}

/// What the filters of the span are.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) before: FilterHeader,
    pub(super) hashes: Vec<FilterHash>,
    pub(super) by: BTreeSet<NodeId>,
    /// Who said beside these that they come to the same.
    pub(super) confirmed: BTreeSet<NodeId>,
}

/// How far the looking through is.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) done: Done,
    pub(super) span: Option<Span>,
    pub(super) alone: Option<Alone>,
    /// Since when fewer than two peers can be asked.
    pub(super) few_since: Option<u64>,
}

impl Scan {
    pub(super) const fn new(genesis: BlockHash) -> Self {
        // Nothing was looked through, not even the first block.
        let done = Done { height: u32::MAX, hash: genesis, header: Some(FilterHeader([0; 32])) };
        Self { done, span: None, alone: None, few_since: None }
    }

    /// The first block that was not looked through.
    pub(super) const fn next(&self) -> u32 {
        self.done.height.wrapping_add(1)
    }
}

impl Span {
    fn hash_at(&self, height: u32) -> Option<FilterHash> {
        self.agreed.as_ref()?.hashes.get(height.checked_sub(self.start)? as usize).copied()
    }
}

impl Light {
    /// Blocks that were looked through may not be in the best chain any more.
    pub(super) fn follow_best<S: Store>(&mut self, chain: &Chain<S>) {
        let left = |height: u32, hash: &BlockHash| chain.best_hash_at(height) != Some(*hash);
        if self.scan.span.as_ref().is_some_and(|span| left(span.stop, &span.hash)) {
            self.drop_span();
        }
        let Done { height, hash, .. } = self.scan.done;
        if height == u32::MAX || !left(height, &hash) {
            return;
        }
        let fork = chain.fork_height(&hash, &chain.best_header().0);
        // A header that is not known any more: all is looked through again.
        match fork.filter(|fork| *fork >= self.from).and_then(|fork| Some((fork, chain.best_hash_at(fork)?))) {
            Some((height, hash)) => self.rewind(Done { height, hash, header: None }),
            None => self.rewind_all(chain),
        }
    }

    fn drop_span(&mut self) {
        self.scan.span = None;
        self.fetch.clear();
    }

    /// Goes back to where blocks were looked through before.
    pub(super) fn rewind(&mut self, to: Done) {
        self.drop_span();
        self.late.forget();
        self.scan.alone.take_if(|alone| alone.before.height == u32::MAX || alone.before.height >= to.height);
        let height = to.height;
        self.scan.done = to;
        let events = if height == u32::MAX { self.watch.forget() } else { self.watch.rewind(height) };
        self.events.extend(events);
    }

    /// Goes back to where the looking through began.
    pub(super) fn rewind_all<S: Store>(&mut self, chain: &Chain<S>) {
        let before = self.from.checked_sub(1).and_then(|below| Some((below, chain.best_hash_at(below)?)));
        self.rewind(match before {
            Some((height, hash)) => Done { height, hash, header: None },
            None => Scan::new(chain.id()).done,
        });
    }

    /// Begins with the next blocks.
    pub(super) fn open_span<S: Store>(&mut self, at: &At<'_, S>) {
        let best = at.chain.best_header().1;
        let start = self.scan.next();
        let is_behind = start <= best && self.has_way(at.chain);
        if self.scan.span.is_some() || self.watch.is_idle() || self.watch.is_full() || !is_behind {
            return;
        }
        let stop = best.min(start.saturating_add(MAX_SPAN - 1));
        let Some(hash) = at.chain.best_hash_at(stop) else { return };
        self.scan.span = Some(Span {
            start,
            stop,
            hash,
            begun: at.now.mono_us,
            answers: BTreeMap::new(),
            ends: BTreeMap::new(),
            voices: BTreeSet::new(),
            doubting: BTreeSet::new(),
            truths: BTreeMap::new(),
            agreed: None,
            next: start,
            arrived: BTreeMap::new(),
        });
    }

    /// Whether the best headers are worth looking through: others may be judged at the moment, or none be here yet.
    fn has_way<S: Store>(&self, chain: &Chain<S>) -> bool {
        let mut peers = self.sync.peers.values();
        let is_judging = self.sync.second.is_some() || self.sync.peers.values().any(|peer| peer.pass.is_some());
        let has_first = chain.best_header().1 > 0 || self.has_headers(chain);
        peers.any(Peer::is_speaking) && !is_judging && has_first
    }

    /// Asks for the filters that are agreed about.
    pub(super) fn fetch_filters<S: Store>(&mut self, at: &mut At<'_, S>) {
        let Some(span) = self.scan.span.as_ref().filter(|span| span.agreed.is_some() && span.next <= span.stop) else {
            return;
        };
        let (start, stop, hash) = (span.next, span.stop, span.hash);
        if !self.asked_of(|question| matches!(question, Question::Filters { .. })).is_empty() {
            return;
        }
        let Some(id) = self.able(stop, at, |peer| peer.serves_filters).first().copied() else { return };
        let line = |request| Ledger::Getcfilters(LedgerSpan { request, start, stop: hash_out(hash) });
        self.ask(id, Question::Filters { start, hash }, line, at.now.mono_us);
    }

    /// Filters that a peer tells: each must have the hash that is agreed about.
    pub(super) fn on_filters<S: Store>(
        &mut self,
        (start, hash): (u32, BlockHash),
        bytes: &[u8],
        chain: &Chain<S>,
    ) -> Result<(), Reason> {
        let Some(span) = self.scan.span.as_ref().filter(|span| span.next == start && span.hash == hash) else {
            return Ok(());
        };
        let filters = read_filters(bytes, span.stop.saturating_sub(start).saturating_add(1))?;
        let mut matched = Vec::new();
        for (height, filter) in (start..).zip(&filters) {
            if span.hash_at(height) != Some(filter.hash()) {
                return Err(Reason::BadFilter);
            }
            let Some(block) = chain.best_hash_at(height) else { return Ok(()) };
            match filter.matches(&block, self.watch.items()) {
                Ok(true) => matched.push((height, block)),
                Ok(false) => {}
                // All who vouched for it did so for what is no filter at all.
                Err(_) => return self.blame_agreed(),
            }
        }
        self.fetch.extend(matched.iter().copied());
        self.prove_wanted.extend(matched);
        if let Some(span) = &mut self.scan.span {
            span.next = start.saturating_add(u32::try_from(filters.len()).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Everybody who vouched for the hashes of the span lied.
    fn blame_agreed(&mut self) -> Result<(), Reason> {
        let by = self.scan.span.take().and_then(|span| span.agreed).map(|agreed| agreed.by).unwrap_or_default();
        self.fetch.clear();
        by.iter().for_each(|id| self.sync.blame(id, Reason::BadFilter));
        Ok(())
    }

    /// A block of the span came: it decides what its filter is, or holds what is looked for.
    pub(super) fn on_span_block(&mut self, place: Place, truth: FilterHash, transactions: Vec<Transaction>) {
        let Some(span) = &mut self.scan.span else { return };
        if !(span.start..=span.stop).contains(&place.height) {
            return;
        }
        if span.agreed.is_some() {
            if span.hash_at(place.height) != Some(truth) {
                let _ = self.blame_agreed();
                return;
            }
            let found = self.watch.relevant(transactions);
            span.arrived.insert(place.height, (place, found));
            return;
        }
        self.on_truth(place.height, truth);
    }

    /// Takes what was found once all of the span was looked at.
    pub(super) fn close_span(&mut self) {
        let is_done = |span: &mut Span| span.agreed.is_some() && span.next > span.stop;
        if !self.fetch.is_empty() {
            return;
        }
        let Some(span) = self.scan.span.take_if(is_done) else { return };
        let Some(Agreed { before, hashes, by, confirmed }) = span.agreed else { return };
        for (place, transactions) in span.arrived.into_values() {
            let events = self.watch.apply(place, transactions);
            self.events.extend(events);
        }
        let header = fold(before, &hashes);
        let known = Done { header: Some(before), ..self.scan.done };
        let says_so = |id: &NodeId| by.contains(id) || confirmed.contains(id);
        if span.start == 0 {
            self.late.heard = by.union(&confirmed).copied().collect();
        }
        // Of what was before, whoever came since has not said anything.
        self.late.heard.retain(says_so);
        match &mut self.scan.alone {
            Some(alone) if by.len() < 2 => alone.by.extend(by),
            None if by.len() < 2 => {
                self.scan.alone = Some(Alone { before: known, by });
                self.events.push_back(Event::Alone { from: span.start });
            }
            Some(_) | None => {}
        }
        self.scan.done = Done { height: span.stop, hash: span.hash, header: Some(header) };
        self.events.push_back(Event::Scanned { height: span.stop });
    }
}

/// At least one filter, at most `most`.
fn read_filters(bytes: &[u8], most: u32) -> Result<Vec<Filter>, Reason> {
    let (mut input, mut filters) = (Decoder::new(bytes), Vec::new());
    while !input.rest().is_empty() && filters.len() < most as usize {
        let length = input.count(MAX_FILTERS_BYTES as u64).map_err(|_| Reason::Malformed)?;
        let filter = input.bytes(length).map_err(|_| Reason::Malformed)?;
        filters.push(Filter::from_bytes(filter.to_vec()));
    }
    if filters.is_empty() || !input.rest().is_empty() { Err(Reason::Malformed) } else { Ok(filters) }
}
