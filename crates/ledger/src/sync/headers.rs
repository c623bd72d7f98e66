//! Headers: asked for, judged, and taken only where work stands behind them.
//!
//! Where this chain is far behind, headers cost their sender next to nothing. Then a peer's chain is judged in a first
//! pass that keeps a bit of every 64th header and nothing else; the chain that turns out to have the most work is asked
//! for a second time, held against those bits, and taken. So a flood of cheap headers is never held.

use std::collections::VecDeque;

use bytes::Bytes;
use meshline_protocol::message::{Ledger, LedgerHeaders, LedgerLocate};
use meshline_protocol::{Bounded, NodeId};

use crate::chain::{Chain, FUTURE_LIMIT_S, HeaderJudge, MAX_HEADERS_REPLY};
use crate::consensus::{Header, Refusal, Rule, work};
use crate::encode::Decode;
use crate::hash::{BlockHash, sha256d};
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::limits::*;
use crate::sync::parts::Piece;
use crate::sync::peer::{Past, Purpose, What};
use crate::sync::reason::Reason;
use crate::sync::{At, Sync, hash_out};
use crate::u256::U256;

/// A chain of headers that is judged, not kept.
#[derive(Debug)]
pub(super) struct Pass {
    judge: HeaderJudge,
    /// The known header it begins after.
    from: BlockHash,
    started: u64,
    commitments: Commitments,
    /// When its end was reached.
    done: Option<u64>,
}

/// A bit of each header whose height leaves the remainder `offset`. Salt and offset are secret: nobody can make other
/// headers with the same bits.
#[derive(Debug)]
struct Commitments {
    offset: u32,
    salt: [u8; 32],
    bits: Vec<u8>,
    count: usize,
}

/// The chain with the most work, asked for again.
#[derive(Debug)]
pub(super) struct Second {
    peer: NodeId,
    first: Pass,
    judge: HeaderJudge,
    seen: usize,
    /// Good, but not taken yet.
    buffer: VecDeque<Header>,
}

impl Commitments {
    fn bit(&self, judge: &HeaderJudge) -> Option<bool> {
        let is_marked = judge.height() % COMMITMENT_EVERY == self.offset;
        let bit = || sha256d(&[self.salt, judge.hash().0].concat()).first().is_some_and(|byte| byte & 1 == 1);
        is_marked.then(bit)
    }

    fn push(&mut self, bit: bool) {
        if self.count.is_multiple_of(8) {
            self.bits.push(0);
        }
        if let (true, Some(last)) = (bit, self.bits.last_mut()) {
            *last |= 1 << (self.count % 8);
        }
        self.count += 1;
    }

    fn get(&self, index: usize) -> Option<bool> {
        (index < self.count).then(|| self.bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1))
    }
}

impl Pass {
    /// Takes the headers of one answer.
    fn take(&mut self, headers: &[Header], now_s: u64, most: u64) -> Result<(), Reason> {
        for header in headers {
            self.judge.take(header, now_s).map_err(Reason::BadHeader)?;
            if let Some(bit) = self.commitments.bit(&self.judge) {
                self.commitments.push(bit);
            }
        }
        let too_many = u64::from(self.judge.height()) > most || self.commitments.bits.len() > MAX_COMMITMENTS;
        if too_many { Err(Reason::TooManyHeaders) } else { Ok(()) }
    }
}

/// Where new headers lead.
struct Lead {
    judge: HeaderJudge,
    /// Work at their end, if their own word is believed.
    work: U256,
    is_full: bool,
}

