//! The unspent outputs: changes that are not in the store yet, over what the store has.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::consensus::{Block, Coin, CoinView};
use crate::encode::{Decode, Encode};
use crate::hash::Txid;
use crate::store::{Batch, Store, StoreError, Table, seal, unseal};
use crate::transaction::{Lock, OutPoint, Transaction};

/// Outputs that are new (`Some`) or spent (`None`) since the store was written. The coin tells whose entry in the owner
/// index goes too.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    changes: BTreeMap<OutPoint, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    coin: Coin,
    unspent: bool,
    /// Whether the store holds it.
    stored: bool,
}

/// The overlay over its store.
#[derive(Debug)]
pub(crate) struct Coins<'a, S> {
    pub(crate) overlay: &'a Overlay,
    pub(crate) store: &'a S,
}

impl<S: Store> CoinView for Coins<'_, S> {
    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError> {
        match self.overlay.changes.get(outpoint) {
            Some(entry) => Ok(entry.unspent.then_some(entry.coin)),
            None => stored_coin(self.store, outpoint),
        }
    }
}

/// The outputs that a block spends, read together, over the rest of them.
#[derive(Debug)]
pub(crate) struct ReadAhead<'a, S> {
    below: Coins<'a, S>,
    /// By outpoint; `None` for what the store does not have.
    read: Vec<(OutPoint, Option<Coin>)>,
}

impl<'a, S: Store> Coins<'a, S> {
    pub(crate) fn read_ahead(self, block: &Block) -> Result<ReadAhead<'a, S>, StoreError> {
        let spends = block.transactions.iter().flat_map(Transaction::spends);
        let mut read: Vec<_> =
            spends.filter(|at| !self.overlay.changes.contains_key(at)).map(|outpoint| (outpoint, None)).collect();
        read.sort_unstable_by_key(|(outpoint, _)| *outpoint);
        read.dedup_by_key(|(outpoint, _)| *outpoint);
        let keys: Vec<_> = read.iter().map(|(outpoint, _)| coin_key(outpoint)).collect();
        let mut damaged = Ok(());
        self.store.get_each(Table::Coins, &keys, &mut |place, sealed| {
            let (Some(sealed), Some(key), Some((_, coin))) = (sealed, keys.get(place), read.get_mut(place)) else {
                return;
            };
            match decode_coin(Table::Coins, key, sealed) {
                Ok(found) => *coin = Some(found),
                Err(error) => damaged = Err(error),
            }
        })?;
        damaged.map(|()| ReadAhead { below: self, read })
    }
}

impl<S: Store> CoinView for ReadAhead<'_, S> {
    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError> {
        let place = self.read.binary_search_by_key(outpoint, |(at, _)| *at).ok();
        match place.and_then(|place| self.read.get(place)) {
            Some((_, coin)) => Ok(*coin),
            None => self.below.coin(outpoint),
        }
    }
}

