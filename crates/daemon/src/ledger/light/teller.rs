//! What a wallet asks, answered by the light client once it has looked through all blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use meshline_ledger::light::Movement as Found;
use meshline_ledger::{Block, Lock, OutPoint, Transaction};
use meshline_wallet::chain::{BlockPlace, Movement};
use meshline_wallet::coin::{Coin, CoinState};
use meshline_wallet::fee::FeeRate;
use meshline_wallet::{Chain, ChainError, Terms};

use super::client::Client;
use super::{LightDocument, LightHandle};
use crate::ledger::mine::Told;
use crate::ledger::teller::payers;
use crate::ledger::{LedgerError, Till};

/// A verb waits so long for the light client to get on; each block more begins it anew.
const PATIENCE: Duration = Duration::from_secs(8);

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// The light client as a wallet sees it.
struct Teller<'a> {
    handle: &'a LightHandle,
    /// Whose addresses are asked about: those of the wallet are followed from then on.
    is_own: bool,
    /// From which block on addresses are looked for that are new; from where the wallet began unless told.
    from: Option<u32>,
}

impl Till for LightHandle {
    fn chain(&self) -> Box<dyn Chain + '_> {
        Box::new(Teller { handle: self, is_own: true, from: None })
    }

    fn chain_from_start(&self) -> Box<dyn Chain + '_> {
        Box::new(Teller { handle: self, is_own: true, from: Some(0) })
    }

    fn chain_of_others(&self) -> Box<dyn Chain + '_> {
        Box::new(Teller { handle: self, is_own: false, from: None })
    }

    fn mine(&self, _: Lock, _: Told<'_>) -> Result<Block, LedgerError> {
        Err(LedgerError::Wrong(
            "a view makes no blocks: leave --mine out, and a node puts the payment in one".to_owned(),
        ))
    }

    fn wants_locks(&self) -> bool {
        true
    }

    fn handed_out(&self, locks: &[Lock], is_new: bool) -> Result<(), LedgerError> {
        let locks = locks.to_vec();
        // What a new wallet is paid comes in blocks after this one; so does what an address is paid that nobody knew.
        let from = move |client: &Client| match client.light.report(&client.chain) {
            report if is_new => report.height,
            report => report.scanned.map_or(0, |scanned| scanned.saturating_add(1)),
        };
        let watched = self.ask(move |client| {
            let from = from(client);
            client.watch(&locks, Some(from))
        })?;
        watched.map_err(|refusal| LedgerError::Wrong(refusal.to_string()))
    }
}

fn unreachable(error: impl std::fmt::Display) -> ChainError {
    ChainError::Unreachable(error.to_string())
}

impl Teller<'_> {
    fn ask<R: Send + 'static>(&self, work: impl FnOnce(&mut Client) -> R + Send + 'static) -> Result<R, ChainError> {
        self.handle.ask(work).map_err(unreachable)
    }

    /// Waits until all blocks were looked through for these.
    fn follow(&self, locks: &[Lock]) -> Result<(), ChainError> {
        let (wanted, is_own, from) = (locks.to_vec(), self.is_own, self.from);
        let watched = self.ask(move |client| {
            if is_own || wanted.iter().all(|lock| client.light.is_watched(lock)) {
                return client.watch(&wanted, from).map_err(|refusal| refusal.to_string());
            }
            Err("a light ledger knows its own wallet's addresses only, and this is none of them that was shown here: \
                 ask a node, or open the wallet with `view wallet list` first"
                .to_owned())
        })?;
        watched.map_err(unreachable)?;
        self.wait()
    }

    fn wait(&self) -> Result<(), ChainError> {
        let (mut begun, mut before) = (Instant::now(), None);
        loop {
            let (now, is_full) = self.ask(|client| (client.document(), client.light.is_full()))?;
            if is_full {
                return Err(unreachable("more payments than a light ledger keeps: use this wallet on a node"));
            }
            if now.phase == "synced" {
                return Ok(());
            }
            let at = Some((now.height, now.scanned));
            if before != at {
                (begun, before) = (Instant::now(), at);
            } else if begun.elapsed() >= PATIENCE {
                return Err(unreachable(why(&now)));
            }
            std::thread::sleep(INTERVAL);
        }
    }
}

