//! Headers: asked for, judged, and taken only where work stands behind them.
//!
//! Where this chain is far behind, headers cost their sender next to nothing. Then a peer's chain is judged in a first
//! pass that keeps a bit of every 64th header and nothing else; the chain that turns out to have the most work is asked
//! for a second time, held against those bits, and taken. So a flood of cheap headers is never held.

use bytes::Bytes;
use meshline_protocol::message::{Ledger, LedgerHeaders, LedgerLocate};
use meshline_protocol::{Bounded, NodeId};

use crate::chain::{Chain, HeaderJudge, MAX_HEADERS_REPLY};
use crate::consensus::{Header, Refusal, Rule, work};
use crate::encode::Decode;
use crate::hash::BlockHash;
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::effort::HEADER_EFFORT;
use crate::sync::limits::*;
use crate::sync::parts::Piece;
use crate::sync::peer::{Past, Purpose, What};
use crate::sync::reason::Reason;
use crate::sync::{At, Sync, hash_out};
use crate::u256::U256;

/// Where new headers lead.
pub(super) struct Lead {
    pub(super) judge: HeaderJudge,
    /// Work at their end, if their own word is believed.
    pub(super) work: U256,
    pub(super) is_full: bool,
}

impl<V: SignatureVerifier> Sync<V> {
    /// Asks for headers where there may be better ones.
    pub(super) fn follow_headers<S: Store>(&mut self, at: &mut At<'_, S>) {
        self.choose_second(at);
        let best = self.work_to_beat(at);
        let ids: Vec<NodeId> = self.peers.keys().copied().collect();
        for id in ids {
            let Some(peer) = self.peers.get(&id) else { continue };
            let wanted = peer.may_have_more(best, at.chain) || peer.is_useful() && peer.is_ahead;
            let is_busy = peer.is_asked_headers() || peer.pass.is_some();
            if wanted && !is_busy && !self.is_answered_elsewhere(&id, at.now.mono_us) {
                self.ask_headers(id, at.chain.header_locator(), Purpose::Direct, at.now.mono_us);
            }
        }
    }

    /// What headers must come to that are worth asking for: where nobody has the blocks of the best ones, more than the
    /// last whole block.
    pub(super) fn work_to_beat<S: Store>(&self, at: &At<'_, S>) -> U256 {
        if self.is_stuck(at) { at.chain.work() } else { best_work(at.chain) }
    }

    /// Whether somebody who claims as much is being asked already, and not for too long.
    fn is_answered_elsewhere(&self, id: &NodeId, now: u64) -> bool {
        let claimed = self.peers.get(id).map_or(U256::ZERO, |peer| peer.claimed_work);
        let others = self.peers.iter().filter(|(other, peer)| *other != id && peer.is_useful());
        let second = self.second.as_ref().map(|second| second.peer);
        others.filter(|(_, peer)| peer.claimed_work >= claimed).any(|(other, peer)| {
            let started = peer.pass.as_ref().map(|pass| pass.started.saturating_add(FIRST_PASS_PATIENCE));
            let is_done = peer.pass.as_ref().is_some_and(|pass| pass.done.is_some());
            let is_asked = peer.is_asked_headers() && started.is_none_or(|until| now < until);
            second == Some(*other) || is_done || is_asked
        })
    }