fn stored_coin(store: &impl Store, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError> {
    let key = coin_key(outpoint);
    let Some(sealed) = store.get(Table::Coins, &key)? else { return Ok(None) };
    decode_coin(Table::Coins, &key, &sealed).map(Some)
}

fn decode_coin(table: Table, key: &[u8], sealed: &[u8]) -> Result<Coin, StoreError> {
    Coin::decode(unseal(table, key, sealed)?).map_err(|_| StoreError::corrupt(table, key))
}

impl Overlay {
    /// Changes held.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// An output that exists now.
    pub(crate) fn add(&mut self, outpoint: OutPoint, coin: Coin) {
        let stored = self.changes.get(&outpoint).is_some_and(|entry| entry.stored);
        self.changes.insert(outpoint, Entry { coin, unspent: true, stored });
    }

    /// An output that is spent, or never was.
    pub(crate) fn remove(&mut self, outpoint: OutPoint, coin: Coin) {
        match self.changes.get(&outpoint) {
            Some(entry) if !entry.stored => {
                self.changes.remove(&outpoint);
            }
            Some(_) | None => {
                self.changes.insert(outpoint, Entry { coin, unspent: false, stored: true });
            }
        }
    }

    /// Appends the changes to a batch: sorted, which B-trees like.
    pub(crate) fn write_to(&self, batch: &mut Batch) {
        for (outpoint, entry) in &self.changes {
            let key = coin_key(outpoint);
            match entry.unspent {
                true => batch.put(Table::Coins, &key, seal(Table::Coins, &key, entry.coin.encode())),
                false => batch.delete(Table::Coins, &key),
            }
        }
        let mut owners: Vec<_> = self.changes.iter().map(|(at, entry)| (owner_key(&entry.coin, at), entry)).collect();
        owners.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        for (key, entry) in owners {
            match entry.unspent {
                true => batch.put(Table::Owners, &key, seal(Table::Owners, &key, entry.coin.encode())),
                false => batch.delete(Table::Owners, &key),
            }
        }
    }

    /// Forgets the changes, after they were written.
    pub(crate) fn clear(&mut self) {
        self.changes.clear();
    }

    /// All unspent outputs of an owner, by outpoint.
    pub(crate) fn owned<S: Store>(&self, store: &S, owner: &Lock) -> Result<BTreeMap<OutPoint, Coin>, StoreError> {
        let prefix = owner.encode();
        let mut owned = BTreeMap::new();
        let mut damaged = Ok(());
        store.scan(Table::Owners, &prefix, &mut |key, sealed| {
            let Some(outpoint) = key.strip_prefix(prefix.as_slice()) else { return ControlFlow::Break(()) };
            match (outpoint_of(outpoint), decode_coin(Table::Owners, key, sealed)) {
                (Some(outpoint), Ok(coin)) => {
                    owned.insert(outpoint, coin);
                    ControlFlow::Continue(())
                }
                (None, _) | (_, Err(_)) => {
                    damaged = Err(StoreError::corrupt(Table::Owners, key));
                    ControlFlow::Break(())
                }
            }
        })?;
        damaged?;
        for (outpoint, entry) in self.changes.iter().filter(|(_, entry)| entry.coin.output.lock == *owner) {
            match entry.unspent {
                true => owned.insert(*outpoint, entry.coin),
                false => owned.remove(outpoint),
            };
        }
        Ok(owned)
    }

    /// Shows every unspent output, in the order of outpoints.
    pub(crate) fn each<S: Store>(&self, store: &S, mut visit: impl FnMut(&OutPoint, &Coin)) -> Result<(), StoreError> {
        let mut fresh = self.changes.iter().filter(|(_, entry)| entry.unspent && !entry.stored).peekable();
        let mut damaged = Ok(());
        store.scan(Table::Coins, &[], &mut |key, sealed| {
            let (Some(outpoint), Ok(coin)) = (outpoint_of(key), decode_coin(Table::Coins, key, sealed)) else {
                damaged = Err(StoreError::corrupt(Table::Coins, key));
                return ControlFlow::Break(());
            };
            while let Some((before, entry)) = fresh.next_if(|(new, _)| **new < outpoint) {
                visit(before, &entry.coin);
            }
            match self.changes.get(&outpoint) {
                Some(entry) if !entry.unspent => {}
                Some(_) | None => visit(&outpoint, &coin),
            }
            ControlFlow::Continue(())
        })?;
        damaged?;
        fresh.for_each(|(outpoint, entry)| visit(outpoint, &entry.coin));
        Ok(())
    }
}

/// The key of an output in the owner index: its owner, then the output.
pub(super) fn owner_key(coin: &Coin, outpoint: &OutPoint) -> Vec<u8> {
    let mut key = coin.output.lock.encode();
    key.extend(coin_key(outpoint));
    key
}

/// The key of an output: its number stands with the highest byte first, so that keys sort as outpoints do.
pub(super) fn coin_key(outpoint: &OutPoint) -> [u8; OutPoint::SIZE] {
    let mut key = [0; OutPoint::SIZE];
    let (txid, index) = key.split_at_mut(32);
    txid.copy_from_slice(&outpoint.txid.0);
    index.copy_from_slice(&outpoint.index.to_be_bytes());
    key
}

fn outpoint_of(key: &[u8]) -> Option<OutPoint> {
    let (txid, index) = key.split_first_chunk::<32>()?;
    Some(OutPoint { txid: Txid(*txid), index: u32::from_be_bytes(index.try_into().ok()?) })
}
