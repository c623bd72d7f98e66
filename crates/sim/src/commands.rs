//! Asking nodes, and having them say things.

use meshline_mesh::{Command as Mesh, Explanation, PeerRow, Reply as MeshReply, RequestId, Status, Table};
use meshline_protocol::{Code, NodeId, SignedRecord, UnixMicros};
use meshline_services::{Command, Event, Input, Reply, chat};

use crate::world::World;

impl World {
    /// Has a node handle a command.
    ///
    /// # Panics
    /// If it does not run or does not answer at once.
    pub fn command(&mut self, node: usize, command: Command) -> Reply {
        assert!(self.is_running(node), "node {node} does not run");
        self.requests += 1;
        let request = RequestId(self.requests);
        self.stack_input(node, Input::Command { request, command });
        match self.host_mut(node).replies.remove(&request.0) {
            Some(reply) => reply,
            None => panic!("node {node} left a command without a reply"),
        }
    }

    /// A node's state.
    ///
    /// # Panics
    /// If it does not run.
    pub fn status(&mut self, node: usize) -> Status {
        match self.command(node, Command::Mesh(Mesh::Status)) {
            Reply::Mesh(MeshReply::Status(status)) => *status,
            other @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => panic!("not a status: {other:?}"),
        }
    }

    /// The members a node knows.
    ///
    /// # Panics
    /// If it does not run.
    pub fn peers(&mut self, node: usize) -> Vec<PeerRow> {
        match self.command(node, Command::Mesh(Mesh::Peers)) {
            Reply::Mesh(MeshReply::Peers(rows)) => rows,
            other @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => panic!("not a list of peers: {other:?}"),
        }
    }

    /// What a node knows of the ways to another one.
    ///
    /// # Panics
    /// If it does not run.
    pub fn explain(&mut self, node: usize, other: usize) -> Option<Explanation> {
        let id = self.id(other);
        match self.command(node, Command::Mesh(Mesh::Explain(id))) {
            Reply::Mesh(MeshReply::Explanation(explanation)) => explanation.map(|boxed| *boxed),
            other @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => panic!("not an explanation: {other:?}"),
        }
    }

    /// Has a node take in a record.
    ///
    /// # Errors
    /// The refusal.
    pub fn apply(&mut self, node: usize, record: SignedRecord) -> Result<String, Code> {
        match self.command(node, Command::Mesh(Mesh::Apply(record))) {
            Reply::Mesh(MeshReply::Applied(done)) => Ok(done),
            Reply::Mesh(MeshReply::Refused { code, .. }) => Err(code),
            other @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => {
                panic!("not a reply to a record: {other:?}")
            }
        }
    }

    /// The ways of a node, as it told them last.
    #[must_use]
    pub fn table(&self, node: usize) -> &Table {
        &self.host(node).table
    }

    /// Has a node send a datagram of the service `test`.
    ///
    /// # Errors
    /// Why it has no way.
    ///
    /// # Panics
    /// If it does not run.
    pub fn send_datagram(&mut self, node: usize, to: usize, flow: u32, body: &[u8]) -> Result<(), String> {
        self.send(node, to, ("test", flow), body)
    }

    /// The same of any service, with its flow.
    ///
    /// # Errors
    /// Why it has no way.
    ///
    /// # Panics
    /// If it does not run, or the service has no name.
    pub fn send_service(&mut self, node: usize, to: usize, service: (&str, u32), body: &[u8]) -> Result<(), String> {
        self.send(node, to, service, body)
    }

    fn send(&mut self, node: usize, to: usize, (service, flow): (&str, u32), body: &[u8]) -> Result<(), String> {
        let Ok(service) = service.parse() else { panic!("{service} is no name") };
        let to = self.id(to);
        let command = Mesh::SendDatagram {
            to,
            service,
            flow,
            over: Default::default(),
            body: bytes::Bytes::copy_from_slice(body),
        };
        match self.command(node, Command::Mesh(command)) {
            Reply::Mesh(MeshReply::Sent) => Ok(()),
            Reply::Mesh(MeshReply::Refused { detail, .. }) => Err(detail),
            other @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => {
                panic!("not a reply to a datagram: {other:?}")
            }
        }
    }

    /// Datagrams that arrived at a node since this was asked last.
    pub fn take_datagrams(&mut self, node: usize) -> Vec<(meshline_protocol::message::Datagram, bytes::Bytes)> {
        std::mem::take(&mut self.host_mut(node).datagrams)
    }

