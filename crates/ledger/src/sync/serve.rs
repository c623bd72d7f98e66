//! Questions of others, answered one after the other and as fast as the asker reads.

use std::collections::VecDeque;

use bytes::Bytes;
use meshline_protocol::message::{
    Ledger, LedgerHeaders, LedgerIndexes, LedgerInv, LedgerKind, LedgerLocate, LedgerNotFound, LedgerPart, LedgerProve,
    LedgerSpan, LedgerWant,
};
use meshline_protocol::{Bounded, LedgerHash, NodeId};

use crate::chain::Chain;
use crate::consensus::Header;
use crate::encode::{Encode, put_list};
use crate::hash::{BlockHash, Txid};
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::effort::size_of;
use crate::sync::filters::is_longer;
use crate::sync::limits::*;
use crate::sync::parts::cut;
use crate::sync::reason::Reason;
use crate::sync::{At, Sync, hash_out};
use crate::transaction::Transaction;

/// What one peer asked and was not told yet.
#[derive(Debug, Default)]
pub(super) struct Serving {
    questions: VecDeque<Question>,
    /// Bytes handed out since its queue was last empty.
    handed: usize,
}

impl Serving {
    /// Bytes handed out since its queue was last empty.
    pub(super) const fn handed(&self) -> usize {
        self.handed
    }
}

/// A question.
#[derive(Debug)]
enum Question {
    Headers(LedgerLocate),
    BlockNames(LedgerLocate),
    /// Those that are left of it, and those that are not here.
    Things(LedgerWant, VecDeque<LedgerHash>, Vec<LedgerHash>),
    /// Transactions of a block.
    Places(LedgerIndexes),
    /// Filters of blocks.
    Filters(LedgerSpan),
    /// Hashes of filters.
    FilterHashes(LedgerSpan),
    /// Proofs that transactions are in a block.
    Proof(LedgerProve),
}

impl<V: SignatureVerifier> Sync<V> {
    /// A peer asks something.
    pub(super) fn on_question<S: Store>(
        &mut self,
        id: NodeId,
        message: Ledger,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(question) = question_of(message)? else { return Ok(()) };
        let is_too_long = match &question {
            Question::Filters(span) => is_longer(span, MAX_FILTERS, at.chain),
            Question::FilterHashes(span) => is_longer(span, MAX_FILTER_HASHES, at.chain),
            Question::Headers(_)
            | Question::BlockNames(_)
            | Question::Things(..)
            | Question::Places(_)
            | Question::Proof(_) => false,
        };
        if is_too_long {
            return Err(Reason::TooManyNames);
        }
        let Some(peer) = self.peers.get_mut(&id) else { return Ok(()) };
        if peer.serving.questions.len() >= MAX_QUESTIONS {
            return Err(Reason::TooManyQuestions);
        }
        peer.serving.questions.push_back(question);
        self.serve(id, at);
        Ok(())
    }

