//! A node with the services on top of it, behind the same four verbs as the node alone.

use std::collections::{BTreeSet, VecDeque};

use meshline_mesh::{Mono, Node, Now, RequestId};

use crate::chat::{self, Chat};
use crate::registry::{Command, Event, Reply};

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// To the mesh.
    Mesh(meshline_mesh::Input),
    /// Somebody on this machine wants something.
    Command {
        /// Named again in the reply.
        request: RequestId,
        /// What.
        command: Command,
    },
}

/// One thing to do, in the order given.
#[derive(Clone, Debug)]
pub enum Output {
    /// For the mesh. Never its `Reply` or `Event`, which come as the two below.
    Mesh(meshline_mesh::Output),
    /// The reply to a command.
    Reply {
        /// Which.
        request: RequestId,
        /// The reply.
        reply: Reply,
    },
    /// Something worth telling.
    Event(Event),
}

/// A node and its services.
#[derive(Debug)]
pub struct Stack {
    node: Node,
    chat: Chat,
    /// Broadcasts the chat has asked the node for, whose replies are the chat's.
    of_chat: BTreeSet<RequestId>,
    out: VecDeque<Output>,
}

impl Stack {
    /// Puts the services on top of a node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node, chat: Chat::default(), of_chat: BTreeSet::new(), out: VecDeque::new() }
    }

    /// The node below.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, input: Input, now: Now) {
        match input {
            Input::Mesh(input) => self.node.handle_input(input, now),
            Input::Command { request, command: Command::Mesh(command) } => {
                self.node.handle_input(meshline_mesh::Input::Command { request, command }, now);
            }
            Input::Command { request, command: Command::Chat(command) } => self.handle_chat(request, command, now),
        }
        self.collect(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`Stack::handle_input`] with a timeout at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.node.poll_timeout()
    }

    fn handle_chat(&mut self, request: RequestId, command: chat::Command, now: Now) {
        match self.chat.handle_command(command) {
            chat::Outcome::Reply(reply) => self.out.push_back(Output::Reply { request, reply: Reply::Chat(reply) }),
            chat::Outcome::Broadcast(text) => {
                self.of_chat.insert(request);
                let command = meshline_mesh::Command::Broadcast { service: chat::service(), text };
                self.node.handle_input(meshline_mesh::Input::Command { request, command }, now);
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all other outputs, later ones too, are for the driver")]
    /// Takes the node's outputs and lets the services see what is theirs.
    fn collect(&mut self, now: Now) {
        while let Some(output) = self.node.poll_output() {
            match output {
                meshline_mesh::Output::Reply { request, reply } => {
                    let reply = self.reply_of(request, reply, now);
                    self.out.push_back(Output::Reply { request, reply });
                }
                meshline_mesh::Output::Event(event) => self.tell(event),
                other => self.out.push_back(Output::Mesh(other)),
            }
        }
    }

    fn reply_of(&mut self, request: RequestId, reply: meshline_mesh::Reply, now: Now) -> Reply {
        if !self.of_chat.remove(&request) {
            return Reply::Mesh(reply);
        }
        let (reply, event) = self.chat.handle_sent(reply, &self.node.own_name(), now);
        self.out.extend(event.map(|event| Output::Event(Event::Chat(event))));
        Reply::Chat(reply)
    }

    fn tell(&mut self, event: meshline_mesh::Event) {
        let told = self.chat.handle_event(&event);
        self.out.push_back(Output::Event(Event::Mesh(event)));
        self.out.extend(told.map(|event| Output::Event(Event::Chat(event))));
    }
}
