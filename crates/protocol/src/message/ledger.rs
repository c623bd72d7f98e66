//! The ledger: who has which chain, and how blocks and transactions get from one to the other.
//!
//! Everything of the chain itself travels as its canonical bytes in raw bodies; what is larger than one body goes in
//! numbered parts. Whoever asks gives its question a number, and every answer bears it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_LEDGER_IDS, MAX_LEDGER_INDEXES, MAX_LEDGER_PARTS, MAX_LOCATOR_HASHES};
use crate::text::ValueError;
use crate::{Bounded, LedgerHash};

/// The chain of a link. Messages other than `version` are sent only to a peer whose `version` named the same chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ledger {
    /// Which chain the sender has, how far, and what it serves: when a link comes up.
    Version(Box<LedgerVersion>),
    /// Asks for headers. Answered by `headers`.
    Getheaders(LedgerLocate),
    /// Headers that follow each other, 80 bytes each. Has a body.
    Headers(LedgerHeaders),
    /// Asks for the names of blocks. Answered by `inv`.
    Getblocks(LedgerLocate),
    /// Names of blocks or transactions that the sender has.
    Inv(LedgerInv),
    /// Asks for blocks or transactions. Each is answered by `block`, `cmpctblock` or `tx`, or named in `notfound`.
    Getdata(LedgerWant),
    /// A part of a block. Has a body.
    Block(LedgerPart),
    /// A part of transactions, one behind the other. Has a body.
    Tx(LedgerPart),
    /// What was asked for and is not here.
    Notfound(LedgerNotFound),
    /// Transactions that pay less need not be announced to the sender.
    Feefilter(LedgerFee),
    /// Whether new blocks are to be sent at once as `cmpctblock`, without being announced.
    Sendcmpct(LedgerCompact),
    /// A part of a block in short: its header, and short names of transactions that the receiver probably has. Has a body.
    Cmpctblock(LedgerPart),
    /// Asks for transactions of a block by their place in it. Answered by `blocktxn` or `notfound`.
    Getblocktxn(LedgerIndexes),
    /// A part of the transactions that were asked for. Has a body.
    Blocktxn(LedgerPart),
    /// Asks for the filters of blocks. Answered by `cfilter` or `notfound`.
    Getcfilters(LedgerSpan),
    /// A part of filters, one behind the other. Has a body.
    Cfilter(LedgerPart),
    /// Asks for the hashes of filters. Answered by `cfheaders` or `notfound`.
    Getcfheaders(LedgerSpan),
    /// A part of the hashes of filters, 32 bytes each. Has a body.
    Cfheaders(LedgerPart),
    /// Asks for the proof that a transaction is in a block. Answered by `proof` or `notfound`.
    Getproof(LedgerProve),
    /// A part of a proof. Has a body.
    Proof(LedgerPart),
}

impl Ledger {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Version(_) => "ledger.version",
            Self::Getheaders(_) => "ledger.getheaders",
            Self::Headers(_) => "ledger.headers",
            Self::Getblocks(_) => "ledger.getblocks",
            Self::Inv(_) => "ledger.inv",
            Self::Getdata(_) => "ledger.getdata",
            Self::Block(_) => "ledger.block",
            Self::Tx(_) => "ledger.tx",
            Self::Notfound(_) => "ledger.notfound",
            Self::Feefilter(_) => "ledger.feefilter",
            Self::Sendcmpct(_) => "ledger.sendcmpct",
            Self::Cmpctblock(_) => "ledger.cmpctblock",
            Self::Getblocktxn(_) => "ledger.getblocktxn",
            Self::Blocktxn(_) => "ledger.blocktxn",
            Self::Getcfilters(_) => "ledger.getcfilters",
            Self::Cfilter(_) => "ledger.cfilter",
            Self::Getcfheaders(_) => "ledger.getcfheaders",
            Self::Cfheaders(_) => "ledger.cfheaders",
            Self::Getproof(_) => "ledger.getproof",
            Self::Proof(_) => "ledger.proof",
        }
    }

    /// Whether raw bytes follow the line.
    #[must_use]
    pub const fn takes_body(&self) -> bool {
        matches!(
            self,
            Self::Headers(_)
                | Self::Block(_)
                | Self::Tx(_)
                | Self::Cmpctblock(_)
                | Self::Blocktxn(_)
                | Self::Cfilter(_)
                | Self::Cfheaders(_)
                | Self::Proof(_)
        )
    }
}

