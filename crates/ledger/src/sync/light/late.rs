//! Those who come when blocks were looked through already: each says what their filters come to, and whose word differs is
//! held against somebody who vouches for what was agreed. Both name what they say in the middle of what they do not agree
//! about, until so few blocks are left that their hashes can be told; the first block that differs shows who lies. Only
//! if that is who vouched, blocks are looked through again.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;
use meshline_protocol::message::{Ledger, LedgerSpan};

use crate::chain::Chain;
use crate::filter::{FilterHash, FilterHeader};
use crate::hash::BlockHash;
use crate::store::Store;
use crate::sync::light::compare::{fold, read_hashes};
use crate::sync::light::limits::*;
use crate::sync::light::scan::Done;
use crate::sync::light::{Event, Light, Question};
use crate::sync::peer::Peer;
use crate::sync::{At, Reason, hash_out};

/// What is known of those who were not consulted when blocks were looked through.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// Who says the same of all that was looked through.
    pub(super) heard: BTreeSet<NodeId>,
    /// Who says otherwise of the filters up to this block, and what.
    doubts: BTreeMap<NodeId, (BlockHash, FilterHeader)>,
    /// Who did not answer when it was asked to prove what it says.
    deaf: BTreeSet<NodeId>,
    inquiry: Option<Inquiry>,
}

/// One word against another.
#[derive(Debug)]
struct Inquiry {
    begun: u64,
    /// The last block that they differ about at the beginning.
    top: (u32, BlockHash),
    /// Up to here both say the same; none: nothing is known of the first block yet.
    same: Option<Done>,
    /// Here they do not.
    differ: u32,
    doubter: Side,
    voucher: Side,
    /// The first block they say other things about.
    place: Option<(u32, BlockHash)>,
    /// What its filter is.
    truth: Option<FilterHash>,
}

/// What one of the two says.
#[derive(Debug)]
struct Side {
    id: NodeId,
    /// Header of the filter where they differ.
    after: FilterHeader,
    middle: Option<FilterHeader>,
    hashes: Option<Vec<FilterHash>>,
}

impl Side {
    const fn new(id: NodeId, after: FilterHeader) -> Self {
        Self { id, after, middle: None, hashes: None }
    }

    const fn has_answered(&self) -> bool {
        self.middle.is_some() || self.hashes.is_some()
    }
}

impl Inquiry {
    /// The first block that they may differ about.
    fn lowest(&self) -> u32 {
        self.same.map_or(0, |same| same.height.saturating_add(1))
    }

    /// The blocks asked about next: one in the middle, or all that are left.
    fn range(&self) -> (u32, u32) {
        let (lowest, width) = (self.lowest(), self.differ - self.lowest());
        if self.is_wide() { (lowest + width / 2, lowest + width / 2) } else { (lowest, self.differ) }
    }

    fn is_wide(&self) -> bool {
        self.differ - self.lowest() >= MAX_SPAN
    }

    fn sides(&mut self) -> [&mut Side; 2] {
        [&mut self.doubter, &mut self.voucher]
    }

    /// Takes in what one of them says of the range.
    fn take(&mut self, id: NodeId, before: FilterHeader, hashes: Vec<FilterHash>) -> Result<(), Reason> {
        let (is_wide, start) = (self.is_wide(), self.same.and_then(|same| same.header).unwrap_or_default());
        let Some(side) = self.sides().into_iter().find(|side| side.id == id) else { return Ok(()) };
        let after = fold(before, &hashes);
        if is_wide {
            side.middle = Some(after);
        } else if before == start && after == side.after {
            side.hashes = Some(hashes);
        } else {
            // It said something else of the same filters before.
            return Err(Reason::BadFilter);
        }
        Ok(())
    }

    /// Goes on where both have answered.
    fn narrow<S: Store>(&mut self, chain: &Chain<S>) {
        let middle = self.range().0;
        if let (Some(one), Some(other)) = (self.doubter.middle, self.voucher.middle) {
            (self.doubter.middle, self.voucher.middle) = (None, None);
            if one == other {
                self.same = chain.best_hash_at(middle).map(|hash| Done { height: middle, hash, header: Some(one) });
            } else {
                self.differ = middle;
                (self.doubter.after, self.voucher.after) = (one, other);
            }
        } else if let (Some(one), Some(other)) = (&self.doubter.hashes, &self.voucher.hashes) {
            let place = one.iter().zip(other).position(|(one, other)| one != other);
            let height = place.and_then(|place| self.lowest().checked_add(u32::try_from(place).ok()?));
            self.place = height.and_then(|height| Some((height, chain.best_hash_at(height)?)));
        }
    }

