//! The state of the chat: what waits for the disk, what is shown, what is on its way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use meshline_mesh::{DeliveryState, Node, Now, RequestId, SignedText};
use meshline_protocol::limits::MAX_TEXT;
use meshline_protocol::message::SignedBroadcast;
use meshline_protocol::{Code, NodeId, SignedRecord, UnixMicros};

use super::authors::Authors;
use super::history::{Bounds, History, Kept};
use super::message::{Delivery, Key, Message, State};
use super::store::{Stored, StoredMessage, Ticket, Write};
use super::sync::Sync;
use super::{Command, Event, Reply, Report, service};
use crate::registry;
use crate::stack::Output;

/// Messages waiting for the disk. A disk that stands still for longer than it takes to fill this refuses own messages;
/// others' are fetched from their members' histories later.
pub const MAX_WAITING: usize = 1_024;

/// Own messages that a restart sends again: what a member that comes up is sent at most.
const MAX_SENT_AGAIN: usize = 256;

/// The same for messages of others that are shown already: further ones are in memory only.
const MAX_WAITING_WRITES: u64 = 1_024;

/// What the first cursor of a run is ahead of the last one on disk, if there is one: at the end of a run that was killed
/// so many may have been shown that did not get there, and no cursor is used for two messages.
const CURSOR_GAP: u64 = 2 * MAX_WAITING_WRITES;

/// A message on its way to the disk.
#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    kept: Kept,
    /// Own messages: who waits for the answer, and when it is too late to deliver it.
    own: Option<(RequestId, UnixMicros)>,
}

/// The state of the chat.
#[derive(Debug)]
pub struct Chat {
    own: NodeId,
    pub(super) history: History,
    pub(super) authors: Authors,
    waiting: VecDeque<Waiting>,
    /// Keys of what waits.
    pub(super) coming: BTreeSet<Key>,
    last_ticket: u64,
    last_kept: Ticket,
    last_cursor: u64,
    pub(super) sync: Sync,
    /// Own messages that not everybody is known to have, with who is, apart from what the node watches.
    pub(super) unfinished: BTreeMap<UnixMicros, BTreeSet<NodeId>>,
    durable: bool,
}

/// What a chat works with.
pub(crate) struct Context<'a> {
    pub(crate) node: &'a mut Node,
    pub(crate) out: &'a mut VecDeque<Output>,
    pub(crate) now: Now,
}

impl Context<'_> {
    fn reply(&mut self, request: RequestId, reply: Reply) {
        self.out.push_back(Output::Reply { request, reply: registry::Reply::Chat(reply) });
    }

    fn refuse(&mut self, request: RequestId, code: Code, detail: impl Into<String>) {
        self.reply(request, Reply::Refused { code, detail: detail.into() });
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(registry::Event::Chat(event)));
    }

    fn write(&mut self, ticket: Option<Ticket>, write: Write) {
        self.out.push_back(Output::Keep { ticket, write });
    }
}

impl Chat {
    /// The chat as an earlier run left it.
    pub(crate) fn new(own: NodeId, bounds: Bounds, stored: Stored) -> Self {
        let mut chat = Self {
            own,
            history: History::new(bounds),
            authors: Authors::default(),
            waiting: VecDeque::new(),
            coming: BTreeSet::new(),
            last_ticket: 0,
            last_kept: Ticket(0),
            last_cursor: 0,
            sync: Sync::default(),
            unfinished: BTreeMap::new(),
            durable: true,
        };
        let gap = if stored.last_cursor > 0 { CURSOR_GAP } else { 0 };
        chat.history.resume(stored.last_cursor, stored.floors);
        for record in stored.authors {
            chat.authors.restore(record);
        }
        for message in stored.messages {
            // What cannot be read any more is as good as lost, and may come back from others.
            let Ok(text) = serde_json::from_slice::<SignedBroadcast>(&message.signed.body) else { continue };
            let kept = kept_of(message, &text, own);
            chat.authors.add(kept.message.author, None);
            if kept.message.own && kept.message.delivery.state != State::Delivered {
                chat.unfinished.insert(kept.message.seq, BTreeSet::new());
            }
            chat.history.restore(kept);
        }
        chat.last_cursor = chat.history.last_cursor().saturating_add(gap);
        chat
    }

