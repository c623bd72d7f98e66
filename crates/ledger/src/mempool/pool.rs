//! The pool itself: admission, replacement, what goes when it is full, and what blocks do to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::amount::Amount;
use crate::chain::Chain;
use crate::consensus::{Block, Coin, CoinView, Refusal, Rule, check_inputs, check_transaction};
use crate::hash::Txid;
use crate::mempool::batch::Brought;
use crate::sighash::SignatureVerifier;
use crate::store::{Store, StoreError};
use crate::transaction::{OutPoint, Transaction};

/// Bytes of payments held: 350,000 ordinary ones.
pub const MAX_POOL_BYTES: usize = 64 * 1024 * 1024;
/// Bytes each peer can count on, as in Bitcoin Core's orphanage: 166 peers fill the pool with them.
pub const RESERVED_BYTES: usize = 404_000;
/// Unconfirmed payments one may build on, itself included, and that may build on one; as in Bitcoin Core.
pub const MAX_RELATIVES: usize = 25;
/// Payments that one may replace; as in BIP-125.
pub const MAX_REPLACED: usize = 100;
/// Seconds until an unconfirmed payment is forgotten: two weeks, as in Bitcoin Core.
pub const EXPIRY_S: u64 = 336 * 3_600;

/// Who brought a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// This node's own wallet, or a block that is no longer active.
    Local,
    /// A peer, by a number of the caller's choice.
    Peer(u64),
}

/// Why a payment is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// It breaks a rule, or cannot be in the next block.
    #[error(transparent)]
    Rule(#[from] Rule),
    /// It is there already.
    #[error("already waiting")]
    Known,
    /// It pays less than the least fee, in base units.
    #[error("the fee is {fee}, at least {least} base units are asked for this size")]
    Fee {
        /// Paid.
        fee: u64,
        /// Asked for.
        least: u64,
    },
    /// An output of nothing, which would be kept for ever.
    #[error("an output of 0")]
    Dust,
    /// It spends what a waiting payment spends, and does not pay enough more to replace it.
    #[error("spends the same as a waiting payment and does not pay more")]
    Conflict,
    /// It replaces too many.
    #[error("replaces more than {MAX_REPLACED} payments")]
    TooManyReplaced,
    /// Its line of unconfirmed payments is too long.
    #[error("more than {MAX_RELATIVES} unconfirmed payments in a line")]
    TooManyRelatives,
    /// The pool is full of payments that pay more.
    #[error("the pool is full of payments that pay more")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for PoolRefusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rule(rule) => Self::Rule(rule),
            Refusal::Store(error) => Self::Store(error),
        }
    }
}

/// A payment that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The payment.
    pub transaction: Transaction,
    /// What it pays.
    pub fee: Amount,
    /// Bytes.
    pub size: usize,
    /// Who brought it.
    pub origin: Origin,
    /// When, in seconds since 1970.
    pub since_s: u64,
    /// Unconfirmed payments it builds on directly.
    pub(super) parents: BTreeSet<Txid>,
    children: BTreeSet<Txid>,
    /// The order of arrival.
    pub(super) number: u64,
}

impl Waiting {
    /// What it pays in base units for a million bytes.
    pub fn rate(&self) -> u64 {
        rate(self.fee.units(), self.size)
    }
}

/// Base units for a million bytes.
pub(super) fn rate(fee: u64, size: usize) -> u64 {
    let rate = u128::from(fee) * 1_000_000 / (size.max(1) as u128);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// What became of a payment that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its name.
    pub txid: Txid,
    /// What it pays.
    pub fee: Amount,
    /// Payments that it replaced or pushed out.
    pub removed: Vec<Txid>,
}

/// The payments that wait.
#[derive(Debug)]
pub struct Mempool {
    least_fee_rate: u64,
    max_bytes: usize,
    pub(super) waiting: BTreeMap<Txid, Waiting>,
    spenders: BTreeMap<OutPoint, Txid>,
    /// Cheapest first; of equals the youngest.
    by_rate: BTreeSet<(u64, std::cmp::Reverse<u64>, Txid)>,
    held: BTreeMap<Origin, usize>,
    bytes: usize,
    arrivals: u64,
}

/// Outputs of the chain and of waiting payments.
pub(super) struct PoolView<'a, S> {
    pub(super) pool: &'a Mempool,
    pub(super) chain: &'a Chain<S>,
}