    /// Has a node write to the chat; the sequence of the message.
    ///
    /// # Panics
    /// If it refuses.
    pub fn say(&mut self, node: usize, text: &str) -> UnixMicros {
        match self.command(node, Command::Chat(chat::Command::Send { text: text.to_owned() })) {
            Reply::Chat(chat::Reply::Sent(message)) => message.seq,
            other @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => {
                panic!("the message was refused: {other:?}")
            }
        }
    }

    /// Messages of others that the present run of a node told, in order.
    #[must_use]
    pub fn heard(&self, node: usize) -> Vec<(NodeId, String)> {
        let boot = self.run_of(node).boot;
        let message = |event: &Event| match event {
            Event::Chat(chat::Event::Message { message, own: false }) => Some((message.author, message.text.clone())),
            Event::Chat(_) | Event::Mesh(_) | Event::Discovery(_) => None,
        };
        self.log(node).iter().filter(|logged| logged.boot == boot).filter_map(|logged| message(&logged.event)).collect()
    }

    /// How often the present run of a node was told a text.
    #[must_use]
    pub fn times_heard(&self, node: usize, text: &str) -> usize {
        self.heard(node).iter().filter(|(_, heard)| heard == text).count()
    }

    /// What an author was told last of the delivery of its message: to how many, and whether that is all.
    #[must_use]
    pub fn delivered(&self, node: usize, seq: UnixMicros) -> Option<(usize, bool)> {
        self.log(node).iter().rev().find_map(|logged| match &logged.event {
            Event::Chat(chat::Event::Delivered { message, complete }) if message.seq == seq => {
                Some((message.delivery.delivered_to, *complete))
            }
            Event::Chat(_) | Event::Mesh(_) | Event::Discovery(_) => None,
        })
    }

    /// Has a node write to the chat, without waiting for the disk.
    pub fn begin_to_say(&mut self, node: usize, text: &str) -> SayId {
        self.requests += 1;
        let request = RequestId(self.requests);
        let command = Command::Chat(chat::Command::Send { text: text.to_owned() });
        self.stack_input(node, Input::Command { request, command });
        SayId(request.0)
    }

    /// Whether a text was sent or refused; `None` while it waits for the disk.
    #[must_use]
    pub fn said(&self, node: usize, say: SayId) -> Option<Result<UnixMicros, Code>> {
        match self.host(node).replies.get(&say.0)? {
            Reply::Chat(chat::Reply::Sent(message)) => Some(Ok(message.seq)),
            Reply::Chat(chat::Reply::Refused { code, .. }) => Some(Err(*code)),
            Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_) => None,
        }
    }

    /// The chat as a node lists it: author and text, in the common order.
    ///
    /// # Panics
    /// If it does not run.
    pub fn history(&mut self, node: usize) -> Vec<(NodeId, String)> {
        let command = chat::Command::History { page: chat::Page::Newest, limit: usize::MAX };
        match self.command(node, Command::Chat(command)) {
            Reply::Chat(chat::Reply::History(listing)) => {
                listing.messages.into_iter().map(|message| (message.author, message.text)).collect()
            }
            other @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => panic!("not a history: {other:?}"),
        }
    }

    /// How far the own messages of a node have come, in words.
    ///
    /// # Panics
    /// If it does not run.
    pub fn states(&mut self, node: usize) -> Vec<&'static str> {
        let command = chat::Command::History { page: chat::Page::Newest, limit: usize::MAX };
        match self.command(node, Command::Chat(command)) {
            Reply::Chat(chat::Reply::History(listing)) => {
                let own = listing.messages.into_iter().filter(|message| message.own);
                own.map(|message| message.delivery.state.name()).collect()
            }
            other @ (Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_)) => panic!("not a history: {other:?}"),
        }
    }

    /// How long a node's disk takes for a write from now on, in microseconds, and whether it is full.
    pub fn set_disk(&mut self, node: usize, delay: u64, full: bool) {
        let disk = &mut self.host_mut(node).disk;
        (disk.delay, disk.full) = (delay, full);
    }

    /// How many messages a node keeps, from its next start on.
    pub fn set_history(&mut self, node: usize, max_messages: usize) {
        self.host_mut(node).bounds.max_messages = max_messages;
    }
}

/// Names a text that was begun to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SayId(u64);
