//! What is known of one peer: its version, what was asked of it, and what it did.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meshline_protocol::NodeId;

use crate::chain::Chain;
use crate::hash::{BlockHash, Txid};
use crate::store::Store;
use crate::sync::known::Known;
use crate::sync::limits::{MAX_PAST_QUESTIONS, MAX_SCORE};
use crate::sync::parts::Unfinished;
use crate::sync::passes::Pass;
use crate::sync::serve::Serving;
use crate::u256::U256;

/// Whether the ledger is spoken with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not said which chain it has.
    Silent,
    /// It has the same chain.
    Speaking,
    /// It has another one.
    Foreign,
    /// It did what no honest peer does.
    Shunned,
}

/// A question that was asked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) what: What,
    /// When it is given up unless a part of the answer arrives.
    pub(super) deadline: u64,
    pub(super) patience: u64,
}

/// What was asked.
#[derive(Debug)]
pub(super) enum What {
    /// Headers; `pass` tells what they are for.
    Headers(Purpose),
    /// Blocks, in the order in which they should come.
    Blocks(VecDeque<BlockHash>),
    /// A block in short.
    Compact(BlockHash),
    /// Transactions of a block in short.
    BlockTransactions(BlockHash),
    /// Transactions.
    Transactions(BTreeSet<Txid>),
    /// Whatever a light client asks beside headers; it knows what.
    Light,
}

/// What headers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be taken.
    Direct,
    /// To be judged and forgotten.
    First,
    /// To be taken if they are those of the first pass.
    Second,
}

/// How a question ended of which no answer is wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    Answered,
    GivenUp,
}

/// A peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// By which the mempool knows it.
    pub(super) number: u64,
    pub(super) stage: Stage,
    pub(super) score: u32,
    /// What its version said it serves.
    pub(super) serves_blocks: bool,
    pub(super) serves_filters: bool,
    pub(super) wants_transactions: bool,
    /// What it says it has.
    pub(super) claimed_work: U256,
    pub(super) claimed_height: u32,
    pub(super) claimed_tip: BlockHash,
    /// The best header of ours that it surely has.
    pub(super) has: Option<BlockHash>,
    /// Up to which height it has the chain of our best header, computed for `has` and that header.
    pub(super) reach: Option<(BlockHash, BlockHash, u32)>,
    /// It announced what does not connect to what is known here.
    pub(super) is_ahead: bool,
    pub(super) unfinished: Unfinished,
    pub(super) asked: BTreeMap<u32, Asked>,
    past: VecDeque<(u32, Past)>,
    next_request: u32,
    pub(super) unanswered: u32,
    pub(super) serving: Serving,
    pub(super) pass: Option<Pass>,
    /// No blocks are asked of it until then.
    pub(super) paused_until: u64,
    pub(super) stalls: u32,
    /// Blocks that came from it.
    pub(super) blocks: u64,
    /// New blocks are pushed to it.
    pub(super) wants_push: bool,
    /// It was asked to push new blocks.
    pub(super) pushes: bool,
    /// It pays no attention to transactions that pay less, in base units for 1,000 bytes.
    pub(super) fee_filter: u64,
    /// What it was told that payments must pay here, likewise.
    pub(super) told_fee: u64,
    /// Transactions it is known to have.
    pub(super) known: Known<Txid>,
    /// Transactions that it announced and that are not here yet.
    pub(super) announced: BTreeSet<Txid>,
    /// Transactions to be announced to it.
    pub(super) to_announce: BTreeSet<Txid>,
    pub(super) announce_at: u64,
}

impl Peer {
    pub(super) fn new(number: u64, stage: Stage) -> Self {
        Self {
            number,
            stage,
            score: 0,
            serves_blocks: false,
            serves_filters: false,
            wants_transactions: false,
            claimed_work: U256::ZERO,
            claimed_height: 0,
            claimed_tip: BlockHash::ZERO,
            has: None,
            reach: None,
            is_ahead: false,
            unfinished: Unfinished::default(),
            asked: BTreeMap::new(),
            past: VecDeque::new(),
            next_request: 1,
            unanswered: 0,
            serving: Serving::default(),
            pass: None,
            paused_until: 0,
            stalls: 0,
            blocks: 0,
            wants_push: false,
            pushes: false,
            fee_filter: 0,
            told_fee: 0,
            known: Known::new(crate::sync::limits::MAX_KNOWN),
            announced: BTreeSet::new(),
            to_announce: BTreeSet::new(),
            announce_at: 0,
        }
    }

