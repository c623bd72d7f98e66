//! The ledger as plain state: what a block and a transaction are, which of them are valid, which chain counts.
//!
//! Everything that is hashed has one binary form, read strictly ([`encode`]): two nodes never disagree about bytes.
//! Header, proof of work, compact bits and the merkle tree are Bitcoin's, so that its blocks test this code. The rules
//! are written out in `docs/LEDGER.md`, precisely enough to be implemented again from there alone.
//!
//! The time, the random seed and the disk come from outside: the crate has no clock, thread or socket.

pub mod amount;
pub mod chain;
pub mod consensus;
pub mod encode;
pub mod filter;
pub mod hash;
pub mod mempool;
pub mod miner;
pub mod sighash;
pub mod store;
pub mod sync;
pub mod transaction;
pub mod u256;
pub mod verified;

pub use amount::Amount;
pub use chain::Chain;
pub use consensus::{Block, Coin, CompactBits, Genesis, GenesisFile, Header, Params, Preset, Rule};
pub use hash::{BlockHash, ChainId, Txid, Wtxid};
pub use sync::light;
pub use transaction::{Lock, OutPoint, Transaction, TxIn, TxOut};
pub use verified::Verified;
