//! The state of the dashboard: it is told what happens and says what it wants done. It asks nobody, not even for the
//! time; [`draw`](Dashboard::draw) puts it on a screen of any size.

mod cursor;
mod freshness;
mod happened;
mod keys;
mod line;
mod series;
mod talk;

use jiff::tz::TimeZone;
use ratatui::Frame;
use serde_json::Value;

pub(crate) use cursor::{Cursor, Scroll};
pub(crate) use freshness::{Age, Freshness};
pub use happened::MAX_HAPPENED;
pub(crate) use happened::{AllHappened, Happened, Weight, is_said};
pub(crate) use line::Line;
pub(crate) use series::{AllSeries, Sample, Series};
pub use series::{MAX_SAMPLES, MAX_SERIES};
pub use talk::MAX_MESSAGES;
pub(crate) use talk::Talk;

use crate::documents::{Delivered, Ledger, Message, Peer, Route, Service, Status};
use crate::input::{Action, Answer, Event, Fault, Now, Source};
use crate::theme::Theme;

/// Rows of one listing that are kept: a terminal is no place for more, and `--json` has all of them.
pub const MAX_ROWS: usize = 5_000;

/// How long a word about what was just done stands, in milliseconds.
const NOTICE_MS: u64 = 6_000;

/// A part of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Panel {
    /// Who is there.
    Members,
    /// Own links and what they measure.
    Links,
    /// Ways to members.
    Routes,
    /// What members write.
    Chat,
    /// What members offer.
    Services,
    /// What happens.
    Events,
}

impl Panel {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] = [Self::Members, Self::Links, Self::Routes, Self::Chat, Self::Services, Self::Events];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Members => "Members",
            Self::Links => "Links",
            Self::Routes => "Routes",
            Self::Chat => "Chat",
            Self::Services => "Services",
            Self::Events => "Events",
        }
    }

    /// Where what it shows comes from.
    #[must_use]
    pub const fn source(self) -> Source {
        match self {
            Self::Members => Source::Peers,
            Self::Links => Source::Status,
            Self::Routes => Source::Routes,
            Self::Chat => Source::Chat,
            Self::Services => Source::Services,
            Self::Events => Source::Events,
        }
    }

    /// The key that chooses it, from 1.
    #[must_use]
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|panel| *panel == self).map_or(0, |at| at + 1)
    }

    fn moved(self, by: usize) -> Self {
        let at = (self.number() + Self::ALL.len() - 1 + by) % Self::ALL.len();
        Self::ALL.get(at).copied().unwrap_or(self)
    }
}

/// What keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They move and choose.
    Browse,
    /// They are the filter of the panel.
    Filter,
    /// They are a message.
    Compose,
    /// They close the list of keys.
    Help,
    /// They close what is known of a row.
    Detail,
}

/// What the user chose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How it looks.
    pub theme: Theme,
    /// In which times are shown.
    pub zone: TimeZone,
    /// The panel that is shown first.
    pub panel: Panel,
}

/// The dashboard.
#[derive(Debug)]
pub struct Dashboard {
    pub(crate) settings: Settings,
    pub(crate) freshness: Freshness,
    pub(crate) status: Status,
    pub(crate) peers: Vec<Peer>,
    pub(crate) routes: Vec<Route>,
    pub(crate) services: Vec<Service>,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) talk: Talk,
    pub(crate) happened: AllHappened,
    pub(crate) series: AllSeries,
    pub(crate) focus: Panel,
    pub(crate) is_zoomed: bool,
    pub(crate) mode: Mode,
    pub(crate) filters: [Line; 6],
    pub(crate) cursors: [Cursor; 6],
    pub(crate) scrolls: [Scroll; 6],
    pub(crate) message: Line,
    /// A message that is on its way to the member.
    pub(crate) sending: Option<String>,
    pub(crate) notice: Option<(String, u64)>,
}

