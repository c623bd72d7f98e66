//! The meshline wire: every message, id and limit, and the codec that turns bytes into them.
//!
//! Nothing here decides anything and nothing here does I/O. A stranger who reads `docs/PROTOCOL.md`
//! and the JSON Schema that [`schema::messages`] returns must be able to write a client in another
//! language; whatever such a client may send is either one of these types or a named [`frame::Fault`].
//!
//! All absolute times are Unix microseconds, all durations on the wire are microseconds, and every
//! string, list and number has a bound from [`limits`].

mod bounded;
pub mod code;
pub mod frame;
mod hash;
pub mod id;
pub mod limits;
pub mod message;
pub mod opening;
pub mod schema;
mod service_text;
pub mod signal;
pub mod stun;
mod tagged;
pub mod target;
mod text;
mod time;

pub use bounded::Bounded;
pub use code::Code;
pub use frame::{Decoded, Decoder, Encoding, Fault, Frame};
pub use hash::LedgerHash;
pub use id::{NetworkId, NodeId};
pub use message::{Message, SignedRecord};
pub use service_text::ServiceText;
pub use target::Target;
pub use text::{Address, AttemptKey, Mac, Name, ServiceKind, ServiceName, Ticket, ValueError};
pub use time::{Ping, UnixMicros};

#[cfg(test)]
mod tests;
