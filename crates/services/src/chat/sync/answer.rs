//! Answering a member that compares its history with ours. Nothing is remembered of who asked what.

use bytes::{Bytes, BytesMut};
use meshline_protocol::limits::{MAX_BODY, MAX_CHAT_AUTHORS, MAX_CHAT_ENTRIES, MAX_CHAT_RANGES};
use meshline_protocol::message::{
    Chat as Message, ChatCompare, ChatEntry, ChatKeys, ChatMessages, ChatRange, ChatRanges, ChatWant,
};
use meshline_protocol::{Bounded, Frame, Message as Wire, NodeId, SignedRecord};

use super::digest::{Range, key, summarise, wire};
use crate::chat::history::History;
use crate::chat::message::Key;

/// Messages in a range whose names are simply told: 256 names are a third of a line.
const MAX_TOLD: usize = 256;

/// Answers `compare`.
pub(super) fn compare(history: &History, asked: &ChatCompare) -> Frame {
    let range = Range { from: asked.from.map(key), to: asked.to.map(key) };
    let own = summarise(history, range);
    let answer = if own.digest == asked.digest {
        Message::Ranges(ChatRanges { from: asked.from, to: asked.to, ranges: Bounded::default() })
    } else if usize::try_from(own.count).is_ok_and(|count| count <= MAX_TOLD) {
        let keys = Bounded::from_first(history.keys(range.from, range.to).copied().map(wire));
        Message::Keys(ChatKeys { from: asked.from, to: asked.to, keys })
    } else {
        let ranges = Bounded::from_first(pieces(history, range));
        Message::Ranges(ChatRanges { from: asked.from, to: asked.to, ranges })
    };
    Wire::Chat(answer).into()
}

/// A range in pieces of as many messages as are told at once, or of more if these were too many pieces.
fn pieces(history: &History, range: Range) -> Vec<ChatRange> {
    let keys: Vec<Key> = history.keys(range.from, range.to).copied().collect();
    let size = MAX_TOLD.max(keys.len().div_ceil(MAX_CHAT_RANGES));
    let begins: Vec<Key> = keys.chunks(size).skip(1).filter_map(|chunk| chunk.first()).copied().collect();
    let mut from = range.from;
    let ends = begins.into_iter().map(Some).chain(std::iter::once(range.to));
    ends.map(|to| {
        let summary = summarise(history, Range { from, to });
        from = to;
        ChatRange { to: to.map(wire), count: summary.count, digest: summary.digest }
    })
    .collect()
}

/// Answers `want` with as many of the messages as fit.
pub(super) fn want(history: &History, asked: &ChatWant, record_of: impl Fn(&NodeId) -> Option<SignedRecord>) -> Frame {
    let mut body = BytesMut::new();
    let mut entries = Vec::new();
    let mut authors: Vec<NodeId> = Vec::new();
    for kept in asked.keys.iter().filter_map(|wanted| history.get(&key(*wanted))) {
        let signed = &kept.signed;
        let is_known = authors.contains(&signed.by);
        let is_full = entries.len() >= MAX_CHAT_ENTRIES
            || body.len() + signed.body.len() > MAX_BODY
            || (!is_known && authors.len() >= MAX_CHAT_AUTHORS);
        if is_full {
            break;
        }
        if !is_known {
            authors.push(signed.by);
        }
        let len = u32::try_from(signed.body.len()).unwrap_or(u32::MAX);
        entries.push(ChatEntry { by: signed.by, seq: signed.seq, sig: signed.sig.clone(), len });
        body.extend_from_slice(&signed.body);
    }
    let authors = Bounded::from_first(authors.iter().filter_map(record_of));
    let messages = ChatMessages { messages: Bounded::from_first(entries), authors };
    Frame { message: Wire::Chat(Message::Messages(messages)), body: Some(Bytes::from(body)) }
}