impl<S: Store> PoolView<'_, S> {
    /// An output of a payment that is in no block yet: it would be in the next.
    pub(super) fn made_by(&self, transaction: &Transaction, outpoint: &OutPoint) -> Option<Coin> {
        let output = transaction.outputs.get(outpoint.index as usize)?;
        Some(Coin { output: *output, height: self.chain.height().saturating_add(1), coinbase: false })
    }
}

impl<S: Store> CoinView for PoolView<'_, S> {
    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError> {
        match self.pool.waiting.get(&outpoint.txid) {
            Some(above) => Ok(self.made_by(&above.transaction, outpoint)),
            None => self.chain.coin(outpoint),
        }
    }
}

impl Mempool {
    /// An empty pool that asks for `least_fee_rate` base units for 1,000 bytes.
    pub fn new(least_fee_rate: u64) -> Self {
        Self::with_room(least_fee_rate, MAX_POOL_BYTES)
    }

    /// A pool with another bound than [`MAX_POOL_BYTES`].
    pub fn with_room(least_fee_rate: u64, max_bytes: usize) -> Self {
        Self {
            least_fee_rate,
            max_bytes,
            waiting: BTreeMap::new(),
            spenders: BTreeMap::new(),
            by_rate: BTreeSet::new(),
            held: BTreeMap::new(),
            bytes: 0,
            arrivals: 0,
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Bytes of all that wait.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// A waiting payment.
    pub fn get(&self, txid: &Txid) -> Option<&Waiting> {
        self.waiting.get(txid)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Txid, &Waiting)> {
        self.waiting.iter()
    }

    /// Whether a waiting payment spends the output.
    pub fn is_spent(&self, outpoint: &OutPoint) -> bool {
        self.spenders.contains_key(outpoint)
    }

    /// Takes a payment, or tells why not. `now_s` is the time, in seconds since 1970.
    pub fn add<S: Store>(
        &mut self,
        chain: &Chain<S>,
        transaction: &Transaction,
        source: (Origin, u64),
        verifier: &impl SignatureVerifier,
    ) -> Result<Added, PoolRefusal> {
        check_transaction(transaction)?;
        if transaction.outputs.iter().any(|output| output.amount == Amount::ZERO) {
            return Err(PoolRefusal::Dust);
        }
        let unsigned = transaction.encode_unsigned();
        let txid = Txid(crate::hash::sha256d(&unsigned));
        if self.waiting.contains_key(&txid) {
            return Err(PoolRefusal::Known);
        }
        let sums = check_inputs(chain.next_context(), transaction, &unsigned, &PoolView { pool: self, chain })?;
        let size = transaction.size();
        self.check_fee(sums.fee.units(), size)?;
        let parents = self.check_relatives(transaction)?;
        let replaced = self.check_conflicts(transaction, (sums.fee.units(), size), &parents)?;
        // The dearest last.
        if !verifier.all_valid(&sums.checks) {
            return Err(Rule::Signature.into());
        }
        let mut removed = Vec::new();
        for conflict in replaced {
            removed.extend(self.remove_with_descendants(&conflict));
        }
        let (origin, since_s) = source;
        let waiting = Waiting {
            transaction: transaction.clone(),
            fee: sums.fee,
            size,
            origin,
            since_s,
            parents,
            children: BTreeSet::new(),
            number: self.arrivals,
        };
        self.insert(txid, waiting);
        removed.extend(self.make_room());
        if self.waiting.contains_key(&txid) {
            Ok(Added { txid, fee: sums.fee, removed })
        } else {
            Err(PoolRefusal::Full)
        }
    }

    /// The least fee for a payment of this size, in base units.
    pub fn least_fee(&self, size: usize) -> u64 {
        u64::try_from((u128::from(self.least_fee_rate) * size as u128).div_ceil(1_000)).unwrap_or(u64::MAX)
    }

    /// What a payment of this origin must pay to be worth sending here, in base units for 1,000 bytes: where the pool is nearly
    /// full and the origin has half of what it can count on, as much as the cheapest that waits.
    pub fn asked_rate(&self, origin: Origin) -> u64 {
        let is_full = self.bytes >= self.max_bytes / 10 * 9;
        let is_sure = self.held.get(&origin).is_none_or(|held| *held < RESERVED_BYTES / 2);
        let cheapest = self.by_rate.first().map_or(0, |(rate, ..)| rate.div_ceil(1_000));
        if is_full && !is_sure { cheapest.max(self.least_fee_rate) } else { self.least_fee_rate }
    }

    fn check_fee(&self, fee: u64, size: usize) -> Result<(), PoolRefusal> {
        let least = self.least_fee(size);
        if fee < least { Err(PoolRefusal::Fee { fee, least }) } else { Ok(()) }
    }

    fn check_relatives(&self, transaction: &Transaction) -> Result<BTreeSet<Txid>, PoolRefusal> {
        let parents: BTreeSet<Txid> =
            transaction.spends().map(|at| at.txid).filter(|txid| self.waiting.contains_key(txid)).collect();
        let ancestors = self.reach(&parents, |above| &above.parents);
        let full = |txid: &Txid| self.reach(&BTreeSet::from([*txid]), |below| &below.children).len() >= MAX_RELATIVES;
        if ancestors.len() >= MAX_RELATIVES || ancestors.iter().any(full) {
            return Err(PoolRefusal::TooManyRelatives);
        }
        Ok(parents)
    }

    /// The payments that this one replaces: those that spend the same. It must pay more than all that would go, and more
    /// for each byte than each of them, so that replacing is never free.
    fn check_conflicts(
        &self,
        transaction: &Transaction,
        (fee, size): (u64, usize),
        parents: &BTreeSet<Txid>,
    ) -> Result<BTreeSet<Txid>, PoolRefusal> {
        let direct: BTreeSet<Txid> = transaction.spends().filter_map(|at| self.spenders.get(&at)).copied().collect();
        if direct.is_empty() {
            return Ok(direct);
        }
        let gone = self.reach(&direct, |below| &below.children);
        if gone.len() > MAX_REPLACED {
            return Err(PoolRefusal::TooManyReplaced);
        }
        let fees: u64 = gone.iter().filter_map(|txid| self.waiting.get(txid)).map(|below| below.fee.units()).sum();
        let cheaper = |txid: &Txid| self.waiting.get(txid).is_some_and(|old| old.rate() < rate(fee, size));
        let builds_on_gone = self.reach(parents, |above| &above.parents).iter().any(|txid| gone.contains(txid));
        let pays = fee > fees && fee - fees >= self.least_fee(size) && direct.iter().all(cheaper);
        if pays && !builds_on_gone { Ok(direct) } else { Err(PoolRefusal::Conflict) }
    }

    /// All that is reached from `from`, itself included.
    pub(super) fn reach<'a>(
        &'a self,
        from: &BTreeSet<Txid>,
        step: impl Fn(&'a Waiting) -> &'a BTreeSet<Txid>,
    ) -> BTreeSet<Txid> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<Txid> = from.iter().copied().collect();
        while let Some(txid) = next.pop() {
            let Some(waiting) = self.waiting.get(&txid) else { continue };
            if reached.insert(txid) {
                next.extend(step(waiting));
            }
        }
        reached
    }

    fn insert(&mut self, txid: Txid, waiting: Waiting) {
        self.arrivals += 1;
        self.bytes += waiting.size;
        *self.held.entry(waiting.origin).or_default() += waiting.size;
        self.by_rate.insert((waiting.rate(), std::cmp::Reverse(waiting.number), txid));
        for outpoint in waiting.transaction.spends() {
            self.spenders.insert(outpoint, txid);
        }
        for parent in &waiting.parents {
            if let Some(above) = self.waiting.get_mut(parent) {
                above.children.insert(txid);
            }
        }
        self.waiting.insert(txid, waiting);
    }

    fn remove(&mut self, txid: &Txid) -> Option<Waiting> {
        let waiting = self.waiting.remove(txid)?;
        self.bytes -= waiting.size;
        self.by_rate.remove(&(waiting.rate(), std::cmp::Reverse(waiting.number), *txid));
        if let Some(held) = self.held.get_mut(&waiting.origin) {
            *held -= waiting.size;
            if *held == 0 {
                self.held.remove(&waiting.origin);
            }
        }
        for outpoint in waiting.transaction.spends() {
            self.spenders.remove(&outpoint);
        }
        for parent in &waiting.parents {
            if let Some(above) = self.waiting.get_mut(parent) {
                above.children.remove(txid);
            }
        }
        for child in &waiting.children {
            if let Some(below) = self.waiting.get_mut(child) {
                below.parents.remove(txid);
            }
        }
        Some(waiting)
    }

    fn remove_with_descendants(&mut self, txid: &Txid) -> Vec<Txid> {
        let gone = self.reach(&BTreeSet::from([*txid]), |below| &below.children);
        gone.into_iter().filter(|txid| self.remove(txid).is_some()).collect()
    }

    /// Takes a payment out again, and those that build on it.
    pub fn withdraw(&mut self, txid: &Txid) -> Vec<Txid> {
        self.remove_with_descendants(txid)
    }

    /// Removes the cheapest until all fits: first of origins that hold more than their share.
    fn make_room(&mut self) -> Vec<Txid> {
        let mut removed = Vec::new();
        while self.bytes > self.max_bytes {
            let greedy = |txid: &Txid| {
                let origin = self.waiting.get(txid).map(|waiting| waiting.origin);
                origin.and_then(|origin| self.held.get(&origin)).is_some_and(|held| *held > RESERVED_BYTES)
            };
            let by_share = self.by_rate.iter().find(|(.., txid)| greedy(txid));
            let Some((.., victim)) = by_share.or_else(|| self.by_rate.first()).copied() else { break };
            removed.extend(self.remove_with_descendants(&victim));
        }
        removed
    }

    /// Forgets what waited for [`EXPIRY_S`]. `now_s` is the time, in seconds since 1970.
    pub fn expire(&mut self, now_s: u64) -> Vec<Txid> {
        let old = |waiting: &Waiting| waiting.since_s.saturating_add(EXPIRY_S) <= now_s;
        let expired: Vec<Txid> =
            self.waiting.iter().filter(|(_, waiting)| old(waiting)).map(|(txid, _)| *txid).collect();
        expired.iter().flat_map(|txid| self.remove_with_descendants(txid)).collect()
    }

    /// A block is active now: its payments are done, and whatever spends the same is void.
    pub fn on_connected(&mut self, block: &Block) {
        for transaction in &block.transactions {
            self.remove_same(transaction);
            for outpoint in transaction.spends() {
                if let Some(conflict) = self.spenders.get(&outpoint).copied() {
                    self.remove_with_descendants(&conflict);
                }
            }
        }
    }

    /// Takes out the waiting payment of the same name. It spends the same, so that it is found without hashing this one.
    fn remove_same(&mut self, transaction: &Transaction) {
        let spender = transaction.spends().next().and_then(|first| self.spenders.get(&first)).copied();
        let Some(spender) = spender else { return };
        let is_same = self.waiting.get(&spender).is_some_and(|waiting| waiting.transaction == *transaction);
        self.remove(&if is_same { spender } else { transaction.txid() });
    }

    /// Blocks are no longer active: their payments wait again, and all that waits is judged anew. `blocks` are in the
    /// order in which they were disconnected.
    pub fn on_disconnected<S: Store>(
        &mut self,
        chain: &Chain<S>,
        blocks: &[Block],
        now_s: u64,
        verifier: &impl SignatureVerifier,
    ) {
        let mut again: Vec<Brought> = Vec::new();
        for block in blocks.iter().rev() {
            let payments = block.transactions.iter().filter(|transaction| !transaction.is_coinbase());
            again.extend(payments.map(|payment| (payment.clone(), (Origin::Local, now_s))));
        }
        again.extend(self.in_order().map(|waiting| (waiting.transaction.clone(), (waiting.origin, waiting.since_s))));
        let mut fresh = Self::with_room(self.least_fee_rate, self.max_bytes);
        // What is no longer valid is dropped.
        fresh.add_again(chain, &again, verifier);
        *self = fresh;
    }

    /// All that wait, parents before children.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Waiting> {
        let depth = |waiting: &Waiting| self.reach(&waiting.parents, |above| &above.parents).len();
        let mut ordered: Vec<_> =
            self.waiting.values().map(|waiting| (depth(waiting), waiting.number, waiting)).collect();
        ordered.sort_unstable_by_key(|(depth, number, _)| (*depth, *number));
        ordered.into_iter().map(|(.., waiting)| waiting)
    }
}