    /// Who says that the block's filter is what it is not.
    fn liars(&self) -> Vec<NodeId> {
        let Some(((height, _), truth)) = self.place.zip(self.truth) else { return Vec::new() };
        let at = (height - self.lowest()) as usize;
        let lies = |side: &&Side| side.hashes.as_ref().is_some_and(|hashes| hashes.get(at) != Some(&truth));
        [&self.doubter, &self.voucher].into_iter().filter(lies).map(|side| side.id).collect()
    }
}

impl Late {
    /// Blocks are looked through again: what was said of them is no matter any more.
    pub(super) fn forget(&mut self) {
        self.heard.clear();
        self.doubts.clear();
        self.inquiry = None;
    }

    /// A block that was fetched.
    pub(super) fn note_block(&mut self, hash: BlockHash, truth: FilterHash) {
        if let Some(inquiry) =
            self.inquiry.as_mut().filter(|inquiry| inquiry.place.is_some_and(|place| place.1 == hash))
        {
            inquiry.truth = Some(truth);
        }
    }

    /// Somebody says otherwise.
    pub(super) fn note_doubt(&mut self, id: NodeId, hash: BlockHash, said: FilterHeader) {
        self.doubts.insert(id, (hash, said));
    }

    fn retain(&mut self, hash: &BlockHash, is_here: impl Fn(&NodeId) -> bool) {
        self.heard.retain(&is_here);
        self.deaf.retain(&is_here);
        self.doubts.retain(|id, said| is_here(id) && said.0 == *hash);
        self.inquiry.take_if(|inquiry| inquiry.sides().into_iter().any(|side| !is_here(&side.id)));
    }
}

