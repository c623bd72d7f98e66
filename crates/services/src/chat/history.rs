//! The messages of the chat, newest last, within bounds.

use std::collections::VecDeque;

use meshline_mesh::PeerName;
use meshline_protocol::{NodeId, UnixMicros};

use super::Written;

/// Messages kept: ten thousand fill a page for days.
pub const MAX_HISTORY_MESSAGES: usize = 10_000;

/// Bytes of text kept: so that ten thousand messages of 16 KiB cannot take 160 MiB.
pub const MAX_HISTORY_BYTES: usize = 8 * 1024 * 1024;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in this node's history; grows by one a message.
    pub cursor: u64,
    /// Who wrote it.
    pub author: NodeId,
    /// The author's name as shown.
    pub name: String,
    /// The author's sequence.
    pub seq: UnixMicros,
    /// What.
    pub text: String,
    /// When, by the author's clock.
    pub time: Written,
    /// Own messages: how many other members are known to have it.
    pub delivered_to: usize,
}

/// The messages of the chat.
#[derive(Debug, Default)]
pub struct History {
    messages: VecDeque<Message>,
    bytes: usize,
    last_cursor: u64,
}

impl History {
    /// Appends a message and forgets the oldest ones beyond the bounds.
    pub fn push(&mut self, author: &PeerName, seq: UnixMicros, time: Written, text: String) -> Message {
        self.last_cursor += 1;
        let message = Message {
            cursor: self.last_cursor,
            author: author.id,
            name: author.name.clone(),
            seq,
            text,
            time,
            delivered_to: 0,
        };
        self.bytes += message.text.len();
        self.messages.push_back(message.clone());
        while self.messages.len() > MAX_HISTORY_MESSAGES || self.bytes > MAX_HISTORY_BYTES {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
        message
    }

    /// At most `limit` messages after a cursor, the newest, oldest first.
    #[must_use]
    pub fn after(&self, cursor: Option<u64>, limit: usize) -> Vec<Message> {
        let newer = |message: &&Message| cursor.is_none_or(|cursor| message.cursor > cursor);
        let mut found: Vec<_> = self.messages.iter().rev().take_while(newer).take(limit).cloned().collect();
        found.reverse();
        found
    }

    /// Notes how many members have an own message; `None` if it is forgotten already.
    pub fn deliver(&mut self, own: NodeId, seq: UnixMicros, delivered_to: usize) -> Option<Message> {
        let is_it = |message: &&mut Message| message.author == own && message.seq == seq;
        let message = self.messages.iter_mut().rev().find(is_it)?;
        message.delivered_to = delivered_to;
        Some(message.clone())
    }
}