    /// What an earlier run left half done: clocks go on, own messages that were on their way are sent again.
    pub(crate) fn start(&mut self, context: &mut Context<'_>) {
        self.prune(context);
        for kept in self.history.iter() {
            context.node.note_clock(kept.message.clock);
        }
        for author in self.authors.expelled(context.node) {
            self.history.hide(author, true);
        }
        // The newest are sent again; who lacks older ones asks for them.
        let newest: Vec<UnixMicros> = self.unfinished.keys().rev().take(MAX_SENT_AGAIN).copied().collect();
        for seq in newest.into_iter().rev() {
            let Some(kept) = self.history.get(&Key { seq, author: self.own }) else { continue };
            let signed = Arc::clone(&kept.signed);
            let Ok(text) = serde_json::from_slice::<SignedBroadcast>(&signed.body) else { continue };
            if text.expires > context.now.wall {
                self.spread(&signed, text.expires, context);
            }
        }
    }

    pub(crate) fn handle_command(&mut self, request: RequestId, command: Command, context: &mut Context<'_>) {
        match command {
            Command::Send { text } => self.send(request, text, context),
            Command::History { page, limit } => {
                let listing = self.history.list(page, limit);
                context.reply(request, Reply::History(listing));
            }
            Command::Report => context.reply(request, Reply::Report(self.report())),
        }
    }

    pub(super) fn own(&self) -> NodeId {
        self.own
    }

    fn report(&self) -> Report {
        let history = &self.history;
        let (messages, bytes, bounds) = (history.len(), history.bytes(), history.bounds());
        Report { messages, bytes, bounds, cursor: history.last_cursor(), durable: self.durable }
    }

    fn send(&mut self, request: RequestId, text: String, context: &mut Context<'_>) {
        if let Some((code, detail)) = refusal_of(&text) {
            context.refuse(request, code, detail);
            return;
        }
        if self.waiting.len() >= MAX_WAITING {
            context.refuse(request, Code::StorageFailed, "too many messages wait for the disk");
            return;
        }
        self.keep_above_the_others(context);
        let signed = match context.node.sign(service(), text, context.now) {
            Ok(signed) => signed,
            Err((code, detail)) => return context.refuse(request, code, detail),
        };
        let Ok(text) = serde_json::from_slice::<SignedBroadcast>(&signed.body) else { return };
        let (name, record) = (context.node.own_name().name, context.node.record_of(&self.own));
        let arrival = Arrival { signed: Arc::new(signed), text: &text, name, path: Vec::new(), record };
        self.keep(arrival, Some((request, text.expires)), context);
    }

    /// An own message comes after all that is kept, or that gave way: with a clock that is slow it would fall below what
    /// others keep. What cannot have been written yet does not count.
    fn keep_above_the_others(&self, context: &mut Context<'_>) {
        let plausible = |seq: &UnixMicros| context.node.is_plausible(*seq);
        let kept = self.history.keys(None, None).rev().map(|key| key.seq).find(plausible);
        let floors = self.history.floors();
        let floor = floors.all.map(|floor| floor.seq).filter(plausible);
        let own = floors.authors.get(&self.own).copied().filter(plausible);
        if let Some(seq) = kept.max(floor).max(own) {
            context.node.note_sequence(seq);
        }
    }

