//! The ledger among peers: who has which chain, how this node gets the best one, and how news gets around.
//!
//! [`Sync`] decides and does nothing: links, frames and the time go in, frames and news come out. Chain and mempool
//! belong to the caller and are lent for each step. Every question has a deadline and another peer to go to; every
//! offence has a name ([`Reason`]); what a peer can make this node hold is bounded in [`limits`].

mod blocks;
mod bodies;
mod headers;
mod known;
pub mod limits;
mod parts;
mod peer;
mod reason;
mod report;
mod serve;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use meshline_protocol::message::{Ledger, LedgerFee, LedgerPlace, LedgerVersion};
use meshline_protocol::{LedgerHash, NodeId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use reason::Reason;
pub use report::{PeerReport, Phase, Report};

use crate::chain::{Chain, ChainEvent, Flush};
use crate::hash::{BlockHash, ChainId, Txid};
use crate::mempool::{Added, Mempool};
use crate::sighash::SignatureVerifier;
use crate::store::{Store, StoreError};
use crate::sync::bodies::Bodies;
use crate::sync::headers::{Second, best_work, is_behind};
use crate::sync::limits::*;
use crate::sync::report::Rate;
use crate::sync::parts::{Caps, Piece};
use crate::sync::peer::{Past, Peer, Peers, Purpose, Stage, What};
use crate::u256::U256;

/// The time of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Of a clock that never goes back, in microseconds.
    pub mono_us: u64,
    /// Since 1970, in seconds.
    pub unix_s: u64,
}

/// What a node does for others. None of it changes what it does for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// It serves blocks.
    pub serve_blocks: bool,
    /// It serves filters and proofs.
    pub serve_filters: bool,
    /// It wants transactions announced, and announces them.
    pub relay: bool,
    /// Transactions that pay less are not wanted, in base units for 1,000 bytes.
    pub least_fee_rate: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { serve_blocks: true, serve_filters: true, relay: true, least_fee_rate: 0 }
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A member is linked.
    LinkUp {
        /// Who.
        peer: NodeId,
    },
    /// A member is linked no more.
    LinkDown {
        /// Who.
        peer: NodeId,
    },
    /// A message of the ledger came.
    Frame {
        /// From whom.
        peer: NodeId,
        /// What.
        message: Ledger,
        /// The bytes behind it.
        body: Option<Bytes>,
    },
    /// What was handed out for a peer has left its queue: more may follow.
    Drained {
        /// Which.
        peer: NodeId,
    },
    /// The time of [`Sync::poll_timeout`] has come.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a frame.
    Send {
        /// To whom.
        peer: NodeId,
        /// What.
        message: Ledger,
        /// The bytes behind it.
        body: Option<Bytes>,
    },
    /// A peer did something wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        reason: Reason,
        /// The ledger is not spoken with it any more.
        ended: bool,
    },
    /// Something worth telling.
    Event(Event),
}

/// What is worth telling.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A peer has the same chain.
    Joined {
        /// Who.
        peer: NodeId,
        /// Height of its last block, as it says.
        height: u32,
    },
    /// A peer has another chain.
    Foreign {
        /// Who.
        peer: NodeId,
        /// Which.
        chain: ChainId,
    },
    /// The active chain changed.
    Chain(ChainEvent),
    /// A transaction waits now.
    Added(Added),
    /// Nothing better is known anywhere: all is here.
    Synced {
        /// Height of the last block.
        height: u32,
    },
    /// The store failed; what it was needed for is tried again.
    StoreFailed(StoreError),
}

/// What is lent for a step.
pub(crate) struct At<'a, S> {
    pub(crate) chain: &'a mut Chain<S>,
    pub(crate) pool: &'a mut Mempool,
    pub(crate) now: Now,
}

/// The synchronisation of one ledger with all peers.
#[derive(Debug)]
pub struct Sync<V> {
    config: Config,
    verifier: V,
    rng: ChaCha8Rng,
    peers: Peers,
    /// Until when nothing is said to those that misbehaved.
    shunned: BTreeMap<NodeId, u64>,
    numbers: u64,
    second: Option<Second>,
    /// Headers up to here were proven to lead to the most work.
    proven_height: u32,
    bodies: Bodies,
    /// The tip of which all peers were told.
    told_tip: Option<BlockHash>,
    is_synced: bool,
    /// The best header for which peers that follow an invalid chain were looked for.
    judged_best: Option<BlockHash>,
    /// The time of the last step.
    latest: u64,
    offences: BTreeMap<&'static str, u64>,
    late: u64,
    rate: Rate,
    out: VecDeque<Output>,
}

