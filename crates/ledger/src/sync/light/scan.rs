//! Looking through the blocks, a span at a time: hashes of filters from several peers, compared; filters that must have
//! these hashes; and the blocks whose filter matches.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;
use meshline_protocol::message::{Ledger, LedgerSpan};

use crate::chain::Chain;
use crate::encode::Decoder;
use crate::filter::{Filter, FilterHash, FilterHeader};
use crate::hash::BlockHash;
use crate::store::Store;
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
    /// Of these, who did not say the same, and was asked for the hashes.
    pub(super) doubting: BTreeSet<NodeId>,
    /// What filters are, by blocks that were fetched to decide.
    truths: BTreeMap<u32, FilterHash>,
    pub(super) agreed: Option<Agreed>,
    /// The first block whose filter was not looked at.
    next: u32,
    /// What was found in blocks of it.
    arrived: BTreeMap<u32, (Place, Vec<Transaction>)>,
}

/// What a peer says that the filters of the span are.
#[derive(Debug)]
pub(super) struct Answer {
    before: FilterHeader,
    pub(super) hashes: Vec<FilterHash>,
}

/// What the filters of the span are.
#[derive(Debug)]
pub(super) struct Agreed {
    before: FilterHeader,
    hashes: Vec<FilterHash>,
    by: BTreeSet<NodeId>,
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

    /// Asks for the hashes of filters, and compares what came.
    pub(super) fn compare<S: Store>(&mut self, at: &mut At<'_, S>) {
        let Some((start, stop, hash)) = self.undecided() else { return };
        let able = self.able(stop, at, |peer| peer.serves_filters);
        self.note_few(able.len(), at.now.mono_us);
        let open = self.asked_of(|question| matches!(question, Question::Hashes { .. }));
        let Some(span) = &mut self.scan.span else { return };
        let is_here = |id: &NodeId| self.sync.peers.get(id).is_some_and(Peer::is_speaking);
        span.answers.retain(|id, _| is_here(id));
        span.ends.retain(|id, _| is_here(id));
        let (begun, answers) = (span.begun, span.answers.len());
        let fresh = able.iter().filter(|id| !span.answers.contains_key(id) && !open.contains(id));
        // Where one was found to lie, all are asked: others may have agreed with it.
        let most = if span.truths.is_empty() { COMPARED } else { MAX_VOICES };
        let fresh: Vec<NodeId> = fresh.take(most.saturating_sub(answers + open.len())).copied().collect();
        let asked = open.len() + fresh.len();
        for id in fresh {
            let line = |request| Ledger::Getcfheaders(LedgerSpan { request, start, stop: hash_out(hash) });
            self.ask(id, Question::Hashes { start, hash }, line, at.now.mono_us);
        }
        let is_enough = match answers {
            0 => false,
            1 => asked == 0 && self.is_alone(at.now.mono_us),
            _ => asked == 0 || at.now.mono_us >= begun.saturating_add(LAST_PEER_PATIENCE),
        };
        if is_enough && !self.is_disputed(at.chain) && self.is_confirmed(&able, at) {
            self.agree();
        }
    }

    /// The span, while nothing is agreed about it.
    pub(super) fn undecided(&self) -> Option<(u32, u32, BlockHash)> {
        let span = self.scan.span.as_ref().filter(|span| span.agreed.is_none())?;
        Some((span.start, span.stop, span.hash))
    }

    fn note_few(&mut self, able: usize, now: u64) {
        if able >= 2 {
            self.scan.few_since = None;
        } else {
            self.scan.few_since.get_or_insert(now);
        }
    }

    /// Whether a second peer was waited for long enough.
    fn is_alone(&self, now: u64) -> bool {
        self.scan.few_since.is_some_and(|since| now >= since.saturating_add(SECOND_PEER_PATIENCE))
    }

    /// When waiting for more answers may end.
    pub(super) fn patience(&self, span: &Span) -> [u64; 2] {
        let few = self.scan.few_since.map_or(0, |since| since.saturating_add(SECOND_PEER_PATIENCE));
        [few, span.begun.saturating_add(LAST_PEER_PATIENCE)]
    }

    /// Whether those that are compared do not say the same: then a block decides.
    fn is_disputed<S: Store>(&mut self, chain: &Chain<S>) -> bool {
        let Some(span) = &self.scan.span else { return false };
        let Some(place) = first_difference(&span.answers) else { return false };
        let height = span.start.saturating_add(place);
        if let Some(hash) = chain.best_hash_at(height) {
            self.fetch.entry(height).or_insert(hash);
        }
        true
    }

    /// Takes what all say.
    fn agree(&mut self) {
        let known = self.scan.done.header;
        let Some(span) = &mut self.scan.span else { return };
        let by: BTreeSet<NodeId> = span.answers.keys().copied().collect();
        let Some((_, first)) = span.answers.pop_first() else { return };
        span.answers.clear();
        let before = known.unwrap_or(first.before);
        span.agreed = Some(Agreed { before, hashes: first.hashes, by });
    }

