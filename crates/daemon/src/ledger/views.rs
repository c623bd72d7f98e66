//! What the ledger holds, as documents.

use meshline_ledger::amount::Total;
use meshline_ledger::chain::{SetHash, VerifyError};
use meshline_ledger::consensus::meets;
use meshline_ledger::mempool::Origin;
use meshline_ledger::{Amount, Block, BlockHash, Lock, Transaction, TxIn, Txid};
use meshline_wallet::coin::Balance;
use meshline_wallet::{Address, Prefix};

use super::documents::{
    AddressDocument, BlockDocument, BlockRow, BlocksDocument, FindDocument, InputRow, MempoolDocument, MempoolSummary,
    MiningStatus, OutputRow, PlacedRow, ReindexDocument, StatusDocument, TaskStatus, TransactionDocument,
    TransactionRow, VerifyDocument, VerifyFault, WaitingRow,
};
use super::{Book, LedgerError};

/// Blocks in one answer: a page of them.
pub const MAX_BLOCKS: usize = 100;

/// Transactions in one answer of blocks; the block that goes beyond is still whole, so there is always one.
const MAX_BLOCK_ROWS: usize = 5_000;

/// Waiting payments, or transactions of an address, in one answer.
pub const MAX_ROWS: usize = 1_000;

/// How the ledger stands; `mining` and `task` are the engine's to say.
#[must_use]
pub fn status(book: &Book, mining: Option<MiningStatus>, task: Option<TaskStatus>) -> StatusDocument {
    let (chain, tip) = (&book.chain, book.chain.tip());
    StatusDocument {
        schema: "meshline/ledger-status/1".into(),
        chain: chain.id().to_string(),
        name: book.genesis.name.clone(),
        prefix: book.prefix.to_string(),
        height: chain.height(),
        tip: tip.to_string(),
        tip_time: chain.header(&tip).map_or(0, |(header, _)| header.time),
        work: format!("{:x}", chain.work()),
        headers: chain.best_header().1,
        bits: format!("{:08x}", chain.next_bits().0),
        mempool: MempoolSummary { transactions: book.pool.len(), bytes: book.pool.bytes() },
        wallet: book.place.wallet.is_file(),
        running: mining.is_some(),
        mining,
        task,
        sync: None,
    }
}

/// Blocks from the height `from` down, or from the last one.
///
/// # Errors
/// If the store fails.
pub fn blocks(book: &Book, from: Option<u32>, limit: usize) -> Result<BlocksDocument, LedgerError> {
    let height = book.chain.height();
    let (mut rows, mut transactions) = (Vec::new(), 0);
    let mut next = Some(from.unwrap_or(height).min(height));
    while let Some(at) = next.filter(|_| rows.len() < limit.clamp(1, MAX_BLOCKS) && transactions < MAX_BLOCK_ROWS) {
        let Some(block) = book.block_at(at)? else { break };
        transactions += block.transactions.len();
        rows.push(block_row(&block, at, book.prefix));
        next = at.checked_sub(1);
    }
    Ok(BlocksDocument { schema: "meshline/ledger-blocks/1".into(), blocks: rows, height })
}

/// The same without their transactions, so that a page of them is small whatever they hold.
///
/// # Errors
/// If the store fails.
pub fn blocks_in_brief(book: &Book, from: Option<u32>, limit: usize) -> Result<BlocksDocument, LedgerError> {
    let height = book.chain.height();
    let first = from.unwrap_or(height).min(height);
    let mut rows = Vec::new();
    for at in (0..=first).rev().take(limit.clamp(1, MAX_BLOCKS)) {
        let Some(block) = book.block_at(at)? else { break };
        rows.push(brief_row(&block, at));
    }
    Ok(BlocksDocument { schema: "meshline/ledger-blocks/1".into(), blocks: rows, height })
}