    pub(super) const fn is_speaking(&self) -> bool {
        matches!(self.stage, Stage::Speaking)
    }

    /// Whether something may be asked of it.
    pub(super) const fn is_useful(&self) -> bool {
        self.is_speaking() && self.unanswered < crate::sync::limits::MAX_UNANSWERED
    }

    /// Whether it claims a chain with more work that leads to a block that is not known here.
    pub(super) fn may_have_more<S: Store>(&self, work: U256, chain: &Chain<S>) -> bool {
        self.is_useful() && self.claimed_work > work && chain.header(&self.claimed_tip).is_none()
    }

    /// Notes a question and gives its number.
    pub(super) fn ask(&mut self, what: What, now: u64, patience: u64) -> u32 {
        let request = self.next_request;
        self.next_request = self.next_request.wrapping_add(1).max(1);
        self.asked.insert(request, Asked { what, deadline: now.saturating_add(patience), patience });
        request
    }

    /// The question is over.
    pub(super) fn close(&mut self, request: u32, how: Past) -> Option<Asked> {
        let asked = self.asked.remove(&request)?;
        if self.past.len() >= MAX_PAST_QUESTIONS {
            self.past.pop_front();
        }
        self.past.push_back((request, how));
        if how == Past::Answered {
            self.unanswered = 0;
        }
        Some(asked)
    }

    /// What became of a question that is over.
    pub(super) fn past(&self, request: u32) -> Option<Past> {
        self.past.iter().rev().find(|(past, _)| *past == request).map(|(_, how)| *how)
    }

    /// A part of an answer came.
    pub(super) fn note_progress(&mut self, request: u32, now: u64) {
        if let Some(asked) = self.asked.get_mut(&request) {
            asked.deadline = now.saturating_add(asked.patience);
        }
    }

    /// When the last part of a block came that it was asked for, or it was asked.
    pub(super) fn asked_block(&self, hash: &BlockHash) -> Option<u64> {
        let is_it = |asked: &&Asked| match &asked.what {
            What::Blocks(hashes) => hashes.contains(hash),
            What::Compact(asked) | What::BlockTransactions(asked) => asked == hash,
            What::Headers(_) | What::Transactions(_) | What::Light => false,
        };
        let latest = |asked: &Asked| asked.deadline.saturating_sub(asked.patience);
        self.asked.values().filter(is_it).map(latest).max()
    }

    /// Blocks that it was asked for and that have not come.
    pub(super) fn in_flight(&self) -> usize {
        let count = |asked: &Asked| match &asked.what {
            What::Blocks(hashes) => hashes.len(),
            What::Compact(_) | What::BlockTransactions(_) => 1,
            What::Headers(_) | What::Transactions(_) | What::Light => 0,
        };
        self.asked.values().map(count).sum()
    }

    pub(super) fn is_asked_headers(&self) -> bool {
        self.asked.values().any(|asked| matches!(asked.what, What::Headers(_)))
    }

    /// Counts an offence; whether it is the last one.
    pub(super) fn blame(&mut self, score: u32) -> bool {
        self.score = self.score.saturating_add(score);
        self.score >= MAX_SCORE
    }
}

/// All peers.
pub(super) type Peers = BTreeMap<NodeId, Peer>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_questions_that_are_over_the_oldest_is_forgotten() {
        let mut peer = Peer::new(1, Stage::Speaking);
        for number in 1..=MAX_PAST_QUESTIONS as u32 + 1 {
            assert_eq!(peer.ask(What::Light, 0, 1), number);
            assert!(peer.close(number, Past::Answered).is_some());
            assert_eq!(peer.past(1).is_some(), number as usize <= MAX_PAST_QUESTIONS, "after {number}");
        }
        assert_eq!((peer.past(2), peer.past.len()), (Some(Past::Answered), MAX_PAST_QUESTIONS));
    }
}