    /// Hands a message to the disk.
    fn keep(&mut self, arrival: Arrival<'_>, own: Option<(RequestId, UnixMicros)>, context: &mut Context<'_>) {
        let Arrival { signed, text, name, path, record } = arrival;
        self.last_cursor += 1;
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let state = if own.is_some() { State::Queued } else { State::Received };
        let delivery = Delivery { state, delivered_to: 0, delivered_of: 0 };
        let stored = StoredMessage { cursor: self.last_cursor, signed, name, delivery, path };
        let kept = kept_of(stored.clone(), text, self.own);
        if let Some(record) = self.authors.add(kept.message.author, record) {
            context.write(None, Write::Author(Box::new(record)));
        }
        // Cursors are shown in their order: what comes while an own message waits is shown behind it.
        let waits = own.is_some() || !self.waiting.is_empty();
        if self.is_behind() && !waits {
            // Shown, and gone with this run: other members have it.
            self.durable = false;
        } else {
            context.write(Some(ticket), Write::Message(Box::new(stored)));
        }
        if waits {
            self.coming.insert(kept.message.key());
            self.waiting.push_back(Waiting { ticket, kept, own });
        } else {
            self.show(kept, context);
        }
    }

    /// Whether the disk has more before it than anybody should wait for.
    fn is_behind(&self) -> bool {
        self.last_ticket.saturating_sub(self.last_kept.0) > MAX_WAITING_WRITES
    }

    /// The disk is done with a message, and with all before it.
    pub(crate) fn handle_kept(&mut self, ticket: Ticket, result: &Result<(), String>, context: &mut Context<'_>) {
        self.durable = result.is_ok();
        self.last_kept = self.last_kept.max(ticket);
        while self.waiting.front().is_some_and(|waiting| waiting.ticket <= ticket) {
            let Some(waiting) = self.waiting.pop_front() else { break };
            self.coming.remove(&waiting.kept.message.key());
            match (waiting.own, result) {
                (Some((request, _)), Err(error)) => {
                    let _ = self.authors.remove(&self.own);
                    self.authors.write_again();
                    context.refuse(request, Code::StorageFailed, format!("the message cannot be kept: {error}"));
                }
                (Some((request, expires)), Ok(())) => self.sent(request, waiting.kept, expires, context),
                // Another's message is shown all the same: a full disk here is no reason not to hear.
                (None, _) => {
                    self.show(waiting.kept, context);
                }
            }
        }
    }

    /// An own message is on disk: it is sent, and whoever wrote it is told.
    fn sent(&mut self, request: RequestId, kept: Kept, expires: UnixMicros, context: &mut Context<'_>) {
        let signed = Arc::clone(&kept.signed);
        let delivery = delivery_of(context.node.spread(&signed, expires, context.now));
        let mut kept = kept;
        kept.message.delivery = delivery;
        self.unfinished.insert(signed.seq, BTreeSet::new());
        let message = self.show(kept, context);
        context.reply(request, Reply::Sent(Box::new(message)));
    }

    fn show(&mut self, kept: Kept, context: &mut Context<'_>) -> Message {
        let message = kept.message.clone();
        // Others' messages that came meanwhile may have taken the place of this one.
        if !message.own && !self.history.is_new(&message.key()) {
            self.authors.remove(&message.author);
            return message;
        }
        self.history.insert(kept);
        context.event(Event::Message { message: message.clone(), own: message.own });
        self.prune(context);
        message
    }

    fn spread(&mut self, signed: &SignedText, expires: UnixMicros, context: &mut Context<'_>) {
        let delivery = context.node.spread(signed, expires, context.now);
        self.handle_delivery(signed.seq, delivery, context);
    }

    fn prune(&mut self, context: &mut Context<'_>) {
        let gone = self.history.prune();
        if gone.is_empty() {
            return;
        }
        let floors = self.history.floors().clone();
        let authors = gone.iter().map(|(_, author)| *author).filter(|author| self.authors.remove(author)).collect();
        let cursors = gone.into_iter().map(|(cursor, _)| cursor).collect();
        context.write(None, Write::Forget { cursors, floors, authors });
    }

