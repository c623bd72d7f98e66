//! Chat: what members write to all, in the order it arrived here.

mod history;

use meshline_mesh::{Now, PeerName};
use meshline_protocol::limits::MAX_TEXT;
use meshline_protocol::{Code, NodeId, ServiceName, UnixMicros};

pub use history::{History, MAX_HISTORY_BYTES, MAX_HISTORY_MESSAGES, Message};

/// What somebody on this machine wants of the chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write to all.
    Send {
        /// The text, at most 16 KiB.
        text: String,
    },
    /// Read what was written.
    History {
        /// Only messages after this cursor.
        after: Option<u64>,
        /// At most so many, the newest.
        limit: usize,
    },
}

/// What the chat answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The message as it stands in the history.
    Sent(Message),
    /// Messages, oldest first.
    History(Vec<Message>),
    /// Refused.
    Refused {
        /// The name of the refusal.
        code: Code,
        /// A sentence for people.
        detail: String,
    },
}

/// What the chat tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message, one's own too.
    Message {
        /// The message.
        message: Message,
        /// Whether it was written here.
        own: bool,
    },
    /// One's own message reached further members.
    Delivered {
        /// The message as it stands now.
        message: Message,
        /// Whether it is known to have reached all that could be.
        complete: bool,
    },
}

/// What a command leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Reply(Reply),
    Broadcast(String),
}

/// The name under which chat texts travel.
pub(crate) fn service() -> ServiceName {
    "chat".parse().unwrap_or_else(|_| unreachable!("a constant label"))
}

/// The state of the chat.
#[derive(Debug, Default)]
pub struct Chat {
    history: History,
    /// The text whose broadcast was asked for and not answered yet; the node answers at once.
    outgoing: Option<String>,
    /// This node, once it has written something: others' sequences may be the same as ours.
    own: Option<NodeId>,
}

impl Chat {
    pub(crate) fn handle_command(&mut self, command: Command) -> Outcome {
        match command {
            Command::Send { text } => match refusal_of(&text) {
                Some(detail) => {
                    Outcome::Reply(Reply::Refused { code: Code::InvalidMessage, detail: detail.to_owned() })
                }
                None => {
                    self.outgoing = Some(text.clone());
                    Outcome::Broadcast(text)
                }
            },
            Command::History { after, limit } => Outcome::Reply(Reply::History(self.history.after(after, limit))),
        }
    }

    /// The node's answer to the broadcast of an own text.
    pub(crate) fn handle_sent(
        &mut self,
        reply: meshline_mesh::Reply,
        own: &PeerName,
        now: Now,
    ) -> (Reply, Option<Event>) {
        let text = self.outgoing.take().unwrap_or_default();
        match reply {
            meshline_mesh::Reply::Sent(seq) => {
                self.own = Some(own.id);
                let message = self.history.push(own, seq, now.wall, text);
                (Reply::Sent(message.clone()), Some(Event::Message { message, own: true }))
            }
            meshline_mesh::Reply::Refused { code, detail } => (Reply::Refused { code, detail }, None),
            other @ (meshline_mesh::Reply::Status(_)
            | meshline_mesh::Reply::Peers(_)
            | meshline_mesh::Reply::Explanation(_)
            | meshline_mesh::Reply::Pong { .. }
            | meshline_mesh::Reply::Applied(_)
            | meshline_mesh::Reply::Reconfigured
            | meshline_mesh::Reply::Left) => {
                (Reply::Refused { code: Code::UnexpectedMessage, detail: format!("{other:?}") }, None)
            }
        }
    }

    /// Looks for what is the chat's among the node's events.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other events, later ones too, are not the chat's")]
    pub(crate) fn handle_event(&mut self, event: &meshline_mesh::Event) -> Option<Event> {
        match event {
            meshline_mesh::Event::Broadcast { author, message } if message.service == service() => {
                // A member with a modified program may send what `Send` refuses.
                refusal_of(&message.text).is_none().then_some(())?;
                let message = self.history.push(author, message.seq, message.time, message.text.clone());
                Some(Event::Message { message, own: false })
            }
            meshline_mesh::Event::Delivered { seq, delivered_to, complete } => {
                let message = self.history.deliver(self.own?, *seq, *delivered_to)?;
                Some(Event::Delivered { message, complete: *complete })
            }
            _ => None,
        }
    }
}

/// Why a text cannot be sent, if so.
fn refusal_of(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("the text is empty")
    } else if text.len() > MAX_TEXT {
        Some("the text is longer than 16 KiB")
    } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        Some("the text has control characters other than line feed and tab")
    } else {
        None
    }
}

/// A time as it is shown with a message.
pub(crate) type Written = UnixMicros;
