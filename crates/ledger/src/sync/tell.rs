//! Transactions told to others: in batches at random moments, to those that want them and do not have them.

use meshline_protocol::message::{Ledger, LedgerFee, LedgerInv, LedgerKind};
use meshline_protocol::{Bounded, NodeId};

use crate::chain::Chain;
use crate::hash::{Txid, Wtxid};
use crate::mempool::{Added, Mempool, Origin, PoolRefusal};
use crate::sighash::SignatureVerifier;
use crate::store::Store;
use crate::sync::limits::*;
use crate::sync::peer::Peer;
use crate::sync::{At, Event, Now, Sync, txid_out};
use crate::transaction::Transaction;

impl<V: SignatureVerifier> Sync<V> {
    /// Takes a transaction that was made on this machine, or tells why not.
    pub fn submit_transaction<S: Store>(
        &mut self,
        transaction: &Transaction,
        now: Now,
        (chain, pool): (&mut Chain<S>, &mut Mempool),
    ) -> Result<Added, PoolRefusal> {
        let mut at = At { chain, pool, now };
        let added = at.pool.add(at.chain, transaction, (Origin::Local, now.unix_s), &self.verifier)?;
        let again = self.rebroadcast_at(now.mono_us);
        self.relay.own.insert(added.txid, again);
        self.on_added(added.clone(), None, &mut at);
        self.settle(&mut at);
        Ok(added)
    }

    /// Own transactions that wait since an earlier run are announced again until a block takes them, as new ones are.
    pub fn adopt(&mut self, pool: &Mempool, now: Now) {
        for (txid, _) in pool.iter().filter(|(_, waiting)| waiting.origin == Origin::Local) {
            let again = self.rebroadcast_at(now.mono_us);
            self.relay.own.insert(*txid, again);
        }
    }

    pub(super) fn rebroadcast_at(&mut self, now: u64) -> u64 {
        now.saturating_add(self.around(REBROADCAST))
    }

    /// A time between half and one and a half of this.
    pub(super) fn around(&mut self, time: u64) -> u64 {
        let random = u64::from_le_bytes(self.random_bytes().first_chunk().copied().unwrap_or_default());
        time / 2 + random.checked_rem(time.max(1)).unwrap_or(0)
    }

    /// A transaction waits now: all others are told.
    pub(super) fn on_added<S: Store>(&mut self, added: Added, from: Option<NodeId>, at: &mut At<'_, S>) {
        self.announce_transaction(added.txid, from, at);
        self.event(Event::Added(added));
    }

    /// Has a transaction announced to all that want it and do not have it.
    pub(super) fn announce_transaction<S: Store>(&mut self, txid: Txid, from: Option<NodeId>, at: &At<'_, S>) {
        if !self.config.relay {
            return;
        }
        let Some(rate) = at.pool.get(&txid).map(|waiting| waiting.rate() / 1_000) else { return };
        let delay = self.around(TRICKLE);
        for (id, peer) in &mut self.peers {
            let wants = peer.is_speaking() && peer.wants_transactions && peer.fee_filter <= rate;
            let knows = from == Some(*id) || peer.known.contains(&txid);
            if wants && !knows && peer.to_announce.len() < MAX_ANNOUNCED {
                if peer.to_announce.is_empty() {
                    peer.announce_at = at.now.mono_us.saturating_add(delay);
                }
                peer.to_announce.insert(txid);
            }
        }
    }

    /// Tells a new peer what waits: those that pay most, if there are many.
    pub(super) fn tell_waiting<S: Store>(&mut self, id: &NodeId, at: &At<'_, S>) {
        let Some(peer) = self.peers.get_mut(id).filter(|peer| peer.wants_transactions && self.config.relay) else {
            return;
        };
        let mut waiting: Vec<(u64, Txid)> = at.pool.iter().map(|(txid, waiting)| (waiting.rate(), *txid)).collect();
        if waiting.len() > MAX_TOLD_AT_FIRST {
            waiting.sort_unstable_by(|one, other| other.cmp(one));
            waiting.truncate(MAX_TOLD_AT_FIRST);
        }
        peer.to_announce.extend(waiting.into_iter().map(|(_, txid)| txid));
        peer.announce_at = at.now.mono_us.saturating_add(TRICKLE);
    }