    /// Looks for what is the chat's among the node's events.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other events, later ones too, are not the chat's")]
    pub(crate) fn handle_event(&mut self, event: &meshline_mesh::Event, context: &mut Context<'_>) {
        match event {
            meshline_mesh::Event::Broadcast { author, message, signed, path } if message.service == service() => {
                let (signed, record) = (Arc::clone(signed), context.node.record_of(&author.id));
                let arrival = Arrival { signed, text: message, name: author.name.clone(), path: path.clone(), record };
                self.take_in(arrival, context);
            }
            meshline_mesh::Event::Delivered { seq, delivery } => self.handle_delivery(*seq, *delivery, context),
            meshline_mesh::Event::LinkUp { peer, .. } => {
                self.sync.link_up(peer.id, &self.history, context.node, context.now.mono);
            }
            meshline_mesh::Event::LinkDown { peer, .. } => {
                self.sync.link_down(&peer.id, &self.history, context.node, context.now.mono);
            }
            meshline_mesh::Event::MemberRevoked { id, .. } => self.history.hide(*id, true),
            meshline_mesh::Event::MemberJoined { peer } => self.history.hide(peer.id, false),
            _ => {}
        }
    }

    /// Takes in another's message, whatever way it came, once.
    pub(super) fn take_in(&mut self, arrival: Arrival<'_>, context: &mut Context<'_>) {
        let key = Key { seq: arrival.signed.seq, author: arrival.signed.by };
        // A member with a modified program may send what `Send` refuses.
        let is_wanted = self.is_new(&key) && !self.history.is_hidden(&key.author);
        if is_wanted && self.waiting.len() < MAX_WAITING && refusal_of(&arrival.text.text).is_none() {
            self.keep(arrival, None, context);
        }
    }

    fn is_new(&self, key: &Key) -> bool {
        self.history.is_new(key) && !self.coming.contains(key)
    }

    fn handle_delivery(&mut self, seq: UnixMicros, delivery: meshline_mesh::Delivery, context: &mut Context<'_>) {
        self.note_delivery(seq, delivery_of(delivery), context);
    }

    /// An own message has come further.
    pub(super) fn note_delivery(&mut self, seq: UnixMicros, delivery: Delivery, context: &mut Context<'_>) {
        if delivery.state == State::Delivered {
            self.unfinished.remove(&seq);
        }
        let Some(message) = self.history.deliver(self.own, seq, delivery).cloned() else { return };
        context.write(None, Write::Delivery { cursor: message.cursor, delivery });
        context.event(Event::Delivered { message, complete: delivery.state == State::Delivered });
    }
}

/// A message as it came, from whatever side.
pub(super) struct Arrival<'a> {
    pub(super) signed: Arc<SignedText>,
    pub(super) text: &'a SignedBroadcast,
    /// The author's name as shown.
    pub(super) name: String,
    pub(super) path: Vec<NodeId>,
    /// The author's announcement, if there is one.
    pub(super) record: Option<SignedRecord>,
}

fn kept_of(stored: StoredMessage, text: &SignedBroadcast, own: NodeId) -> Kept {
    let StoredMessage { cursor, signed, name, delivery, path } = stored;
    let (author, seq) = (signed.by, signed.seq);
    let (own, clock, time, text) = (author == own, text.clock, text.time, text.text.clone());
    Kept { message: Message { cursor, author, name, seq, clock, text, time, own, delivery, path }, signed }
}

fn delivery_of(delivery: meshline_mesh::Delivery) -> Delivery {
    let state = match delivery.state {
        DeliveryState::Queued => State::Queued,
        DeliveryState::OnItsWay => State::Sent,
        DeliveryState::Complete => State::Delivered,
    };
    Delivery { state, delivered_to: delivery.delivered_to, delivered_of: delivery.delivered_of }
}

/// Why a text cannot be sent, if so.
fn refusal_of(text: &str) -> Option<(Code, &'static str)> {
    if text.trim().is_empty() {
        Some((Code::InvalidMessage, "the text is empty"))
    } else if text.len() > MAX_TEXT {
        Some((Code::BodyTooLong, "the text is longer than 16 KiB"))
    } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        Some((Code::InvalidMessage, "the text has control characters other than line feed and tab"))
    } else {
        None
    }
}
