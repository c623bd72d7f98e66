//! Chat: what members write to all.
//!
//! An own message is on disk before anything else becomes of it, so "sent" means durable. Another's is shown at once and
//! written behind: its author has it, and so have others. Messages get their cursors in the order in which readers learn
//! of them. Writes that come together are one transaction of whoever drives this.

mod authors;
mod catch_up;
mod history;
mod message;
mod room;
mod store;
mod sync;

use meshline_protocol::{Code, ServiceName};

pub use history::{Bounds, DEFAULT_MAX_BYTES, DEFAULT_MAX_MESSAGES, Floors, History, Listing, Page};
pub use message::{Delivery, Key, Message, Place, State};
pub(crate) use room::Context;
pub use room::{Chat, MAX_WAITING};
pub use store::{Stored, StoredMessage, Ticket, Write};

/// What somebody on this machine wants of the chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write to all.
    Send {
        /// The text, at most 16 KiB.
        text: String,
    },
    /// Read what was written.
    History {
        /// Which messages.
        page: Page,
        /// At most so many.
        limit: usize,
    },
    /// How much is kept.
    Report,
}

/// What the chat answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message as it stands in the history, on disk.
    Sent(Box<Message>),
    /// Messages in the common order.
    History(Listing),
    /// How much is kept.
    Report(Report),
    /// Refused.
    Refused {
        /// The name of the refusal.
        code: Code,
        /// A sentence for people.
        detail: String,
    },
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Messages.
    pub messages: usize,
    /// Bytes of signed texts.
    pub bytes: usize,
    /// The bounds in force.
    pub bounds: Bounds,
    /// The newest cursor.
    pub cursor: u64,
    /// Whether the last write to disk went well.
    pub durable: bool,
}

/// What the chat tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message, one's own too.
    Message {
        /// The message.
        message: Message,
        /// Whether it was written here.
        own: bool,
    },
    /// One's own message has come further.
    Delivered {
        /// The message as it stands now.
        message: Message,
        /// Whether it is known to have reached all that could be.
        complete: bool,
    },
}

/// The name under which chat texts travel.
pub(crate) fn service() -> ServiceName {
    "chat".parse().unwrap_or_else(|_| unreachable!("a constant label"))
}
