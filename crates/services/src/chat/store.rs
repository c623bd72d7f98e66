//! What the chat wants kept on disk, and what it gets back at the next start.

use std::sync::Arc;

use meshline_mesh::SignedText;
use meshline_protocol::{NodeId, SignedRecord};

use super::history::Floors;
use super::message::Delivery;

/// Names a write, so that the chat learns when it is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A message as it is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its place in the order of arrival here.
    pub cursor: u64,
    /// As its author signed it.
    pub signed: Arc<SignedText>,
    /// The author's name as it was shown.
    pub name: String,
    /// How far it has come.
    pub delivery: Delivery,
    /// The way it came.
    pub path: Vec<NodeId>,
}

/// One change of what is on disk. Changes are made in the order given; those given together may be one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// A new message.
    Message(Box<StoredMessage>),
    /// An own message has come further. No harm if it is lost.
    Delivery {
        /// Which.
        cursor: u64,
        /// How far.
        delivery: Delivery,
    },
    /// The announcement of an author, in place of an older one.
    Author(Box<SignedRecord>),
    /// Messages gave way.
    Forget {
        /// Which.
        cursors: Vec<u64>,
        /// What is not taken in any more.
        floors: Floors,
        /// Authors of whom nothing is kept any more.
        authors: Vec<NodeId>,
    },
}

/// What an earlier run kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The messages, in any order.
    pub messages: Vec<StoredMessage>,
    /// Announcements of authors.
    pub authors: Vec<SignedRecord>,
    /// What gave way.
    pub floors: Floors,
    /// The greatest cursor ever given out.
    pub last_cursor: u64,
}