impl Light {
    /// Consults those who were not when blocks were looked through.
    pub(super) fn consult<S: Store>(&mut self, at: &mut At<'_, S>) {
        let Done { height, hash, header } = self.scan.done;
        let is_here = |id: &NodeId| self.sync.peers.get(id).is_some_and(Peer::is_speaking);
        self.late.retain(&hash, is_here);
        let is_done = height != u32::MAX && self.scan.span.is_none() && self.scan.alone.is_none();
        if let Some(known) = header.filter(|_| is_done && !self.watch.is_full()) {
            self.ask_late((height, hash), at);
            self.begin_inquiry((height, hash), known, at);
        }
        self.advance_inquiry(at);
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
    pub(super) fn on_witness(&mut self, id: NodeId, hash: BlockHash, bytes: &[u8]) -> Result<(), Reason> {
        let (before, hashes) = read_hashes(bytes)?;
        let [own] = hashes.as_slice() else { return Err(Reason::Malformed) };
        if self.scan.done.hash != hash {
            return Ok(());
        }
        let said = own.follow(&before);
        match (self.scan.done.header == Some(said), self.scan.alone.take()) {
            (true, alone) => {
                self.late.heard.insert(id);
                let compared = alone.map(|alone| Event::Compared { from: alone.before.height.wrapping_add(1) });
                self.events.extend(compared);
            }
            // One of them lies: both are asked about all of it again, and a block shows which.
            (false, Some(alone)) => self.rewind(alone.before),
            (false, None) => self.late.note_doubt(id, hash, said),
        }
        Ok(())
    }

    /// Asks those who were not heard what the filters come to.
    fn ask_late<S: Store>(&mut self, (height, hash): (u32, BlockHash), at: &At<'_, S>) {
        let asked = self.asked_of(|question| matches!(question, Question::Witness { .. }));
        let able = self.able(height, at, |peer| peer.serves_filters);
        let late = &self.late;
        let is_new = |id: &&NodeId| {
            !late.heard.contains(id) && !late.doubts.contains_key(id) && !late.deaf.contains(id) && !asked.contains(id)
        };
        let room = (COMPARED + MAX_VOICES).saturating_sub(late.heard.len() + late.doubts.len() + asked.len());
        let new: Vec<NodeId> = able.iter().filter(is_new).take(room).copied().collect();
        for id in new {
            let line = |request| Ledger::Getcfheaders(LedgerSpan { request, start: height, stop: hash_out(hash) });
            self.ask(id, Question::Witness { hash }, line, at.now.mono_us);
        }
    }

    /// Holds a doubt against somebody's word. If nobody can be asked any more who vouched, enough who say otherwise are a
    /// reason to look again.
    fn begin_inquiry<S: Store>(&mut self, top: (u32, BlockHash), known: FilterHeader, at: &At<'_, S>) {
        let late = &mut self.late;
        let doubt = late.doubts.iter().find(|(id, _)| !late.deaf.contains(id)).map(|(id, (_, said))| (*id, *said));
        let (Some((doubter, said)), None) = (doubt, &late.inquiry) else { return };
        match late.heard.iter().find(|id| !late.deaf.contains(id)).copied() {
            Some(voucher) => {
                late.inquiry = Some(Inquiry {
                    begun: at.now.mono_us,
                    top,
                    same: None,
                    differ: top.0,
                    doubter: Side::new(doubter, said),
                    voucher: Side::new(voucher, known),
                    place: None,
                    truth: None,
                });
            }
            None if !late.heard.is_empty() || late.doubts.len() >= COMPARED => self.rewind_all(at.chain),
            None => {}
        }
    }

    fn advance_inquiry<S: Store>(&mut self, at: &mut At<'_, S>) {
        let Some(inquiry) = &mut self.late.inquiry else { return };
        if at.chain.best_hash_at(inquiry.top.0) != Some(inquiry.top.1) {
            self.late.inquiry = None;
            return;
        }
        if inquiry.truth.is_some() {
            return self.judge(at);
        }
        if at.now.mono_us >= inquiry.begun.saturating_add(INQUIRY_PATIENCE) {
            let silent: Vec<NodeId> =
                inquiry.sides().into_iter().filter(|side| !side.has_answered()).map(|side| side.id).collect();
            self.late.deaf.extend(silent);
            self.late.inquiry = None;
            return;
        }
        inquiry.narrow(at.chain);
        if let Some((height, hash)) = inquiry.place {
            self.fetch.entry(height).or_insert(hash);
            return;
        }
        let (start, stop) = inquiry.range();
        let missing = inquiry.sides().into_iter().filter(|side| !side.has_answered()).map(|side| side.id);
        let missing: Vec<NodeId> = missing.collect();
        let Some(hash) = at.chain.best_hash_at(stop) else { return };
        let asked = self.asked_of(|question| matches!(question, Question::Held { .. }));
        let missing: Vec<NodeId> =
            missing.into_iter().filter(|id| !asked.contains(id) && !self.lacking.contains_key(id)).collect();
        for id in missing {
            let line = |request| Ledger::Getcfheaders(LedgerSpan { request, start, stop: hash_out(hash) });
            self.ask(id, Question::Held { start, stop }, line, at.now.mono_us);
        }
    }

    /// What one of the two says of the range.
    pub(super) fn on_held(&mut self, id: NodeId, (start, stop): (u32, u32), bytes: &[u8]) -> Result<(), Reason> {
        let (before, hashes) = read_hashes(bytes)?;
        if hashes.len() as u64 != u64::from(stop - start) + 1 {
            return Err(Reason::Malformed);
        }
        match self.late.inquiry.as_mut().filter(|inquiry| inquiry.range() == (start, stop)) {
            Some(inquiry) => inquiry.take(id, before, hashes),
            None => Ok(()),
        }
    }

    /// The block has shown who lies.
    fn judge<S: Store>(&mut self, at: &At<'_, S>) {
        let Some(inquiry) = self.late.inquiry.take() else { return };
        let liars = inquiry.liars();
        for id in &liars {
            self.sync.blame(id, Reason::BadFilter);
            self.late.doubts.remove(id);
            self.late.heard.remove(id);
        }
        let is_of_us = inquiry.place.is_some_and(|(height, _)| height >= self.from);
        if liars.contains(&inquiry.voucher.id) && is_of_us {
            match inquiry.same.filter(|same| same.height >= self.from) {
                Some(same) => self.rewind(same),
                None => self.rewind_all(at.chain),
            }
        }
    }
}