impl<V: SignatureVerifier> Sync<V> {
    /// One that knows nobody yet. `seed` decides what is left to chance; nobody else should know it.
    pub fn new(config: Config, verifier: V, seed: [u8; 32]) -> Self {
        Self {
            config,
            verifier,
            rng: ChaCha8Rng::from_seed(seed),
            peers: Peers::new(),
            shunned: BTreeMap::new(),
            numbers: 0,
            second: None,
            proven_height: 0,
            bodies: Bodies::default(),
            told_tip: None,
            is_synced: false,
            judged_best: None,
            latest: 0,
            offences: BTreeMap::new(),
            late: 0,
            rate: Rate::default(),
            out: VecDeque::new(),
        }
    }

    /// Takes in what happened.
    pub fn handle<S: Store>(&mut self, input: Input, now: Now, chain: &mut Chain<S>, pool: &mut Mempool) {
        let mut at = At { chain, pool, now };
        match input {
            Input::LinkUp { peer } => self.on_link_up(peer, &at),
            Input::LinkDown { peer } => self.on_link_down(&peer),
            Input::Frame { peer, message, body } => {
                if let Err(reason) = self.on_frame(peer, message, body.unwrap_or_default(), &mut at) {
                    self.blame(&peer, reason);
                }
            }
            Input::Drained { peer } => self.on_drained(peer, &mut at),
            Input::Tick => {}
        }
        self.settle(&mut at);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// What follows from whatever happened, and from the time.
    fn settle<S: Store>(&mut self, at: &mut At<'_, S>) {
        self.rate.step(at.now.mono_us);
        self.expire(at);
        self.note_invalid(at);
        self.follow_headers(at);
        self.fetch_bodies(at);
        self.note_synced(at);
    }

    fn on_link_up<S: Store>(&mut self, id: NodeId, at: &At<'_, S>) {
        self.on_link_down(&id);
        self.numbers += 1;
        let is_shunned = self.shunned.get(&id).is_some_and(|until| at.now.mono_us < *until);
        let stage = if is_shunned { Stage::Shunned } else { Stage::Silent };
        self.peers.insert(id, Peer::new(self.numbers, stage));
        if !is_shunned {
            self.send_version(id, true, at);
        }
    }

    fn on_link_down(&mut self, id: &NodeId) {
        self.release(id);
        self.peers.remove(id);
    }

    /// Whatever was expected of a peer is asked of others.
    fn release(&mut self, id: &NodeId) {
        self.forget_passes(id);
        if let Some(peer) = self.peers.get_mut(id) {
            peer.asked.clear();
            peer.unfinished = Default::default();
            peer.serving = Default::default();
        }
        self.bodies.reopen(id);
    }

    fn send_version<S: Store>(&mut self, id: NodeId, reply: bool, at: &At<'_, S>) {
        let version = LedgerVersion {
            chain: hash_out(at.chain.id()),
            version: LEDGER_VERSION,
            height: at.chain.height(),
            tip: hash_out(at.chain.tip()),
            work: LedgerHash(at.chain.work().to_le_bytes()),
            blocks: self.config.serve_blocks,
            filters: self.config.serve_filters,
            relay: self.config.relay,
            reply,
        };
        self.send(id, Ledger::Version(version.into()), None);
    }

    fn on_frame<S: Store>(
        &mut self,
        id: NodeId,
        message: Ledger,
        body: Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        let Some(stage) = self.peers.get(&id).map(|peer| peer.stage) else { return Ok(()) };
        match (stage, message) {
            (Stage::Silent | Stage::Speaking, Ledger::Version(version)) => self.on_version(id, &version, at),
            (Stage::Speaking, message) => return self.on_message(id, message, body, at),
            // Whoever has not said which chain it has, or has another, is not listened to.
            (Stage::Silent | Stage::Foreign | Stage::Shunned, _) => {}
        }
        Ok(())
    }

    fn on_version<S: Store>(&mut self, id: NodeId, version: &LedgerVersion, at: &mut At<'_, S>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if version.chain != hash_out(at.chain.id()) || version.version < LEDGER_VERSION {
            peer.stage = Stage::Foreign;
            self.event(Event::Foreign { peer: id, chain: BlockHash(version.chain.0) });
            return;
        }
        let is_new = peer.stage == Stage::Silent;
        peer.stage = Stage::Speaking;
        (peer.serves_blocks, peer.wants_transactions) = (version.blocks, version.relay);
        (peer.claimed_height, peer.claimed_tip) = (version.height, BlockHash(version.tip.0));
        peer.claimed_work = U256::from_le_bytes(version.work.0);
        self.note_has(&id, &BlockHash(version.tip.0), at.chain);
        if version.reply {
            self.send_version(id, false, at);
        }
        if is_new {
            self.event(Event::Joined { peer: id, height: version.height });
            if self.config.least_fee_rate > 0 {
                let rate = self.config.least_fee_rate.min(meshline_protocol::limits::MAX_INTEGER);
                self.send(id, Ledger::Feefilter(LedgerFee { rate }), None);
            }
        }
    }