    pub(super) fn ask_headers(&mut self, id: NodeId, locator: Vec<BlockHash>, purpose: Purpose, now: u64) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.is_ahead = false;
        let request = peer.ask(What::Headers(purpose), now, HEADERS_TIMEOUT);
        let locator = Bounded::from_first(locator.into_iter().map(hash_out));
        self.send(id, Ledger::Getheaders(LedgerLocate { request, locator, stop: None }), None);
    }

    /// A part of headers came.
    pub(super) fn on_headers<S: Store>(
        &mut self,
        id: NodeId,
        line: &LedgerHeaders,
        body: &Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        let purpose = match line.request {
            None => None,
            Some(request) => match peer.asked.get(&request).map(|asked| &asked.what) {
                Some(What::Headers(purpose)) => Some(*purpose),
                Some(_) => return Err(Reason::Unasked),
                None => return self.not_asked(&id, request),
            },
        };
        let most = if purpose.is_some() { MAX_HEADERS_BYTES } else { MAX_ANNOUNCED_HEADERS * Header::SIZE };
        let Some(bytes) = self.take_part(&id, (Piece::Headers, line.request, line.place), body, (most, at))? else {
            return Ok(());
        };
        if let Some(request) = line.request {
            self.close(&id, request, Past::Answered);
        }
        let (whole, rest) = bytes.as_chunks::<{ Header::SIZE }>();
        let headers: Option<Vec<Header>> = whole.iter().map(|bytes| Header::decode(bytes).ok()).collect();
        let headers = headers.filter(|_| rest.is_empty()).ok_or(Reason::Malformed)?;
        self.spend(HEADER_EFFORT * headers.len() as u64);
        let tip = BlockHash(line.tip.0);
        if let Some(peer) = self.peers.get_mut(&id) {
            (peer.claimed_tip, peer.claimed_height) = (tip, line.height);
        }
        let done = match purpose {
            None => self.on_announced(id, &headers, at),
            Some(Purpose::Direct) => self.on_direct(id, &headers, at),
            Some(Purpose::First) => self.on_first(id, &headers, at),
            Some(Purpose::Second) => self.on_second(id, &headers, at),
        };
        self.note_has(&id, &tip, at.chain);
        done
    }

    /// A new block's header came with the block in short.
    pub(super) fn take_announced<S: Store>(
        &mut self,
        id: NodeId,
        header: &Header,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        self.on_announced(id, std::slice::from_ref(header), at)
    }

    /// New blocks, told unasked.
    fn on_announced<S: Store>(&mut self, id: NodeId, headers: &[Header], at: &mut At<'_, S>) -> Result<(), Reason> {
        let Some(first) = headers.first() else { return Ok(()) };
        if at.chain.header(&first.previous).is_none() {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.is_ahead = true;
            }
            return Ok(());
        }
        let Some(lead) = lead_of(at.chain, headers) else { return Err(Reason::Unconnected) };
        // A branch that nobody needs yet: if it grows, it is asked for from its beginning.
        if lead.work < branch_limit(at.chain) || self.is_unproven(at.chain) {
            return Ok(());
        }
        self.take_headers(id, headers, at)
    }

    fn on_direct<S: Store>(&mut self, id: NodeId, headers: &[Header], at: &mut At<'_, S>) -> Result<(), Reason> {
        let claimed = self.peers.get(&id).map_or(U256::ZERO, |peer| peer.claimed_work);
        if headers.is_empty() {
            return self.on_nothing_more(&id, claimed, at);
        }
        let Some(lead) = lead_of(at.chain, headers) else {
            self.claim(&id, U256::ZERO);
            return Err(Reason::Unconnected);
        };
        let is_behind = is_behind(at);
        let is_low = lead.work < branch_limit(at.chain);
        if lead.is_full && (is_behind || is_low) || self.is_unproven(at.chain) {
            return self.begin_first(id, (lead, headers), at);
        }
        if is_low || is_behind && lead.work <= self.work_to_beat(at) {
            self.claim(&id, lead.work);
            return if claimed > lead.work { Err(Reason::FalseClaim) } else { Ok(()) };
        }
        let is_full = lead.is_full;
        self.take_headers(id, headers, at)?;
        self.after_taken(id, (claimed, is_full), headers, at)
    }

    /// Whatever was claimed must be shown by now, or more is to come.
    fn after_taken<S: Store>(
        &mut self,
        id: NodeId,
        (claimed, is_full): (U256, bool),
        headers: &[Header],
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(last) = headers.last().map(Header::hash) else { return Ok(()) };
        if is_full {
            let locator = at.chain.locator_from(&last);
            self.ask_headers(id, locator, Purpose::Direct, at.now.mono_us);
            return Ok(());
        }
        let Some(shown) = at.chain.work_at(&last) else {
            // Headers of the future are no lie. They are taken when they are announced again.
            self.claim(&id, U256::ZERO);
            return Ok(());
        };
        self.claim(&id, shown);
        if claimed > shown { Err(Reason::FalseClaim) } else { Ok(()) }
    }

    fn on_nothing_more<S: Store>(&mut self, id: &NodeId, claimed: U256, at: &At<'_, S>) -> Result<(), Reason> {
        let tip = self.peers.get(id).map(|peer| peer.claimed_tip).unwrap_or_default();
        let shown = at.chain.work_at(&tip);
        self.claim(id, shown.unwrap_or(U256::ZERO));
        match shown {
            Some(shown) if claimed > shown => Err(Reason::FalseClaim),
            Some(_) => Ok(()),
            // It has another last block and does not tell the way to it.
            None => Err(Reason::Unconnected),
        }
    }

    pub(super) fn claim(&mut self, id: &NodeId, work: U256) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.claimed_work = work;
        }
    }

    /// Whether more headers than may be lie ahead of what was proven.
    fn is_unproven<S: Store>(&self, chain: &Chain<S>) -> bool {
        let sure = chain.height().max(self.proven_height);
        chain.best_header().1.saturating_sub(sure) >= MAX_UNPROVEN_HEADERS
    }

    pub(super) fn take_headers<S: Store>(
        &mut self,
        id: NodeId,
        headers: &[Header],
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let mut above = None;
        for header in headers {
            if above.replace(header.hash()).is_some_and(|above| above != header.previous) {
                return Err(Reason::BadHeader(Rule::Link));
            }
            match at.chain.accept_header(header, at.now.unix_s) {
                Ok(_) => {}
                Err(Refusal::Rule(Rule::FutureTime | Rule::HeaderFlood)) => break,
                Err(Refusal::Rule(Rule::InvalidParent)) => return Err(Reason::InvalidChain),
                Err(Refusal::Rule(Rule::UnknownParent)) => return Err(Reason::Unconnected),
                Err(Refusal::Rule(rule)) => return Err(Reason::BadHeader(rule)),
                Err(Refusal::Store(error)) => {
                    self.store_failed(error, at.now);
                    break;
                }
            }
        }
        if let Some(last) = headers.last() {
            self.note_has(&id, &last.hash(), at.chain);
        }
        Ok(())
    }
}

