//! Copies of the frames on this node's own links, for its operator: made only while somebody watches.
//!
//! The driver asks one atomic number a frame and does nothing more while it is 0. A watcher that is too slow loses the
//! oldest copies and is told how many; of a body the copy has the length and the beginning.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use meshline_mesh::LinkId;
use meshline_protocol::{Decoded, Frame, Message, NodeId, UnixMicros};
use tokio::sync::broadcast;

use crate::clock::Clock;

/// Copies kept for a slow watcher. A message is 64 KiB at most and mostly some hundred bytes.
const MAX_COPIES: usize = 256;

/// Bytes of a body that are copied: enough to see what it is.
const MAX_BODY_SHOWN: usize = 1_024;

/// Watchers at once. Each is an operator's terminal.
const MAX_WATCHERS: usize = 4;

/// One frame that went over a link.
#[derive(Clone, Debug)]
pub struct Tapped {
    /// When, by this node's clock.
    pub time: UnixMicros,
    /// Whether this node sent it.
    pub sent: bool,
    /// The link, by its number in this process.
    pub link: LinkId,
    /// Who is at the other end, once that is proved or accepted.
    pub peer: Option<NodeId>,
    /// What it was.
    pub content: Content,
}

/// What a frame was.
#[derive(Clone, Debug)]
pub enum Content {
    /// A known message, with the length of its body and the beginning of it.
    Message(Box<Message>, Option<(usize, Bytes)>),
    /// A message of an unknown type.
    Unknown(String),
    /// What was no valid message, with the reason.
    Invalid(String),
}

/// Where watchers get their copies from.
#[derive(Debug)]
pub(crate) struct Tap {
    watchers: AtomicUsize,
    copies: broadcast::Sender<Arc<Tapped>>,
}

impl Default for Tap {
    fn default() -> Self {
        Self { watchers: AtomicUsize::new(0), copies: broadcast::channel(MAX_COPIES).0 }
    }
}

impl Tap {
    /// A watcher; `None` if there are as many as there may be.
    pub(crate) fn watch(self: &Arc<Self>) -> Option<TapReader> {
        let more = |watchers: usize| (watchers < MAX_WATCHERS).then_some(watchers + 1);
        self.watchers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(TapReader { copies: self.copies.subscribe(), tap: Arc::clone(self) })
    }

    /// Shows a copy to everybody.
    pub(crate) fn put(&self, copy: Tapped) {
        // The last watcher may have just gone.
        let _ = self.copies.send(Arc::new(copy));
    }

    /// Whether anybody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }
}

/// Copies as they come. The last one that is dropped ends the copying.
#[derive(Debug)]
pub struct TapReader {
    copies: broadcast::Receiver<Arc<Tapped>>,
    tap: Arc<Tap>,
}

