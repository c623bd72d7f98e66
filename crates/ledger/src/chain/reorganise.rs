//! Moving the tip to the chain with the most work, block by block, and back if a block on the way breaks a rule.

use std::collections::HashSet;

use crate::chain::repair::outputs_of;
use crate::chain::tree::Slot;
use crate::chain::{Chain, ChainEvent};
use crate::consensus::{Block, Checked, Coin, Connected, Refusal, Rule, check_block, connect};
use crate::encode::{Decode, Decoder, Encode};
use crate::sighash::SignatureVerifier;
use crate::store::{Store, StoreError, Table};
use crate::transaction::{OutPoint, Transaction};

/// The block that was handed over, and what was found out about it unless it was known before: it need not be read and
/// judged a second time.
pub(super) struct Given<'a> {
    pub(super) slot: Slot,
    pub(super) fresh: Option<(&'a Block, Checked)>,
}

impl<S: Store> Chain<S> {
    /// Moves to the best chain there is and writes what is due. Fails with the rule that `given` breaks, if nothing else
    /// changed. What changed before the store failed is told with the next success.
    pub(super) fn settle(
        &mut self,
        mut given: Given<'_>,
        verifier: &impl SignatureVerifier,
    ) -> Result<Vec<ChainEvent>, Refusal> {
        let mut events = std::mem::take(&mut self.undelivered);
        let moved = self.activate_best(&mut given, &mut events, verifier);
        match moved.and_then(|fault| self.flush_if_due().map(|()| fault)) {
            Ok(Some(rule)) if events.is_empty() => Err(rule.into()),
            Ok(_) => Ok(events),
            Err(error) => {
                self.undelivered = events;
                Err(error.into())
            }
        }
    }

    /// The rule that `given` breaks, if it is among the blocks that do.
    fn activate_best(
        &mut self,
        given: &mut Given<'_>,
        events: &mut Vec<ChainEvent>,
        verifier: &impl SignatureVerifier,
    ) -> Result<Option<Rule>, StoreError> {
        let mut fault = None;
        loop {
            let best = self.tree.best_candidate();
            let better = match (self.tree.entry(best), self.tree.entry(self.tree.tip())) {
                (Some(best), Some(tip)) => best.work > tip.work,
                _ => false,
            };
            if !better {
                break;
            }
            if let Err((slot, refusal)) = self.move_to((best, &mut *given), events, verifier) {
                let rule = match refusal {
                    Refusal::Rule(rule) => rule,
                    Refusal::Store(error) => return Err(error),
                };
                self.note_invalid(slot)?;
                if fault.is_none() && slot == given.slot {
                    fault = Some(rule);
                }
            }
        }
        Ok(fault)
    }