    /// Tells a peer what payments must pay here, if that is not nearly what it was told.
    pub(super) fn tell_fee<S: Store>(&mut self, id: NodeId, at: &At<'_, S>) {
        let least = self.config.least_fee_rate;
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.is_speaking()) else { return };
        let asked = at.pool.asked_rate(Origin::Peer(peer.number)).max(least);
        let is_near = asked.abs_diff(peer.told_fee) <= peer.told_fee / 4;
        // Where there is room again it is told at once.
        if asked == peer.told_fee || is_near && asked > least {
            return;
        }
        peer.told_fee = asked;
        let rate = asked.min(meshline_protocol::limits::MAX_INTEGER);
        self.send(id, Ledger::Feefilter(LedgerFee { rate }), None);
    }

    /// Tells all of them, now and then: the pool fills, and empties again.
    fn tell_fees<S: Store>(&mut self, at: &At<'_, S>) {
        if !self.config.relay || at.now.mono_us < self.relay.fees_at {
            return;
        }
        self.relay.fees_at = at.now.mono_us.saturating_add(FEES_EVERY);
        let ids: Vec<NodeId> = self.peers.keys().copied().collect();
        ids.into_iter().for_each(|id| self.tell_fee(id, at));
    }

    /// Announces what has gathered, forgets orphans, and announces own ones again that no block took.
    pub(super) fn trickle<S: Store>(&mut self, at: &At<'_, S>) {
        let now = at.now.mono_us;
        self.relay.orphans.expire(now);
        self.rebroadcast(at);
        self.tell_fees(at);
        let due = |peer: &Peer| !peer.to_announce.is_empty() && peer.announce_at <= now;
        let ids: Vec<NodeId> = self.peers.iter().filter(|(_, peer)| due(peer)).map(|(id, _)| *id).collect();
        for id in ids {
            let delay = self.around(TRICKLE);
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let mut names = Vec::new();
            while let Some(txid) = peer.to_announce.pop_first() {
                if at.pool.get(&txid).is_some() && peer.known.insert(txid) {
                    names.push(txid_out(txid));
                }
                if names.len() >= meshline_protocol::limits::MAX_LEDGER_IDS {
                    break;
                }
            }
            peer.announce_at = now.saturating_add(delay);
            if !names.is_empty() {
                let ids = Bounded::from_first(names);
                self.send(id, Ledger::Inv(LedgerInv { request: None, kind: LedgerKind::Transaction, ids }), None);
            }
        }
    }

    pub(super) fn rebroadcast<S: Store>(&mut self, at: &At<'_, S>) {
        let now = at.now.mono_us;
        if self.relay.next_own().is_none_or(|next| now < next) {
            return;
        }
        let due: Vec<Txid> = self.relay.own.iter().filter(|(_, when)| **when <= now).map(|(txid, _)| *txid).collect();
        for txid in due {
            if at.pool.get(&txid).is_none() {
                self.relay.own.remove(&txid);
                continue;
            }
            let again = self.rebroadcast_at(now);
            self.relay.own.insert(txid, again);
            // Whoever knew it may have lost it.
            for peer in self.peers.values_mut().filter(|peer| peer.is_speaking() && peer.wants_transactions) {
                peer.known.remove(&txid);
            }
            self.announce_transaction(txid, None, at);
        }
    }

    /// What waits, with its whole names.
    pub(super) fn name_waiting<S: Store>(&mut self, at: &At<'_, S>) {
        if self.relay.names.len() > 2 * at.pool.len() + 1_000 {
            self.relay.names.retain(|txid, _| at.pool.get(txid).is_some());
        }
        for (txid, waiting) in at.pool.iter() {
            self.relay.names.entry(*txid).or_insert_with(|| waiting.transaction.wtxid());
        }
    }

    /// The whole name of a waiting transaction, once [`Sync::name_waiting`] was called.
    pub(super) fn name_of(&self, txid: &Txid) -> Option<Wtxid> {
        self.relay.names.get(txid).copied()
    }
}