    /// What was handed out for a peer has left its queue.
    pub(super) fn on_drained<S: Store>(&mut self, id: NodeId, at: &mut At<'_, S>) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.serving.handed = 0;
        }
        self.serve(id, at);
    }

    fn serve<S: Store>(&mut self, id: NodeId, at: &mut At<'_, S>) {
        while let Some(peer) = self.peers.get_mut(&id) {
            if peer.serving.handed >= SERVE_AT_ONCE {
                return;
            }
            let Some(question) = peer.serving.questions.pop_front() else { return };
            if let Some(rest) = self.answer(id, question, at)
                && let Some(peer) = self.peers.get_mut(&id)
            {
                peer.serving.questions.push_front(rest);
            }
        }
    }

    /// Answers a question, or a piece of it; what is left comes back.
    fn answer<S: Store>(&mut self, id: NodeId, question: Question, at: &mut At<'_, S>) -> Option<Question> {
        match question {
            Question::Headers(locate) => {
                self.answer_headers(id, &locate, at.chain);
                None
            }
            Question::BlockNames(locate) => {
                self.answer_names(id, &locate, at.chain);
                None
            }
            Question::Places(asked) => {
                self.answer_places(id, &asked, at);
                None
            }
            Question::Filters(span) => {
                self.answer_filters(id, &span, at);
                None
            }
            Question::FilterHashes(span) => {
                self.answer_filter_hashes(id, &span, at);
                None
            }
            Question::Proof(asked) => {
                self.answer_proof(id, &asked, at);
                None
            }
            Question::Things(want, left, missing) => self.answer_things(id, (want, left, missing), at),
        }
    }

    fn answer_headers<S: Store>(&mut self, id: NodeId, locate: &LedgerLocate, chain: &Chain<S>) {
        let headers = chain.headers_after(&locator_in(locate), stop_in(locate).as_ref());
        let bytes: Vec<u8> = headers.iter().flat_map(|header| header.to_bytes()).collect();
        let (tip, height) = (hash_out(chain.tip()), chain.height());
        for (place, body) in cut(bytes) {
            let line = LedgerHeaders { request: Some(locate.request), place, tip, height };
            self.hand_out(id, Ledger::Headers(line), body);
        }
    }

    fn answer_names<S: Store>(&mut self, id: NodeId, locate: &LedgerLocate, chain: &Chain<S>) {
        let headers = chain.headers_after(&locator_in(locate), stop_in(locate).as_ref());
        let names = headers.iter().take(MAX_BLOCK_NAMES).map(|header| hash_out(header.hash()));
        let ids = Bounded::from_first(names);
        let named = ids.len();
        let line = LedgerInv { request: Some(locate.request), kind: LedgerKind::Block, ids };
        self.hand_out_names(id, Ledger::Inv(line), named);
    }

    fn answer_things<S: Store>(
        &mut self,
        id: NodeId,
        (want, mut left, mut missing): (LedgerWant, VecDeque<LedgerHash>, Vec<LedgerHash>),
        at: &mut At<'_, S>,
    ) -> Option<Question> {
        match want.kind {
            LedgerKind::Block | LedgerKind::Compact => {
                let name = left.pop_front()?;
                if !self.answer_block(id, (want.request, want.kind), &BlockHash(name.0), at) {
                    missing.push(name);
                }
            }
            LedgerKind::Transaction => self.answer_transactions(id, want.request, (&mut left, &mut missing), at),
        }
        if !left.is_empty() {
            return Some(Question::Things(want, left, missing));
        }
        if !missing.is_empty() {
            self.send_not_found(id, want.request, missing);
        }
        None
    }

    /// Sends a block; `false` if it is not here.
    fn answer_block<S: Store>(
        &mut self,
        id: NodeId,
        (request, kind): (u32, LedgerKind),
        hash: &BlockHash,
        at: &mut At<'_, S>,
    ) -> bool {
        if kind == LedgerKind::Compact && is_young(hash, at.chain) {
            let Some((parts, read)) = self.in_short(hash, at) else { return false };
            self.spend_on_bytes(read);
            for (place, body) in parts {
                self.hand_out(id, Ledger::Cmpctblock(LedgerPart { request: Some(request), place }), body);
            }
            return true;
        }
        let bytes = match at.chain.block_bytes(hash) {
            Ok(Some(bytes)) if self.config.serve_blocks => bytes,
            Ok(_) => return false,
            Err(error) => {
                self.store_failed(error, at.now);
                return false;
            }
        };
        for (place, body) in cut(bytes) {
            self.hand_out(id, Ledger::Block(LedgerPart { request: Some(request), place }), body);
        }
        true
    }

    /// Sends transactions of a young block by their places.
    fn answer_places<S: Store>(&mut self, id: NodeId, asked: &LedgerIndexes, at: &mut At<'_, S>) {
        let hash = BlockHash(asked.block.0);
        let block = if is_young(&hash, at.chain) { at.chain.block(&hash).ok().flatten() } else { None };
        self.spend_on_bytes(block.as_ref().map_or(0, size_of));
        let chosen: Option<Vec<Transaction>> = block.and_then(|block| {
            asked.indexes.iter().map(|place| block.transactions.get(*place as usize).cloned()).collect()
        });
        let Some(chosen) = chosen else { return self.send_not_found(id, asked.request, vec![asked.block]) };
        let mut bytes = Vec::new();
        put_list(&mut bytes, &chosen);
        for (place, body) in cut(bytes) {
            self.hand_out(id, Ledger::Blocktxn(LedgerPart { request: Some(asked.request), place }), body);
        }
    }

    /// Sends as many of the transactions as fit one body.
    fn answer_transactions<S: Store>(
        &mut self,
        id: NodeId,
        request: u32,
        (left, missing): (&mut VecDeque<LedgerHash>, &mut Vec<LedgerHash>),
        at: &At<'_, S>,
    ) {
        let mut bytes = Vec::new();
        while let Some(name) = left.front().copied() {
            let Some(waiting) = at.pool.get(&Txid(name.0)) else {
                missing.push(name);
                left.pop_front();
                continue;
            };
            if !bytes.is_empty() && bytes.len() + waiting.size > BODY {
                break;
            }
            waiting.transaction.encode_to(&mut bytes);
            left.pop_front();
        }
        if bytes.is_empty() {
            return;
        }
        for (place, body) in cut(bytes) {
            self.hand_out(id, Ledger::Tx(LedgerPart { request: Some(request), place }), body);
        }
    }

    pub(super) fn send_not_found(&mut self, id: NodeId, request: u32, names: Vec<LedgerHash>) {
        let ids = Bounded::from_first(names);
        let named = ids.len();
        self.hand_out_names(id, Ledger::Notfound(LedgerNotFound { request, ids }), named);
    }

    /// Sends a line with so many names: they count like what is in a body.
    fn hand_out_names(&mut self, id: NodeId, message: Ledger, names: usize) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.serving.handed += (names * NAME_BYTES).max(Header::SIZE);
        }
        self.send(id, message, None);
    }

    /// Sends something large: it counts until the queue is empty.
    pub(super) fn hand_out(&mut self, id: NodeId, message: Ledger, body: Bytes) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.serving.handed += body.len().max(Header::SIZE);
        }
        self.spend_on_bytes(body.len());
        self.send(id, message, Some(body));
    }
}

