//! What light clients ask: filters, their hashes, and proofs that transactions are in blocks.

use meshline_protocol::NodeId;
use meshline_protocol::message::{Ledger, LedgerPart, LedgerProve, LedgerSpan};

use crate::chain::Chain;
use crate::consensus::{Block, MerkleTree};
use crate::encode::{Encode, put_count};
use crate::hash::{BlockHash, Txid};
use crate::sighash::SignatureVerifier;
use crate::store::{Store, StoreError};
use crate::sync::effort::size_of;
use crate::sync::limits::*;
use crate::sync::parts::cut;
use crate::sync::{At, Sync};

impl<V: SignatureVerifier> Sync<V> {
    /// Makes filters of new blocks, some at a time and shortly after them. During a first synchronisation nobody needs
    /// them yet.
    pub(super) fn make_filters<S: Store>(&mut self, at: &mut At<'_, S>) {
        if !self.config.serve_filters || !self.is_synced || !at.chain.lacks_filters() {
            self.filters_at = None;
            return;
        }
        let due = *self.filters_at.get_or_insert_with(|| at.now.mono_us.saturating_add(FILTERS_DELAY));
        if at.now.mono_us < due {
            return;
        }
        self.filters_at = Some(at.now.mono_us);
        if let Err(error) = at.chain.make_filters(FILTERS_AT_ONCE) {
            self.filters_at = Some(at.now.mono_us.saturating_add(STORE_PAUSE));
            self.store_failed(error, at.now);
        }
        if !at.chain.lacks_filters() {
            self.filters_at = None;
        }
    }

    pub(super) fn answer_filters<S: Store>(&mut self, id: NodeId, span: &LedgerSpan, at: &mut At<'_, S>) {
        let filters = self.filtered_span(span, at).map(|stop| filters(at.chain, (span.start, stop)));
        match self.unless_failed(filters.transpose(), at) {
            Some(bytes) => {
                for (place, body) in cut(bytes) {
                    self.hand_out(id, Ledger::Cfilter(LedgerPart { request: Some(span.request), place }), body);
                }
            }
            None => self.send_not_found(id, span.request, vec![span.stop]),
        }
    }

    pub(super) fn answer_filter_hashes<S: Store>(&mut self, id: NodeId, span: &LedgerSpan, at: &mut At<'_, S>) {
        let hashes = self.filtered_span(span, at).map(|stop| filter_hashes(at.chain, (span.start, stop)));
        match self.unless_failed(hashes.transpose(), at) {
            Some(bytes) => {
                for (place, body) in cut(bytes) {
                    self.hand_out(id, Ledger::Cfheaders(LedgerPart { request: Some(span.request), place }), body);
                }
            }
            None => self.send_not_found(id, span.request, vec![span.stop]),
        }
    }

    /// Only of active blocks: of others nobody needs a proof.
    pub(super) fn answer_proof<S: Store>(&mut self, id: NodeId, asked: &LedgerProve, at: &mut At<'_, S>) {
        let hash = BlockHash(asked.block.0);
        let is_served = self.config.serve_filters && at.chain.is_active(&hash);
        let block = if is_served { at.chain.block(&hash) } else { Ok(None) };
        let names: Vec<Txid> = asked.ids.iter().map(|id| Txid(id.0)).collect();
        let block = self.unless_failed(block, at);
        self.spend_on_bytes(block.as_ref().map_or(0, size_of));
        let proof = block.map(|block| proof(&block, &names)).filter(|bytes| !bytes.is_empty());
        match proof {
            Some(bytes) => {
                for (place, body) in cut(bytes) {
                    self.hand_out(id, Ledger::Proof(LedgerPart { request: Some(asked.request), place }), body);
                }
            }
            None => self.send_not_found(id, asked.request, vec![asked.block]),
        }
    }

    /// The height where the span ends, if all of it has filters.
    fn filtered_span<S: Store>(&mut self, span: &LedgerSpan, at: &mut At<'_, S>) -> Option<u32> {
        let stop = if self.config.serve_filters { stop_height(span, at.chain)? } else { return None };
        if at.chain.filtered_height().is_none_or(|height| height < stop)
            && let Err(error) = at.chain.make_filters(FILTERS_AT_ONCE)
        {
            self.store_failed(error, at.now);
        }
        let is_made = at.chain.filtered_height().is_some_and(|height| height >= stop);
        (is_made && span.start <= stop).then_some(stop)
    }

    fn unless_failed<S, T>(&mut self, result: Result<Option<T>, StoreError>, at: &At<'_, S>) -> Option<T> {
        result.unwrap_or_else(|error| {
            self.store_failed(error, at.now);
            None
        })
    }
}