/// What a text is the name of; `None` if it could be one of a block or a transaction and none is known.
///
/// # Errors
/// If the store fails, or the text is no name.
pub fn find(book: &mut Book, text: &str) -> Result<Option<FindDocument>, LedgerError> {
    let found = |kind: &'static str, id: String| FindDocument {
        schema: "meshline/ledger-find/1".into(),
        kind: kind.into(),
        id,
    };
    if let (Ok(hash), Ok(txid)) = (text.parse::<BlockHash>(), text.parse::<Txid>()) {
        if book.chain.block(&hash)?.is_some() {
            return Ok(Some(found("block", hash.to_string())));
        }
        return Ok(book.transaction(&txid)?.map(|_| found("transaction", txid.to_string())));
    }
    // After the names: one of zeros and few other digits would be a height too.
    if let Ok(height) = text.parse::<u32>() {
        return Ok(book.chain.hash_at(height).map(|hash| found("block", hash.to_string())));
    }
    Ok(Some(found("address", Address::parse(text, book.prefix)?.to_string())))
}

/// A block by its height or hash; `None` if none is known.
///
/// # Errors
/// If the store fails, or the text is neither.
pub fn block(book: &Book, id: &str) -> Result<Option<BlockDocument>, LedgerError> {
    // After the hashes: one of zeros and few other digits would be a height too.
    let hash = match (id.parse::<BlockHash>(), id.parse::<u32>()) {
        (Ok(hash), _) => Some(hash),
        (Err(_), Ok(height)) => book.chain.hash_at(height),
        (Err(_), Err(_)) => return Err(wrong("a block is named by its height or its hash")),
    };
    let Some((hash, block)) = hash.map(|hash| Ok::<_, LedgerError>((hash, book.chain.block(&hash)?))).transpose()?
    else {
        return Ok(None);
    };
    let (Some(block), Some((_, height))) = (block, book.chain.header(&hash)) else { return Ok(None) };
    let active = book.chain.is_active(&hash);
    let confirmations = if active { book.chain.height().saturating_sub(height).saturating_add(1) } else { 0 };
    let block = block_row(&block, height, book.prefix);
    Ok(Some(BlockDocument { schema: "meshline/ledger-block/1".into(), block, confirmations }))
}

fn wrong(text: &str) -> LedgerError {
    LedgerError::Wrong(text.to_owned())
}

fn block_row(block: &Block, height: u32, prefix: Prefix) -> BlockRow {
    let transactions = block.transactions.iter().map(|transaction| transaction_row(transaction, prefix)).collect();
    BlockRow { transactions, ..brief_row(block, height) }
}

fn brief_row(block: &Block, height: u32) -> BlockRow {
    let (header, hash) = (&block.header, block.hash());
    BlockRow {
        height,
        hash: hash.to_string(),
        previous: header.previous.to_string(),
        time: header.time,
        bits: format!("{:08x}", header.bits.0),
        nonce: header.nonce,
        pow: header.bits.target().is_ok_and(|target| meets(&hash, target)),
        size: meshline_ledger::encode::Encode::encode(block).len(),
        count: block.transactions.len(),
        transactions: Vec::new(),
    }
}

fn transaction_row(transaction: &Transaction, prefix: Prefix) -> TransactionRow {
    let address = |lock: Lock| Address { prefix, lock }.to_string();
    let input = |input: &TxIn| match input {
        TxIn::Spend { outpoint, key, .. } => Some(InputRow {
            txid: outpoint.txid.to_string(),
            index: outpoint.index,
            address: address(Lock::to_key(key)),
        }),
        TxIn::Coinbase { .. } => None,
    };
    let outputs = transaction.outputs.iter();
    TransactionRow {
        txid: transaction.txid().to_string(),
        coinbase: transaction.is_coinbase(),
        size: transaction.size(),
        inputs: transaction.inputs.iter().filter_map(input).collect(),
        outputs: outputs
            .map(|output| OutputRow { address: address(output.lock), amount: output.amount.to_string() })
            .collect(),
    }
}

/// A transaction by its name; `None` if none is known.
///
/// # Errors
/// If the store fails, or the text is no name.
pub fn transaction(book: &mut Book, id: &str) -> Result<Option<TransactionDocument>, LedgerError> {
    let txid: Txid = id.parse().map_err(|_| wrong("a transaction is named by 64 hexadecimal digits"))?;
    let Some((transaction, spot)) = book.transaction(&txid)? else { return Ok(None) };
    let hash = spot.and_then(|spot| book.chain.hash_at(spot.height));
    let fee = if transaction.is_coinbase() { None } else { fee(book, &transaction)? };
    Ok(Some(TransactionDocument {
        schema: "meshline/ledger-transaction/1".into(),
        transaction: transaction_row(&transaction, book.prefix),
        fee,
        height: spot.map(|spot| spot.height),
        block: hash.map(|hash| hash.to_string()),
        time: hash.and_then(|hash| book.chain.header(&hash)).map(|(header, _)| header.time),
        confirmations: spot.map_or(0, |spot| book.chain.height().saturating_sub(spot.height).saturating_add(1)),
    }))
}

