//! Messages of the area `chat`: other members compare their histories with ours, and answer when we do.

use bytes::Bytes;
use meshline_mesh::{Mono, SignedText};
use meshline_protocol::message::{Chat as ChatMessage, ChatMessages};
use meshline_protocol::{Code, Fault, Frame, Message as Wire, NodeId};

use super::message::Key;
use super::room::{Arrival, Chat, Context};
use super::service;
use super::sync::{Around, Heard};

impl Chat {
    /// A linked member compares its history with ours, or answers.
    pub(crate) fn handle_frame(&mut self, peer: NodeId, frame: Frame, context: &mut Context<'_>) {
        let Frame { message: Wire::Chat(message), body } = frame else { return };
        match self.hear(peer, message, body.unwrap_or_default(), context) {
            Ok(()) => {}
            Err(fault) => {
                self.sync.give_up(&peer);
                context.node.blame(&peer, &fault);
            }
        }
    }

    fn hear(
        &mut self,
        peer: NodeId,
        message: ChatMessage,
        body: Bytes,
        context: &mut Context<'_>,
    ) -> Result<(), Fault> {
        let now = context.now.mono;
        let Self { history, coming, authors, sync, .. } = self;
        let is_new = |key: &Key| history.is_new(key) && !coming.contains(key);
        let record_of = |id: &NodeId| authors.record(id).cloned();
        let around = Around { history, node: context.node, is_new: &is_new, record_of: &record_of };
        match sync.handle(peer, message, around, now)? {
            Heard::Done => Ok(()),
            Heard::Messages(messages) => {
                self.take_all(&messages, body, context)?;
                self.sync.go_on(peer, &self.history, context.node, now);
                Ok(())
            }
        }
    }

    /// Messages out of another member's history.
    fn take_all(&mut self, messages: &ChatMessages, mut body: Bytes, context: &mut Context<'_>) -> Result<(), Fault> {
        for entry in messages.messages.iter() {
            let len = usize::try_from(entry.len).unwrap_or(usize::MAX);
            if len > body.len() {
                return Err(Fault::new(Code::InvalidMessage, "less text than announced"));
            }
            let signed = SignedText { by: entry.by, seq: entry.seq, sig: entry.sig.clone(), body: body.split_to(len) };
            let brought = messages.authors.iter().find(|record| record.by == entry.by);
            let record = context.node.record_of(&entry.by).or_else(|| brought.cloned());
            // Nobody can say who that is, or it was expelled: no fault of the member that kept it.
            let Some(name) = record.as_ref().and_then(|record| context.node.vouch(record).ok()) else { continue };
            let text =
                context.node.read_signed(&signed).map_err(|code| Fault::new(code, "a message of the history"))?;
            if text.service != service() {
                return Err(Fault::new(Code::InvalidMessage, "not a message of the chat"));
            }
            context.node.note_clock(text.clock);
            let arrival = Arrival { signed: signed.into(), text: &text, name: name.name, path: Vec::new(), record };
            self.take_in(arrival, context);
        }
        Ok(())
    }

    /// Goes on with what is due.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        self.sync.handle_timeout(&self.history, context.node, context.now.mono);
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.sync.next_timeout()
    }
}
