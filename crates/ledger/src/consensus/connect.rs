//! What a block does to the unspent outputs, and whether it may.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::consensus::block::{Block, Checked};
use crate::consensus::params::Params;
use crate::consensus::rule::Rule;
use crate::encode::{Decode, DecodeError, Decoder, Encode};
use crate::hash::{ChainId, Txid};
use crate::sighash::{SignatureCheck, SignatureVerifier, sighash_of};
use crate::store::StoreError;
use crate::transaction::{OutPoint, Transaction, TxIn, TxOut};

/// An unspent output and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coin {
    /// Amount and owner.
    pub output: TxOut,
    /// Height of the block that made it.
    pub height: u32,
    /// Whether its transaction is a coinbase.
    pub coinbase: bool,
}

impl Coin {
    /// Bytes of the canonical form.
    pub const SIZE: usize = TxOut::SIZE + 4;

    /// Whether a block at `height` may spend it.
    pub const fn is_mature(&self, height: u32, maturity: u32) -> bool {
        !self.coinbase || height.saturating_sub(self.height) >= maturity
    }
}

/// The height takes 31 bits, the lowest bit is the mark of a coinbase, as in Bitcoin Core's undo records.
impl Encode for Coin {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.output.encode_to(out);
        out.extend((self.height << 1 | u32::from(self.coinbase)).to_le_bytes());
    }

    fn size_hint(&self) -> usize {
        Self::SIZE
    }
}

impl Decode for Coin {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let output = TxOut::decode_from(input)?;
        let code = input.u32()?;
        Ok(Self { output, height: code >> 1, coinbase: code & 1 == 1 })
    }
}

/// Where unspent outputs are looked up.
pub trait CoinView {
    /// The output, if it exists and is unspent.
    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError>;
}

/// A broken rule, or a store that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A rule.
    #[error(transparent)]
    Rule(#[from] Rule),
    /// The store; nothing is said about what was judged.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where in the chain a transaction is judged.
#[derive(Debug, Clone, Copy)]
pub struct TxContext<'a> {
    /// The numbers of the rules.
    pub params: &'a Params,
    /// The id of the chain.
    pub chain: ChainId,
    /// Height of the block it is in, or would be in.
    pub height: u32,
    /// Median time of the eleven blocks before, in seconds since 1970.
    pub median_time: u32,
}

/// Where in the chain a block is judged.
pub type BlockContext<'a> = TxContext<'a>;

/// What a payment that may spend its inputs leaves to be judged and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// What went in and did not come out.
    pub fee: Amount,
    /// The coins it spends, in the order of its inputs.
    pub spent: Vec<Coin>,
    /// Its signatures, not judged yet.
    pub checks: Vec<SignatureCheck>,
}

/// Judges a payment against the outputs it spends: everything but its signatures.
pub fn check_inputs(
    context: TxContext<'_>,
    transaction: &Transaction,
    unsigned: &[u8],
    view: &impl CoinView,
) -> Result<Sums, Refusal> {
    if !transaction.is_final(context.height, context.median_time) {
        return Err(Rule::LockTime.into());
    }
    let mut spent = Vec::with_capacity(transaction.inputs.len());
    for input in &transaction.inputs {
        let TxIn::Spend { outpoint, key, .. } = input else { return Err(Rule::CoinbaseOnly.into()) };
        let coin = view.coin(outpoint)?.ok_or(Rule::MissingInput)?;
        if !coin.is_mature(context.height, context.params.maturity) {
            return Err(Rule::Immature.into());
        }
        if !coin.output.lock.is_opened_by(key) {
            return Err(Rule::WrongKey.into());
        }
        spent.push(coin);
    }
    let paid_in = Amount::checked_sum(spent.iter().map(|coin| coin.output.amount)).ok_or(Rule::InputSum)?;
    let paid_out =
        Amount::checked_sum(transaction.outputs.iter().map(|output| output.amount)).ok_or(Rule::OutputSum)?;
    let fee = paid_in.checked_sub(paid_out).ok_or(Rule::Overspent)?;
    let checks = signature_checks(context.chain, transaction, unsigned, &spent);
    Ok(Sums { fee, spent, checks })
}

fn signature_checks(chain: ChainId, transaction: &Transaction, unsigned: &[u8], spent: &[Coin]) -> Vec<SignatureCheck> {
    let outputs: Vec<TxOut> = spent.iter().map(|coin| coin.output).collect();
    let sighash = sighash_of(chain, unsigned, &outputs);
    let signed = transaction.inputs.iter().filter_map(|input| match input {
        TxIn::Spend { key, signature, .. } => Some(SignatureCheck { key: *key, signature: *signature, sighash }),
        TxIn::Coinbase { .. } => None,
    });
    signed.collect()
}

