//! The ledger for those who do not keep it: headers with all their work, filters compared over several peers, and of the
//! blocks only those that concern the wallet.
//!
//! [`Light`] decides and does nothing, as [`Sync`] does, and takes the same events. What a full node would know by itself
//! it has to be told, so it believes as little as can be: headers by their work, a block by its header, a filter by the
//! word of two peers that do not agree by chance. Where they differ the block itself shows who lies. With a single peer
//! it goes on, and says that nothing could be compared.
//!
//! Blocks that match are fetched whole: who asks for single transactions tells whose wallet it is, and a proof that a
//! transaction is there proves of no other that it is not. Proofs serve for own transactions, whose names are known.

mod compare;
mod event;
mod fetch;
mod late;
pub mod limits;
mod report;
mod saved;
mod scan;
mod voices;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use meshline_protocol::NodeId;
use meshline_protocol::message::{Ledger, LedgerKind, LedgerPart};

pub use event::{Event, Output};
pub use report::LightReport;
pub use watch::{LightRefusal, Movement, Place};

use crate::chain::Chain;
use crate::consensus::Coin;
use crate::hash::{BlockHash, ChainId, Txid};
use crate::mempool::Mempool;
use crate::sighash::BatchVerifier;
use crate::store::Store;
use crate::sync::effort::FRAME_EFFORT;
use crate::sync::light::late::Late;
use crate::sync::light::limits::*;
use crate::sync::light::scan::Scan;
use crate::sync::light::watch::Watch;
use crate::sync::limits::{MAX_FILTERS_BYTES, MAX_PROOF_BYTES};
use crate::sync::parts::Piece;
use crate::sync::peer::{Past, Peer, What};
use crate::sync::{At, Config, Input, Now, Reason, Sync};
use crate::transaction::{Lock, OutPoint, Transaction};

/// What was asked beside headers.
#[derive(Debug, Clone)]
enum Question {
    /// Hashes of the filters of a span, by its beginning and its last block.
    Hashes { start: u32, hash: BlockHash },
    /// What the filters come to up to a block that was looked through.
    Witness { hash: BlockHash },
    /// What the filters come to at an end of the span that ends with this block.
    End { height: u32, hash: BlockHash },
    /// What the filters of blocks are that somebody does not agree about.
    Held { start: u32, stop: u32 },
    /// The filters of a span from a height on.
    Filters { start: u32, hash: BlockHash },
    /// A block.
    Block { height: u32, hash: BlockHash },
    /// Proofs that these are in a block.
    Proof { hash: BlockHash, names: Vec<Txid> },
}

impl Question {
    const fn piece(&self) -> Piece {
        match self {
            Self::Hashes { .. } | Self::Witness { .. } | Self::End { .. } | Self::Held { .. } => Piece::FilterHashes,
            Self::Filters { .. } => Piece::Filters,
            Self::Block { .. } => Piece::Block,
            Self::Proof { .. } => Piece::Proof,
        }
    }

    /// Bytes of the largest answer.
    const fn most(&self, block: usize) -> usize {
        match self {
            Self::Hashes { .. } | Self::Witness { .. } | Self::End { .. } | Self::Held { .. } => {
                32 * (MAX_SPAN as usize + 1)
            }
            Self::Filters { .. } => MAX_FILTERS_BYTES,
            Self::Block { .. } => block,
            Self::Proof { .. } => MAX_PROOF_BYTES,
        }
    }
}

