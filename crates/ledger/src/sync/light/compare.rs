//! What the filters of a span are: their hashes from several peers, compared. Where these do not say the same, a block
//! decides.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;
use meshline_protocol::message::{Ledger, LedgerSpan};

use crate::chain::Chain;
use crate::filter::{FilterHash, FilterHeader};
use crate::hash::BlockHash;
use crate::store::Store;
use crate::sync::light::limits::*;
use crate::sync::light::scan::{Agreed, Answer, Span};
use crate::sync::light::voices::Ends;
use crate::sync::light::{Light, Question};
use crate::sync::peer::Peer;
use crate::sync::{At, Reason, hash_out};

impl Light {
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
        let confirms = |ends: &Ends| ends.both().is_some_and(|(before, after)| fold(before, &first.hashes) == after);
        let confirmed = span.ends.iter().filter(|(_, ends)| confirms(ends)).map(|(id, _)| *id).collect();
        span.agreed = Some(Agreed { before, hashes: first.hashes, by, confirmed });
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

    /// A block has shown what its filter is: whoever said otherwise lied.
    pub(super) fn on_truth(&mut self, height: u32, truth: FilterHash) {
        let Some(span) = &mut self.scan.span else { return };
        span.truths.insert(height, truth);
        let at = (height - span.start) as usize;
        let is_false = |answer: &Answer| answer.hashes.get(at) != Some(&truth);
        let liars: Vec<NodeId> =
            span.answers.iter().filter(|(_, answer)| is_false(answer)).map(|(id, _)| *id).collect();
        for id in liars {
            span.answers.remove(&id);
            self.sync.blame(&id, Reason::BadFilter);
        }
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
