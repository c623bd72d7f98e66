//! What is looked for in the chain, and what was found.

use std::collections::{BTreeMap, BTreeSet};

use crate::amount::Amount;
use crate::consensus::Coin;
use crate::encode::Encode;
use crate::filter::locks_of;
use crate::hash::{BlockHash, Txid};
use crate::sync::light::Event;
use crate::sync::light::limits::{MAX_MOVEMENTS, MAX_PENDING, MAX_WATCHED};
use crate::transaction::{Lock, OutPoint, Transaction, TxIn, TxOut};

/// The block that holds a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its height.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// What its header says, in seconds since 1970.
    pub time: u32,
}

/// A transaction that pays to what is watched, or spends from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The transaction.
    pub transaction: Transaction,
    /// The outputs it spends, in the order of its inputs. Those of others are known by their lock alone; their amount
    /// stands as 0.
    pub spent: Vec<TxOut>,
    /// The block that holds it; `None` while none does.
    pub place: Option<Place>,
}

/// Why a light client does not take something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LightRefusal {
    /// More locks than are looked for.
    #[error("a light client follows at most {MAX_WATCHED} addresses")]
    TooManyLocks,
    /// More transactions wait for a block than may.
    #[error("{MAX_PENDING} own transactions wait for a block already: send again when some of them are in one")]
    TooManyPending,
    /// It spends what another own transaction spends that waits.
    #[error("it spends what the own transaction {0} spends, which waits for a block")]
    Conflict(Txid),
}

/// What is looked for, what was found, and what was sent.
#[derive(Debug, Default)]
pub(super) struct Watch {
    locks: BTreeSet<Lock>,
    /// Their canonical bytes, which filters hold.
    items: Vec<Vec<u8>>,
    /// In the order of the chain.
    found: Vec<Movement>,
    /// All outputs found, spent or not.
    outputs: BTreeMap<OutPoint, Coin>,
    /// Own transactions that no block holds, as far as blocks were looked through; some are proved to be in one.
    pending: BTreeMap<Txid, Movement>,
}

impl Watch {
    pub(super) fn is_idle(&self) -> bool {
        self.locks.is_empty()
    }

    pub(super) const fn locks(&self) -> &BTreeSet<Lock> {
        &self.locks
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.items.iter()
    }

    pub(super) fn found(&self) -> &[Movement] {
        &self.found
    }

    pub(super) const fn pending(&self) -> &BTreeMap<Txid, Movement> {
        &self.pending
    }

