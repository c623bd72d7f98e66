//! The next block: the waiting payments that pay most for each byte, those they build on before them.

use std::collections::{BTreeSet, BinaryHeap};

use crate::amount::Amount;
use crate::chain::Chain;
use crate::consensus::{BLOCK_VERSION, Block, Header, Policy};
use crate::hash::Txid;
use crate::mempool::Mempool;
use crate::mempool::pool::{Waiting, rate};
use crate::store::Store;
use crate::transaction::{Lock, TRANSACTION_VERSION, Transaction, TxIn, TxOut};

/// Room for header, count and coinbase.
const COINBASE_ROOM: usize = 400;

/// A block without proof of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The block; its nonce is to be searched.
    pub block: Block,
    /// What its payments pay.
    pub fees: Amount,
}

impl Template {
    /// The best block that can be built on the tip of `chain`, paying `owner`. `now_s` is the time, in seconds since
    /// 1970; `extra` makes it differ from others' and from earlier ones (at most 128 bytes).
    pub fn new<S: Store>(chain: &Chain<S>, pool: &Mempool, owner: Lock, now_s: u64, extra: &[u8]) -> Self {
        let params = chain.params();
        let room = (params.max_block_size as usize).saturating_sub(COINBASE_ROOM);
        let (payments, fees) = select(pool, room, params.max_signatures as usize);
        let context = chain.next_context();
        // Sums stay below the limit: what is above goes to nobody.
        let amount = chain.next_subsidy().checked_add(fees).unwrap_or(Amount::MAX);
        let coinbase = Transaction {
            version: TRANSACTION_VERSION,
            inputs: vec![TxIn::Coinbase { height: context.height, extra: extra.to_vec() }],
            outputs: vec![TxOut { amount, lock: owner }],
            lock_time: 0,
        };
        let earliest = context.median_time.saturating_add(1);
        let header = Header {
            version: BLOCK_VERSION,
            previous: chain.tip(),
            merkle_root: [0; 32],
            time: u32::try_from(now_s).unwrap_or(u32::MAX).max(earliest),
            bits: chain.next_bits(),
            nonce: 0,
        };
        let mut transactions = vec![coinbase];
        transactions.extend(payments);
        let mut block = Block { header, transactions };
        block.header.merkle_root = block.merkle_root();
        Self { block, fees }
    }
}

/// Whether the policy of the chain wants a block mined with so many payments waiting.
pub const fn due(policy: &Policy, waiting: usize) -> bool {
    if waiting == 0 { policy.mine_empty } else { waiting >= policy.template_from as usize }
}

/// Payments by what they and what they build on pay for each byte, until the block is full.
fn select(pool: &Mempool, room: usize, signatures: usize) -> (Vec<Transaction>, Amount) {
    let mut taken = BTreeSet::<Txid>::new();
    let (mut chosen, mut fees, mut room, mut signatures) = (Vec::new(), Amount::ZERO, room, signatures);
    let mut queue: BinaryHeap<(u64, Txid)> =
        pool.waiting.iter().map(|(txid, waiting)| (first_rate(pool, txid, waiting), *txid)).collect();
    while let Some((queued_rate, txid)) = queue.pop() {
        if taken.contains(&txid) {
            continue;
        }
        let package = package(pool, &txid, &taken);
        if package.rate < queued_rate {
            // What it builds on went in without it.
            queue.push((package.rate, txid));
            continue;
        }
        let Some(sum) = fees.checked_add(package.fees).filter(|_| package.size <= room) else { continue };
        if package.signatures > signatures {
            continue;
        }
        (fees, room, signatures) = (sum, room - package.size, signatures - package.signatures);
        for (txid, transaction) in package.members {
            taken.insert(txid);
            chosen.push(transaction.clone());
        }
    }
    (chosen, fees)
}

/// What a payment pays for each byte while nothing is taken. Most build on none that waits.
fn first_rate(pool: &Mempool, txid: &Txid, waiting: &Waiting) -> u64 {
    match waiting.parents.is_empty() {
        true => waiting.rate(),
        false => package(pool, txid, &BTreeSet::new()).rate,
    }
}

/// A payment with those it builds on that are not taken yet, in an order in which they can be in a block.
struct Package<'a> {
    members: Vec<(Txid, &'a Transaction)>,
    fees: Amount,
    size: usize,
    signatures: usize,
    rate: u64,
}

fn package<'a>(pool: &'a Mempool, txid: &Txid, taken: &BTreeSet<Txid>) -> Package<'a> {
    if let Some((txid, waiting)) = pool.waiting.get_key_value(txid).filter(|(_, waiting)| waiting.parents.is_empty()) {
        return Package {
            members: vec![(*txid, &waiting.transaction)],
            fees: waiting.fee,
            size: waiting.size,
            signatures: waiting.transaction.inputs.len(),
            rate: waiting.rate(),
        };
    }
    let mut members: Vec<_> = pool
        .reach(&BTreeSet::from([*txid]), |above| &above.parents)
        .into_iter()
        .filter(|txid| !taken.contains(txid))
        .filter_map(|txid| Some((txid, pool.waiting.get(&txid)?)))
        .collect();
    if members.len() > 1 {
        members.sort_by_cached_key(|(_, waiting)| {
            (pool.reach(&waiting.parents, |above| &above.parents).len(), waiting.number)
        });
    }
    let fees = Amount::checked_sum(members.iter().map(|(_, waiting)| waiting.fee)).unwrap_or(Amount::MAX);
    let size = members.iter().map(|(_, waiting)| waiting.size).sum();
    let signatures = members.iter().map(|(_, waiting)| waiting.transaction.inputs.len()).sum();
    let members = members.into_iter().map(|(txid, waiting)| (txid, &waiting.transaction)).collect();
    Package { members, fees, size, signatures, rate: rate(fees.units(), size) }
}
