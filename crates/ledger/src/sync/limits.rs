//! Every bound of the synchronisation, each with its reason. Times are microseconds of the steady clock unless a name
//! says otherwise.

use crate::consensus::Header;

/// A second.
pub(crate) const SECOND: u64 = 1_000_000;

/// Version of the messages.
pub const LEDGER_VERSION: u16 = 1;
/// Largest raw body of a frame; what is larger goes in parts.
pub(crate) const BODY: usize = 64 * 1024;

/// Bytes of a part, as long as 64 parts are enough: whatever else goes over the link waits for no more than that.
pub(crate) const PART: usize = 16 * 1024;

/// Questions of one peer that wait to be answered: honest ones have a handful under way.
pub const MAX_QUESTIONS: usize = 64;
/// Bytes of answers handed out until the link tells that they are gone: what a slow link holds is no more than this and
/// one object.
pub const SERVE_AT_ONCE: usize = 256 * 1024;
/// Bytes of a name in a line: 64 digits, two quotes and a comma.
pub const NAME_BYTES: usize = 67;
/// Bytes of unfinished objects of one peer beyond one block of the largest size: headers, transactions and a compact
/// block may be under way beside it.
pub const MAX_UNFINISHED: usize = 1024 * 1024;
/// Largest `tx`: one transaction of the largest size, or a body full of small ones.
pub const MAX_TX_BYTES: usize = 2 * BODY;
/// Numbers of questions that were answered or given up, remembered for each peer to tell a late or second answer from one
/// that nobody asked for.
pub const MAX_PAST_QUESTIONS: usize = 256;

/// A question about headers that brings no part of an answer for so long goes to another peer. 2,000 headers take 1.3 s
/// on a line of a megabit a second.
pub const HEADERS_TIMEOUT: u64 = 10 * SECOND;
/// The same for blocks and everything else.
pub const ANSWER_TIMEOUT: u64 = 20 * SECOND;
/// After so many unanswered questions in a row a peer is asked no more.
pub const MAX_UNANSWERED: u32 = 3;
/// Headers announced unasked, as in Bitcoin.
pub const MAX_ANNOUNCED_HEADERS: usize = 8;
/// Names in an answer to `getblocks`, as in Bitcoin.
pub const MAX_BLOCK_NAMES: usize = 500;

/// A chain whose last block is older is thought to be behind: in it headers are cheap.
pub const BEHIND_S: u64 = 24 * 3_600;
/// Headers that are taken beyond the last whole block without having been proven to lead to the most work: 5 MB.
pub const MAX_UNPROVEN_HEADERS: u32 = 20_000;
/// A branch this many blocks' work below the tip is not taken in: nobody needs it.
pub const BRANCH_MARGIN: u64 = 144;
/// Chains judged in a first pass at the same time. Each holds one answer of 160 kB and its commitments.
pub const MAX_FIRST_PASSES: usize = 8;
/// One of so many headers leaves a bit in the first pass.
pub const COMMITMENT_EVERY: u32 = 64;
/// Headers held back in the second pass: 32 bits stand before any of them is taken, so that other headers than those of
/// the first pass get in once in 4,000 million times.
pub const SECOND_PASS_BUFFER: usize = 32 * COMMITMENT_EVERY as usize;
/// Headers a chain can have for each second since its beginning: the median of eleven times must grow, so six share a
/// second, as in Bitcoin Core.
pub const HEADERS_A_SECOND: u64 = 6;
/// A first pass that is not done after this is joined by one with another peer.
pub const FIRST_PASS_PATIENCE: u64 = 3 * SECOND;
/// Bytes of headers that may be held cheaply, all peers together: what the bounds above come to.
pub const MAX_CHEAP_HEADER_BYTES: usize = 10 * 1024 * 1024;
/// Bytes of commitments of one first pass: 33 million headers. A longer chain is not honest yet.
pub const MAX_COMMITMENTS: usize = 64 * 1024;

/// Blocks asked for ahead of the lowest that is missing, as in Bitcoin Core.
pub const WINDOW: usize = 1_024;
/// Blocks asked of one peer at the same time, as in Bitcoin Core.
pub const MAX_IN_FLIGHT: usize = 16;
/// Bytes expected from one peer at the same time: what a link's inbox holds.
pub const MAX_IN_FLIGHT_BYTES: usize = 4 * 1024 * 1024;
/// A peer that holds up the lowest missing block for so long is passed over; doubled each time, up to the most, and brought
/// down again by each block that arrives. As in Bitcoin Core.
pub const LEAST_STALL: u64 = 2 * SECOND;
/// The longest that a peer may hold it up.
pub const MOST_STALL: u64 = 64 * SECOND;
/// After the store failed blocks are asked for again only after this.
pub const STORE_PAUSE: u64 = 5 * SECOND;

