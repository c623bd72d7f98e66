//! Who is linked and what they say: versions, frames to their places, offences, questions that nobody answers.

use bytes::Bytes;
use meshline_protocol::message::{Ledger, LedgerPlace, LedgerVersion};
use meshline_protocol::{LedgerHash, NodeId};

use crate::chain::{Chain, Flush};
use crate::hash::BlockHash;
use crate::sighash::SignatureVerifier;
use crate::store::{Store, StoreError};
use crate::sync::headers::is_behind;
use crate::sync::limits::*;
use crate::sync::parts::{Caps, Piece};
use crate::sync::peer::{Asked, Past, Peer, Purpose, Stage, What};
use crate::sync::{At, Event, Now, Output, Reason, Sync, hash_out};
use crate::u256::U256;

/// So many missing blocks are a first synchronisation, in which several share a commit.
const FEW_BLOCKS: u32 = 64;

impl<V: SignatureVerifier> Sync<V> {
    pub(super) fn on_link_up<S: Store>(&mut self, id: NodeId, at: &At<'_, S>) {
        self.on_link_down(&id);
        self.numbers += 1;
        let is_shunned = self.shunned.get(&id).is_some_and(|until| at.now.mono_us < *until);
        let stage = if is_shunned { Stage::Shunned } else { Stage::Silent };
        self.peers.insert(id, Peer::new(self.numbers, stage));
        if !is_shunned {
            self.send_version(id, true, at);
        }
    }

    pub(super) fn on_link_down(&mut self, id: &NodeId) {
        self.release(id);
        self.peers.remove(id);
    }

    /// Whatever was expected of a peer is asked of others.
    pub(super) fn release(&mut self, id: &NodeId) {
        self.forget_passes(id);
        self.compacts.forget(id);
        self.relay.orphans.forget(id);
        self.forget_announced(id);
        if let Some(peer) = self.peers.get_mut(id) {
            peer.asked.clear();
            peer.unfinished = Default::default();
            peer.serving = Default::default();
        }
        self.bodies.reopen(id);
    }

    pub(super) fn send_version<S: Store>(&mut self, id: NodeId, reply: bool, at: &At<'_, S>) {
        let version = LedgerVersion {
            chain: hash_out(at.chain.id()),
            version: LEDGER_VERSION,
            height: at.chain.height(),
            tip: hash_out(at.chain.tip()),
            work: LedgerHash(at.chain.work().to_le_bytes()),
            blocks: self.config.serve_blocks,
            filters: self.config.serve_filters,
            relay: self.config.relay,
            reply,
        };
        self.send(id, Ledger::Version(version.into()), None);
    }

    pub(super) fn on_frame<S: Store>(
        &mut self,
        id: NodeId,
        message: Ledger,
        body: &Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(stage) = self.peers.get(&id).map(|peer| peer.stage) else { return Ok(()) };
        match (stage, message) {
            (Stage::Silent | Stage::Speaking, Ledger::Version(version)) => self.on_version(id, &version, at),
            (Stage::Speaking, message) => return self.on_message(id, message, body, at),
            // Whoever has not said which chain it has, or has another, is not listened to.
            (Stage::Silent | Stage::Foreign | Stage::Shunned, _) => {}
        }
        Ok(())
    }

