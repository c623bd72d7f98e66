//! What stands around the panels: who this is and how it is, the tabs, the titles, the keys.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::{age_words, write};
use crate::dashboard::{Age, Dashboard, Mode, Panel};
use crate::input::{Now, Source};
use crate::text::{clean, clip, head as head_of, width};
use crate::words::{count, micros, millis, short};

/// Keys that are always shown, the most important first: those that do not fit are found with `?`.
const KEYS: [(&str, &str); 9] = [
    ("q", "quit"),
    ("?", "help"),
    ("Tab", "panel"),
    ("↑↓", "row"),
    ("Enter", "details"),
    ("m", "message"),
    ("/", "filter"),
    ("z", "zoom"),
    ("r", "ask now"),
];

pub(super) fn head(dashboard: &Dashboard, frame: &mut Frame<'_>, area: Rect, now: Now) {
    let theme = dashboard.settings.theme;
    let (mark, words, style) = liveness(dashboard, now);
    let right = format!("{mark} {words}");
    let room = usize::from(area.width).saturating_sub(width(&right) + 1);
    let name = clean(&dashboard.status.name);
    let who = if name.is_empty() { "meshline".to_owned() } else { clip(&name, 24) };
    let buffer = frame.buffer_mut();
    let (x, _) = buffer.set_stringn(area.x, area.y, &who, room, theme.accent().add_modifier(Modifier::BOLD));
    let left = room.saturating_sub(width(&who));
    buffer.set_stringn(x, area.y, head_of(&state(dashboard), left), left, Style::new());
    let at = area.right().saturating_sub(u16::try_from(width(&right)).unwrap_or(area.width));
    buffer.set_stringn(at, area.y, &right, usize::from(area.width), style);
    match banner(dashboard, now) {
        Some(words) => write(frame, area, 1, &words, theme.bad()),
        None => write(frame, area, 1, &facts(dashboard, now), theme.dim()),
    }
}

/// Whether what is shown is what is.
fn liveness(dashboard: &Dashboard, now: Now) -> (&'static str, String, Style) {
    let theme = dashboard.settings.theme;
    match dashboard.freshness.age(Source::Status, now.mono_ms) {
        Age::Waiting => ("○", "asking".to_owned(), theme.dim()),
        Age::Fresh if dashboard.is_gone(now) => ("×", "gone".to_owned(), theme.bad()),
        Age::Fresh => ("●", "live".to_owned(), theme.good()),
        Age::Stale(ms) => ("×", format!("{} old", millis(ms)), theme.bad()),
        Age::Failed(_) | Age::Missing => ("×", "no answer".to_owned(), theme.bad()),
    }
}

pub(super) fn state(dashboard: &Dashboard) -> String {
    let status = &dashboard.status;
    if status.id.is_empty() {
        return String::new();
    }
    let links = count(status.links.len(), "link", "links");
    let reachable = dashboard.peers.iter().filter(|peer| peer.reachable).count() + 1;
    let members = match dashboard.peers.len() + 1 {
        all if all == reachable => count(all, "member", "members"),
        all => format!("{reachable} of {all} members"),
    };
    format!(" · {} · {links} · {members} · up {}", clean(&status.state), millis(status.uptime_ms))
}

/// What is wrong with the member as a whole.
fn banner(dashboard: &Dashboard, now: Now) -> Option<String> {
    if !dashboard.is_gone(now) {
        return None;
    }
    let why =
        dashboard.freshness.fault(Source::Status).map_or_else(String::new, |fault| format!(": {}", fault.words()));
    Some(format!("asking again every second{why}"))
}

pub(super) fn facts(dashboard: &Dashboard, now: Now) -> String {
    let status = &dashboard.status;
    if status.id.is_empty() {
        return String::new();
    }
    let mut facts = vec![format!("{} in {}", short(&status.id), network(&status.network))];
    // What stands last is cut off where there is no room.
    facts.extend(ledger(dashboard, now));
    if status.time.members > 0 {
        let off = status.time.offset_us.unsigned_abs();
        let side = if status.time.offset_us > 0 { "behind" } else { "ahead" };
        facts.push(format!("clock {} {side}", micros(off)));
    }
    if let Some(ring) = &status.ring {
        facts.push(if ring.complete { format!("ring closed, {}", ring.length) } else { "ring open".to_owned() });
    }
    facts.join(" · ")
}

/// The id of a closed network is long.
fn network(network: &str) -> String {
    if network.len() > 24 { short(network) } else { network.to_owned() }
}