    /// The hashes of filters that a peer tells.
    pub(super) fn on_hashes(
        &mut self,
        id: NodeId,
        (start, hash): (u32, BlockHash),
        bytes: &[u8],
    ) -> Result<(), Reason> {
        let (before, hashes) = read_hashes(bytes)?;
        let Some(span) = self.scan.span.as_mut().filter(|span| span.start == start && span.hash == hash) else {
            return Ok(());
        };
        if hashes.len() as u64 != u64::from(span.stop - span.start) + 1 {
            return Err(Reason::Malformed);
        }
        if span.agreed.is_some() {
            return Ok(());
        }
        let is_true = |(height, truth): (&u32, &FilterHash)| hashes.get((height - start) as usize) == Some(truth);
        let said = span.ends.get(&id).and_then(Ends::both);
        let is_consistent = said.is_none_or(|(before, after)| fold(before, &hashes) == after);
        if !is_consistent || !span.truths.iter().all(is_true) {
            return Err(Reason::BadFilter);
        }
        span.answers.insert(id, Answer { before, hashes });
        Ok(())
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
        span.truths.insert(place.height, truth);
        let at = (place.height - span.start) as usize;
        let is_false = |answer: &Answer| answer.hashes.get(at) != Some(&truth);
        let liars: Vec<NodeId> =
            span.answers.iter().filter(|(_, answer)| is_false(answer)).map(|(id, _)| *id).collect();
        for id in liars {
            span.answers.remove(&id);
            self.sync.blame(&id, Reason::BadFilter);
        }
    }

    /// Takes what was found once all of the span was looked at.
    pub(super) fn close_span(&mut self) {
        let is_done = |span: &mut Span| span.agreed.is_some() && span.next > span.stop;
        if !self.fetch.is_empty() {
            return;
        }
        let Some(span) = self.scan.span.take_if(is_done) else { return };
        let Some(Agreed { before, hashes, by }) = span.agreed else { return };
        for (place, transactions) in span.arrived.into_values() {
            let events = self.watch.apply(place, transactions);
            self.events.extend(events);
        }
        let header = fold(before, &hashes);
        let known = Done { header: Some(before), ..self.scan.done };
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

    /// What was taken on one peer's word is compared as soon as there is another.
    pub(super) fn ask_witness<S: Store>(&mut self, at: &mut At<'_, S>) {
        let Some(alone) = self.scan.alone.as_ref().filter(|_| self.scan.span.is_none()) else { return };
        let by = alone.by.clone();
        let Done { height, hash, .. } = self.scan.done;
        if !self.asked_of(|question| matches!(question, Question::Witness { .. })).is_empty() {
            return;
        }
        let able = self.able(height, at, |peer| peer.serves_filters);
        let Some(id) = able.into_iter().find(|id| !by.contains(id)) else { return };
        let line = |request| Ledger::Getcfheaders(LedgerSpan { request, start: height, stop: hash_out(hash) });
        self.ask(id, Question::Witness { hash }, line, at.now.mono_us);
    }

    /// What another peer says the filters come to.
    pub(super) fn on_witness(&mut self, hash: BlockHash, bytes: &[u8]) -> Result<(), Reason> {
        let (before, hashes) = read_hashes(bytes)?;
        let [own] = hashes.as_slice() else { return Err(Reason::Malformed) };
        if self.scan.done.hash != hash {
            return Ok(());
        }
        let Some(alone) = self.scan.alone.take() else { return Ok(()) };
        if self.scan.done.header == Some(own.follow(&before)) {
            self.events.push_back(Event::Compared { from: alone.before.height.wrapping_add(1) });
        } else {
            // One of them lies: both are asked about all of it again, and a block shows which.
            self.rewind(alone.before);
        }
        Ok(())
    }
}

/// What the last of these filters comes to.
pub(super) fn fold(before: FilterHeader, hashes: &[FilterHash]) -> FilterHeader {
    hashes.iter().fold(before, |before, hash| hash.follow(&before))
}

/// The first place where not all say the same.
fn first_difference(answers: &BTreeMap<NodeId, Answer>) -> Option<u32> {
    let (_, first) = answers.first_key_value()?;
    let differs = |other: &Answer| first.hashes.iter().zip(&other.hashes).position(|(one, other)| one != other);
    let place = answers.values().filter_map(differs).min()?;
    u32::try_from(place).ok()
}

/// The header before the first, and hashes.
pub(super) fn read_hashes(bytes: &[u8]) -> Result<(FilterHeader, Vec<FilterHash>), Reason> {
    let (before, rest) = bytes.split_first_chunk::<32>().ok_or(Reason::Malformed)?;
    let (hashes, rest) = rest.as_chunks::<32>();
    if !rest.is_empty() || hashes.is_empty() {
        return Err(Reason::Malformed);
    }
    Ok((FilterHeader(*before), hashes.iter().copied().map(FilterHash).collect()))
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