fn lead_of<S: Store>(chain: &Chain<S>, headers: &[Header]) -> Option<Lead> {
    let judge = chain.judge_after(&headers.first()?.previous)?;
    let mut total = judge.work();
    let mut last = (0, U256::ZERO);
    for header in headers {
        if last.0 != header.bits.0 {
            last = (header.bits.0, header.bits.target().map_or(U256::ZERO, work));
        }
        total = total.saturating_add(last.1);
    }
    Some(Lead { judge, work: total, is_full: headers.len() >= MAX_HEADERS_REPLY })
}

pub(super) fn best_work<S: Store>(chain: &Chain<S>) -> U256 {
    chain.work_at(&chain.best_header().0).unwrap_or(U256::ZERO)
}

/// A branch with less work is not taken in.
fn branch_limit<S: Store>(chain: &Chain<S>) -> U256 {
    let tip = chain.header(&chain.tip()).and_then(|(header, _)| header.bits.target().ok());
    let margin = tip.map(work).and_then(|work| work.checked_mul(BRANCH_MARGIN)).unwrap_or(U256::MAX);
    chain.work().saturating_sub(margin)
}

/// Whether the last whole block is so old that others must have later ones.
pub(super) fn is_behind<S: Store>(at: &At<'_, S>) -> bool {
    let time = at.chain.header(&at.chain.tip()).map_or(0, |(header, _)| u64::from(header.time));
    time.saturating_add(BEHIND_S) < at.now.unix_s
}
