//! Payments that wait for a block: judged by the rules of the next block, ordered by what they pay for each byte.
//!
//! Whoever fills the pool pays for it: when it is full the cheapest goes, first of those peers that hold more than
//! their share, so that no peer can push out another's few payments.

mod batch;
mod pool;
mod saved;
mod template;

pub use batch::Brought;
pub use pool::{
    Added, EXPIRY_S, MAX_POOL_BYTES, MAX_RELATIVES, MAX_REPLACED, Mempool, Origin, PoolRefusal, RESERVED_BYTES, Waiting,
};
pub use saved::{MAX_SAVED_BYTES, SavedError, read_payments, save_payments};
pub use template::{Template, due};
