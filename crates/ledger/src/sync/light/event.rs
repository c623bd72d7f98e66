//! What a light client wants done and told.

use meshline_protocol::NodeId;

use crate::hash::{ChainId, Txid};
use crate::store::StoreError;
use crate::sync::light::Light;
use crate::sync::{Event as FullEvent, Output as Full};

/// What is to be done.
pub type Output = crate::sync::Output<Event>;

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
                Full::Send { peer, message, body } => self.out.push_back(Output::Send { peer, message, body }),
                Full::Misbehaved { peer, reason, ended } => {
                    self.out.push_back(Output::Misbehaved { peer, reason, ended });
                }
                Full::Event(event) => self.events.extend(of_headers(event)),
            }
        }
        self.out.extend(self.events.drain(..).map(Output::Event));
    }
}

/// What is worth telling of the synchronisation of headers: nothing of blocks, which are not kept.
fn of_headers(event: FullEvent) -> Option<Event> {
    match event {
        FullEvent::Joined { peer, height } => Some(Event::Joined { peer, height }),
        FullEvent::Foreign { peer, chain } => Some(Event::Foreign { peer, chain }),
        FullEvent::StoreFailed(error) => Some(Event::StoreFailed(error)),
        FullEvent::Chain(_) | FullEvent::Added(_) | FullEvent::Synced { .. } => None,
    }
}
