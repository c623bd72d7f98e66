//! The command: what it is told on the command line, and the loop.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use meshline_daemon::cli::{Place, seconds};
use meshline_daemon::config::MemberConfig;
use meshline_daemon::exit::Stop;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::dashboard::{Dashboard, Panel, Settings};
use crate::fetch::Fetcher;
use crate::input::{Action, Event, Now};
use crate::once;
use crate::terminal::{Screen, typed};
use crate::theme::Theme;

/// Answers and events that wait to be taken in.
const MAX_TOLD: usize = 64;

/// Between two drawings: twenty a second look smooth, and a line of 9,600 bits a second keeps up with what changes.
const FRAME: Duration = Duration::from_millis(50);

/// A process that nobody can continue is not stopped: after this it goes on by itself.
const SUSPENDED: Duration = Duration::from_millis(300);

/// Columns of a text that goes into a file.
const COLUMNS: usize = 110;

/// How the dashboard is shown.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Print what is known now and end; with --json as one document
    #[arg(long, env = "MESHLINE_ONCE", value_parser = clap::builder::FalseyValueParser::new())]
    once: bool,
    /// With --json and without --once: time between two documents, in whole seconds: 10s, 1m
    #[arg(long, value_name = "TIME", env = "MESHLINE_INTERVAL", default_value = "2s", value_parser = seconds::<86_400>)]
    interval: u64,
    /// The panel to begin with
    #[arg(long, value_name = "PANEL", env = "MESHLINE_PANEL", default_value = "members")]
    panel: Panel,
    /// Characters of borders and bars; auto: what the locale says
    #[arg(long, value_name = "SET", env = "MESHLINE_CHARACTERS", default_value = "auto")]
    characters: Characters,
}

/// Which characters the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Characters {
    Auto,
    Unicode,
    Ascii,
}

impl WatchArgs {
    fn settings(&self) -> Settings {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
        let unicode = match self.characters {
            Characters::Auto => locale.contains("utf-8") || locale.contains("utf8"),
            Characters::Unicode => true,
            Characters::Ascii => false,
        };
        let theme = Theme { colour: set("NO_COLOR").is_none(), unicode };
        Settings { theme, zone: TimeZone::system(), panel: self.panel }
    }
}

/// Shows what the member of `place` does until the user has seen enough.
///
/// # Errors
/// If it does not answer and only one look was wanted, or there is no terminal.
pub async fn run<T: MemberConfig>(args: &WatchArgs, place: &Place) -> anyhow::Result<()> {
    let data_dir = place.data_dir::<T>()?;
    let settings = args.settings();
    if args.once {
        let columns = ratatui::crossterm::terminal::size().map_or(COLUMNS, |(columns, _)| usize::from(columns));
        let columns = if std::io::stdout().is_terminal() { columns } else { COLUMNS };
        return once::once(&data_dir, settings, columns, place.json).await;
    }
    if place.json {
        return once::follow(&data_dir, args.interval).await;
    }
    let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    if is_dumb || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Stop::usage(
            "this needs a terminal; --once prints what is known, --json a document every two seconds",
        )
        .into());
    }
    watch(&data_dir, settings).await
}

/// What the loop has in its hands.
struct Watch {
    dashboard: Dashboard,
    screen: Screen,
    fetcher: Fetcher,
    began: Instant,
    /// When this began to wait for the shell.
    suspended: Option<Instant>,
}

async fn watch(data_dir: &Path, settings: Settings) -> anyhow::Result<()> {
    let mut ends = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()]
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<Signal>, _>>()?;
    let mut continued = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    let (told, mut news) = channel(MAX_TOLD);
    let fetcher = Fetcher::start(data_dir, told);
    let screen = Screen::take()?;
    let mut keys = typed();
    let mut watch =
        Watch { dashboard: Dashboard::new(settings), screen, fetcher, began: Instant::now(), suspended: None };
    let mut tick = interval(Duration::from_millis(500));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_frame = tokio::time::Instant::now();
    let mut is_dirty = true;
    let [terminate, interrupt, hangup] = ends.as_mut_slice() else { return Ok(()) };
    loop {
        let event = tokio::select! {
            key = keys.recv() => match key {
                Some(key) => key,
                None => return Ok(()),
            },
            Some(event) = news.recv() => event,
            _ = tick.tick() => Event::Tick,
            () = sleep_until(next_frame), if is_dirty && watch.suspended.is_none() => {
                watch.draw()?;
                is_dirty = false;
                next_frame = tokio::time::Instant::now() + FRAME;
                continue;
            }
            _ = continued.recv() => {
                watch.come_back()?;
                Event::Tick
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        };
        is_dirty = true;
        if watch.take(event)? || watch.take_all(&mut keys)? || watch.take_all(&mut news)? {
            return Ok(());
        }
    }
}

impl Watch {
    fn now(&self) -> Now {
        let mono_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono_ms, unix_ms: Timestamp::now().as_millisecond() }
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        let dashboard = &mut self.dashboard;
        self.screen.terminal.draw(|frame| dashboard.draw(frame, now))?;
        Ok(())
    }

    /// What is there already, so that it is drawn once. Says whether this is the end.
    fn take_all(&mut self, events: &mut Receiver<Event>) -> anyhow::Result<bool> {
        for _ in 0..MAX_TOLD {
            let Ok(event) = events.try_recv() else { return Ok(false) };
            if self.take(event)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says whether this is the end.
    fn take(&mut self, event: Event) -> anyhow::Result<bool> {
        if self.suspended.is_some_and(|since| since.elapsed() > SUSPENDED) {
            self.come_back()?;
        }
        let now = self.now();
        match self.dashboard.handle(event, now) {
            None => {}
            Some(Action::Quit) => return Ok(true),
            Some(Action::Ask(source)) => self.fetcher.ask(source),
            Some(Action::Send(text)) => self.fetcher.send(text),
            Some(Action::Redraw) => self.screen.forget()?,
            Some(Action::Suspend) => self.suspend()?,
        }
        Ok(false)
    }

    fn suspend(&mut self) -> anyhow::Result<()> {
        self.screen.leave();
        self.suspended = Some(Instant::now());
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        Ok(())
    }

    fn come_back(&mut self) -> anyhow::Result<()> {
        self.suspended = None;
        Ok(self.screen.come_back()?)
    }
}

impl ValueEnum for Panel {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Self::Members => "members",
            Self::Links => "links",
            Self::Routes => "routes",
            Self::Chat => "chat",
            Self::Services => "services",
            Self::Events => "events",
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::WatchArgs;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        watch: WatchArgs,
    }

    #[test]
    fn the_time_between_two_documents_has_a_unit_or_not() {
        for (time, seconds) in [("10", 10), ("10s", 10), ("1m", 60)] {
            let program = Program::try_parse_from(["watch", "--interval", time]);
            assert_eq!(program.expect("a time").watch.interval, seconds);
        }
        assert!(Program::try_parse_from(["watch", "--interval", "500ms"]).is_err());
    }
}
