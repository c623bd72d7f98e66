//! Transactions: announced in batches, fetched from one peer at a time, judged, and told on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use meshline_protocol::message::{Ledger, LedgerInv, LedgerKind, LedgerPart, LedgerWant};
use meshline_protocol::{Bounded, NodeId};

use crate::consensus::Rule;
use crate::encode::{Decode, Decoder};
use crate::hash::{BlockHash, Txid, Wtxid};
use crate::mempool::{Origin, PoolRefusal};
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::known::Known;
use crate::sync::limits::*;
use crate::sync::orphans::Orphans;
use crate::sync::parts::Piece;
use crate::sync::peer::{Past, Peer, What};
use crate::sync::reason::Reason;
use crate::sync::{At, Sync, txid_out};
use crate::transaction::Transaction;

/// Peers that are remembered to have a transaction that is not here: more are not needed.
const MAX_SOURCES: usize = 4;
/// Transactions looked at in one step when much is open.
const MAX_LOOKED_AT: usize = 2_000;
/// Transactions that one spends and that are asked for because of it.
const MAX_PARENTS: usize = 25;

/// What is known of transactions beside the mempool.
#[derive(Debug)]
pub(super) struct Relay {
    wanted: BTreeMap<Txid, Source>,
    /// Those of them that are asked of nobody.
    open: BTreeSet<Txid>,
    pub(super) orphans: Orphans,
    /// Refused since the last block; another block may change that.
    refused: Known<Txid>,
    /// Handed over here, until a block takes them; announced again then.
    pub(super) own: BTreeMap<Txid, u64>,
    /// When peers are told next what payments must pay here.
    pub(super) fees_at: u64,
    /// Whole names of what waits, for blocks in short.
    pub(super) names: BTreeMap<Txid, Wtxid>,
}

#[derive(Debug, Default)]
struct Source {
    peers: VecDeque<NodeId>,
    asked: Option<NodeId>,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            wanted: BTreeMap::new(),
            open: BTreeSet::new(),
            orphans: Orphans::default(),
            refused: Known::new(MAX_REFUSED),
            own: BTreeMap::new(),
            fees_at: 0,
            names: BTreeMap::new(),
        }
    }
}

impl Relay {
    /// It is here, or is not wanted.
    fn settle(&mut self, txid: &Txid) {
        self.wanted.remove(txid);
        self.open.remove(txid);
    }

    /// A peer did not bring it: the next one that has it may.
    fn failed(&mut self, txid: &Txid, id: &NodeId) {
        let Some(source) = self.wanted.get_mut(txid) else { return };
        source.peers.retain(|peer| peer != id);
        source.asked.take_if(|asked| asked == id);
        if source.peers.is_empty() {
            self.settle(txid);
        } else if source.asked.is_none() {
            self.open.insert(*txid);
        }
    }

    /// A block changed what is valid.
    pub(super) fn on_block(&mut self) {
        self.refused.clear();
    }

    pub(super) fn next_own(&self) -> Option<u64> {
        self.own.values().min().copied()
    }
}

impl<V: SignatureVerifier> Sync<V> {
    /// Names of blocks or transactions came.
    pub(super) fn on_inv<S: Store>(&mut self, id: NodeId, line: &LedgerInv, at: &mut At<'_, S>) -> Result<(), Reason> {
        // Names of blocks are never asked for here.
        if line.request.is_some() {
            return Err(Reason::Unasked);
        }
        match line.kind {
            LedgerKind::Compact => Err(Reason::Malformed),
            LedgerKind::Block => {
                for name in line.ids.iter().map(|name| BlockHash(name.0)) {
                    self.note_has(&id, &name, at.chain);
                    let is_new = at.chain.header(&name).is_none();
                    if let Some(peer) = self.peers.get_mut(&id) {
                        peer.is_ahead |= is_new;
                    }
                }
                Ok(())
            }
            LedgerKind::Transaction => {
                if self.config.relay {
                    line.ids.iter().for_each(|name| self.note_announced(id, Txid(name.0), at));
                }
                Ok(())
            }
        }
    }

