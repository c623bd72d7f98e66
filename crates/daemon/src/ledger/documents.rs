//! What the commands and the API of the ledger answer: documents, and the words people read instead.

use std::borrow::Cow;
use std::collections::BTreeMap;

use meshline_ledger::sync::{PeerReport, Report};
use meshline_protocol::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) type Schema = Cow<'static, str>;

/// A document that has words too.
pub trait Words {
    /// For a person.
    fn words(&self) -> String;
}

/// `ledger status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusDocument {
    /// `meshline/ledger-status/1`.
    pub schema: Schema,
    /// Id of the chain: the hash of its genesis block.
    pub chain: String,
    /// What people call it.
    pub name: String,
    /// What its addresses begin with.
    pub prefix: String,
    /// Height of the last block.
    pub height: u32,
    /// Hash of the last block.
    pub tip: String,
    /// What its header says, in seconds since 1970.
    pub tip_time: u32,
    /// Work of the chain, in hexadecimal.
    pub work: String,
    /// Height of the best header known: above `height` while blocks are still to come.
    pub headers: u32,
    /// Bits due in the next block, in hexadecimal.
    pub bits: String,
    /// What waits for a block.
    pub mempool: MempoolSummary,
    /// Whether a wallet lies beside it.
    #[serde(default)]
    pub wallet: bool,
    /// Whether a node runs with it.
    pub running: bool,
    /// The search for blocks, on a running node.
    pub mining: Option<MiningStatus>,
    /// Long work under way.
    pub task: Option<TaskStatus>,
    /// What is shared with other members, on a running node.
    #[serde(default)]
    pub sync: Option<SyncStatus>,
}

/// How far the ledger is against those of linked members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SyncStatus {
    /// `alone`: no linked member has the same chain; `headers`: the chain with the most work is looked for; `blocks`: its
    /// blocks are fetched; `synced`: all is here.
    pub state: Schema,
    /// Height to come to: that of the best header, or what the best peer claims.
    pub target: u32,
    /// Blocks a second, lately.
    pub blocks_per_s: f64,
    /// Seconds until all is here at that rate; null where it is not known.
    pub remaining_s: Option<u64>,
    /// Linked members with the same chain.
    pub peers: Vec<SyncPeerRow>,
    /// What peers did wrong, by name.
    pub offences: BTreeMap<String, u64>,
    /// Answers that came too late.
    pub late: u64,
    /// Frames that found no room, by name.
    pub dropped: BTreeMap<String, u64>,
}

/// A linked member with the same chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncPeerRow {
    /// Who.
    pub peer: NodeId,
    /// Height of its last block, as it says.
    pub height: u32,
    /// Blocks that came from it.
    pub blocks: u64,
    /// Blocks it was asked for and has not brought.
    pub in_flight: usize,
    /// How much it did wrong, of 100.
    pub score: u32,
}

impl SyncStatus {
    pub(super) fn of(report: &Report, dropped: &BTreeMap<&'static str, u64>) -> Self {
        let owned = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let row = |peer: &PeerReport| SyncPeerRow {
            peer: peer.peer,
            height: peer.height,
            blocks: peer.blocks,
            in_flight: peer.in_flight,
            score: peer.score,
        };
        Self {
            state: report.phase.name().into(),
            target: report.target,
            blocks_per_s: report.blocks_per_s,
            remaining_s: report.remaining_s,
            peers: report.peers.iter().map(row).collect(),
            offences: owned(&report.offences),
            late: report.late,
            dropped: owned(dropped),
        }
    }
}

/// How much waits for a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MempoolSummary {
    /// Payments.
    pub transactions: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// The search for blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MiningStatus {
    /// Whether it is switched on.
    pub on: bool,
    /// Whether it searches at the moment; by the chain's policy it may wait for payments.
    pub searching: bool,
    /// Who gets the rewards.
    pub to: Option<String>,
    /// Threads it uses.
    pub threads: usize,
    /// Hashes a second, lately.
    pub hash_rate: f64,
    /// Seconds until a block is found, as expected from that.
    pub expected_s: Option<f64>,
    /// Blocks found in this run.
    pub blocks: u64,
}

/// Long work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStatus {
    /// `verify` or `reindex`.
    pub name: Schema,
    /// Blocks that are behind it.
    pub done: u32,
    /// Blocks in all.
    pub of: u32,
}

/// How far the search is that somebody waits for: for a chain's first block, or for one with a payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchDocument {
    /// `meshline/ledger-search/1`.
    pub schema: Schema,
    /// None unless somebody waits.
    pub search: Option<SearchStatus>,
}

/// A search for a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchStatus {
    /// Hashes tried so far.
    pub hashes: f64,
    /// Hashes that it takes on average.
    pub expected: f64,
}

/// `ledger create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreateDocument {
    /// `meshline/ledger-create/1`.
    pub schema: Schema,
    /// Id of the chain: the hash of its genesis block.
    pub chain: String,
    /// The genesis file, which other nodes need too.
    pub genesis: String,
    /// What people call the chain.
    pub name: String,
    /// Who owns the first money.
    pub address: String,
    /// The phrase of the wallet, if it was made for this; shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phrase: Option<String>,
}

/// `ledger blocks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlocksDocument {
    /// `meshline/ledger-blocks/1`.
    pub schema: Schema,
    /// Newest first.
    pub blocks: Vec<BlockRow>,
    /// Height of the last block of the chain.
    pub height: u32,
}

