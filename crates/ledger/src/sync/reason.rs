//! What a peer can do wrong, by name, and how much it counts.

use crate::consensus::Rule;
use crate::sync::limits::MAX_SCORE;

/// An offence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Reason {
    /// An answer to a question that nobody asked.
    #[error("an answer that nobody asked for")]
    Unasked,
    /// A question answered twice.
    #[error("a second answer")]
    Doubled,
    /// Parts that do not follow each other.
    #[error("parts that do not follow each other")]
    BrokenParts,
    /// More bytes than the thing may have.
    #[error("larger than it may be")]
    TooLarge,
    /// A body that is not what it should be.
    #[error("a body that cannot be read")]
    Malformed,
    /// More names or places than a question may have.
    #[error("too many names in one question")]
    TooManyNames,
    /// More questions than may wait.
    #[error("more questions than may wait")]
    TooManyQuestions,
    /// A header that breaks a rule.
    #[error("a bad header: {0}")]
    BadHeader(Rule),
    /// Headers that do not follow what was asked for.
    #[error("headers that lead nowhere")]
    Unconnected,
    /// Less work than was claimed.
    #[error("claims more work than its headers come to")]
    FalseClaim,
    /// Other headers the second time.
    #[error("other headers the second time")]
    HeadersChanged,
    /// More headers than the time since the beginning allows.
    #[error("more headers than there can be")]
    TooManyHeaders,
    /// A block that breaks a rule.
    #[error("a bad block: {0}")]
    BadBlock(Rule),
    /// Its chain holds a block that breaks a rule.
    #[error("follows an invalid chain")]
    InvalidChain,
    /// A transaction that no chain could have.
    #[error("a bad transaction: {0}")]
    BadTransaction(Rule),
    /// A compact block that cannot be read or completed.
    #[error("a bad compact block")]
    BadCompactBlock,
    /// Does not answer.
    #[error("does not answer")]
    Unanswered,
    /// A filter that is not that of its block.
    #[error("a bad filter")]
    BadFilter,
    /// A proof that does not lead to its block.
    #[error("a bad proof")]
    BadProof,
}

impl Reason {
    /// The name in logs and counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Doubled => "doubled",
            Self::BrokenParts => "broken_parts",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::TooManyNames => "too_many_names",
            Self::TooManyQuestions => "too_many_questions",
            Self::BadHeader(_) => "bad_header",
            Self::Unconnected => "unconnected",
            Self::FalseClaim => "false_claim",
            Self::HeadersChanged => "headers_changed",
            Self::TooManyHeaders => "too_many_headers",
            Self::BadBlock(_) => "bad_block",
            Self::InvalidChain => "invalid_chain",
            Self::BadTransaction(_) => "bad_transaction",
            Self::BadCompactBlock => "bad_compact_block",
            Self::Unanswered => "unanswered",
            Self::BadFilter => "bad_filter",
            Self::BadProof => "bad_proof",
        }
    }

    /// How much it counts of [`MAX_SCORE`]. What an honest peer never does ends it at once; what delays, lost frames or a
    /// reorganisation can make look wrong only counts when it happens again and again.
    pub const fn score(self) -> u32 {
        match self {
            Self::TooLarge
            | Self::Malformed
            | Self::TooManyNames
            | Self::BadHeader(_)
            | Self::FalseClaim
            | Self::HeadersChanged
            | Self::TooManyHeaders
            | Self::BadBlock(_)
            | Self::InvalidChain
            | Self::BadTransaction(_)
            | Self::BadCompactBlock
            | Self::Unanswered
            | Self::BadFilter
            | Self::BadProof => MAX_SCORE,
            Self::Unasked | Self::Unconnected | Self::BrokenParts => 20,
            Self::Doubled | Self::TooManyQuestions => 10,
        }
    }
}