    fn note_announced<S: Store>(&mut self, id: NodeId, txid: Txid, at: &At<'_, S>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.known.insert(txid);
        let relay = &mut self.relay;
        if at.pool.get(&txid).is_some() || relay.refused.contains(&txid) || relay.orphans.contains(&txid) {
            return;
        }
        if peer.announced.len() >= MAX_ANNOUNCED || !peer.announced.insert(txid) {
            return;
        }
        let is_new = !relay.wanted.contains_key(&txid);
        let source = relay.wanted.entry(txid).or_default();
        if source.peers.len() < MAX_SOURCES {
            source.peers.push_back(id);
        }
        if is_new {
            relay.open.insert(txid);
        }
    }

    /// Asks for what was announced. Before all blocks are here most of it could not be judged.
    pub(super) fn fetch_transactions<S: Store>(&mut self, at: &At<'_, S>) {
        if self.relay.open.is_empty() || !self.is_synced {
            return;
        }
        let mut questions: BTreeMap<NodeId, BTreeSet<Txid>> = BTreeMap::new();
        let open: Vec<Txid> = self.relay.open.iter().take(MAX_LOOKED_AT).copied().collect();
        for txid in open {
            let Some(source) = self.relay.wanted.get(&txid) else {
                self.relay.open.remove(&txid);
                continue;
            };
            let has_room = |id: &&NodeId| {
                let asked = self.peers.get(*id).map_or(usize::MAX, asked_transactions);
                asked + questions.get(*id).map_or(0, BTreeSet::len) < MAX_ASKED_TRANSACTIONS
            };
            if let Some(id) = source.peers.iter().find(has_room).copied() {
                questions.entry(id).or_default().insert(txid);
                self.relay.open.remove(&txid);
                if let Some(source) = self.relay.wanted.get_mut(&txid) {
                    source.asked = Some(id);
                }
            }
        }
        for (id, names) in questions {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let ids = Bounded::from_first(names.iter().map(|txid| txid_out(*txid)));
            let request = peer.ask(What::Transactions(names), at.now.mono_us, TRANSACTION_TIMEOUT);
            self.send(id, Ledger::Getdata(LedgerWant { request, kind: LedgerKind::Transaction, ids }), None);
        }
    }

    /// A part of transactions came.
    pub(super) fn on_transactions<S: Store>(
        &mut self,
        id: NodeId,
        line: LedgerPart,
        body: &Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(request) = line.request else { return Err(Reason::Unasked) };
        match self.peers.get(&id).and_then(|peer| peer.asked.get(&request)).map(|asked| &asked.what) {
            Some(What::Transactions(_)) => {}
            Some(_) => return Err(Reason::Unasked),
            None => return self.not_asked(&id, request),
        }
        let most = (MAX_TX_BYTES, &*at);
        let Some(bytes) = self.take_part(&id, (Piece::Transactions, line.request, line.place), body, most)? else {
            return Ok(());
        };
        let mut input = Decoder::new(&bytes);
        while !input.rest().is_empty() {
            let transaction = Transaction::decode_from(&mut input).map_err(|_| Reason::Malformed)?;
            let txid = transaction.txid();
            if !self.was_asked(&id, request, &txid) {
                return Err(Reason::Unasked);
            }
            self.take_transaction(id, txid, transaction, at)?;
        }
        Ok(())
    }

    fn was_asked(&mut self, id: &NodeId, request: u32, txid: &Txid) -> bool {
        let Some(peer) = self.peers.get_mut(id) else { return false };
        let Some(What::Transactions(names)) = peer.asked.get_mut(&request).map(|asked| &mut asked.what) else {
            return false;
        };
        let was_asked = names.remove(txid);
        peer.announced.remove(txid);
        if names.is_empty() {
            peer.close(request, Past::Answered);
        }
        was_asked
    }

    /// A peer does not have these, or did not answer.
    pub(super) fn transactions_failed(&mut self, id: &NodeId, names: &BTreeSet<Txid>) {
        for txid in names {
            self.relay.failed(txid, id);
            if let Some(peer) = self.peers.get_mut(id) {
                peer.announced.remove(txid);
            }
        }
    }

