//! What a light client wants done and told.

use bytes::Bytes;
use meshline_protocol::NodeId;
use meshline_protocol::message::Ledger;

use crate::hash::{ChainId, Txid};
use crate::store::StoreError;
use crate::sync::Reason;
use crate::sync::light::Light;

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
    /// A transaction that concerns the wallet is in a block.
    Found {
        /// Which.
        txid: Txid,
        /// Height of the block.
        height: u32,
    },
    /// An own transaction is proved to be in a block that was not looked through yet.
    Proved {
        /// Which.
        txid: Txid,
        /// Height of the block.
        height: u32,
    },
    /// The block that held a transaction is not in the best chain any more.
    Undone {
        /// Which.
        txid: Txid,
    },
    /// An own transaction will never be in a block: another one spends the same.
    Conflicted {
        /// Which.
        txid: Txid,
    },
    /// Blocks were looked through.
    Scanned {
        /// Up to this height.
        height: u32,
    },
    /// From here on filters were taken on the word of one peer alone: nothing could be compared.
    Alone {
        /// The height of the first block.
        from: u32,
    },
    /// What was taken on one peer's word is what another says, too.
    Compared {
        /// The height of the first such block.
        from: u32,
    },
    /// Nothing better is known anywhere, and all was looked through.
    Synced {
        /// Height of the last block.
        height: u32,
    },
    /// The store failed; what it was needed for is tried again.
    StoreFailed(StoreError),
}

impl Light {
    /// Hands on what is to be done.
    pub(super) fn collect(&mut self) {
        while let Some(output) = self.sync.poll_output() {
            match output {
                crate::sync::Output::Send { peer, message, body } => {
                    self.out.push_back(Output::Send { peer, message, body });
                }
                crate::sync::Output::Misbehaved { peer, reason, ended } => {
                    self.out.push_back(Output::Misbehaved { peer, reason, ended });
                }
                crate::sync::Output::Event(event) => {
                    use crate::sync::Event as Of;
                    match event {
                        Of::Joined { peer, height } => self.events.push_back(Event::Joined { peer, height }),
                        Of::Foreign { peer, chain } => self.events.push_back(Event::Foreign { peer, chain }),
                        Of::StoreFailed(error) => self.events.push_back(Event::StoreFailed(error)),
                        // Of blocks, which are not kept.
                        Of::Chain(_) | Of::Added(_) | Of::Synced { .. } => {}
                    }
                }
            }
        }
        self.out.extend(self.events.drain(..).map(Output::Event));
    }
}