/// A light client of one ledger.
#[derive(Debug)]
pub struct Light {
    /// Peers and headers.
    sync: Sync<BatchVerifier>,
    chain: ChainId,
    watch: Watch,
    /// The first block that is looked through.
    from: u32,
    scan: Scan,
    late: Late,
    /// Blocks that are wanted, by height.
    fetch: BTreeMap<u32, BlockHash>,
    /// Blocks in which own transactions may be.
    prove_wanted: Vec<(u32, BlockHash)>,
    asked: BTreeMap<(NodeId, u32), Question>,
    /// Until when peers are not asked that lacked something.
    lacking: BTreeMap<NodeId, u64>,
    /// Whom was told of which own transaction.
    announced: BTreeSet<(NodeId, Txid)>,
    announce_at: u64,
    /// Blocks that were fetched.
    blocks: u64,
    /// The tip of which it was told that all is here.
    told: Option<BlockHash>,
    events: VecDeque<Event>,
    out: VecDeque<Output>,
}

impl Light {
    /// One that knows nobody yet and looks for nothing. `seed` decides what is left to chance; nobody else should know it.
    #[must_use]
    pub fn new<S: Store>(chain: &Chain<S>, seed: [u8; 32]) -> Self {
        let config = Config { serve_blocks: false, serve_filters: false, relay: false, least_fee_rate: 0 };
        let mut sync = Sync::new(config, BatchVerifier, seed);
        // Headers of an earlier run were proven then.
        sync.proven_height = chain.best_header().1;
        Self {
            sync,
            chain: chain.id(),
            watch: Watch::default(),
            from: 0,
            scan: Scan::new(chain.id()),
            late: Late::default(),
            fetch: BTreeMap::new(),
            prove_wanted: Vec::new(),
            asked: BTreeMap::new(),
            lacking: BTreeMap::new(),
            announced: BTreeSet::new(),
            announce_at: 0,
            blocks: 0,
            told: None,
            events: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle<S: Store>(&mut self, input: Input, now: Now, chain: &mut Chain<S>) {
        let mut pool = Mempool::new(0);
        let mut at = At { chain, pool: &mut pool, now };
        match input {
            Input::Frame { peer, message, body } if self.is_own(&peer, &message) => {
                let body = body.unwrap_or_default();
                self.sync.spend(FRAME_EFFORT);
                self.sync.spend_on_bytes(body.len());
                if let Err(reason) = self.on_frame(peer, message, &body, &mut at) {
                    self.sync.blame(&peer, reason);
                }
            }
            Input::LinkUp { .. }
            | Input::LinkDown { .. }
            | Input::Frame { .. }
            | Input::Drained { .. }
            | Input::Tick => self.sync.take_in(input, &mut at),
        }
        self.sync.step_headers(&mut at);
        self.step(&mut at);
    }

    /// What the frames cost since this was asked last: units of [`effort`](crate::sync::effort).
    pub const fn take_effort(&mut self) -> u64 {
        self.sync.take_effort()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Looks for more locks from the block at a height on. If that was looked through already, all is looked through again
    /// from there.
    ///
    /// # Errors
    /// If they are too many.
    pub fn watch<S: Store>(&mut self, locks: &[Lock], from: u32, chain: &Chain<S>) -> Result<(), LightRefusal> {
        let was_idle = self.watch.is_idle();
        if !self.watch.add_locks(locks)? {
            return Ok(());
        }
        let from = from.min(chain.best_header().1.saturating_add(1));
        if was_idle || from < self.from {
            self.from = from;
        }
        let is_past = self.scan.done.height != u32::MAX && from <= self.scan.done.height;
        if was_idle || is_past {
            self.rewind_all(chain);
        } else {
            // Filters that were looked at may have held the new ones.
            self.scan.span = None;
            self.fetch.clear();
        }
        self.told = None;
        Ok(())
    }

    /// Takes a transaction that was made on this machine: it is announced until a block holds it.
    ///
    /// # Errors
    /// If too many wait, or it spends what another one spends.
    pub fn submit<S: Store>(
        &mut self,
        transaction: &Transaction,
        now: Now,
        chain: &mut Chain<S>,
    ) -> Result<Txid, LightRefusal> {
        let txid = self.watch.send(transaction)?;
        self.handle(Input::Tick, now, chain);
        Ok(txid)
    }

    /// Whether a lock is looked for.
    #[must_use]
    pub fn is_watched(&self, lock: &Lock) -> bool {
        self.watch.locks().contains(lock)
    }

    /// What was found, in the order of the chain, then what was sent and waits for a block.
    pub fn movements(&self) -> impl Iterator<Item = &Movement> {
        self.watch.found().iter().chain(self.watch.pending().values())
    }

    /// What was sent and is in no block that was looked through.
    pub fn pending(&self) -> impl Iterator<Item = &Movement> {
        self.watch.pending().values()
    }

    /// The first block that is looked through.
    #[must_use]
    pub const fn from(&self) -> u32 {
        self.from
    }

    /// Outputs of watched locks that blocks hold and nothing spends, own transactions that wait included.
    #[must_use]
    pub fn coins(&self) -> BTreeMap<OutPoint, Coin> {
        self.watch.coins()
    }

    /// Whether a frame is not for the synchronisation of headers.
    fn is_own(&self, peer: &NodeId, message: &Ledger) -> bool {
        let is_speaking = self.sync.peers.get(peer).is_some_and(Peer::is_speaking);
        let is_meant = if let Ledger::Notfound(line) = message {
            self.asked.contains_key(&(*peer, line.request))
        } else if let Ledger::Getdata(want) = message {
            want.kind == LedgerKind::Transaction
        } else {
            matches!(message, Ledger::Cfilter(_) | Ledger::Cfheaders(_) | Ledger::Proof(_) | Ledger::Block(_))
        };
        is_speaking && is_meant
    }

    fn on_frame<S: Store>(
        &mut self,
        id: NodeId,
        message: Ledger,
        body: &Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let (piece, line) = match message {
            Ledger::Cfilter(line) => (Piece::Filters, line),
            Ledger::Cfheaders(line) => (Piece::FilterHashes, line),
            Ledger::Proof(line) => (Piece::Proof, line),
            Ledger::Block(line) => (Piece::Block, line),
            Ledger::Notfound(line) => {
                self.sync.close(&id, line.request, Past::Answered);
                let question = self.asked.remove(&(id, line.request));
                // That an own transaction is not in a block is no lack.
                if !matches!(question, Some(Question::Proof { .. })) {
                    self.lacking.insert(id, at.now.mono_us.saturating_add(LACKING_FOR));
                }
                return Ok(());
            }
            Ledger::Getdata(want) => {
                self.serve_pending(id, &want);
                return Ok(());
            }
            Ledger::Version(_)
            | Ledger::Getheaders(_)
            | Ledger::Headers(_)
            | Ledger::Getblocks(_)
            | Ledger::Inv(_)
            | Ledger::Tx(_)
            | Ledger::Feefilter(_)
            | Ledger::Sendcmpct(_)
            | Ledger::Cmpctblock(_)
            | Ledger::Getblocktxn(_)
            | Ledger::Blocktxn(_)
            | Ledger::Getcfilters(_)
            | Ledger::Getcfheaders(_)
            | Ledger::Getproof(_) => return Ok(()),
        };
        let Some((question, bytes)) = self.take_answer(id, (piece, line), body, at)? else { return Ok(()) };
        match question {
            Question::Hashes { start, hash } => self.on_hashes(id, (start, hash), &bytes),
            Question::Witness { hash } => self.on_witness(id, hash, &bytes),
            Question::Held { start, stop } => self.on_held(id, (start, stop), &bytes),
            Question::End { height, hash } => self.on_end(id, (height, hash), &bytes),
            Question::Filters { start, hash } => self.on_filters((start, hash), &bytes, at.chain),
            Question::Block { height, hash } => self.on_block((height, hash), &bytes),
            Question::Proof { hash, names } => self.on_proof((hash, &names), &bytes, at),
        }
    }

    /// A part of an answer; all of it, and what it answers, once it is whole.
    fn take_answer<S: Store>(
        &mut self,
        id: NodeId,
        (piece, line): (Piece, LedgerPart),
        body: &Bytes,
        at: &At<'_, S>,
    ) -> Result<Option<(Question, Vec<u8>)>, Reason> {
        let Some(request) = line.request else { return Err(Reason::Unasked) };
        let Some(question) = self.asked.get(&(id, request)) else {
            let is_other = self.sync.peers.get(&id).is_some_and(|peer| peer.asked.contains_key(&request));
            return if is_other { Err(Reason::Unasked) } else { self.sync.not_asked(&id, request).map(|()| None) };
        };
        if question.piece() != piece {
            return Err(Reason::Unasked);
        }
        let most = question.most(at.chain.params().max_block_size as usize);
        let whole = self.sync.take_part(&id, (piece, line.request, line.place), body, (most, at))?;
        let Some(bytes) = whole else { return Ok(None) };
        self.sync.close(&id, request, Past::Answered);
        Ok(self.asked.remove(&(id, request)).map(|question| (question, bytes)))
    }

    /// What follows from whatever happened, and from the time.
    fn step<S: Store>(&mut self, at: &mut At<'_, S>) {
        let now = at.now.mono_us;
        let is_open = |(id, request): &(NodeId, u32)| {
            self.sync.peers.get(id).is_some_and(|peer| peer.asked.contains_key(request))
        };
        self.asked.retain(|key, _| is_open(key));
        self.lacking.retain(|id, until| *until > now && self.sync.peers.contains_key(id));
        self.announced.retain(|(id, txid)| self.sync.peers.contains_key(id) && self.watch.pending().contains_key(txid));
        self.follow_best(at.chain);
        self.close_span();
        self.open_span(at);
        self.compare(at);
        self.fetch_filters(at);
        self.fetch_proofs(at);
        self.fetch_blocks(at);
        self.ask_witness(at);
        self.consult(at);
        self.announce_pending(now);
        self.note_synced(at.chain);
        self.collect();
    }

    fn note_synced<S: Store>(&mut self, chain: &Chain<S>) {
        let (best, height) = chain.best_header();
        let has_peers = self.sync.peers.values().any(Peer::is_speaking);
        if !has_peers || !self.has_headers(chain) {
            return;
        }
        // Nobody claims more: this is the chain with the most work.
        self.sync.proven_height = self.sync.proven_height.max(height);
        if self.is_scanned(chain) && self.told != Some(best) {
            self.told = Some(best);
            self.events.push_back(Event::Synced { height });
        }
    }

    /// Notes a question and sends it.
    fn ask(&mut self, id: NodeId, question: Question, line: impl FnOnce(u32) -> Ledger, now: u64) {
        let Some(peer) = self.sync.peers.get_mut(&id) else { return };
        let request = peer.ask(What::Light, now, LIGHT_TIMEOUT);
        self.asked.insert((id, request), question);
        self.sync.send(id, line(request), None);
    }

    /// Who is asked something of this kind.
    fn asked_of(&self, is: impl Fn(&Question) -> bool) -> Vec<NodeId> {
        self.asked.iter().filter(|(_, question)| is(question)).map(|((id, _), _)| *id).collect()
    }

    /// Who has the best chain up to a height and serves this, whoever has least to do first.
    fn able<S: Store>(&mut self, height: u32, at: &At<'_, S>, serves: impl Fn(&Peer) -> bool) -> Vec<NodeId> {
        let is_able =
            |(id, peer): &(&NodeId, &Peer)| peer.is_useful() && serves(peer) && !self.lacking.contains_key(*id);
        let ids: Vec<NodeId> = self.sync.peers.iter().filter(is_able).map(|(id, _)| *id).collect();
        let mut ids: Vec<NodeId> = ids.into_iter().filter(|id| self.sync.reach(id, at.chain) >= height).collect();
        ids.sort_by_key(|id| self.sync.peers.get(id).map_or((0, 0), |peer| (peer.unanswered, peer.asked.len())));
        ids
    }
}