/// Whether the span holds more blocks than an answer may.
pub(super) fn is_longer<S: Store>(span: &LedgerSpan, most: u32, chain: &Chain<S>) -> bool {
    stop_height(span, chain).is_some_and(|stop| stop.saturating_sub(span.start) >= most)
}

/// The height where a span ends, if that block is active.
fn stop_height<S: Store>(span: &LedgerSpan, chain: &Chain<S>) -> Option<u32> {
    let stop = BlockHash(span.stop.0);
    chain.header(&stop).map(|(_, height)| height).filter(|_| chain.is_active(&stop))
}

/// As many filters as fit, each with its length before it.
fn filters<S: Store>(chain: &Chain<S>, (start, stop): (u32, u32)) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    for hash in (start..=stop).filter_map(|height| chain.hash_at(height)) {
        let Some(filter) = chain.filter(&hash)? else { break };
        if !bytes.is_empty() && bytes.len() + filter.bytes().len() + 5 > MAX_FILTERS_BYTES {
            break;
        }
        put_count(&mut bytes, filter.bytes().len() as u64);
        bytes.extend(filter.bytes());
    }
    Ok(bytes)
}

/// The header of the filter before the first, then all hashes.
fn filter_hashes<S: Store>(chain: &Chain<S>, (start, stop): (u32, u32)) -> Result<Vec<u8>, StoreError> {
    let mut bytes = chain.header_before(start)?.0.to_vec();
    for hash in (start..=stop).filter_map(|height| chain.hash_at(height)) {
        bytes.extend(chain.filter_place(&hash)?.map(|place| place.hash.0).unwrap_or_default());
    }
    Ok(bytes)
}

/// Of those that are in the block, in its order: place, branch, transaction; as many as fit.
fn proof(block: &Block, names: &[Txid]) -> Vec<u8> {
    let wanted = (0_u32..).zip(&block.transactions).filter(|(_, transaction)| names.contains(&transaction.txid()));
    let wanted: Vec<_> = wanted.collect();
    let mut bytes = Vec::new();
    if wanted.is_empty() {
        return bytes;
    }
    let tree = MerkleTree::new(block.transactions.iter().map(|transaction| transaction.wtxid().0).collect());
    for (place, transaction) in wanted {
        let branch = tree.branch(place as usize);
        let size = 5 + 32 * branch.len() + transaction.size();
        if !bytes.is_empty() && bytes.len() + size > MAX_PROOF_BYTES {
            break;
        }
        bytes.extend(place.to_le_bytes());
        put_count(&mut bytes, branch.len() as u64);
        branch.iter().for_each(|node| bytes.extend(node));
        transaction.encode_to(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::Header;
    use crate::transaction::{Lock, Transaction, TxIn, TxOut};
    use crate::{Amount, CompactBits};

    /// One with so many outputs of 29 bytes.
    fn transaction(number: u32, outputs: usize) -> Transaction {
        let output = TxOut { amount: Amount::ZERO, lock: Lock::to_key(&[1; 32]) };
        let inputs = vec![TxIn::Coinbase { height: number, extra: Vec::new() }];
        Transaction { version: 1, inputs, outputs: vec![output; outputs], lock_time: 0 }
    }

    fn proved(sizes: &[usize]) -> (usize, usize) {
        let header = Header {
            version: 1,
            previous: BlockHash::ZERO,
            merkle_root: [0; 32],
            time: 0,
            bits: CompactBits(0),
            nonce: 0,
        };
        let transactions: Vec<Transaction> =
            (0..).zip(sizes).map(|(number, outputs)| transaction(number, *outputs)).collect();
        let names: Vec<Txid> = transactions.iter().map(Transaction::txid).collect();
        let alone: usize = transactions.iter().map(|transaction| transaction.size() + 5).sum();
        let bytes = proof(&Block { header, transactions }, &names).len();
        (bytes, alone)
    }

    #[test]
    fn proofs_fill_an_answer_to_its_bound_unless_the_first_alone_is_larger() {
        let (few, all) = proved(&[2_400; 4]);
        assert!(few >= all && few <= MAX_PROOF_BYTES, "all of them: {few}");
        let (many, all) = proved(&[2_400; 20]);
        assert!(all > MAX_PROOF_BYTES && many <= MAX_PROOF_BYTES, "{many} of {all}");
        assert!(many + transaction(0, 2_400).size() + 200 > MAX_PROOF_BYTES, "one more would not have fitted: {many}");
        let (one, all) = proved(&[MAX_PROOF_BYTES / 29 + 1, 1]);
        assert!(one > MAX_PROOF_BYTES && one < all + 64, "it alone: {one} of {all}");
    }
}
