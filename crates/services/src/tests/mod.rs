//! The services on top of a node that is alone, and what others would send it.

mod chat;

use meshline_identity::KeyPair;
use meshline_mesh::{Config, Mono, Node, Now, RequestId};
use meshline_protocol::UnixMicros;

use crate::chat::{Bounds, Command, Event, Listing, Message, Page, Reply, Stored, Ticket, Write};
use crate::{Command as AnyCommand, Event as AnyEvent, Input, Output, Reply as AnyReply, Settings, Stack};

const EPOCH: u64 = 1_800_000_000_000_000;

/// A stack whose disk is the test's.
struct Bench {
    stack: Stack,
    at: u64,
    requests: u64,
    /// Writes that wait, in order.
    writes: Vec<(Option<Ticket>, Write)>,
    /// What the disk held at the start.
    found: Stored,
    replies: Vec<(RequestId, Reply)>,
    events: Vec<Event>,
}

impl Bench {
    fn new(bounds: Bounds, stored: Stored) -> Self {
        let config = Config::new("lab".parse().expect("a name"), "bobby".parse().expect("a name"));
        let now = Now { mono: Mono(0), wall: UnixMicros::new(EPOCH) };
        let node = Node::new(config, KeyPair::from_secret([7; 32]), [1; 32], now);
        let found = stored.clone();
        let stack = Stack::new(node, Settings { chat: bounds, stored, ..Settings::default() }, now);
        let (writes, replies, events) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self { stack, at: 0, requests: 0, writes, found, replies, events };
        bench.collect();
        bench
    }

    fn now(&self) -> Now {
        Now { mono: Mono(self.at), wall: UnixMicros::new(EPOCH + self.at) }
    }

    fn pass(&mut self, micros: u64) {
        self.at += micros;
    }

    fn input(&mut self, input: Input) {
        let now = self.now();
        self.stack.handle_input(input, now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.stack.poll_output() {
            match output {
                Output::Keep { ticket, write } => self.writes.push((ticket, write)),
                Output::Reply { request, reply: AnyReply::Chat(reply) } => self.replies.push((request, reply)),
                Output::Event(AnyEvent::Chat(event)) => self.events.push(event),
                Output::Reply { .. } | Output::Event(AnyEvent::Mesh(_) | AnyEvent::Discovery(_)) | Output::Mesh(_) => {}
            }
        }
    }

    fn command(&mut self, command: Command) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.input(Input::Command { request, command: AnyCommand::Chat(command) });
        request
    }

    fn send(&mut self, text: &str) -> RequestId {
        self.command(Command::Send { text: text.to_owned() })
    }

    fn reply(&self, request: RequestId) -> Option<&Reply> {
        self.replies.iter().find(|(replied, _)| *replied == request).map(|(_, reply)| reply)
    }

    fn last_ticket(&self) -> Ticket {
        self.writes.iter().rev().find_map(|(ticket, _)| *ticket).expect("something waits for the disk")
    }

    fn disk(&mut self, result: Result<(), String>) {
        let ticket = self.last_ticket();
        self.input(Input::Kept { ticket, result });
    }

    /// Writes a message and has it kept.
    fn say(&mut self, text: &str) -> Message {
        let request = self.send(text);
        self.disk(Ok(()));
        match self.reply(request) {
            Some(Reply::Sent(message)) => (**message).clone(),
            other => panic!("not sent: {other:?}"),
        }
    }

    fn list(&mut self, page: Page, limit: usize) -> Listing {
        let request = self.command(Command::History { page, limit });
        match self.reply(request) {
            Some(Reply::History(listing)) => listing.clone(),
            other => panic!("no history: {other:?}"),
        }
    }

    fn texts(&mut self, page: Page, limit: usize) -> Vec<String> {
        self.list(page, limit).messages.into_iter().map(|message| message.text).collect()
    }

    /// What a disk would give back, from the writes alone.
    fn stored(&self) -> Stored {
        let mut stored = self.found.clone();
        for (_, write) in &self.writes {
            match write.clone() {
                Write::Message(message) => {
                    stored.last_cursor = message.cursor;
                    stored.messages.push(*message);
                }
                Write::Delivery { cursor, delivery } => {
                    let found = stored.messages.iter_mut().find(|message| message.cursor == cursor);
                    found.expect("kept before it was delivered").delivery = delivery;
                }
                Write::Author(record) => stored.authors.push(*record),
                Write::Forget { cursors, floors, .. } => {
                    stored.messages.retain(|message| !cursors.contains(&message.cursor));
                    stored.floors = floors;
                }
            }
        }
        stored
    }
}