fn fee(book: &mut Book, transaction: &Transaction) -> Result<Option<String>, LedgerError> {
    let spent = book.spent(transaction)?;
    let sum = |amounts: &mut dyn Iterator<Item = Amount>| amounts.sum::<Total>().0;
    let inputs = sum(&mut spent.iter().map(|output| output.amount));
    let outputs = sum(&mut transaction.outputs.iter().map(|output| output.amount));
    Ok(inputs.checked_sub(outputs).map(|fee| Total(fee).to_string()))
}

/// What an address holds and its last transactions.
///
/// # Errors
/// If the store fails, or it is no address of this chain.
pub fn address(book: &mut Book, text: &str, limit: usize) -> Result<AddressDocument, LedgerError> {
    let address = Address::parse(text, book.prefix)?;
    let coins = super::teller::coins(book, &[address.lock])?;
    let balance = Balance::of(&coins, |lock| *lock == address.lock);
    let mut transactions = Vec::new();
    for spot in book.spots(&address.lock, limit.min(MAX_ROWS))? {
        let found = book.block_at(spot.height)?;
        let found = found.and_then(|block| block.transactions.into_iter().nth(spot.place as usize));
        transactions.extend(
            found.map(|found| PlacedRow { height: spot.height, transaction: transaction_row(&found, book.prefix) }),
        );
    }
    Ok(AddressDocument {
        schema: "meshline/ledger-address/1".into(),
        address: address.to_string(),
        balance: balance.spendable.to_string(),
        pending: balance.pending.to_string(),
        immature: balance.immature.to_string(),
        transactions,
        height: book.chain.height(),
    })
}

/// What waits for a block, best payers first.
#[must_use]
pub fn mempool(book: &Book, limit: usize) -> MempoolDocument {
    let mut waiting: Vec<_> = book.pool.iter().collect();
    waiting.sort_by_key(|(txid, waiting)| (std::cmp::Reverse(waiting.rate()), **txid));
    let row = |(txid, waiting): (&Txid, &meshline_ledger::mempool::Waiting)| WaitingRow {
        txid: txid.to_string(),
        fee: waiting.fee.to_string(),
        size: waiting.size,
        since: waiting.since_s,
        own: waiting.origin == Origin::Local,
    };
    MempoolDocument {
        schema: "meshline/ledger-mempool/1".into(),
        transactions: waiting.into_iter().take(limit.min(MAX_ROWS)).map(row).collect(),
        count: book.pool.len(),
        bytes: book.pool.bytes(),
    }
}

/// What came of judging the chain again.
#[must_use]
pub fn verified(height: u32, verdict: &Result<SetHash, VerifyError>) -> VerifyDocument {
    let fault = verdict.as_ref().err().map(|error| VerifyFault {
        height: match error {
            VerifyError::Rule { height, .. } => Some(*height),
            VerifyError::Coins | VerifyError::Store(_) => None,
        },
        rule: match error {
            VerifyError::Rule { rule, .. } => rule.name(),
            VerifyError::Coins => "coins",
            VerifyError::Store(_) => "store",
        }
        .to_owned(),
        detail: error.to_string(),
    });
    let kept = verdict.as_ref().ok();
    VerifyDocument {
        schema: "meshline/ledger-verify/1".into(),
        valid: kept.is_some(),
        height,
        outputs: kept.map(|kept| kept.outputs),
        set_hash: kept.map(|kept| data_encoding::HEXLOWER.encode(&kept.hash)),
        fault,
    }
}

/// What came of building the unspent outputs anew.
#[must_use]
pub fn reindexed(kept: &SetHash) -> ReindexDocument {
    ReindexDocument {
        schema: "meshline/ledger-reindex/1".into(),
        transactions: kept.transactions,
        outputs: kept.outputs,
        set_hash: data_encoding::HEXLOWER.encode(&kept.hash),
    }
}
