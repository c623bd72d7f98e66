//! A small ledger for the tests. It judges what is handed in by rules of its own, so a wrong transaction is found here.

use std::collections::{BTreeMap, BTreeSet};

use meshline_ledger::sighash::{SignatureCheck, sighash};
use meshline_ledger::{Amount, BlockHash, Lock, OutPoint, Transaction, TxIn, TxOut};
use meshline_wallet::chain::{BlockPlace, Chain, ChainError, Movement, Terms};
use meshline_wallet::coin::{Coin, CoinState};
use meshline_wallet::fee::FeeRate;

use crate::support::prefix;

/// An unspent output of the chain.
#[derive(Clone)]
struct Unspent {
    output: TxOut,
    height: u32,
    is_reward: bool,
}

pub(crate) struct Ledger {
    pub(crate) terms: Terms,
    /// Blocks until a reward can be spent, the block after it included.
    pub(crate) maturity: u32,
    /// Whether it answers.
    pub(crate) is_up: bool,
    unspent: BTreeMap<OutPoint, Unspent>,
    pub(crate) mempool: Vec<Movement>,
    pub(crate) blocks: Vec<Movement>,
}

impl Ledger {
    pub(crate) fn new(rate: u64) -> Self {
        let chain = BlockHash([9; 32]);
        let terms = Terms { prefix: prefix(), chain, height: 0, rate: FeeRate(rate), least_rate: FeeRate(rate / 10) };
        let (unspent, mempool, blocks) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { terms, maturity: 1, is_up: true, unspent, mempool, blocks }
    }

    /// A block with all of the mempool; its reward, fees included, goes to `miner`.
    pub(crate) fn mine(&mut self, miner: Lock, reward: &str) {
        let height = self.terms.height + 1;
        self.terms.height = height;
        let waiting = std::mem::take(&mut self.mempool);
        let fees = waiting.iter().map(fee).sum::<u64>();
        let amount = Amount::from_units(reward.parse::<Amount>().unwrap().units() + fees).unwrap();
        let coinbase = Transaction {
            version: 1,
            inputs: vec![TxIn::Coinbase { height, extra: Vec::new() }],
            outputs: vec![TxOut { amount, lock: miner }],
            lock_time: 0,
        };
        let coinbase = Movement { transaction: coinbase, spent: Vec::new(), block: None };
        for mut movement in [coinbase].into_iter().chain(waiting) {
            movement.block = Some(BlockPlace { height, time: 1_700_000_000 + height });
            for outpoint in movement.transaction.spends() {
                assert!(self.unspent.remove(&outpoint).is_some());
            }
            for (outpoint, output) in outputs(&movement.transaction) {
                let is_reward = movement.transaction.is_coinbase();
                self.unspent.insert(outpoint, Unspent { output, height, is_reward });
            }
            self.blocks.push(movement);
        }
    }

    /// Puts something into the mempool that nobody judges.
    pub(crate) fn push_pending(&mut self, transaction: Transaction, spent: Vec<TxOut>) {
        self.mempool.push(Movement { transaction, spent, block: None });
    }

    /// All money there is.
    pub(crate) fn total(&self) -> u64 {
        self.unspent.values().map(|unspent| unspent.output.amount.units()).sum()
    }

    fn answer<T>(&self, answer: T) -> Result<T, ChainError> {
        if self.is_up { Ok(answer) } else { Err(ChainError::Unreachable("it is down".to_owned())) }
    }

    /// The output, if the next block may spend it.
    fn spendable(&self, outpoint: &OutPoint) -> Option<TxOut> {
        let in_mempool = self.mempool.iter().flat_map(|movement| outputs(&movement.transaction));
        let pending = in_mempool.into_iter().find(|(other, _)| other == outpoint).map(|(_, output)| output);
        let ripe = |unspent: &&Unspent| !unspent.is_reward || self.terms.height + 1 >= unspent.height + self.maturity;
        let found = self.unspent.get(outpoint).filter(ripe).map(|unspent| unspent.output).or(pending)?;
        (!self.is_spent(outpoint)).then_some(found)
    }

    fn is_spent(&self, outpoint: &OutPoint) -> bool {
        self.mempool.iter().any(|movement| movement.transaction.spends().any(|spent| spent == *outpoint))
    }