/// Offences that come to this end the ledger with a peer.
pub const MAX_SCORE: u32 = 100;
/// Peers with which it was ended are remembered, so that a new link does not make them new.
pub const MAX_SHUNNED: usize = 1_000;
/// How long, as long as a mistaken configuration takes to be put right.
pub const SHUNNED_FOR: u64 = 3_600 * SECOND;

/// Transactions announced by one peer and not fetched yet, as reliability demands: more are not looked at.
pub const MAX_ANNOUNCED: usize = 5_000;
/// Transactions asked of one peer at the same time.
pub const MAX_ASKED_TRANSACTIONS: usize = 400;
/// A transaction that was asked for and did not come goes to another peer after this.
pub const TRANSACTION_TIMEOUT: u64 = 5 * SECOND;
/// Transactions that a peer is known to have: others need not be told to it twice.
pub const MAX_KNOWN: usize = 10_000;
/// Announcements gather for this long on average: long enough to hide who began, short enough for people.
pub const TRICKLE: u64 = SECOND / 2;
/// Transactions of the pool that a new peer is told, those that pay most.
pub const MAX_TOLD_AT_FIRST: usize = 5_000;
/// Transactions that came before what they spend, of one peer.
pub const MAX_ORPHANS: usize = 100;
/// Their bytes, of one peer. No peer's push out another's.
pub const MAX_ORPHAN_BYTES: usize = 404_000;
/// They are forgotten after this.
pub const ORPHAN_FOR: u64 = 300 * SECOND;
/// Names of transactions that were refused lately.
pub const MAX_REFUSED: usize = 10_000;
/// Own transactions that no block has taken are announced again after this on average.
pub const REBROADCAST: u64 = 600 * SECOND;

/// What a payment must pay here is told anew at most so often, and when it differs by a quarter from what was told.
pub const FEES_EVERY: u64 = 10 * SECOND;

/// Peers that are asked to push new blocks, as in BIP-152.
pub const MAX_PUSHING: usize = 3;
/// Compact blocks being completed at the same time; the size of each is bounded by the block it stands for.
pub const MAX_COMPLETING: usize = 4;
/// The next block, if nothing of it has come for so long, is asked of another peer too: several round trips of most links,
/// and less than people notice. What was asked before may still come.
pub const HURRY_AFTER: u64 = SECOND / 4;
/// Peers that the next block is asked of at the same time, as in Bitcoin Core: nobody can hold it up alone, and a slow line
/// carries it no more often than this.
pub const MAX_HURRY: usize = 3;
/// Transactions of blocks further below the tip than this are not served singly, as in BIP-152.
pub const MAX_COMPACT_DEPTH: u32 = 10;
/// A compact block whose missing transactions do not come within this is fetched whole from somebody else.
pub const COMPACT_TIMEOUT: u64 = 2 * SECOND;

/// Filters in one answer, as in Bitcoin.
pub const MAX_FILTERS: u32 = 1_000;
/// Hashes of filters in one answer, as in Bitcoin.
pub const MAX_FILTER_HASHES: u32 = 2_000;
/// Bytes of filters in one answer, unless the first alone is larger; the rest is asked for again. The filter of the
/// largest block with the shortest outputs has 370 kB.
pub const MAX_FILTERS_BYTES: usize = 512 * 1024;
/// Bytes of proofs in one answer, unless the first alone is larger: ten of the largest transactions.
pub const MAX_PROOF_BYTES: usize = 1024 * 1024;
/// Filters made in one step: some milliseconds for the largest blocks.
pub const FILTERS_AT_ONCE: usize = 8;
/// The filters of new blocks are made this much after them, so that nobody waits longer for the blocks.
pub const FILTERS_DELAY: u64 = SECOND / 50;
/// What new blocks do to the unspent outputs is written this much after the first of them: that of blocks which come
/// quickly together, and after those who pass them on had the processor.
pub const COINS_DELAY: u64 = SECOND;

/// Bytes of the largest answer of headers.
pub(crate) const MAX_HEADERS_BYTES: usize = crate::chain::MAX_HEADERS_REPLY * Header::SIZE;
