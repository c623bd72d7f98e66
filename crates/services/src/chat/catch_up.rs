//! Messages of the area `chat`: other members compare their histories with ours, and answer when we do.

use bytes::Bytes;
use meshline_mesh::{Mono, SignedText};
use meshline_protocol::message::{Chat as ChatMessage, ChatKey, ChatMessages};
use meshline_protocol::{Code, Fault, Frame, Message as Wire, NodeId, UnixMicros};

use super::message::{Delivery, Key, State};
use super::room::{Arrival, Chat, Context};
use super::service;
use super::sync::{Around, Heard};

/// Members counted that have one message: as many as a broadcast of the mesh counts.
const MAX_HOLDERS: usize = 4_096;

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
        self.credit(peer, &message, context);
        let plausible: &dyn Fn(&Key) -> bool = &{
            let latest = context.node.latest_plausible();
            move |key: &Key| key.seq <= latest
        };
        let Self { history, coming, authors, sync, .. } = self;
        let is_new = |key: &Key| {
            history.is_new(key) && !coming.contains(key) && !history.is_hidden(&key.author) && plausible(key)
        };
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

    /// What a member says of its history, or asks of ours, shows which of our messages it has.
    fn credit(&mut self, peer: NodeId, message: &ChatMessage, context: &mut Context<'_>) {
        let own = self.own();
        let named = |keys: &[ChatKey]| keys.iter().filter(|key| key.author == own).map(|key| key.seq).collect();
        let seqs: Vec<UnixMicros> = match message {
            ChatMessage::Keys(answer) => named(&answer.keys),
            ChatMessage::Want(asked) => named(&asked.keys),
            ChatMessage::Ranges(answer) if answer.ranges.is_empty() => {
                let place = |key: &ChatKey| (key.seq, key.author);
                let from = answer.from.as_ref().map(place);
                let to = answer.to.as_ref().map(place);
                let is_in = |seq: &&UnixMicros| {
                    from.is_none_or(|from| (**seq, own) >= from) && to.is_none_or(|to| (**seq, own) < to)
                };
                self.unfinished.keys().filter(is_in).copied().collect()
            }
            ChatMessage::Compare(_) | ChatMessage::Ranges(_) | ChatMessage::Messages(_) => return,
        };
        for seq in seqs {
            self.credit_one(peer, seq, context);
        }
    }

    fn credit_one(&mut self, peer: NodeId, seq: UnixMicros, context: &mut Context<'_>) {
        if !self.unfinished.contains_key(&seq) || context.node.note_holder(seq, peer) {
            return;
        }
        let Some(kept) = self.history.get(&Key { seq, author: self.own() }) else { return };
        let before = kept.message.delivery;
        let Some(holders) = self.unfinished.get_mut(&seq).filter(|holders| holders.len() < MAX_HOLDERS) else { return };
        holders.insert(peer);
        let complete = self.sync.linked().all(|linked| holders.contains(linked));
        let delivered_to = holders.len().max(before.delivered_to);
        let state = if complete { State::Delivered } else { State::Sent };
        let delivered_of = self.sync.linked().count().max(delivered_to);
        let delivery = Delivery { state, delivered_to, delivered_of };
        if delivery != before {
            self.note_delivery(seq, delivery, context);
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
            // It comes again when its time has come.
            if !context.node.is_plausible(text.clock.max(text.seq)) {
                continue;
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
