//! Many payments at once: their signatures are judged in batches, which takes a third of the time, and by whoever does
//! not hold the pool.

use std::collections::BTreeMap;

use crate::chain::Chain;
use crate::consensus::{Coin, CoinView, Refusal, Rule, check_inputs, check_transaction};
use crate::hash::{Txid, sha256d};
use crate::mempool::pool::PoolView;
use crate::mempool::{Added, Mempool, Origin, PoolRefusal};
use crate::sighash::{SignatureCheck, SignatureVerifier};
use crate::store::{Store, StoreError};
use crate::transaction::{OutPoint, Transaction};
use crate::verified::Verified;

/// Payments whose signatures are judged together when a pool is read or judged anew: their checks take 128 KiB.
const STEP: usize = 1_024;

/// A payment, who brought it, and when, in seconds since 1970.
pub type Brought = (Transaction, (Origin, u64));

/// Outputs of earlier payments of the same batch before those of the pool.
struct BatchView<'a, S> {
    below: PoolView<'a, S>,
    made: BTreeMap<Txid, &'a Transaction>,
}

impl<S: Store> CoinView for BatchView<'_, S> {
    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError> {
        match self.made.get(&outpoint.txid) {
            Some(transaction) => Ok(self.below.made_by(transaction, outpoint)),
            None => self.below.coin(outpoint),
        }
    }
}

impl Mempool {
    /// The signatures of payments, each of which may build on those before it. Judged by [`Verified::judge`] without the
    /// pool being held, they need not be judged again by [`Mempool::add`] with the same [`Verified`]. What breaks another
    /// rule is left out here and refused there.
    pub fn signatures<'a, S: Store>(
        &self,
        chain: &Chain<S>,
        payments: impl IntoIterator<Item = &'a Transaction>,
    ) -> Result<Vec<SignatureCheck>, StoreError> {
        let mut view = BatchView { below: PoolView { pool: self, chain }, made: BTreeMap::new() };
        let mut checks = Vec::new();
        for payment in payments {
            if check_transaction(payment).is_err() {
                continue;
            }
            let unsigned = payment.encode_unsigned();
            match check_inputs(chain.next_context(), payment, &unsigned, &view) {
                Ok(sums) => checks.extend(sums.checks),
                Err(Refusal::Rule(_)) => continue,
                Err(Refusal::Store(error)) => return Err(error),
            }
            view.made.insert(Txid(sha256d(&unsigned)), payment);
        }
        Ok(checks)
    }

    /// [`Mempool::add`] for many, in their order; each may build on those before it.
    pub fn add_all<'a, S: Store, V: SignatureVerifier>(
        &mut self,
        chain: &Chain<S>,
        payments: impl IntoIterator<Item = &'a Transaction, IntoIter: Clone>,
        source: (Origin, u64),
        verified: &Verified<V>,
    ) -> Vec<Result<Added, PoolRefusal>> {
        let payments = payments.into_iter();
        // A store that fails says so again below.
        verified.judge(&self.signatures(chain, payments.clone()).unwrap_or_default());
        payments.map(|payment| self.add(chain, payment, source, verified)).collect()
    }

    /// Adds what was in a pool before; returns how many are still good.
    pub fn add_again<S: Store>(
        &mut self,
        chain: &Chain<S>,
        brought: &[Brought],
        verifier: &impl SignatureVerifier,
    ) -> usize {
        let verified = Verified::new(verifier);
        let (mut left, mut taken): (Vec<&Brought>, usize) = (brought.iter().collect(), 0);
        // What was saved by name may stand before what it spends.
        loop {
            let mut early = Vec::new();
            let before = taken;
            for step in left.chunks(STEP) {
                let payments = step.iter().map(|(payment, _)| payment);
                verified.judge(&self.signatures(chain, payments).unwrap_or_default());
                for brought in step {
                    match self.add(chain, &brought.0, brought.1, &verified) {
                        Ok(_) => taken += 1,
                        Err(PoolRefusal::Rule(Rule::MissingInput)) => early.push(*brought),
                        Err(_) => {}
                    }
                }
            }
            if early.is_empty() || taken == before {
                return taken;
            }
            left = early;
        }
    }
}
