//! One message of the chat, and where it stands among the others.

use meshline_protocol::{NodeId, UnixMicros};

/// What names a message on every member, and the order in which histories are compared and forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The author's sequence.
    pub seq: UnixMicros,
    /// Who wrote it.
    pub author: NodeId,
}

/// Where a message stands in the order that all members show: by its hybrid clock, then author and sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The hybrid clock: the author's time, and later than everything the author had seen.
    pub clock: UnixMicros,
    /// Who wrote it.
    pub author: NodeId,
    /// The author's sequence.
    pub seq: UnixMicros,
}

/// How far an own message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not an own message.
    Received,
    /// Waits for the ring to close, or for somebody to come.
    Queued,
    /// On its way.
    Sent,
    /// Everybody who can be reached has it.
    Delivered,
}

impl State {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
        }
    }
}

/// How far a message has come, with numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// In a word.
    pub state: State,
    /// Other members known to have it.
    pub delivered_to: usize,
    /// Other members it is for; 0 while that is not known.
    pub delivered_of: usize,
}

impl Delivery {
    /// Of a message that somebody else wrote.
    pub const RECEIVED: Self = Self { state: State::Received, delivered_to: 0, delivered_of: 0 };
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the order of arrival here; grows by one a message and is never used twice.
    pub cursor: u64,
    /// Who wrote it.
    pub author: NodeId,
    /// The author's name as shown.
    pub name: String,
    /// The author's sequence.
    pub seq: UnixMicros,
    /// The hybrid clock, by which messages are ordered everywhere alike.
    pub clock: UnixMicros,
    /// What.
    pub text: String,
    /// When, by the author's clock.
    pub time: UnixMicros,
    /// Whether it was written here.
    pub own: bool,
    /// How far it has come.
    pub delivery: Delivery,
    /// The way it came: the author first, the last one before us at the end; of members in between only those known.
    /// Empty if it came with the history of another member, or was written here.
    pub path: Vec<NodeId>,
}

impl Message {
    /// What names it.
    #[must_use]
    pub fn key(&self) -> Key {
        Key { seq: self.seq, author: self.author }
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { clock: self.clock, author: self.author, seq: self.seq }
    }
}