    /// What a peer announced and is not here is asked of others.
    pub(super) fn forget_announced(&mut self, id: &NodeId) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        for txid in std::mem::take(&mut peer.announced) {
            self.relay.failed(&txid, id);
        }
    }

    /// Judges a transaction, and those that waited for it.
    fn take_transaction<S: Store>(
        &mut self,
        id: NodeId,
        txid: Txid,
        transaction: Transaction,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let mut next = VecDeque::from([(id, txid, transaction)]);
        let mut done = Ok(());
        while let Some((from, txid, transaction)) = next.pop_front() {
            match self.judge_transaction(from, txid, transaction, at) {
                Ok(true) => {
                    let children = self.relay.orphans.take_children(&txid);
                    next.extend(children.into_iter().map(|(from, child)| (from, child.txid(), child)));
                }
                Ok(false) => {}
                Err(reason) if from == id => done = Err(reason),
                Err(reason) => self.blame(&from, reason),
            }
        }
        done
    }

    /// Whether it waits in the mempool now.
    fn judge_transaction<S: Store>(
        &mut self,
        from: NodeId,
        txid: Txid,
        transaction: Transaction,
        at: &mut At<'_, S>,
    ) -> Result<bool, Reason> {
        let number = self.peers.get(&from).map_or(0, |peer| peer.number);
        let source = (Origin::Peer(number), at.now.unix_s);
        self.relay.settle(&txid);
        self.spend_on_transaction(&transaction);
        match at.pool.add(at.chain, &transaction, source, &self.verifier) {
            Ok(added) => {
                self.on_added(added, Some(from), at);
                return Ok(true);
            }
            Err(PoolRefusal::Known) => {}
            Err(PoolRefusal::Rule(Rule::MissingInput)) => self.keep_orphan(from, txid, transaction, at),
            Err(PoolRefusal::Rule(Rule::Immature | Rule::LockTime)) => {
                self.relay.refused.insert(txid);
            }
            Err(PoolRefusal::Rule(rule)) => return Err(Reason::BadTransaction(rule)),
            Err(PoolRefusal::Store(error)) => self.store_failed(error, at.now),
            Err(_) => {
                self.relay.refused.insert(txid);
            }
        }
        Ok(false)
    }

    fn keep_orphan<S: Store>(&mut self, from: NodeId, txid: Txid, transaction: Transaction, at: &At<'_, S>) {
        let parents: BTreeSet<Txid> = transaction.spends().map(|outpoint| outpoint.txid).collect();
        // One that was refused will not come.
        let is_hopeless = parents.iter().any(|parent| self.relay.refused.contains(parent));
        if is_hopeless || !self.relay.orphans.insert(txid, transaction, from, at.now.mono_us) {
            self.relay.refused.insert(txid);
            return;
        }
        let is_absent = |parent: &&Txid| at.pool.get(parent).is_none();
        for parent in parents.iter().filter(is_absent).take(MAX_PARENTS) {
            self.note_announced(from, *parent, at);
        }
    }

    /// Transactions that came before what they spend.
    pub fn orphans(&self) -> usize {
        self.relay.orphans.len()
    }
}

fn asked_transactions(peer: &Peer) -> usize {
    if !peer.is_useful() {
        return usize::MAX / 2;
    }
    let count = |what: &What| if let What::Transactions(names) = what { names.len() } else { 0 };
    peer.asked.values().map(|asked| count(&asked.what)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_refused_the_oldest_name_is_forgotten_and_all_of_them_with_a_block() {
        let mut relay = Relay::default();
        let name = |number: usize| {
            let mut bytes = [0; 32];
            bytes.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, digit)| *byte = digit);
            Txid(bytes)
        };
        for number in 0..=MAX_REFUSED {
            assert!(number < MAX_REFUSED || relay.refused.contains(&name(0)));
            relay.refused.insert(name(number));
        }
        assert!(!relay.refused.contains(&name(0)));
        assert!(relay.refused.contains(&name(1)) && relay.refused.contains(&name(MAX_REFUSED)));
        relay.on_block();
        assert!(!relay.refused.contains(&name(MAX_REFUSED)));
    }
}