/// Which chain the sender has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerVersion {
    /// Hash of the first block, which covers all parameters. With another one nothing more is said on this link.
    pub chain: LedgerHash,
    /// Version of these messages: 1.
    pub version: u16,
    /// Height of the sender's last block.
    pub height: u32,
    /// Its hash.
    pub tip: LedgerHash,
    /// Work of the sender's chain.
    pub work: LedgerHash,
    /// Whether it serves whole blocks from the first on.
    pub blocks: bool,
    /// Whether it serves filters and proofs.
    pub filters: bool,
    /// Whether it wants transactions announced.
    pub relay: bool,
    /// Whether the receiver should answer with its own, which the sender has not seen.
    #[serde(default)]
    pub reply: bool,
}

/// Asks for what follows the first of these blocks that is in the receiver's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerLocate {
    /// The number of this question.
    pub request: u32,
    /// Hashes from the asker's last one down, ever further apart, the first block last.
    pub locator: Bounded<LedgerHash, MAX_LOCATOR_HASHES>,
    /// The last one wanted; `null` for as many as there are and fit.
    pub stop: Option<LedgerHash>,
}

/// The line of a part of headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerHeaders {
    /// The question; absent if these are new blocks, announced unasked: at most 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
    /// Which part.
    #[serde(flatten)]
    pub place: LedgerPlace,
    /// The sender's last block.
    pub tip: LedgerHash,
    /// Its height.
    pub height: u32,
}

/// Names of what the sender has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerInv {
    /// The question, if these answer `getblocks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
    /// Names of what.
    pub kind: LedgerKind,
    /// The names.
    pub ids: Bounded<LedgerHash, MAX_LEDGER_IDS>,
}

/// What a name is of, and in `getdata` in which form it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LedgerKind {
    /// A block.
    Block,
    /// A block, wanted as `cmpctblock`.
    Compact,
    /// A transaction, by its `txid`.
    Transaction,
}

/// Asks for blocks (at most 16) or transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerWant {
    /// The number of this question.
    pub request: u32,
    /// Names of what.
    pub kind: LedgerKind,
    /// The names.
    pub ids: Bounded<LedgerHash, MAX_LEDGER_IDS>,
}

/// What is not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerNotFound {
    /// The question.
    pub request: u32,
    /// The names; of a question about one block its name.
    pub ids: Bounded<LedgerHash, MAX_LEDGER_IDS>,
}

/// The least fee the sender takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerFee {
    /// In base units for 1,000 bytes.
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    pub rate: u64,
}

/// How new blocks are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerCompact {
    /// At once and in short.
    pub push: bool,
}

/// Asks for transactions of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerIndexes {
    /// The number of this question.
    pub request: u32,
    /// The block.
    pub block: LedgerHash,
    /// Their places in it from 0, ascending.
    pub indexes: Bounded<u32, MAX_LEDGER_INDEXES>,
}

/// Asks for what belongs to the blocks of the sender's chain from a height to a block: at most 1,000 filters or 2,000
/// hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerSpan {
    /// The number of this question.
    pub request: u32,
    /// The first height.
    pub start: u32,
    /// The last block.
    pub stop: LedgerHash,
}

/// Asks for the proof that a transaction is in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerProve {
    /// The number of this question.
    pub request: u32,
    /// The block.
    pub block: LedgerHash,
    /// Its transactions, by `txid`: at most 64.
    pub ids: Bounded<LedgerHash, 64>,
}

/// The line of a part of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerPart {
    /// The question; absent in what comes unasked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
    /// Which part.
    #[serde(flatten)]
    pub place: LedgerPlace,
}

/// Which part of something this is. Parts come in order, and nothing else of the same kind between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawPlace")]
pub struct LedgerPlace {
    /// Counted from 1.
    pub part: u8,
    /// How many there are.
    pub of: u8,
}

impl LedgerPlace {
    /// All of it in one part.
    pub const WHOLE: Self = Self { part: 1, of: 1 };

    /// Whether no part follows.
    #[must_use]
    pub const fn is_last(self) -> bool {
        self.part == self.of
    }
}

#[derive(Deserialize, JsonSchema)]
struct RawPlace {
    /// Counted from 1.
    #[schemars(range(min = 1, max = 64))]
    part: u8,
    /// How many there are.
    #[schemars(range(min = 1, max = 64))]
    of: u8,
}

impl TryFrom<RawPlace> for LedgerPlace {
    type Error = ValueError;

    fn try_from(RawPlace { part, of }: RawPlace) -> Result<Self, ValueError> {
        let is_one = (1..=of).contains(&part) && of <= MAX_LEDGER_PARTS;
        if is_one { Ok(Self { part, of }) } else { Err(ValueError::OutOfRange) }
    }
}