fn ledger(dashboard: &Dashboard, now: Now) -> Option<String> {
    let ledger = dashboard.ledger.as_ref()?;
    let age = age_words(dashboard.freshness.age(Source::Ledger, now.mono_ms));
    let behind = (ledger.headers > ledger.height).then(|| format!(", of {}", ledger.headers));
    let task = ledger.task.as_ref().map(|task| format!(", {} {}/{}", clean(&task.name), task.done, task.of));
    let waiting = match ledger.mempool.transactions {
        0 => None,
        waiting => Some(format!(", {waiting} waiting")),
    };
    let looked = ledger.scanned.filter(|at| *at < ledger.height).map(|at| format!(", looked through to {at}"));
    let more: String =
        [behind, looked, task, waiting, age.map(|age| format!(", {age}"))].into_iter().flatten().collect();
    // A block's name begins with zeros, so its end tells blocks apart.
    let tip = clean(&ledger.tip);
    Some(format!("ledger {} …{}{more}", ledger.height, crate::text::tail(&tip, 8)))
}

pub(super) fn tabs(dashboard: &Dashboard, frame: &mut Frame<'_>, area: Rect) {
    let theme = dashboard.settings.theme;
    let full: usize = Panel::ALL.iter().map(|panel| width(panel.name()) + 4).sum();
    let mut x = area.x;
    for panel in Panel::ALL {
        let name = if full <= usize::from(area.width) { panel.name() } else { head_of(panel.name(), 4) };
        let style = if panel == dashboard.focus { theme.selected().add_modifier(Modifier::BOLD) } else { Style::new() };
        let room = usize::from(area.right().saturating_sub(x));
        let label = format!(" {} {name} ", panel.number());
        (x, _) = frame.buffer_mut().set_stringn(x, area.y, label, room, style);
    }
}

/// The name of a panel, how many rows it has, its filter, and how old it is.
pub(super) fn title(dashboard: &mut Dashboard, panel: Panel, rows: Option<usize>, now: Now) -> Line<'static> {
    let theme = dashboard.settings.theme;
    let below = dashboard.scroll(panel).below();
    let name = match rows {
        Some(rows) => format!(" {} {} {rows} ", panel.number(), panel.name()),
        None => format!(" {} {} ", panel.number(), panel.name()),
    };
    let is_focused = dashboard.focus == panel;
    let name_style = if is_focused { theme.accent().add_modifier(Modifier::BOLD) } else { theme.heading() };
    let mut spans = vec![Span::styled(name, name_style)];
    let filter = dashboard.filter(panel);
    if !filter.is_empty() {
        spans.push(Span::styled(format!("/{} ", clip(&clean(filter.text()), 20)), theme.warn()));
    }
    if below > 0 {
        spans.push(Span::styled(format!("{below} lines below "), theme.warn()));
    }
    let age = dashboard.freshness.age(panel.source(), now.mono_ms);
    spans.extend(age_words(age).map(|words| Span::styled(format!("· {words} "), theme.warn())));
    Line::from(spans)
}

pub(super) fn foot(dashboard: &Dashboard, frame: &mut Frame<'_>, area: Rect, now: Now) {
    let theme = dashboard.settings.theme;
    if let Some((words, _)) = dashboard.notice.as_ref().filter(|(_, until)| *until > now.mono_ms) {
        return write(frame, area, 0, words, theme.warn());
    }
    match dashboard.mode {
        Mode::Browse => keys(frame, area, &KEYS, theme.accent()),
        Mode::Compose => keys(frame, area, &[("Enter", "send"), ("Esc", "later"), ("↑↓", "scroll")], theme.accent()),
        Mode::Help => keys(frame, area, &[("any key", "closes this")], theme.accent()),
        Mode::Detail => keys(frame, area, &[("↑↓", "next row"), ("any other key", "closes this")], theme.accent()),
        Mode::Filter => filter(dashboard, frame, area),
    }
}

fn filter(dashboard: &Dashboard, frame: &mut Frame<'_>, area: Rect) {
    let theme = dashboard.settings.theme;
    let prompt = format!("{} with: ", dashboard.focus.name());
    let (text, cursor) = dashboard.filter(dashboard.focus).view(30);
    let buffer = frame.buffer_mut();
    let (x, _) = buffer.set_stringn(area.x, area.y, prompt, usize::from(area.width), theme.accent());
    buffer.set_stringn(x, area.y, &text, 30, Style::new());
    let hints = Rect { x: area.x + 46, width: area.width.saturating_sub(46), ..area };
    keys(frame, hints, &[("Enter", "keep"), ("Esc", "show all")], theme.accent());
    let x = x.saturating_add(u16::try_from(cursor).unwrap_or(0)).min(area.right().saturating_sub(1));
    frame.set_cursor_position(Position { x, y: area.y });
}

fn keys(frame: &mut Frame<'_>, area: Rect, keys: &[(&str, &str)], style: Style) {
    let mut x = area.x;
    for (key, does) in keys {
        let room = usize::from(area.right().saturating_sub(x));
        if width(key) + width(does) + 1 > room {
            return;
        }
        (x, _) = frame.buffer_mut().set_stringn(x, area.y, key, room, style.add_modifier(Modifier::BOLD));
        (x, _) = frame.buffer_mut().set_stringn(x, area.y, format!(" {does}  "), room, Style::new());
    }
}