/// Whether a block is so near the tip that whoever asks probably has most of it.
fn is_young<S: Store>(hash: &BlockHash, chain: &Chain<S>) -> bool {
    let height = chain.header(hash).map(|(_, height)| height).filter(|_| chain.is_active(hash));
    height.is_some_and(|height| height.saturating_add(MAX_COMPACT_DEPTH) >= chain.height())
}

fn question_of(message: Ledger) -> Result<Option<Question>, Reason> {
    Ok(Some(match message {
        Ledger::Getheaders(locate) => Question::Headers(locate),
        Ledger::Getblocks(locate) => Question::BlockNames(locate),
        Ledger::Getdata(want) => {
            let is_blocks = matches!(want.kind, LedgerKind::Block | LedgerKind::Compact);
            if is_blocks && want.ids.len() > MAX_IN_FLIGHT {
                return Err(Reason::TooManyNames);
            }
            let left = want.ids.iter().copied().collect();
            Question::Things(want, left, Vec::new())
        }
        Ledger::Getblocktxn(indexes) => Question::Places(indexes),
        Ledger::Getcfilters(span) => Question::Filters(span),
        Ledger::Getcfheaders(span) => Question::FilterHashes(span),
        Ledger::Getproof(prove) => Question::Proof(prove),
        Ledger::Version(_)
        | Ledger::Headers(_)
        | Ledger::Inv(_)
        | Ledger::Block(_)
        | Ledger::Tx(_)
        | Ledger::Notfound(_)
        | Ledger::Feefilter(_)
        | Ledger::Sendcmpct(_)
        | Ledger::Cmpctblock(_)
        | Ledger::Blocktxn(_)
        | Ledger::Cfilter(_)
        | Ledger::Cfheaders(_)
        | Ledger::Proof(_) => return Ok(None),
    }))
}

fn locator_in(locate: &LedgerLocate) -> Vec<BlockHash> {
    locate.locator.iter().map(|hash| BlockHash(hash.0)).collect()
}

fn stop_in(locate: &LedgerLocate) -> Option<BlockHash> {
    locate.stop.map(|hash| BlockHash(hash.0))
}