impl Dashboard {
    /// One that has been told nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            focus: settings.panel,
            settings,
            freshness: Freshness::default(),
            status: Status::default(),
            peers: Vec::new(),
            routes: Vec::new(),
            services: Vec::new(),
            ledger: None,
            talk: Talk::default(),
            happened: AllHappened::default(),
            series: AllSeries::default(),
            is_zoomed: false,
            mode: Mode::Browse,
            filters: Default::default(),
            cursors: Default::default(),
            scrolls: Default::default(),
            message: Line::default(),
            sending: None,
            notice: None,
        }
    }

    /// Takes in what happened and says what is to be done.
    pub fn handle(&mut self, event: Event, now: Now) -> Option<Action> {
        match event {
            Event::Key(key) => self.handle_key(key, now),
            Event::Paste(text) => {
                self.handle_paste(&text);
                None
            }
            Event::Answered(answer) => {
                self.freshness.heard(answer.source(), now.mono_ms);
                self.take(answer, now);
                None
            }
            Event::Failed(source, fault) => {
                self.freshness.failed(source, fault);
                None
            }
            // What happened while nobody listened is not known: the newest messages are asked for again.
            Event::Connected => {
                self.freshness.heard(Source::Events, now.mono_ms);
                Some(Action::Ask(Source::Chat))
            }
            Event::Happened { name, what } => self.happen(&name, what, now),
            Event::Sent(outcome) => {
                self.sent(outcome, now);
                None
            }
            Event::Tick => {
                self.notice = self.notice.take().filter(|(_, until)| *until > now.mono_ms);
                None
            }
        }
    }

    /// Draws everything.
    pub fn draw(&mut self, frame: &mut Frame<'_>, now: Now) {
        crate::draw::draw(self, frame, now);
        self.settings.theme.translate(frame.buffer_mut());
    }

    /// The same facts as plain text of so many columns.
    #[must_use]
    pub fn text(&self, now: Now, columns: usize) -> String {
        crate::draw::plain(self, now, columns)
    }

    fn take(&mut self, answer: Answer, now: Now) {
        match answer {
            Answer::Status(mut status) => {
                status.links.truncate(MAX_ROWS);
                status.links.sort_by(|a, b| (&a.name, &a.peer).cmp(&(&b.name, &b.peer)));
                self.series.take(&status.links, now.mono_ms);
                self.status = *status;
            }
            Answer::Peers(mut peers) => {
                peers.sort_by(|a, b| (!a.reachable, &a.name, &a.id).cmp(&(!b.reachable, &b.name, &b.id)));
                peers.truncate(MAX_ROWS);
                self.peers = peers;
            }
            Answer::Routes(mut routes) => {
                routes.truncate(MAX_ROWS);
                self.routes = routes;
            }
            Answer::Services(mut services) => {
                services.sort_by(|a, b| (&a.kind, &a.name, &a.member).cmp(&(&b.kind, &b.name, &b.member)));
                services.truncate(MAX_ROWS);
                self.services = services;
            }
            Answer::Chat(page) => self.talk.read(page),
            Answer::Ledger(ledger) => self.ledger = Some(ledger),
            Answer::Events(past) => self.happened.read(&past),
        }
    }

    fn happen(&mut self, name: &str, what: Value, now: Now) -> Option<Action> {
        self.freshness.heard(Source::Events, now.mono_ms);
        match name {
            // A comment of the stream: it is alive.
            "" => return None,
            "chat" => {
                serde_json::from_value::<Message>(what).into_iter().for_each(|message| self.talk.insert(message));
                return None;
            }
            "delivered" => {
                serde_json::from_value::<Delivered>(what).into_iter().for_each(|news| self.talk.deliver(news));
                return None;
            }
            _ => self.happened.push(now.unix_ms, name, &what),
        }
        match name {
            "lagged" | "reset" => Some(Action::Ask(Source::Chat)),
            "link_up" | "link_down" => Some(Action::Ask(Source::Status)),
            "member_joined" | "member_left" | "member_revoked" => Some(Action::Ask(Source::Peers)),
            "route_changed" => Some(Action::Ask(Source::Routes)),
            name if name.starts_with("service") => Some(Action::Ask(Source::Services)),
            _ => None,
        }
    }

    fn sent(&mut self, outcome: Result<Message, Fault>, now: Now) {
        let text = self.sending.take().unwrap_or_default();
        match outcome {
            Ok(message) => {
                self.talk.insert(message);
                self.scroll(Panel::Chat).show_newest();
            }
            Err(fault) => {
                self.notify(format!("not sent: {}", fault.words()), now);
                // Nobody types it a second time.
                if self.message.is_empty() {
                    self.message.set(text);
                    self.mode = Mode::Compose;
                }
            }
        }
    }

    fn notify(&mut self, words: String, now: Now) {
        self.notice = Some((words, now.mono_ms + NOTICE_MS));
    }

    /// Whether the member answers at all.
    pub(crate) fn is_gone(&self, now: Now) -> bool {
        let is_silent = !matches!(self.freshness.age(Source::Status, now.mono_ms), Age::Fresh | Age::Waiting);
        matches!(self.freshness.fault(Source::Status), Some(Fault::Gone(_))) || is_silent
    }

    pub(crate) fn filter(&self, panel: Panel) -> &Line {
        pick(panel, self.filters.each_ref())
    }

    pub(crate) fn scroll(&mut self, panel: Panel) -> &mut Scroll {
        pick(panel, self.scrolls.each_mut())
    }

    pub(crate) fn cursor(&mut self, panel: Panel) -> &mut Cursor {
        pick(panel, self.cursors.each_mut())
    }

    fn filter_mut(&mut self, panel: Panel) -> &mut Line {
        pick(panel, self.filters.each_mut())
    }
}

fn pick<T>(panel: Panel, each: [T; 6]) -> T {
    let [members, links, routes, chat, services, events] = each;
    match panel {
        Panel::Members => members,
        Panel::Links => links,
        Panel::Routes => routes,
        Panel::Chat => chat,
        Panel::Services => services,
        Panel::Events => events,
    }
}
