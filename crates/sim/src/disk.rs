//! What a host keeps of its messages: written at once or some time later, and lost if the host is killed before.

use std::collections::{BTreeMap, VecDeque};

use meshline_protocol::{NodeId, SignedRecord};
use meshline_services::chat::{Floors, Stored, StoredMessage, Ticket, Write};

/// The disk of a host.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// How long a write takes, in microseconds; 0 is at once.
    pub(crate) delay: u64,
    /// Whether writes fail.
    pub(crate) full: bool,
    waiting: VecDeque<(Option<Ticket>, Write)>,
    messages: BTreeMap<u64, StoredMessage>,
    authors: BTreeMap<NodeId, SignedRecord>,
    floors: Floors,
    last_cursor: u64,
}

impl Disk {
    /// Takes a write; it is not on disk before [`Disk::flush`].
    pub(crate) fn put(&mut self, ticket: Option<Ticket>, write: Write) {
        self.waiting.push_back((ticket, write));
    }

    /// Writes everything up to a ticket; says what went wrong.
    pub(crate) fn flush(&mut self, ticket: Ticket) -> Result<(), String> {
        while self.waiting.iter().any(|(waiting, _)| waiting.is_some_and(|waiting| waiting <= ticket)) {
            let Some((_, write)) = self.waiting.pop_front() else { break };
            if !self.full {
                self.apply(write);
            }
        }
        if self.full { Err("no space left".to_owned()) } else { Ok(()) }
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Message(message) => {
                self.last_cursor = self.last_cursor.max(message.cursor);
                self.messages.insert(message.cursor, *message);
            }
            Write::Delivery { cursor, delivery } => {
                if let Some(message) = self.messages.get_mut(&cursor) {
                    message.delivery = delivery;
                }
            }
            Write::Author(record) => {
                self.authors.insert(record.by, *record);
            }
            Write::Forget { cursors, floors, authors } => {
                self.floors = floors;
                cursors.iter().for_each(|cursor| drop(self.messages.remove(cursor)));
                authors.iter().for_each(|author| drop(self.authors.remove(author)));
            }
        }
    }

    /// What the next run of the node finds. What waited is lost.
    pub(crate) fn stored(&mut self) -> Stored {
        self.waiting.clear();
        Stored {
            messages: self.messages.values().cloned().collect(),
            authors: self.authors.values().cloned().collect(),
            floors: self.floors.clone(),
            last_cursor: self.last_cursor,
        }
    }
}
