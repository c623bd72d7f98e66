//! Those who are not compared in full: each says what the first filter of a span follows and what the last one comes to,
//! so that a single honest peer is enough to notice what all others agree to leave out.

use meshline_protocol::NodeId;
use meshline_protocol::message::{Ledger, LedgerSpan};

use crate::filter::FilterHeader;
use crate::hash::BlockHash;
use crate::store::Store;
use crate::sync::light::compare::{fold, read_hashes};
use crate::sync::light::limits::*;
use crate::sync::light::{Light, Question};
use crate::sync::{At, Reason, hash_out};

/// What a peer says about the ends of a span.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Header of the filter before the first.
    before: Option<FilterHeader>,
    /// Header of the last filter.
    after: Option<FilterHeader>,
}

impl Ends {
    /// Both, once they are known.
    pub(super) fn both(&self) -> Option<(FilterHeader, FilterHeader)> {
        Some((self.before?, self.after?))
    }
}

impl Light {
    /// Whether those who were not compared say the same, as far as they answer soon. Whoever does not is compared, too.
    pub(super) fn is_confirmed<S: Store>(&mut self, able: &[NodeId], at: &mut At<'_, S>) -> bool {
        let now = at.now.mono_us;
        let Some(span) = &mut self.scan.span else { return false };
        let Some((_, first)) = span.answers.first_key_value() else { return false };
        let (start, hash) = (span.start, span.hash);
        span.voices.retain(|id| able.contains(id));
        for id in able.iter().filter(|id| !span.answers.contains_key(id)) {
            if span.voices.len() < MAX_VOICES {
                span.voices.insert(*id);
            }
        }
        let (mut silent, mut doubting) = (Vec::new(), Vec::new());
        for id in span.voices.iter().filter(|id| !span.answers.contains_key(id)) {
            match span.ends.get(id).and_then(Ends::both) {
                Some((before, after)) if fold(before, &first.hashes) == after => {}
                // However many come one after the other and doubt, they hold a span up for so long only.
                Some(_) if span.doubting.contains(id) || span.doubting.len() + doubting.len() >= MAX_VOICES => {}
                Some(_) => doubting.push(*id),
                None => silent.push(*id),
            }
        }
        let is_late = now >= span.begun.saturating_add(LAST_PEER_PATIENCE);
        if !doubting.is_empty() {
            // They are waited for as the first were.
            span.begun = now;
            span.doubting.extend(&doubting);
        }
        let is_open = !doubting.is_empty() || !silent.is_empty() && !is_late;
        for id in doubting {
            let line = |request| Ledger::Getcfheaders(LedgerSpan { request, start, stop: hash_out(hash) });
            self.ask(id, Question::Hashes { start, hash }, line, now);
        }
        if is_open {
            silent.into_iter().for_each(|id| self.ask_ends(id, at));
        }
        !is_open
    }

    fn ask_ends<S: Store>(&mut self, id: NodeId, at: &At<'_, S>) {
        let Some((start, stop, hash)) = self.undecided() else { return };
        let is_end = |question: &Question| matches!(question, Question::End { .. });
        if self.asked_of(is_end).contains(&id) {
            return;
        }
        // What the chain's first filter follows is known, and of a single block the last filter is the first.
        let is_one = start == 0 || start == stop;
        for height in [start, stop].into_iter().skip(usize::from(is_one)) {
            let Some(place) = at.chain.best_hash_at(height) else { return };
            let line = |request| Ledger::Getcfheaders(LedgerSpan { request, start: height, stop: hash_out(place) });
            self.ask(id, Question::End { height, hash }, line, at.now.mono_us);
        }
    }

    /// What a peer says about one end of the span that ends with this block.
    pub(super) fn on_end(&mut self, id: NodeId, (height, hash): (u32, BlockHash), bytes: &[u8]) -> Result<(), Reason> {
        let (before, hashes) = read_hashes(bytes)?;
        let [own] = hashes.as_slice() else { return Err(Reason::Malformed) };
        let Some(span) = self.scan.span.as_mut().filter(|span| span.hash == hash && span.agreed.is_none()) else {
            return Ok(());
        };
        let ends = span.ends.entry(id).or_default();
        if height == span.start {
            ends.before = Some(before);
        }
        if span.start == 0 {
            ends.before = Some(FilterHeader::default());
        }
        if height == span.stop {
            ends.after = Some(own.follow(&before));
        }
        Ok(())
    }
}