/// What a valid block changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connected {
    /// Outputs that existed before it and are spent now, in order of spending: what its undo record holds.
    pub spent: Vec<(OutPoint, Coin)>,
    /// Outputs that it made and that are unspent after it, by outpoint.
    pub created: Vec<(OutPoint, Coin)>,
    /// All fees in it, in base units.
    pub fees: u64,
}

/// Judges a block that [`crate::consensus::check_block`] found well formed against the outputs there are, and tells
/// what it changes.
pub fn connect(
    context: BlockContext<'_>,
    block: &Block,
    checked: &Checked,
    view: &impl CoinView,
    verifier: &impl SignatureVerifier,
) -> Result<Connected, Refusal> {
    let mut connecting = Connecting { context, view, made: BTreeMap::new(), spent: Vec::new(), fees: 0 };
    let mut checks = Vec::new();
    for ((transaction, txid), unsigned) in block.transactions.iter().zip(&checked.txids).zip(checked.unsigned.iter()) {
        if transaction.is_coinbase() {
            connecting.check_coinbase(transaction, *txid)?;
        } else {
            let sums = check_inputs(context, transaction, unsigned, &connecting)?;
            connecting.spend(transaction, &sums);
            checks.extend(sums.checks);
        }
        connecting.make(transaction, *txid);
    }
    connecting.check_coinbase_value(block)?;
    if !verifier.all_valid(&checks) {
        return Err(Rule::Signature.into());
    }
    let created = connecting.made.into_iter().filter_map(|(outpoint, coin)| Some((outpoint, coin?))).collect();
    Ok(Connected { spent: connecting.spent, created, fees: connecting.fees })
}

/// A block half way through.
struct Connecting<'a, V> {
    context: BlockContext<'a>,
    view: &'a V,
    /// Outputs of this block; `None` once they are spent in it.
    made: BTreeMap<OutPoint, Option<Coin>>,
    spent: Vec<(OutPoint, Coin)>,
    fees: u64,
}

impl<V: CoinView> CoinView for Connecting<'_, V> {
    fn coin(&self, outpoint: &OutPoint) -> Result<Option<Coin>, StoreError> {
        if let Some(coin) = self.made.get(outpoint) {
            return Ok(*coin);
        }
        self.view.coin(outpoint)
    }
}

impl<V: CoinView> Connecting<'_, V> {
    /// Every height is in one coinbase only, and other names follow from what is spent: only coinbases could collide.
    fn check_coinbase(&self, coinbase: &Transaction, txid: Txid) -> Result<(), Refusal> {
        if !coinbase.is_final(self.context.height, self.context.median_time) {
            return Err(Rule::LockTime.into());
        }
        for (index, _) in (0..).zip(&coinbase.outputs) {
            if self.view.coin(&OutPoint { txid, index })?.is_some() {
                return Err(Rule::TxidCollision.into());
            }
        }
        Ok(())
    }

    fn spend(&mut self, transaction: &Transaction, sums: &Sums) {
        for (outpoint, coin) in transaction.spends().zip(&sums.spent) {
            match self.made.get_mut(&outpoint) {
                Some(made) => *made = None,
                None => {
                    // Twice in a block is missing the second time.
                    self.made.insert(outpoint, None);
                    self.spent.push((outpoint, *coin));
                }
            }
        }
        self.fees = self.fees.saturating_add(sums.fee.units());
    }

    fn make(&mut self, transaction: &Transaction, txid: Txid) {
        let (height, coinbase) = (self.context.height, transaction.is_coinbase());
        for (index, output) in (0..).zip(&transaction.outputs) {
            self.made.insert(OutPoint { txid, index }, Some(Coin { output: *output, height, coinbase }));
        }
    }

    fn check_coinbase_value(&self, block: &Block) -> Result<(), Rule> {
        let outputs = block.transactions.first().map(|coinbase| coinbase.outputs.as_slice()).unwrap_or_default();
        let taken: u64 = outputs.iter().map(|output| output.amount.units()).sum();
        let due = self.context.params.subsidy_at(self.context.height).units().saturating_add(self.fees);
        if taken > due { Err(Rule::CoinbaseValue) } else { Ok(()) }
    }
}