    fn move_to(
        &mut self,
        (target, given): (Slot, &mut Given<'_>),
        events: &mut Vec<ChainEvent>,
        verifier: &impl SignatureVerifier,
    ) -> Result<(), (Slot, Refusal)> {
        let way = self.way_to(target);
        let fork = way.last().and_then(|slot| self.tree.entry(*slot)?.parent).unwrap_or(target);
        while self.tree.tip() != fork {
            let tip = self.tree.tip();
            let block = self.disconnect_tip().map_err(|error| (tip, error.into()))?;
            push_event(events, ChainEvent::Disconnected(Box::new(block)));
        }
        for slot in way.into_iter().rev() {
            let block = self.connect_block(slot, given, verifier).map_err(|refusal| (slot, refusal))?;
            push_event(events, ChainEvent::Connected(Box::new(block)));
            self.flush_if_full().map_err(|error| (slot, error.into()))?;
        }
        Ok(())
    }

    /// The blocks from `target` down to the active chain, which is not part of them.
    fn way_to(&self, target: Slot) -> Vec<Slot> {
        let (mut way, mut at) = (Vec::new(), Some(target));
        while let Some(slot) = at.filter(|slot| !self.tree.is_active(*slot)) {
            way.push(slot);
            at = self.tree.entry(slot).and_then(|entry| entry.parent);
        }
        way
    }

    fn body(&self, slot: Slot) -> Result<Block, StoreError> {
        let hash = self.tree.entry(slot).map(|entry| entry.hash).unwrap_or_default();
        let block = self.block(&hash)?;
        block.ok_or_else(|| StoreError::corrupt(Table::Blocks, &hash.0))
    }

    fn connect_block(
        &mut self,
        slot: Slot,
        given: &mut Given<'_>,
        verifier: &impl SignatureVerifier,
    ) -> Result<Block, Refusal> {
        let context = self.context_after(self.tree.tip());
        let (block, checked) = match given.fresh.take_if(|_| given.slot == slot) {
            Some((block, checked)) => (block.clone(), checked),
            None => {
                let block = self.body(slot)?;
                let checked = check_block(&self.params, &block, context.height)?;
                (block, checked)
            }
        };
        let connected = {
            let coins = self.coins().read_ahead(&block)?;
            connect(context, &block, &checked, &coins, verifier)?
        };
        self.keep(Table::Undo, block.hash().0.to_vec(), encode_undo(&connected.spent));
        self.apply(&connected);
        self.tree.push_active(slot);
        Ok(block)
    }

    pub(super) fn apply(&mut self, connected: &Connected) {
        for (outpoint, coin) in &connected.spent {
            self.overlay.remove(*outpoint, *coin);
        }
        for (outpoint, coin) in &connected.created {
            self.overlay.add(*outpoint, *coin);
        }
    }

    fn disconnect_tip(&mut self) -> Result<Block, StoreError> {
        let (slot, height) = (self.tree.tip(), self.tree.tip_height());
        let block = self.body(slot)?;
        let Connected { spent, created, .. } = self.connected_before(&block, height)?;
        created.into_iter().for_each(|(outpoint, coin)| self.overlay.remove(outpoint, coin));
        spent.into_iter().for_each(|(outpoint, coin)| self.overlay.add(outpoint, coin));
        self.tree.pop_active();
        Ok(block)
    }

    /// What a block changed when it was connected.
    fn connected_before(&self, block: &Block, height: u32) -> Result<Connected, StoreError> {
        let hash = block.hash();
        let damaged = || StoreError::corrupt(Table::Undo, &hash.0);
        let undo = self.record(Table::Undo, &hash.0)?.ok_or_else(damaged)?;
        let spent = decode_undo(&undo).ok_or_else(damaged)?;
        // What was spent within the block never became an output of its own; all else that it made is unspent after it.
        let within: HashSet<OutPoint> = block.transactions.iter().flat_map(Transaction::spends).collect();
        let made = block.transactions.iter().flat_map(|transaction| outputs_of(transaction, height));
        let created = made.filter(|(outpoint, _)| !within.contains(outpoint)).collect();
        Ok(Connected { spent, created, fees: 0 })
    }

    /// Goes on from the block up to which the unspent outputs are written to the one up to which blocks are: they were
    /// judged before. Where one of them is damaged it ends: the rest is judged like blocks that were just taken.
    pub(super) fn roll_forward(&mut self, target: Slot) -> Result<(), StoreError> {
        let way = self.way_to(target);
        if way.last().and_then(|slot| self.tree.entry(*slot)?.parent) != Some(self.tree.tip()) {
            return Ok(());
        }
        for slot in way.into_iter().rev() {
            let height = self.tree.entry(slot).map_or(0, |entry| entry.height);
            let connected = match self.body(slot).and_then(|block| self.connected_before(&block, height)) {
                Ok(connected) => connected,
                Err(StoreError::Corrupt { .. }) => break,
                Err(error) => return Err(error),
            };
            self.apply(&connected);
            self.tree.push_active(slot);
        }
        Ok(())
    }
}

/// A block that was disconnected and connected again at once did not change.
fn push_event(events: &mut Vec<ChainEvent>, event: ChainEvent) {
    let undone = match (events.last(), &event) {
        (Some(ChainEvent::Connected(last)), ChainEvent::Disconnected(block))
        | (Some(ChainEvent::Disconnected(last)), ChainEvent::Connected(block)) => last.header == block.header,
        _ => false,
    };
    if undone {
        events.pop();
    } else {
        events.push(event);
    }
}

/// An undo record: the coins a block spent.
fn encode_undo(spent: &[(OutPoint, Coin)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(spent.len() * (OutPoint::SIZE + Coin::SIZE));
    for (outpoint, coin) in spent {
        outpoint.encode_to(&mut bytes);
        coin.encode_to(&mut bytes);
    }
    bytes
}

fn decode_undo(bytes: &[u8]) -> Option<Vec<(OutPoint, Coin)>> {
    let mut input = Decoder::new(bytes);
    let mut spent = Vec::new();
    while !input.rest().is_empty() {
        spent.push((OutPoint::decode_from(&mut input).ok()?, Coin::decode_from(&mut input).ok()?));
    }
    Some(spent)
}