    fn judge(&self, transaction: &Transaction) -> Result<Vec<TxOut>, String> {
        let spent: Option<Vec<TxOut>> = transaction.spends().map(|outpoint| self.spendable(&outpoint)).collect();
        let spent = spent.ok_or("an input is missing, spent or not ripe")?;
        let distinct: BTreeSet<OutPoint> = transaction.spends().collect();
        if spent.is_empty() || distinct.len() != transaction.inputs.len() || transaction.outputs.is_empty() {
            return Err("empty, or an input twice".to_owned());
        }
        let message = sighash(self.terms.chain, transaction, &spent);
        for (input, output) in transaction.inputs.iter().zip(&spent) {
            let TxIn::Spend { key, signature, .. } = input else { return Err("a coinbase".to_owned()) };
            let signature = SignatureCheck { key: *key, signature: *signature, sighash: message };
            if !output.lock.is_opened_by(key) || !signature.is_valid() {
                return Err("a key or signature is wrong".to_owned());
            }
        }
        let movement = Movement { transaction: transaction.clone(), spent, block: None };
        let sums: (u64, u64) = sums(&movement);
        let least = self.terms.least_rate.fee(transaction.size() as u64).unwrap().units();
        if sums.0 < sums.1 + least { Err("the fee is too low".to_owned()) } else { Ok(movement.spent) }
    }
}

fn sums(movement: &Movement) -> (u64, u64) {
    let sum = |outputs: &[TxOut]| outputs.iter().map(|output| output.amount.units()).sum();
    (sum(&movement.spent), sum(&movement.transaction.outputs))
}

fn fee(movement: &Movement) -> u64 {
    let (inputs, outputs) = sums(movement);
    inputs - outputs
}

fn outputs(transaction: &Transaction) -> Vec<(OutPoint, TxOut)> {
    let txid = transaction.txid();
    (0..).zip(&transaction.outputs).map(|(index, output)| (OutPoint { txid, index }, *output)).collect()
}

impl Chain for Ledger {
    fn terms(&self) -> Result<Terms, ChainError> {
        self.answer(self.terms)
    }

    fn coins(&self, locks: &[Lock]) -> Result<Vec<Coin>, ChainError> {
        let in_chain = self.unspent.iter().map(|(outpoint, unspent)| {
            let spendable_at = unspent.height + self.maturity;
            let state = if unspent.is_reward && self.terms.height + 1 < spendable_at {
                CoinState::Immature { spendable_at }
            } else {
                CoinState::Confirmed { height: unspent.height }
            };
            Coin { outpoint: *outpoint, amount: unspent.output.amount, lock: unspent.output.lock, state }
        });
        let pending = self.mempool.iter().flat_map(|movement| {
            let from: Vec<Lock> = movement.spent.iter().map(|output| output.lock).collect();
            outputs(&movement.transaction).into_iter().map(move |(outpoint, output)| Coin {
                outpoint,
                amount: output.amount,
                lock: output.lock,
                state: CoinState::Pending { from: from.clone() },
            })
        });
        let wanted = |coin: &Coin| locks.contains(&coin.lock) && !self.is_spent(&coin.outpoint);
        self.answer(in_chain.chain(pending).filter(wanted).collect())
    }

    fn used(&self, locks: &[Lock]) -> Result<BTreeSet<Lock>, ChainError> {
        let all = self.blocks.iter().chain(&self.mempool).flat_map(|movement| &movement.transaction.outputs);
        self.answer(all.map(|output| output.lock).filter(|lock| locks.contains(lock)).collect())
    }

    fn movements(&self, locks: &[Lock]) -> Result<Vec<Movement>, ChainError> {
        let concerns = |movement: &&Movement| {
            movement.transaction.outputs.iter().chain(&movement.spent).any(|output| locks.contains(&output.lock))
        };
        self.answer(self.blocks.iter().chain(&self.mempool).filter(concerns).cloned().collect())
    }

    fn submit(&mut self, transaction: &Transaction) -> Result<(), ChainError> {
        let spent = self.answer(self.judge(transaction))?.map_err(ChainError::Refused)?;
        self.push_pending(transaction.clone(), spent);
        Ok(())
    }
}
