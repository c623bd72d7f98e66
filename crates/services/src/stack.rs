//! A node with the services on top of it, behind the same four verbs as the node alone.

use std::collections::VecDeque;

use meshline_mesh::{Mono, Node, Now, RequestId, take_first};
use meshline_protocol::{Frame, Message};

use crate::chat::{self, Chat, Context};
use crate::discovery::{self, Discovery};
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
    /// A write is on disk, and all before it; or cannot be.
    Kept {
        /// Which.
        ticket: chat::Ticket,
        /// What went wrong.
        result: Result<(), String>,
    },
}

/// One thing to do, in the order given.
#[derive(Clone, Debug)]
pub enum Output {
    /// For the mesh. Never its `Reply` or `Event`: they come as those below. Of `Service` only what is for the ledger, which
    /// runs beside the stack.
    Mesh(meshline_mesh::Output),
    /// The reply to a command.
    Reply {
        /// Which.
        request: RequestId,
        /// The reply.
        reply: Reply,
    },
    /// Keep this on disk. With a ticket an answer is wanted, in the order of the tickets.
    Keep {
        /// Named again in [`Input::Kept`].
        ticket: Option<chat::Ticket>,
        /// What.
        write: chat::Write,
    },
    /// Something worth telling.
    Event(Event),
}

/// A node and its services.
#[derive(Debug)]
pub struct Stack {
    node: Node,
    chat: Chat,
    discovery: Discovery,
    out: VecDeque<Output>,
}

/// What services begin with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// How much of the chat is kept.
    pub chat: chat::Bounds,
    /// What an earlier run kept of it.
    pub stored: chat::Stored,
    /// The directory of services.
    pub discovery: discovery::Settings,
}

impl Stack {
    /// Puts the services on top of a node.
    #[must_use]
    pub fn new(node: Node, settings: Settings, now: Now) -> Self {
        let chat = Chat::new(node.own_name().id, settings.chat, settings.stored);
        let discovery = Discovery::new(node.own_name().id, settings.discovery);
        let mut stack = Self { node, chat, discovery, out: VecDeque::new() };
        let (chat, _, mut context) = stack.parts(now);
        chat.start(&mut context);
        stack.collect(now);
        stack
    }

    /// The node below.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, input: Input, now: Now) {
        let is_timeout = matches!(input, Input::Mesh(meshline_mesh::Input::Timeout));
        match input {
            Input::Mesh(input) => self.node.handle_input(input, now),
            Input::Command { request, command: Command::Mesh(command) } => {
                if matches!(command, meshline_mesh::Command::Leave) {
                    let (_, discovery, mut context) = self.parts(now);
                    discovery.leave(&mut context);
                }
                self.node.handle_input(meshline_mesh::Input::Command { request, command }, now);
            }
            Input::Command { request, command: Command::Chat(command) } => {
                let (chat, _, mut context) = self.parts(now);
                chat.handle_command(request, command, &mut context);
            }
            Input::Command { request, command: Command::Discovery(command) } => {
                let (_, discovery, mut context) = self.parts(now);
                discovery.handle_command(request, command, &mut context);
            }
            Input::Kept { ticket, result } => {
                let (chat, _, mut context) = self.parts(now);
                chat.handle_kept(ticket, &result, &mut context);
            }
        }
        if is_timeout {
            let (chat, discovery, mut context) = self.parts(now);
            chat.handle_timeout(&mut context);
            discovery.handle_timeout(&mut context);
        }
        self.collect(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        take_first(&mut self.out)
    }

    /// When to call [`Stack::handle_input`] with a timeout at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let timeouts = [self.node.poll_timeout(), self.chat.next_timeout(), self.discovery.next_timeout()];
        timeouts.into_iter().flatten().min()
    }

    fn parts(&mut self, now: Now) -> (&mut Chat, &mut Discovery, Context<'_>) {
        let context = Context { node: &mut self.node, out: &mut self.out, now };
        (&mut self.chat, &mut self.discovery, context)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "all other outputs, later ones too, are for the driver")]
    /// Takes the node's outputs and lets the services see what is theirs.
    fn collect(&mut self, now: Now) {
        while let Some(output) = self.node.poll_output() {
            match output {
                meshline_mesh::Output::Reply { request, reply } => {
                    self.out.push_back(Output::Reply { request, reply: Reply::Mesh(reply) });
                }
                meshline_mesh::Output::Service { peer, frame } if is_for_ledger(&frame) => {
                    self.out.push_back(Output::Mesh(meshline_mesh::Output::Service { peer, frame }));
                }
                meshline_mesh::Output::Service { peer, frame } => {
                    let (chat, discovery, mut context) = self.parts(now);
                    if matches!(frame.message, Message::Services(_)) {
                        discovery.handle_frame(peer, frame, &mut context);
                    } else {
                        chat.handle_frame(peer, frame, &mut context);
                    }
                }
                meshline_mesh::Output::Event(event) => {
                    // Told before what comes of it.
                    let place = self.out.len();
                    let (chat, discovery, mut context) = self.parts(now);
                    chat.handle_event(&event, &mut context);
                    discovery.handle_event(&event, &mut context);
                    self.out.insert(place, Output::Event(Event::Mesh(event)));
                }
                other => self.out.push_back(Output::Mesh(other)),
            }
        }
    }
}

fn is_for_ledger(frame: &Frame) -> bool {
    matches!(frame.message, Message::Ledger(_))
}
