//! The names of the rules, as they are told to people and counted.

/// The rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Rule {
    /// The bytes are not the canonical form.
    #[error("not in canonical form")]
    Encoding,
    /// The block before is not known.
    #[error("the block before is not known")]
    UnknownParent,
    /// The block before, or one further back, is invalid.
    #[error("built on an invalid block")]
    InvalidParent,
    /// The header does not follow the one before.
    #[error("does not follow the header before")]
    Link,
    /// The hash does not meet the target, or the bits stand for none.
    #[error("the hash does not meet the target")]
    ProofOfWork,
    /// Other bits are due here.
    #[error("the bits are not those that are due")]
    Bits,
    /// Not later than the median of the eleven blocks before.
    #[error("not later than the median time of the eleven blocks before")]
    MedianTime,
    /// More than two hours ahead of the clock.
    #[error("more than two hours in the future")]
    FutureTime,
    /// A version that is not known.
    #[error("unknown block version")]
    BlockVersion,
    /// No room for further headers beside the best chain.
    #[error("too many headers beside the best chain")]
    HeaderFlood,
    /// More bytes than a block may have.
    #[error("the block is too large")]
    BlockSize,
    /// No transaction.
    #[error("the block has no transaction")]
    NoTransactions,
    /// The header's merkle root is another.
    #[error("the merkle root is another")]
    MerkleRoot,
    /// Two equal nodes side by side in the merkle tree.
    #[error("transactions are doubled")]
    MerkleMutated,
    /// The first transaction is no coinbase.
    #[error("the first transaction is no coinbase")]
    CoinbaseFirst,
    /// A coinbase that is not the first transaction, or not the only input of it.
    #[error("a coinbase where none may be")]
    CoinbaseOnly,
    /// The coinbase names another height.
    #[error("the coinbase names another height")]
    CoinbaseHeight,
    /// The coinbase takes more than subsidy and fees.
    #[error("the coinbase takes more than subsidy and fees")]
    CoinbaseValue,
    /// More signatures than a block may have.
    #[error("too many signatures")]
    SignatureCount,
    /// A version that is not known.
    #[error("unknown transaction version")]
    TransactionVersion,
    /// More bytes than a transaction may have.
    #[error("the transaction is too large")]
    TransactionSize,
    /// Nothing is spent.
    #[error("no inputs")]
    NoInputs,
    /// Nothing comes out.
    #[error("no outputs")]
    NoOutputs,
    /// The outputs come to more than there may be.
    #[error("the outputs come to too much")]
    OutputSum,
    /// One output is spent twice.
    #[error("spends one output twice")]
    DuplicateInput,
    /// The output does not exist, or is spent.
    #[error("spends an output that does not exist or is spent")]
    MissingInput,
    /// The output of a coinbase that is too young.
    #[error("spends a coinbase that is too young")]
    Immature,
    /// The inputs come to more than there may be.
    #[error("the inputs come to too much")]
    InputSum,
    /// More comes out than went in.
    #[error("more comes out than went in")]
    Overspent,
    /// Its lock time is not over.
    #[error("its lock time is not over")]
    LockTime,
    /// The key is not the owner's.
    #[error("the key is not the owner's")]
    WrongKey,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
    /// An output of this name exists unspent (BIP-30).
    #[error("an unspent output of this name exists")]
    TxidCollision,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 33] = [
        Self::Encoding,
        Self::UnknownParent,
        Self::InvalidParent,
        Self::Link,
        Self::ProofOfWork,
        Self::Bits,
        Self::MedianTime,
        Self::FutureTime,
        Self::BlockVersion,
        Self::HeaderFlood,
        Self::BlockSize,
        Self::NoTransactions,
        Self::MerkleRoot,
        Self::MerkleMutated,
        Self::CoinbaseFirst,
        Self::CoinbaseOnly,
        Self::CoinbaseHeight,
        Self::CoinbaseValue,
        Self::SignatureCount,
        Self::TransactionVersion,
        Self::TransactionSize,
        Self::NoInputs,
        Self::NoOutputs,
        Self::OutputSum,
        Self::DuplicateInput,
        Self::MissingInput,
        Self::Immature,
        Self::InputSum,
        Self::Overspent,
        Self::LockTime,
        Self::WrongKey,
        Self::Signature,
        Self::TxidCollision,
    ];

    /// The name in snake case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::UnknownParent => "unknown_parent",
            Self::InvalidParent => "invalid_parent",
            Self::Link => "link",
            Self::ProofOfWork => "work",
            Self::Bits => "bits",
            Self::MedianTime => "median_time",
            Self::FutureTime => "future_time",
            Self::BlockVersion => "block_version",
            Self::HeaderFlood => "header_flood",
            Self::BlockSize => "block_size",
            Self::NoTransactions => "no_transactions",
            Self::MerkleRoot => "merkle_root",
            Self::MerkleMutated => "merkle_mutated",
            Self::CoinbaseFirst => "coinbase_first",
            Self::CoinbaseOnly => "coinbase_only",
            Self::CoinbaseHeight => "coinbase_height",
            Self::CoinbaseValue => "coinbase_value",
            Self::SignatureCount => "signature_count",
            Self::TransactionVersion => "transaction_version",
            Self::TransactionSize => "transaction_size",
            Self::NoInputs => "no_inputs",
            Self::NoOutputs => "no_outputs",
            Self::OutputSum => "output_sum",
            Self::DuplicateInput => "duplicate_input",
            Self::MissingInput => "missing_input",
            Self::Immature => "immature",
            Self::InputSum => "input_sum",
            Self::Overspent => "overspent",
            Self::LockTime => "lock_time",
            Self::WrongKey => "wrong_key",
            Self::Signature => "signature",
            Self::TxidCollision => "txid_collision",
        }
    }

    /// Whether the fault may lie in the copy that was handed over and not in the block: another copy under the same hash
    /// may be good, so the hash must not be remembered as bad (CVE-2024-52921).
    pub const fn may_be_the_copy(self) -> bool {
        matches!(
            self,
            Self::Encoding
                | Self::MerkleRoot
                | Self::MerkleMutated
                | Self::FutureTime
                | Self::UnknownParent
                | Self::HeaderFlood
        )
    }
}