impl TapReader {
    /// The next copy, or how many were lost because this watcher was too slow; `None` when the mesh has ended.
    pub async fn next(&mut self) -> Option<Result<Arc<Tapped>, u64>> {
        match self.copies.recv().await {
            Ok(copy) => Some(Ok(copy)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Drop for TapReader {
    fn drop(&mut self) {
        self.tap.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The driver's end: it knows who is at the end of each link.
pub(crate) struct Hook {
    tap: Arc<Tap>,
    clock: Clock,
    peers: BTreeMap<LinkId, NodeId>,
}

impl Hook {
    pub(crate) fn new(tap: Arc<Tap>, clock: Clock) -> Self {
        Self { tap, clock, peers: BTreeMap::new() }
    }

    /// Notes who is at the end of a link, and forgets the links that are gone.
    pub(crate) fn linked(&mut self, link: LinkId, peer: NodeId, is_there: impl Fn(&LinkId) -> bool) {
        self.peers.retain(|link, _| is_there(link));
        self.peers.insert(link, peer);
    }

    /// A frame was sent.
    pub(crate) fn sent(&self, link: LinkId, frame: &Frame) {
        if self.tap.is_watched() {
            self.copy(link, true, content(frame));
        }
    }

    /// Something was received.
    pub(crate) fn received(&self, link: LinkId, decoded: &Decoded) {
        if self.tap.is_watched() {
            self.copy(
                link,
                false,
                match decoded {
                    Decoded::Frame(frame) => content(frame),
                    Decoded::Unknown { tag } => Content::Unknown(tag.clone()),
                    Decoded::Invalid(fault) => Content::Invalid(format!("{}: {}", fault.code.name(), fault.detail)),
                },
            );
        }
    }

    fn copy(&self, link: LinkId, sent: bool, content: Content) {
        let peer = self.peers.get(&link).copied();
        self.tap.put(Tapped { time: self.clock.now().wall, sent, link, peer, content });
    }
}

/// The beginning of a body is copied, so that a slow watcher does not hold the whole of it.
fn content(frame: &Frame) -> Content {
    let shown = |body: &Bytes| Bytes::copy_from_slice(body.get(..MAX_BODY_SHOWN).unwrap_or(body));
    let body = frame.body.as_ref().map(|body| (body.len(), shown(body)));
    Content::Message(Box::new(frame.message.clone()), body)
}

#[cfg(test)]
mod tests {
    use meshline_protocol::message::ErrorMessage;
    use meshline_protocol::{Code, Fault};

    use super::*;

    fn frame(length: usize) -> Frame {
        let error = ErrorMessage::new(Code::Other, "");
        Frame { message: Message::Error(error), body: Some(vec![7; length].into()) }
    }

    #[tokio::test]
    async fn nothing_is_copied_while_nobody_watches_and_the_beginning_of_a_body_while_somebody_does() {
        let tap = Arc::new(Tap::default());
        let mut hook = Hook::new(Arc::clone(&tap), Clock::start());
        hook.sent(LinkId(1), &frame(1));
        let mut reader = tap.watch().unwrap();
        hook.linked(LinkId(1), NodeId::from_bytes([1; 32]), |_| true);
        hook.received(LinkId(1), &Decoded::Frame(frame(MAX_BODY_SHOWN + 1)));
        let copy = reader.next().await.unwrap().unwrap();
        assert_eq!((copy.sent, copy.peer), (false, Some(NodeId::from_bytes([1; 32]))));
        let Content::Message(_, Some((length, shown))) = &copy.content else { panic!("{copy:?}") };
        assert_eq!((*length, shown.len()), (MAX_BODY_SHOWN + 1, MAX_BODY_SHOWN));
        hook.received(LinkId(2), &Decoded::Invalid(Fault::new(Code::TooDeep, "deep")));
        assert!(
            matches!(&reader.next().await.unwrap().unwrap().content, Content::Invalid(why) if why == "too_deep: deep")
        );
        drop(reader);
        assert!(!tap.is_watched());
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_what_it_missed_and_there_are_so_many_at_most() {
        let tap = Arc::new(Tap::default());
        let hook = Hook::new(Arc::clone(&tap), Clock::start());
        let mut readers: Vec<TapReader> = (0..MAX_WATCHERS).filter_map(|_| tap.watch()).collect();
        assert!(readers.len() == MAX_WATCHERS && tap.watch().is_none());
        (0..MAX_COPIES + 3).for_each(|_| hook.sent(LinkId(1), &frame(0)));
        assert_eq!(readers[0].next().await.unwrap().err(), Some(3));
        assert!(readers[0].next().await.unwrap().is_ok());
        readers.pop();
        assert!(tap.watch().is_some());
    }

    #[test]
    fn links_that_are_gone_are_forgotten() {
        let mut hook = Hook::new(Arc::default(), Clock::start());
        hook.linked(LinkId(1), NodeId::from_bytes([1; 32]), |_| true);
        hook.linked(LinkId(2), NodeId::from_bytes([2; 32]), |link| *link != LinkId(1));
        assert_eq!(hook.peers.keys().collect::<Vec<_>>(), [&LinkId(2)]);
    }
}