    /// Whether no more can be found.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_MOVEMENTS
    }

    /// Looks for more locks; whether some of them are new.
    pub(super) fn add_locks(&mut self, locks: &[Lock]) -> Result<bool, LightRefusal> {
        let fresh: BTreeSet<Lock> = locks.iter().filter(|lock| !self.locks.contains(lock)).copied().collect();
        if self.locks.len() + fresh.len() > MAX_WATCHED {
            return Err(LightRefusal::TooManyLocks);
        }
        self.items.extend(fresh.iter().map(Encode::encode));
        let is_new = !fresh.is_empty();
        self.locks.extend(fresh);
        Ok(is_new)
    }

    fn concerns(&self, transaction: &Transaction) -> bool {
        locks_of(transaction).any(|lock| self.locks.contains(&lock))
    }

    /// Those of a block's transactions that are looked for.
    pub(super) fn relevant(&self, transactions: Vec<Transaction>) -> Vec<Transaction> {
        transactions.into_iter().filter(|transaction| self.concerns(transaction)).collect()
    }

    /// The outputs that a transaction spends, as far as they are known.
    pub(super) fn spent_by(&self, transaction: &Transaction) -> Vec<TxOut> {
        let spent = |input: &TxIn| match input {
            TxIn::Spend { outpoint, key, .. } => {
                let unknown = || TxOut { amount: Amount::ZERO, lock: Lock::to_key(key) };
                Some(self.output(outpoint).unwrap_or_else(unknown))
            }
            TxIn::Coinbase { .. } => None,
        };
        transaction.inputs.iter().filter_map(spent).collect()
    }

    fn output(&self, outpoint: &OutPoint) -> Option<TxOut> {
        let waiting = || {
            let made = self.pending.get(&outpoint.txid)?;
            made.transaction.outputs.get(outpoint.index as usize).copied()
        };
        self.outputs.get(outpoint).map(|coin| coin.output).or_else(waiting)
    }

    /// Takes the transactions of a block that are looked for; the blocks before it were taken already.
    pub(super) fn apply(&mut self, place: Place, transactions: Vec<Transaction>) -> Vec<Event> {
        let mut events = Vec::new();
        for transaction in transactions {
            if self.is_full() {
                break;
            }
            let txid = transaction.txid();
            self.pending.remove(&txid);
            let spends: BTreeSet<OutPoint> = transaction.spends().collect();
            let lost = |movement: &Movement| movement.transaction.spends().any(|spent| spends.contains(&spent));
            let conflicts: Vec<Txid> =
                self.pending.iter().filter(|(_, waiting)| lost(waiting)).map(|(txid, _)| *txid).collect();
            for lost in conflicts {
                self.pending.remove(&lost);
                events.push(Event::Conflicted { txid: lost });
            }
            self.add(Movement { spent: self.spent_by(&transaction), transaction, place: Some(place) });
            events.push(Event::Found { txid, height: place.height });
        }
        events
    }

    /// Adds what was found, behind all that was found before.
    pub(super) fn add(&mut self, movement: Movement) {
        let (txid, coinbase) = (movement.transaction.txid(), movement.transaction.is_coinbase());
        let height = movement.place.map_or(0, |place| place.height);
        for (index, output) in (0..).zip(&movement.transaction.outputs) {
            if self.locks.contains(&output.lock) {
                self.outputs.insert(OutPoint { txid, index }, Coin { output: *output, height, coinbase });
            }
        }
        self.found.push(movement);
    }

    /// Forgets what was found above a height. What was sent waits again.
    pub(super) fn rewind(&mut self, height: u32) -> Vec<Event> {
        let mut events = Vec::new();
        let is_above = |movement: &Movement| movement.place.is_some_and(|place| place.height > height);
        while let Some(mut movement) = self.found.pop_if(|movement| is_above(movement)) {
            let txid = movement.transaction.txid();
            for (index, _) in (0..).zip(&movement.transaction.outputs) {
                self.outputs.remove(&OutPoint { txid, index });
            }
            movement.place = None;
            let is_own = movement.spent.iter().any(|output| self.locks.contains(&output.lock));
            if is_own && self.pending.len() < MAX_PENDING {
                self.pending.insert(txid, movement);
            }
            events.push(Event::Undone { txid });
        }
        for waiting in self.pending.values_mut() {
            waiting.place.take_if(|place| place.height > height);
        }
        events
    }

    /// Forgets all that was found. What was sent waits again.
    pub(super) fn forget(&mut self) -> Vec<Event> {
        let mut events = self.rewind(0);
        let first = self.found.drain(..).map(|movement| Event::Undone { txid: movement.transaction.txid() });
        events.extend(first);
        self.outputs.clear();
        events
    }

    /// Notes that an own transaction is proved to be in a block; whether it waited.
    pub(super) fn prove(&mut self, txid: &Txid, place: Place) -> bool {
        let Some(waiting) = self.pending.get_mut(txid) else { return false };
        waiting.place = Some(place);
        true
    }

    /// Takes an own transaction that is to be sent.
    pub(super) fn send(&mut self, transaction: &Transaction) -> Result<Txid, LightRefusal> {
        let txid = transaction.txid();
        if self.pending.contains_key(&txid) {
            return Ok(txid);
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(LightRefusal::TooManyPending);
        }
        let spends: BTreeSet<OutPoint> = transaction.spends().collect();
        let same = |movement: &Movement| movement.transaction.spends().any(|spent| spends.contains(&spent));
        if let Some((other, _)) = self.pending.iter().find(|(_, waiting)| same(waiting)) {
            return Err(LightRefusal::Conflict(*other));
        }
        let movement = Movement { spent: self.spent_by(transaction), transaction: transaction.clone(), place: None };
        self.pending.insert(txid, movement);
        Ok(txid)
    }

    /// Takes one back that was sent in an earlier run.
    pub(super) fn restore_pending(&mut self, movement: Movement) {
        self.pending.insert(movement.transaction.txid(), movement);
    }

    /// The outputs of watched locks in blocks that nothing spends.
    pub(super) fn coins(&self) -> BTreeMap<OutPoint, Coin> {
        let mut coins = self.outputs.clone();
        let movements = self.found.iter().chain(self.pending.values());
        for spent in movements.flat_map(|movement| movement.transaction.spends()) {
            coins.remove(&spent);
        }
        coins
    }
}