impl<V: SignatureVerifier> Sync<V> {
    /// Asks for headers where there may be better ones.
    pub(super) fn follow_headers<S: Store>(&mut self, at: &mut At<'_, S>) {
        self.choose_second(at);
        let best = best_work(at.chain);
        let ids: Vec<NodeId> = self.peers.keys().copied().collect();
        for id in ids {
            let Some(peer) = self.peers.get(&id) else { continue };
            let wanted = peer.is_useful() && (peer.claimed_work > best || peer.is_ahead);
            let is_busy = peer.is_asked_headers() || peer.pass.is_some();
            if wanted && !is_busy && !self.is_answered_elsewhere(&id, at.now.mono_us) {
                self.ask_headers(id, at.chain.header_locator(), Purpose::Direct, at.now.mono_us);
            }
        }
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

    fn ask_headers(&mut self, id: NodeId, locator: Vec<BlockHash>, purpose: Purpose, now: u64) {
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
        body: Bytes,
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
        let Some(bytes) = self.take_part(&id, Piece::Headers, (line.request, line.place), body, (most, at))? else {
            return Ok(());
        };
        if let Some(request) = line.request {
            self.close(&id, request, Past::Answered);
        }
        let (whole, rest) = bytes.as_chunks::<{ Header::SIZE }>();
        let headers: Option<Vec<Header>> = whole.iter().map(|bytes| Header::decode(bytes).ok()).collect();
        let headers = headers.filter(|_| rest.is_empty()).ok_or(Reason::Malformed)?;
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
        if is_low || is_behind && lead.work <= best_work(at.chain) {
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
        // Headers of the future are not taken yet, and no lie.
        let Some(shown) = at.chain.work_at(&last) else { return Ok(()) };
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

    fn claim(&mut self, id: &NodeId, work: U256) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.claimed_work = work;
        }
    }

    /// Whether more headers than may be lie ahead of what was proven.
    fn is_unproven<S: Store>(&self, chain: &Chain<S>) -> bool {
        let sure = chain.height().max(self.proven_height);
        chain.best_header().1.saturating_sub(sure) >= MAX_UNPROVEN_HEADERS
    }

    fn take_headers<S: Store>(&mut self, id: NodeId, headers: &[Header], at: &mut At<'_, S>) -> Result<(), Reason> {
        for header in headers {
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

    fn begin_first<S: Store>(
        &mut self,
        id: NodeId,
        (lead, headers): (Lead, &[Header]),
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        if self.peers.values().filter(|peer| peer.pass.is_some()).count() >= MAX_FIRST_PASSES {
            return Ok(());
        }
        let salt = self.random_bytes();
        let offset = u32::from(self.random_bytes().first().copied().unwrap_or(0)) % COMMITMENT_EVERY;
        let commitments = Commitments { offset, salt, bits: Vec::new(), count: 0 };
        let from = lead.judge.hash();
        let pass = Pass { judge: lead.judge, from, started: at.now.mono_us, commitments, done: None };
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.pass = Some(pass);
        }
        self.on_first(id, headers, at)
    }

    fn on_first<S: Store>(&mut self, id: NodeId, headers: &[Header], at: &mut At<'_, S>) -> Result<(), Reason> {
        let most = most_headers(at);
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        let Some(pass) = &mut peer.pass else { return Ok(()) };
        if headers.first().is_some_and(|first| first.previous != pass.judge.hash()) {
            // Its chain changed meanwhile.
            (peer.pass, peer.is_ahead) = (None, true);
            return Err(Reason::Unconnected);
        }
        if let Err(reason) = pass.take(headers, at.now.unix_s, most) {
            peer.pass = None;
            return Err(reason);
        }
        if headers.len() >= MAX_HEADERS_REPLY {
            let mut locator = vec![pass.judge.hash()];
            locator.extend(at.chain.locator_from(&pass.from));
            self.ask_headers(id, locator, Purpose::First, at.now.mono_us);
            return Ok(());
        }
        pass.done = Some(at.now.mono_us);
        let (claimed, shown) = (peer.claimed_work, pass.judge.work());
        peer.claimed_work = shown;
        if claimed > shown {
            peer.pass = None;
            return Err(Reason::FalseClaim);
        }
        Ok(())
    }

    /// Begins the second pass with the peer whose chain has the most work, unless somebody claims more and may still
    /// show it.
    fn choose_second<S: Store>(&mut self, at: &mut At<'_, S>) {
        if self.second.is_some() {
            return;
        }
        let best = best_work(at.chain);
        for peer in self.peers.values_mut() {
            peer.pass.take_if(|pass| pass.done.is_some() && pass.judge.work() <= best);
        }
        let proven = self.peers.iter().filter(|(_, peer)| peer.is_useful()).filter_map(|(id, peer)| {
            let pass = peer.pass.as_ref()?;
            Some((pass.judge.work(), pass.done?, *id))
        });
        let Some((work, done, id)) = proven.max_by_key(|(work, ..)| *work) else { return };
        if self.may_be_outdone(work, done, at.now.mono_us) {
            return;
        }
        let Some(first) = self.peers.get_mut(&id).and_then(|peer| peer.pass.take()) else { return };
        let Some(judge) = at.chain.judge_after(&first.from) else { return };
        let locator = at.chain.locator_from(&first.from);
        self.second = Some(Second { peer: id, first, judge, seen: 0, buffer: VecDeque::new() });
        self.ask_headers(id, locator, Purpose::Second, at.now.mono_us);
    }

    fn may_be_outdone(&self, work: U256, done: u64, now: u64) -> bool {
        let took = |peer: &crate::sync::peer::Peer| peer.pass.as_ref().map_or(0, |pass| done - pass.started.min(done));
        let longest = self.peers.values().map(took).max().unwrap_or(0);
        let until = done.saturating_add(longest.max(HEADERS_TIMEOUT / 2));
        let better = |peer: &crate::sync::peer::Peer| peer.is_useful() && peer.claimed_work > work;
        now < until && self.peers.values().any(better)
    }

    fn on_second<S: Store>(&mut self, id: NodeId, headers: &[Header], at: &mut At<'_, S>) -> Result<(), Reason> {
        let Some(mut second) = self.second.take_if(|second| second.peer == id) else { return Ok(()) };
        for header in headers {
            if header.previous != second.judge.hash() {
                return Err(Reason::HeadersChanged);
            }
            second.judge.take(header, at.now.unix_s).map_err(Reason::BadHeader)?;
            if let Some(bit) = second.first.commitments.bit(&second.judge) {
                // Beyond the end of the first pass nothing was noted.
                if second.first.commitments.get(second.seen).is_some_and(|noted| noted != bit) {
                    return Err(Reason::HeadersChanged);
                }
                second.seen += 1;
            }
            second.buffer.push_back(*header);
        }
        let is_proven = second.judge.work() >= second.first.judge.work();
        let held = if is_proven { 0 } else { SECOND_PASS_BUFFER };
        let release = second.buffer.len().saturating_sub(held);
        let good: Vec<Header> = second.buffer.drain(..release).collect();
        self.take_headers(id, &good, at)?;
        if is_proven {
            self.proven_height = self.proven_height.max(at.chain.best_header().1);
            return self.after_second(id);
        }
        if headers.len() < MAX_HEADERS_REPLY {
            return Err(Reason::HeadersChanged);
        }
        let mut locator = vec![second.judge.hash()];
        locator.extend(at.chain.locator_from(&second.first.from));
        self.proven_height = self.proven_height.max(at.chain.best_header().1);
        self.second = Some(second);
        self.ask_headers(id, locator, Purpose::Second, at.now.mono_us);
        Ok(())
    }

    /// There may be more by now.
    fn after_second(&mut self, id: NodeId) -> Result<(), Reason> {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.is_ahead = true;
        }
        Ok(())
    }

    /// Headers that were asked of a peer do not come, or it is gone.
    pub(super) fn forget_passes(&mut self, id: &NodeId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.pass = None;
        }
        self.second.take_if(|second| second.peer == *id);
    }

    /// Bytes of headers that are held though no work was proven to stand behind them.
    pub fn cheap_header_bytes<S: Store>(&self, chain: &Chain<S>) -> usize {
        let of_peers: usize = self
            .peers
            .values()
            .map(|peer| peer.unfinished.held() + peer.pass.as_ref().map_or(0, |pass| pass.commitments.bits.len()))
            .sum();
        let second = self.second.as_ref();
        let buffered = second.map_or(0, |second| second.buffer.len() * Header::SIZE + second.first.commitments.bits.len());
        let sure = chain.height().max(self.proven_height);
        let ahead = chain.best_header().1.saturating_sub(sure) as usize;
        of_peers + buffered + ahead * HEADER_ENTRY
    }
}

/// Bytes that a header takes in the tree, with its places in the maps.
const HEADER_ENTRY: usize = 300;

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

/// Headers that there can be by now.
fn most_headers<S: Store>(at: &At<'_, S>) -> u64 {
    let genesis = at.chain.header(&at.chain.id()).map_or(0, |(header, _)| u64::from(header.time));
    let age = at.now.unix_s.saturating_add(FUTURE_LIMIT_S).saturating_sub(genesis);
    age.saturating_mul(HEADERS_A_SECOND)
}