/// Why it does not get on, and what would help.
fn why(now: &LightDocument) -> String {
    let height = now.height;
    match now.phase.as_str() {
        "alone" => {
            "no linked member has this ledger: link to a node that has it (`view peers` lists the members)".into()
        }
        "headers" => format!("headers do not come, {height} are here: ask again in a while"),
        _ if now.serving == 0 => "no linked member serves filters: link to a node that does".into(),
        _ => format!("filters do not come, {} of {height} are looked through: ask again", now.scanned.unwrap_or(0)),
    }
}

impl Chain for Teller<'_> {
    fn terms(&self) -> Result<Terms, ChainError> {
        self.ask(|client| {
            let least = client.genesis.policy.least_fee_rate;
            Terms {
                prefix: client.prefix,
                chain: client.chain.id(),
                height: client.chain.best_header().1,
                rate: FeeRate(client.light.fee_rate().max(least)),
                least_rate: FeeRate(least),
            }
        })
    }

    fn coins(&self, locks: &[Lock]) -> Result<Vec<Coin>, ChainError> {
        self.follow(locks)?;
        let wanted: BTreeSet<Lock> = locks.iter().copied().collect();
        self.ask(move |client| coins(client, &wanted))
    }

    fn used(&self, locks: &[Lock]) -> Result<BTreeSet<Lock>, ChainError> {
        self.follow(locks)?;
        let wanted: BTreeSet<Lock> = locks.iter().copied().collect();
        self.ask(move |client| {
            let outputs = client.light.movements().flat_map(|found| &found.transaction.outputs);
            outputs.map(|output| output.lock).filter(|lock| wanted.contains(lock)).collect()
        })
    }

    fn movements(&self, locks: &[Lock]) -> Result<Vec<Movement>, ChainError> {
        self.follow(locks)?;
        self.ask(|client| client.light.movements().map(moved).collect())
    }

    fn submit(&mut self, transaction: &Transaction) -> Result<(), ChainError> {
        let transaction = transaction.clone();
        self.ask(move |client| client.submit(&transaction))?.map_err(ChainError::Refused)
    }
}

fn moved(found: &Found) -> Movement {
    let block = found.place.map(|place| BlockPlace { height: place.height, time: place.time });
    Movement { transaction: found.transaction.clone(), spent: found.spent.clone(), block }
}

fn coins(client: &Client, wanted: &BTreeSet<Lock>) -> Vec<Coin> {
    let (next, maturity) = (client.chain.best_header().1.saturating_add(1), client.genesis.params.maturity);
    let confirmed = client.light.coins().into_iter().filter(|(_, coin)| wanted.contains(&coin.output.lock));
    let mut coins: BTreeMap<OutPoint, Coin> = confirmed
        .map(|(outpoint, coin)| {
            let spendable_at = coin.height.saturating_add(maturity);
            let is_mature = coin.is_mature(next, maturity);
            let state = if is_mature {
                CoinState::Confirmed { height: coin.height }
            } else {
                CoinState::Immature { spendable_at }
            };
            (outpoint, Coin { outpoint, amount: coin.output.amount, lock: coin.output.lock, state })
        })
        .collect();
    for found in client.light.pending() {
        let txid = found.transaction.txid();
        for (index, output) in (0..).zip(&found.transaction.outputs).filter(|(_, output)| wanted.contains(&output.lock))
        {
            let outpoint = OutPoint { txid, index };
            let state = CoinState::Pending { from: payers(&found.transaction) };
            coins.insert(outpoint, Coin { outpoint, amount: output.amount, lock: output.lock, state });
        }
    }
    // What an own payment spends that waits is gone, wherever it came from.
    for spent in client.light.pending().flat_map(|found| found.transaction.spends()) {
        coins.remove(&spent);
    }
    coins.into_values().collect()
}