    fn on_message<S: Store>(
        &mut self,
        id: NodeId,
        message: Ledger,
        body: Bytes,
        at: &mut At<'_, S>,
    ) -> Result<(), Reason> {
        match message {
            Ledger::Headers(line) => self.on_headers(id, &line, body, at),
            Ledger::Block(line) => self.on_block_part(id, line, body, at),
            Ledger::Notfound(line) => self.on_not_found(id, &line, at),
            Ledger::Getheaders(_)
            | Ledger::Getblocks(_)
            | Ledger::Getdata(_)
            | Ledger::Getblocktxn(_)
            | Ledger::Getcfilters(_)
            | Ledger::Getcfheaders(_)
            | Ledger::Getproof(_) => self.on_question(id, message, at),
            Ledger::Inv(_) => Ok(()),
            Ledger::Feefilter(line) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.fee_filter = line.rate;
                }
                Ok(())
            }
            Ledger::Sendcmpct(line) => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.wants_push = line.push;
                }
                Ok(())
            }
            Ledger::Tx(_)
            | Ledger::Cmpctblock(_)
            | Ledger::Blocktxn(_)
            | Ledger::Cfilter(_)
            | Ledger::Cfheaders(_)
            | Ledger::Proof(_) => Err(Reason::Unasked),
            Ledger::Version(_) => Ok(()),
        }
    }

    /// Takes a part of something, of which there may be `most` bytes; all of it once it is whole.
    fn take_part<S: Store>(
        &mut self,
        id: &NodeId,
        piece: Piece,
        (request, place): (Option<u32>, LedgerPlace),
        body: Bytes,
        (most, at): (usize, &At<'_, S>),
    ) -> Result<Option<Vec<u8>>, Reason> {
        let Some(peer) = self.peers.get_mut(id) else { return Ok(None) };
        if let Some(request) = request {
            peer.note_progress(request, at.now.mono_us);
        }
        let all = (at.chain.params().max_block_size as usize).saturating_add(MAX_UNFINISHED);
        peer.unfinished.take(piece, (request, place), body, Caps { piece: most, all })
    }

    /// An answer whose question is not open: late, a second one, or one that nobody asked for.
    fn not_asked(&mut self, id: &NodeId, request: u32) -> Result<(), Reason> {
        match self.peers.get_mut(id).and_then(|peer| peer.past(request)) {
            Some(Past::GivenUp) => {
                self.late += 1;
                Ok(())
            }
            Some(Past::Answered) => Err(Reason::Doubled),
            None => Err(Reason::Unasked),
        }
    }

    fn close(&mut self, id: &NodeId, request: u32, how: Past) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.close(request, how);
        }
    }

    fn blame(&mut self, id: &NodeId, reason: Reason) {
        let count = self.offences.entry(reason.name()).or_default();
        *count = count.saturating_add(1);
        let Some(peer) = self.peers.get_mut(id) else { return };
        let ended = peer.stage != Stage::Shunned && peer.blame(reason.score());
        if ended {
            peer.stage = Stage::Shunned;
            self.release(id);
            self.shun(*id);
        }
        self.out.push_back(Output::Misbehaved { peer: *id, reason, ended });
    }

    fn shun(&mut self, id: NodeId) {
        let until = self.latest.saturating_add(SHUNNED_FOR);
        if self.shunned.len() >= MAX_SHUNNED {
            let first = self.shunned.iter().min_by_key(|(_, until)| **until).map(|(id, _)| *id);
            first.map(|id| self.shunned.remove(&id));
        }
        self.shunned.insert(id, until);
    }

    /// Questions that nobody answered, and peers that hold up others.
    fn expire<S: Store>(&mut self, at: &mut At<'_, S>) {
        let now = at.now.mono_us;
        self.latest = self.latest.max(now);
        let due = |asked: &peer::Asked| asked.deadline <= now;
        let overdue: Vec<(NodeId, u32)> = self
            .peers
            .iter()
            .flat_map(|(id, peer)| peer.asked.iter().filter(|(_, asked)| due(asked)).map(|(request, _)| (*id, *request)))
            .collect();
        for (id, request) in overdue {
            self.on_unanswered(id, request, at);
        }
        self.pass_over_stalling(at);
    }

    fn on_unanswered<S: Store>(&mut self, id: NodeId, request: u32, at: &mut At<'_, S>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(asked) = peer.close(request, Past::GivenUp) else { return };
        peer.unanswered += 1;
        let ended = peer.unanswered >= MAX_UNANSWERED;
        match asked.what {
            What::Headers(Purpose::Direct) => peer.is_ahead = true,
            What::Headers(Purpose::First | Purpose::Second) => self.forget_passes(&id),
            What::Blocks(_) => self.bodies.reopen_of(&id, request),
            What::Compact(_) | What::BlockTransactions(_) | What::Transactions(_) => {}
        }
        let _ = &at;
        if ended {
            self.blame(&id, Reason::Unanswered);
        }
    }

    /// A header that a peer has.
    fn note_has<S: Store>(&mut self, id: &NodeId, hash: &BlockHash, chain: &Chain<S>) {
        let Some(work) = chain.work_at(hash) else { return };
        let Some(peer) = self.peers.get_mut(id) else { return };
        let before = peer.has.and_then(|has| chain.work_at(&has));
        if before.is_none_or(|before| work > before) {
            peer.has = Some(*hash);
        }
    }

    /// Nobody who follows a chain with a bad block is honest: only what is active is served.
    fn note_invalid<S: Store>(&mut self, at: &At<'_, S>) {
        let best = at.chain.best_header().0;
        if self.judged_best == Some(best) {
            return;
        }
        self.judged_best = Some(best);
        let follows = |peer: &Peer| peer.is_speaking() && peer.has.is_some_and(|has| at.chain.is_invalid(&has));
        let guilty: Vec<NodeId> = self.peers.iter().filter(|(_, peer)| follows(peer)).map(|(id, _)| *id).collect();
        for id in guilty {
            self.blame(&id, Reason::InvalidChain);
        }
    }

    /// Tells when all is here, and how blocks are written from then on.
    fn note_synced<S: Store>(&mut self, at: &mut At<'_, S>) {
        let best = best_work(at.chain);
        let more = self.peers.values().any(|peer| peer.is_useful() && (peer.claimed_work > best || peer.pass.is_some()));
        let is_synced = !more && self.second.is_none() && at.chain.best_header().0 == at.chain.tip();
        let has_peers = self.peers.values().any(Peer::is_speaking);
        if is_synced && has_peers && !self.is_synced {
            self.is_synced = true;
            at.chain.set_flush(Flush::EachBlock);
            if let Err(error) = at.chain.flush() {
                self.store_failed(error, at.now);
            }
            self.event(Event::Synced { height: at.chain.height() });
        } else if !is_synced && is_behind(at) && at.chain.best_header().1 > at.chain.height() + FEW_BLOCKS {
            self.is_synced = false;
            at.chain.set_flush(Flush::BySize);
        }
    }

    fn store_failed(&mut self, error: StoreError, now: Now) {
        self.bodies.pause(now.mono_us.saturating_add(STORE_PAUSE));
        self.event(Event::StoreFailed(error));
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn send(&mut self, peer: NodeId, message: Ledger, body: Option<Bytes>) {
        self.out.push_back(Output::Send { peer, message, body });
    }

    fn random_bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

/// So many missing blocks are a first synchronisation, in which several share a commit.
const FEW_BLOCKS: u32 = 64;

/// A name as it stands on the wire.
pub(crate) const fn hash_out(hash: BlockHash) -> LedgerHash {
    LedgerHash(hash.0)
}

/// The same for a transaction.
pub(crate) const fn txid_out(txid: Txid) -> LedgerHash {
    LedgerHash(txid.0)
}
