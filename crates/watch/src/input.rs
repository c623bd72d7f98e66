//! What the dashboard is told and what it wants done.

use serde_json::Value;

use crate::documents::{Ledger, Message, Past, Peer, Route, Service, Status};

/// When something happens: nobody else is asked for the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never goes back.
    pub mono_ms: u64,
    /// Milliseconds since 1970, to be shown.
    pub unix_ms: i64,
}

/// A document that is asked for again and again, or the stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// State and links.
    Status,
    /// Members.
    Peers,
    /// Ways.
    Routes,
    /// The newest messages; what comes after them is told by events.
    Chat,
    /// The directory of services.
    Services,
    /// The tip of the ledger.
    Ledger,
    /// What happens.
    Events,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Status, Self::Peers, Self::Routes, Self::Chat, Self::Services, Self::Ledger, Self::Events];

    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Peers => "peers",
            Self::Routes => "routes",
            Self::Chat => "messages",
            Self::Services => "services",
            Self::Ledger => "ledger",
            Self::Events => "events",
        }
    }

    /// How long between two questions, in milliseconds. The chat is asked for again only in case an event was missed.
    #[must_use]
    pub const fn interval_ms(self) -> u64 {
        match self {
            Self::Status => 1_000,
            Self::Peers | Self::Routes => 2_000,
            Self::Services | Self::Ledger => 5_000,
            Self::Chat => 60_000,
            // The member says something at least every fifteen seconds.
            Self::Events => 15_000,
        }
    }

    /// From this age on what is shown is said to be old: two answers are missing.
    #[must_use]
    pub const fn stale_ms(self) -> u64 {
        2 * self.interval_ms() + 1_500
    }
}

/// What a source said.
#[derive(Clone, Debug)]
pub enum Answer {
    /// State and links.
    Status(Box<Status>),
    /// Members.
    Peers(Vec<Peer>),
    /// Ways.
    Routes(Vec<Route>),
    /// The newest messages, in the common order.
    Chat(Vec<Message>),
    /// Services.
    Services(Vec<Service>),
    /// The tip.
    Ledger(Ledger),
    /// What happened before.
    Events(Vec<Past>),
}

impl Answer {
    /// Who said it.
    #[must_use]
    pub const fn source(&self) -> Source {
        match self {
            Self::Status(_) => Source::Status,
            Self::Peers(_) => Source::Peers,
            Self::Routes(_) => Source::Routes,
            Self::Chat(_) => Source::Chat,
            Self::Services(_) => Source::Services,
            Self::Ledger(_) => Source::Ledger,
            Self::Events(_) => Source::Events,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody is there.
    Gone(String),
    /// It did not come in time.
    Late,
    /// This member has no such thing.
    Missing,
    /// It was refused, or is no document of this kind.
    Wrong(String),
}

impl Fault {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Gone(why) | Self::Wrong(why) => why.clone(),
            Self::Late => "no answer in time".to_owned(),
            Self::Missing => "not available in this member".to_owned(),
        }
    }
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "keys are what is printed on them")]
pub enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Backspace,
    Delete,
}

/// Something that the dashboard is told.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The member answered.
    Answered(Answer),
    /// It did not.
    Failed(Source, Fault),
    /// The stream of events is open.
    Connected,
    /// Something happened at the member.
    Happened {
        /// The name of the event.
        name: String,
        /// Its document.
        what: Value,
    },
    /// A message was taken or refused.
    Sent(Result<Message, Fault>),
    /// Time has passed; the screen may have another size.
    Tick,
}

/// Something that the dashboard wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// End.
    Quit,
    /// Stop until the shell continues this process.
    Suspend,
    /// Ask for this now.
    Ask(Source),
    /// Write to all members.
    Send(String),
    /// Draw everything anew.
    Redraw,
}
