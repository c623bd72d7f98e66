//! Blocks, and what can be judged of them without knowing what was before.

use std::collections::BTreeSet;

use crate::amount::Amount;
use crate::consensus::header::{Header, merkle_root};
use crate::consensus::params::Params;
use crate::consensus::rule::Rule;
use crate::encode::{Decode, DecodeError, Decoder, Encode, put_list};
use crate::hash::{BlockHash, Txid, sha256d};
use crate::transaction::{MAX_TRANSACTION_SIZE, OutPoint, TRANSACTION_VERSION, Transaction, TxIn};

/// Room for what a store puts behind a block.
const RECORD_EXTRA: usize = 4;

/// Most transactions a decoder takes: what fits into the largest block (4 MiB) at 171 bytes each.
pub const MAX_BLOCK_TRANSACTIONS: u64 = 24_529;

/// A header and its transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions; the first is the coinbase.
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// The name of the block: its header's hash.
    pub fn hash(&self) -> BlockHash {
        self.header.hash()
    }

    /// The merkle root its header should have.
    pub fn merkle_root(&self) -> [u8; 32] {
        merkle_root(self.transactions.iter().map(|transaction| transaction.wtxid().0)).root
    }
}

impl Encode for Block {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.header.encode_to(out);
        put_list(out, &self.transactions);
    }

    fn size_hint(&self) -> usize {
        let transactions: usize = self.transactions.iter().map(Transaction::size).sum();
        Header::SIZE + count_size(self.transactions.len()) + transactions + RECORD_EXTRA
    }
}

impl Decode for Block {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { header: Header::decode_from(input)?, transactions: input.list(MAX_BLOCK_TRANSACTIONS)? })
    }
}

/// What was found out about a block whose transactions are well formed; nothing of it is computed twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Names of its transactions, in their order.
    pub txids: Vec<Txid>,
    /// Their forms without signatures.
    pub(crate) unsigned: Forms,
}

/// Bytes of many transactions, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Forms {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Forms {
    fn unsigned(transactions: &[Transaction]) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(transactions.len()));
        bytes.reserve_exact(transactions.iter().map(Transaction::size).sum());
        for transaction in transactions {
            transaction.encode_unsigned_to(&mut bytes);
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| self.bytes.get(begin..*end).unwrap_or_default())
    }
}

/// Judges what a block says by itself, in the order of `docs/LEDGER.md`. `height` is that of its header.
pub fn check_block(params: &Params, block: &Block, height: u32) -> Result<Checked, Rule> {
    let mut size = Header::SIZE + count_size(block.transactions.len());
    let (mut leaves, mut whole) = (Vec::with_capacity(block.transactions.len()), Vec::new());
    for transaction in &block.transactions {
        whole.clear();
        transaction.encode_to(&mut whole);
        size += whole.len();
        leaves.push(sha256d(&whole));
    }
    // Before all else: what follows is only said of the block if the header covers these transactions.
    let merkle = merkle_root(leaves);
    if merkle.root != block.header.merkle_root {
        return Err(Rule::MerkleRoot);
    }
    if merkle.mutated {
        return Err(Rule::MerkleMutated);
    }
    if size > params.max_block_size as usize {
        return Err(Rule::BlockSize);
    }
    check_transactions(params, block, height)?;
    let unsigned = Forms::unsigned(&block.transactions);
    Ok(Checked { txids: unsigned.iter().map(|bytes| Txid(sha256d(bytes))).collect(), unsigned })
}

fn check_transactions(params: &Params, block: &Block, height: u32) -> Result<(), Rule> {
    let (coinbase, payments) = block.transactions.split_first().ok_or(Rule::NoTransactions)?;
    let Some(TxIn::Coinbase { height: named, .. }) = coinbase.inputs.first() else { return Err(Rule::CoinbaseFirst) };
    if coinbase.inputs.len() != 1 {
        return Err(Rule::CoinbaseOnly);
    }
    if *named != height {
        return Err(Rule::CoinbaseHeight);
    }
    check_form(coinbase)?;
    payments.iter().try_for_each(check_transaction)?;
    let signatures: usize = payments.iter().map(|payment| payment.inputs.len()).sum();
    if signatures > params.max_signatures as usize { Err(Rule::SignatureCount) } else { Ok(()) }
}

/// Judges what a payment (any transaction but a coinbase) says by itself.
pub fn check_transaction(transaction: &Transaction) -> Result<(), Rule> {
    if transaction.inputs.iter().any(|input| matches!(input, TxIn::Coinbase { .. })) {
        return Err(Rule::CoinbaseOnly);
    }
    check_form(transaction)
}

fn check_form(transaction: &Transaction) -> Result<(), Rule> {
    if transaction.version != TRANSACTION_VERSION {
        return Err(Rule::TransactionVersion);
    }
    if transaction.size() > MAX_TRANSACTION_SIZE {
        return Err(Rule::TransactionSize);
    }
    if transaction.inputs.is_empty() {
        return Err(Rule::NoInputs);
    }
    if transaction.outputs.is_empty() {
        return Err(Rule::NoOutputs);
    }
    Amount::checked_sum(transaction.outputs.iter().map(|output| output.amount)).ok_or(Rule::OutputSum)?;
    if has_duplicate_input(transaction) { Err(Rule::DuplicateInput) } else { Ok(()) }
}

fn has_duplicate_input(transaction: &Transaction) -> bool {
    match transaction.inputs.as_slice() {
        [_] => false,
        _ => {
            let mut seen = BTreeSet::<OutPoint>::new();
            !transaction.spends().all(|outpoint| seen.insert(outpoint))
        }
    }
}

/// Bytes of a CompactSize.
const fn count_size(count: usize) -> usize {
    match count {
        0..=0xfc => 1,
        0xfd..=0xffff => 3,
        _ => 5,
    }
}