/// `block/{id}` of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockDocument {
    /// `meshline/ledger-block/1`.
    pub schema: Schema,
    /// The block.
    #[serde(flatten)]
    pub block: BlockRow,
    /// Blocks that stand on it, its own included; 0 if it is not part of the chain.
    pub confirmations: u32,
}

/// What a text is the name of: `find/{id}` of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindDocument {
    /// `meshline/ledger-find/1`.
    pub schema: Schema,
    /// `block`, `transaction` or `address`.
    pub kind: Schema,
    /// What it is asked for by: a hash, a name or an address.
    pub id: String,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockRow {
    /// Its height.
    pub height: u32,
    /// Its hash.
    pub hash: String,
    /// The hash of the block before.
    pub previous: String,
    /// Seconds since 1970.
    pub time: u32,
    /// Bits in hexadecimal.
    pub bits: String,
    /// The nonce that was found.
    pub nonce: u32,
    /// Whether its hash meets its target.
    pub pow: bool,
    /// Bytes.
    pub size: usize,
    /// Transactions in it.
    #[serde(default)]
    pub count: usize,
    /// The coinbase first; left out of a brief answer.
    pub transactions: Vec<TransactionRow>,
}

/// A transaction; amounts are decimal strings, in coins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransactionRow {
    /// Its name.
    pub txid: String,
    /// Whether it makes the reward of a block.
    pub coinbase: bool,
    /// Bytes.
    pub size: usize,
    /// What it spends.
    pub inputs: Vec<InputRow>,
    /// What comes out.
    pub outputs: Vec<OutputRow>,
}

/// An output that is spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputRow {
    /// Of which transaction.
    pub txid: String,
    /// Which of its outputs.
    pub index: u32,
    /// Whose it was.
    pub address: String,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputRow {
    /// Whose.
    pub address: String,
    /// How much.
    pub amount: String,
}

/// `tx/{id}` of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransactionDocument {
    /// `meshline/ledger-transaction/1`.
    pub schema: Schema,
    /// The transaction.
    #[serde(flatten)]
    pub transaction: TransactionRow,
    /// What the miner gets; null for a coinbase.
    pub fee: Option<String>,
    /// Height of the block that holds it; null while it waits.
    pub height: Option<u32>,
    /// Hash of that block.
    pub block: Option<String>,
    /// Seconds since 1970, as that block says.
    pub time: Option<u32>,
    /// Blocks that stand on it, its own included.
    pub confirmations: u32,
}

/// `address/{address}` of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressDocument {
    /// `meshline/ledger-address/1`.
    pub schema: Schema,
    /// The address.
    pub address: String,
    /// What can be spent now.
    pub balance: String,
    /// What others have sent and no block holds yet.
    pub pending: String,
    /// Rewards that have to rest.
    pub immature: String,
    /// Its last transactions that a block holds, newest first.
    pub transactions: Vec<PlacedRow>,
    /// Height of the tip this is true of.
    pub height: u32,
}

/// A transaction and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlacedRow {
    /// Height of the block that holds it.
    pub height: u32,
    /// The transaction.
    #[serde(flatten)]
    pub transaction: TransactionRow,
}

/// `mempool` of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MempoolDocument {
    /// `meshline/ledger-mempool/1`.
    pub schema: Schema,
    /// Those that pay most for each byte, best first.
    pub transactions: Vec<WaitingRow>,
    /// How many wait in all.
    pub count: usize,
    /// Bytes of all.
    pub bytes: usize,
}

/// A payment that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingRow {
    /// Its name.
    pub txid: String,
    /// What it pays, in coins.
    pub fee: String,
    /// Bytes.
    pub size: usize,
    /// When it came, in seconds since 1970.
    pub since: u64,
    /// Whether this node's wallet sent it.
    pub own: bool,
}

/// `ledger verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyDocument {
    /// `meshline/ledger-verify/1`.
    pub schema: Schema,
    /// Whether all blocks keep all rules, and what is kept of them is what they lead to.
    pub valid: bool,
    /// Height of the last block.
    pub height: u32,
    /// Unspent outputs, and the transactions they are of.
    pub outputs: Option<u64>,
    /// Hash of the set of unspent outputs.
    pub set_hash: Option<String>,
    /// What is wrong.
    pub fault: Option<VerifyFault>,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyFault {
    /// Height of the first block that breaks a rule.
    pub height: Option<u32>,
    /// The rule, `coins` if only what is kept of them is wrong, or `store`.
    pub rule: String,
    /// In words.
    pub detail: String,
}

/// `ledger verify-headers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadersDocument {
    /// `meshline/ledger-verify-headers/1`.
    pub schema: Schema,
    /// Good headers, the first included.
    pub count: u64,
    /// Their work, in hexadecimal.
    pub work: String,
    /// The first one that is not good.
    pub fault: Option<HeaderFault>,
}

/// A header that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeaderFault {
    /// Its height.
    pub height: u64,
    /// What it breaks: `link`, `retarget`, `work` or `encoding`.
    pub rule: String,
}

/// `ledger reindex`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReindexDocument {
    /// `meshline/ledger-reindex/1`.
    pub schema: Schema,
    /// Transactions with unspent outputs.
    pub transactions: u64,
    /// Unspent outputs.
    pub outputs: u64,
    /// Hash of the set of them.
    pub set_hash: String,
}

/// `ledger mine`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MineDocument {
    /// `meshline/ledger-mine/1`.
    pub schema: Schema,
    /// The search from now on.
    #[serde(flatten)]
    pub mining: MiningStatus,
}
