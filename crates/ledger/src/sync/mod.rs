//! The ledger among peers: who has which chain, how this node gets the best one, and how news gets around.
//!
//! [`Sync`] decides and does nothing: links, frames and the time go in, frames and news come out. Chain and mempool
//! belong to the caller and are lent for each step. Every question has a deadline and another peer to go to; every
//! offence has a name ([`Reason`]); what a peer can make this node hold is bounded in [`limits`].

mod announce;
mod blocks;
mod bodies;
mod compact;
mod conduct;
pub mod effort;
mod filters;
mod headers;
mod known;
pub mod light;
pub mod limits;
mod orphans;
mod parts;
mod passes;
mod peer;
mod reason;
mod report;
mod serve;
pub mod siphash;
mod tell;
mod transactions;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use meshline_protocol::message::Ledger;
use meshline_protocol::{LedgerHash, NodeId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use compact::CompactBlock;
pub use reason::Reason;
pub use report::{PeerReport, Phase, Report};

use crate::chain::{Chain, ChainEvent};
use crate::hash::{BlockHash, ChainId, Txid};
use crate::mempool::{Added, Mempool};
use crate::sighash::SignatureVerifier;
use crate::store::{Store, StoreError};
use crate::sync::announce::Compacts;
use crate::sync::bodies::Bodies;
use crate::sync::passes::Second;
use crate::sync::peer::Peers;
use crate::sync::report::Rate;
use crate::sync::transactions::Relay;

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
    /// It makes filters of its blocks and serves them, with proofs, to light clients.
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

/// What is to be done, and told: by a full node what [`Event`] says, by a light client what [`light::Event`] says.
#[derive(Debug, Clone, PartialEq)]
pub enum Output<E = Event> {
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
    Event(E),
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
    relay: Relay,
    compacts: Compacts,
    /// The tip of which all peers were told.
    told_tip: Option<BlockHash>,
    /// It changed while much was still to come, and nobody was told.
    has_untold_tip: bool,
    is_synced: bool,
    /// The best header for which peers that follow an invalid chain were looked for.
    judged_best: Option<BlockHash>,
    /// When the next filters are made, if some are missing.
    filters_at: Option<u64>,
    /// When what blocks did to the unspent outputs is written, if it is not.
    coins_at: Option<u64>,
    /// The time of the last step.
    latest: u64,
    offences: BTreeMap<&'static str, u64>,
    late: u64,
    /// What the frames since [`Sync::take_effort`] cost.
    effort: u64,
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
            relay: Relay::default(),
            compacts: Compacts::default(),
            told_tip: None,
            has_untold_tip: false,
            is_synced: false,
            judged_best: None,
            filters_at: None,
            coins_at: None,
            latest: 0,
            offences: BTreeMap::new(),
            late: 0,
            effort: 0,
            rate: Rate::default(),
            out: VecDeque::new(),
        }
    }

    /// What judges signatures here.
    pub fn verifier(&self) -> &V {
        &self.verifier
    }

    /// Takes in what happened.
    pub fn handle<S: Store>(&mut self, input: Input, now: Now, chain: &mut Chain<S>, pool: &mut Mempool) {
        let mut at = At { chain, pool, now };
        self.take_in(input, &mut at);
        self.settle(&mut at);
    }

    fn take_in<S: Store>(&mut self, input: Input, at: &mut At<'_, S>) {
        match input {
            Input::LinkUp { peer } => self.on_link_up(peer, at),
            Input::LinkDown { peer } => self.on_link_down(&peer),
            Input::Frame { peer, message, body } => {
                let body = body.unwrap_or_default();
                self.spend(effort::FRAME_EFFORT);
                self.spend_on_bytes(body.len());
                if let Err(reason) = self.on_frame(peer, message, &body, at) {
                    self.blame(&peer, reason);
                }
            }
            Input::Drained { peer } => self.on_drained(peer, at),
            Input::Tick => {}
        }
    }

    /// What follows for the headers.
    fn step_headers<S: Store>(&mut self, at: &mut At<'_, S>) {
        self.expire(at);
        self.note_invalid(at);
        self.follow_headers(at);
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
        self.hurry(at);
        self.note_tip(at);
        self.fetch_transactions(at);
        self.trickle(at);
        self.note_synced(at);
        self.make_filters(at);
        self.write_coins(at);
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

/// A name as it stands on the wire.
pub(crate) const fn hash_out(hash: BlockHash) -> LedgerHash {
    LedgerHash(hash.0)
}

/// The same for a transaction.
pub(crate) const fn txid_out(txid: Txid) -> LedgerHash {
    LedgerHash(txid.0)
}