    pub(super) fn on_version<S: Store>(&mut self, id: NodeId, version: &LedgerVersion, at: &mut At<'_, S>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if version.chain != hash_out(at.chain.id()) || version.version < LEDGER_VERSION {
            peer.stage = Stage::Foreign;
            self.event(Event::Foreign { peer: id, chain: BlockHash(version.chain.0) });
            return;
        }
        let is_new = peer.stage == Stage::Silent;
        peer.stage = Stage::Speaking;
        (peer.serves_blocks, peer.wants_transactions) = (version.blocks, version.relay);
        peer.serves_filters = version.filters;
        (peer.claimed_height, peer.claimed_tip) = (version.height, BlockHash(version.tip.0));
        peer.claimed_work = U256::from_le_bytes(version.work.0);
        self.note_tip_of(&id, &BlockHash(version.tip.0), at);
        if !self.peers.get(&id).is_some_and(Peer::is_speaking) {
            return;
        }
        if version.reply {
            self.send_version(id, false, at);
        }
        if is_new {
            self.event(Event::Joined { peer: id, height: version.height });
            self.tell_fee(id, at);
            self.tell_waiting(&id, at);
        }
    }

    pub(super) fn on_message<S: Store>(
        &mut self,
        id: NodeId,
        message: Ledger,
        body: &Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        match message {
            Ledger::Headers(line) => self.on_headers(id, &line, body, at),
            Ledger::Block(line) => self.on_block_part(id, line, body, at),
            Ledger::Notfound(line) => self.on_not_found(id, &line, at),
            Ledger::Getheaders(_)
            | Ledger::Getblocks(_)
            | Ledger::Getdata(_)
            | Ledger::Getblocktxn(_)
            | Ledger::Getcfilters(_)
            | Ledger::Getcfheaders(_)
            | Ledger::Getproof(_) => self.on_question(id, message, at),
            Ledger::Inv(line) => self.on_inv(id, &line, at),
            Ledger::Tx(line) => self.on_transactions(id, line, body, at),
            Ledger::Cmpctblock(line) => self.on_compact_part(id, line, body, at),
            Ledger::Blocktxn(line) => self.on_block_transactions(id, line, body, at),
            Ledger::Feefilter(line) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.fee_filter = line.rate;
                }
                Ok(())
            }
            Ledger::Sendcmpct(line) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.wants_push = line.push;
                }
                Ok(())
            }
            Ledger::Cfilter(_) | Ledger::Cfheaders(_) | Ledger::Proof(_) => Err(Reason::Unasked),
            Ledger::Version(_) => Ok(()),
        }
    }

    /// Takes a part of something, of which there may be `most` bytes; all of it once it is whole.
    pub(super) fn take_part<S: Store>(
        &mut self,
        id: &NodeId,
        (piece, request, place): (Piece, Option<u32>, LedgerPlace),
        body: &Bytes,
        (most, at): (usize, &At<'_, S>),
    ) -> Result<Option<Vec<u8>>, Reason> {
        let Some(peer) = self.peers.get_mut(id) else { return Ok(None) };
        if let Some(request) = request {
            peer.note_progress(request, at.now.mono_us);
        }
        let all = (at.chain.params().max_block_size as usize).saturating_add(MAX_UNFINISHED);
        peer.unfinished.take(piece, (request, place), body, Caps { piece: most, all })
    }

    /// An answer whose question is not open: late, a second one, or one that nobody asked for.
    pub(super) fn not_asked(&mut self, id: &NodeId, request: u32) -> Result<(), Reason> {
        match self.peers.get_mut(id).and_then(|peer| peer.past(request)) {
            Some(Past::GivenUp) => {
                self.late += 1;
                Ok(())
            }
            Some(Past::Answered) => Err(Reason::Doubled),
            None => Err(Reason::Unasked),
        }
    }

    pub(super) fn close(&mut self, id: &NodeId, request: u32, how: Past) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.close(request, how);
        }
    }

    pub(super) fn blame(&mut self, id: &NodeId, reason: Reason) {
        let count = self.offences.entry(reason.name()).or_default();
        *count = count.saturating_add(1);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let ended = peer.stage != Stage::Shunned && peer.blame(reason.score());
        if ended {
            peer.stage = Stage::Shunned;
            self.release(id);
            self.shun(*id);
        }
        self.out.push_back(Output::Misbehaved { peer: *id, reason, ended });
    }

    pub(super) fn shun(&mut self, id: NodeId) {
        let until = self.latest.saturating_add(SHUNNED_FOR);
        if self.shunned.len() >= MAX_SHUNNED {
            let first = self.shunned.iter().min_by_key(|(_, until)| **until).map(|(id, _)| *id);
            first.map(|id| self.shunned.remove(&id));
        }
        self.shunned.insert(id, until);
    }

    /// Questions that nobody answered, and peers that hold up others.
    pub(super) fn expire<S: Store>(&mut self, at: &mut At<'_, S>) {
        let now = at.now.mono_us;
        self.latest = self.latest.max(now);
        let due = |asked: &Asked| asked.deadline <= now;
        let overdue: Vec<(NodeId, u32)> = self
            .peers
            .iter()
            .flat_map(|(id, peer)| {
                peer.asked.iter().filter(|(_, asked)| due(asked)).map(|(request, _)| (*id, *request))
            })
            .collect();
        for (id, request) in overdue {
            self.on_unanswered(id, request);
        }
        self.pass_over_stalling(at);
    }

    pub(super) fn on_unanswered(&mut self, id: NodeId, request: u32) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(asked) = peer.close(request, Past::GivenUp) else { return };
        // These have other ways, and short deadlines.
        let is_grave = matches!(asked.what, What::Headers(_) | What::Blocks(_) | What::Light);
        peer.unanswered += u32::from(is_grave);
        let ended = is_grave && peer.unanswered >= MAX_UNANSWERED;
        match asked.what {
            What::Headers(Purpose::Direct) => peer.is_ahead = true,
            What::Headers(Purpose::First | Purpose::Second) => self.forget_passes(&id),
            What::Blocks(_) => self.bodies.reopen_of(&id, request),
            What::Compact(hash) | What::BlockTransactions(hash) => {
                self.compacts.give_up_of(&hash, &id);
                self.bodies.reopen_of(&id, request);
            }
            What::Transactions(names) => self.transactions_failed(&id, &names),
            What::Light => {}
        }
        if ended {
            self.blame(&id, Reason::Unanswered);
        }
    }

    /// A header that a peer has.
    pub(super) fn note_has<S: Store>(&mut self, id: &NodeId, hash: &BlockHash, chain: &Chain<S>) {
        let Some(work) = chain.work_at(hash) else { return };
        let Some(peer) = self.peers.get_mut(id) else { return };
        let before = peer.has.and_then(|has| chain.work_at(&has));
        if before.is_none_or(|before| work > before) {
            peer.has = Some(*hash);
        }
        if work > peer.claimed_work {
            (peer.claimed_work, peer.claimed_tip) = (work, *hash);
        }
    }

    /// What a peer named as its last block may be known by now, and with it whether its claim is true.
    fn note_tip_of<S: Store>(&mut self, id: &NodeId, tip: &BlockHash, at: &At<'_, S>) {
        let Some(shown) = at.chain.work_at(tip) else { return };
        self.note_has(id, tip, at.chain);
        let claims = |peer: &&Peer| peer.is_speaking() && peer.claimed_tip == *tip && peer.claimed_work > shown;
        if self.peers.get(id).filter(claims).is_some() {
            self.blame(id, Reason::FalseClaim);
        }
    }

    /// Nobody who follows a chain with a bad block is honest: only what is active is served.
    pub(super) fn note_invalid<S: Store>(&mut self, at: &At<'_, S>) {
        let best = at.chain.best_header().0;
        if self.judged_best == Some(best) {
            return;
        }
        self.judged_best = Some(best);
        let tips: Vec<(NodeId, BlockHash)> = self.peers.iter().map(|(id, peer)| (*id, peer.claimed_tip)).collect();
        for (id, tip) in tips {
            self.note_tip_of(&id, &tip, at);
        }
        let follows = |peer: &Peer| peer.is_speaking() && peer.has.is_some_and(|has| at.chain.is_invalid(&has));
        let guilty: Vec<NodeId> = self.peers.iter().filter(|(_, peer)| follows(peer)).map(|(id, _)| *id).collect();
        for id in guilty {
            self.blame(&id, Reason::InvalidChain);
        }
    }

    /// Tells when all is here, and how blocks are written from then on.
    pub(super) fn note_synced<S: Store>(&mut self, at: &mut At<'_, S>) {
        let best = self.work_to_beat(at);
        let more = self.peers.values().any(|peer| peer.may_have_more(best, at.chain) || peer.pass.is_some());
        let is_synced = !more
            && self.second.is_none()
            && (at.chain.best_header().0 == at.chain.tip() || self.is_stuck(at) && self.bodies.window.is_empty());
        let has_peers = self.peers.values().any(Peer::is_speaking);
        if is_synced && has_peers && !self.is_synced {
            self.is_synced = true;
            at.chain.set_flush(Flush::BlocksFirst);
            if let Err(error) = at.chain.flush() {
                self.store_failed(error, at.now);
            }
            self.event(Event::Synced { height: at.chain.height() });
            self.tell_untold(at);
        } else if !is_synced && is_behind(at) && at.chain.best_header().1 > at.chain.height() + FEW_BLOCKS {
            self.is_synced = false;
            at.chain.set_flush(Flush::BySize);
        }
    }

    pub(super) fn store_failed(&mut self, error: StoreError, now: Now) {
        self.bodies.pause(now.mono_us.saturating_add(STORE_PAUSE));
        self.event(Event::StoreFailed(error));
    }
}
