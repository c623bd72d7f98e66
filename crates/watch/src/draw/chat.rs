//! The chat, with the line that is typed below it, and what happened.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::{nothing, paragraph, split};
use crate::dashboard::{Dashboard, Mode, Panel, Weight};
use crate::documents::Message;
use crate::input::Now;
use crate::text::{clean, width, wrap};
use crate::theme::Theme;

/// Cells of a time with the space behind it.
const TIME: usize = 9;

/// One line of the panel: a time or nothing, a name or nothing, and what follows.
struct Line {
    time: String,
    name: String,
    text: String,
    style: Style,
    name_style: Style,
}

pub(super) fn chat(dashboard: &mut Dashboard, frame: &mut Frame<'_>, area: Rect, now: Now) {
    let (above, below) = split(area, area.height.saturating_sub(1));
    composer(dashboard, frame, below);
    let filter = dashboard.filter(Panel::Chat).text().to_lowercase();
    let theme = dashboard.settings.theme;
    let has = |row: &&Message| {
        filter.is_empty() || row.name.to_lowercase().contains(&filter) || row.text.to_lowercase().contains(&filter)
    };
    let zone = &dashboard.settings.zone;
    let rows = dashboard.talk.rows.iter().filter(has);
    let lines: Vec<Line> = rows.flat_map(|row| message(row, usize::from(above.width), zone, theme)).collect();
    if lines.is_empty() {
        return paragraph(frame, above, &nothing(dashboard, Panel::Chat, !filter.is_empty(), now), theme.dim());
    }
    let top = dashboard.scroll(Panel::Chat).fit(lines.len(), usize::from(above.height));
    draw(frame, above, lines.iter().skip(top), theme);
}

pub(super) fn events(dashboard: &mut Dashboard, frame: &mut Frame<'_>, area: Rect) {
    let theme = dashboard.settings.theme;
    let filter = dashboard.filter(Panel::Events).text().to_lowercase();
    let rows = dashboard.happened.rows.iter().filter(|row| row.words.to_lowercase().contains(&filter));
    let lines: Vec<Line> = rows
        .flat_map(|row| {
            let style = match row.weight {
                Weight::Good => theme.good(),
                Weight::Plain => Style::new(),
                Weight::Bad => theme.warn(),
            };
            let time = clock(Timestamp::from_millisecond(row.unix_ms).ok(), &dashboard.settings.zone);
            let texts = vec![row.words.clone()];
            Said { time, name: String::new(), name_style: style, texts, style }.lines(usize::from(area.width))
        })
        .collect();
    let top = dashboard.scroll(Panel::Events).fit(lines.len(), usize::from(area.height));
    draw(frame, area, lines.iter().skip(top), theme);
}

fn draw<'a>(frame: &mut Frame<'_>, area: Rect, lines: impl Iterator<Item = &'a Line>, theme: Theme) {
    let buffer = frame.buffer_mut();
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        let parts = [(&line.time, theme.dim()), (&line.name, line.name_style), (&line.text, line.style)];
        let mut x = area.x;
        for (text, style) in parts {
            let room = usize::from(area.right().saturating_sub(x));
            (x, _) = buffer.set_stringn(x, y, text, room, style);
        }
    }
}

/// The line that is typed, or how to begin one.
fn composer(dashboard: &Dashboard, frame: &mut Frame<'_>, area: Rect) {
    let theme = dashboard.settings.theme;
    let prompt = if dashboard.sending.is_some() { "sending … " } else { "message: " };
    if dashboard.mode != Mode::Compose && dashboard.message.is_empty() && dashboard.sending.is_none() {
        return super::write(frame, area, 0, "m writes to all members", theme.dim());
    }
    let room = usize::from(area.width).saturating_sub(width(prompt));
    let (text, cursor) = dashboard.message.view(room);
    let buffer = frame.buffer_mut();
    let (x, _) = buffer.set_stringn(area.x, area.y, prompt, usize::from(area.width), theme.accent());
    buffer.set_stringn(x, area.y, text, room, Style::new());
    if dashboard.mode == Mode::Compose && area.height > 0 {
        let x = x.saturating_add(u16::try_from(cursor).unwrap_or(u16::MAX)).min(area.right().saturating_sub(1));
        frame.set_cursor_position(Position { x, y: area.y });
    }
}

fn message(row: &Message, cells: usize, zone: &TimeZone, theme: Theme) -> Vec<Line> {
    let (name_style, style) = if row.own {
        (theme.accent().add_modifier(Modifier::BOLD), theme.accent())
    } else {
        (theme.heading(), Style::new())
    };
    let mut texts: Vec<String> = row.text.split('\n').map(clean).collect();
    if let Some(last) = texts.last_mut() {
        last.push_str(&delivery(row));
    }
    let time = clock(row.time.parse().ok(), zone);
    Said { time, name: format!("{}: ", clean(&row.name)), name_style, texts, style }.lines(cells)
}

/// How far an own message has come.
fn delivery(row: &Message) -> String {
    match (row.own, row.delivered_of) {
        (false, _) => String::new(),
        (true, 0) => format!("  [{}]", clean(&row.state)),
        (true, of) => format!("  [{} to {} of {of}]", clean(&row.state), row.delivered_to),
    }
}

/// A time, a name or nothing, and texts.
struct Said {
    time: String,
    name: String,
    name_style: Style,
    texts: Vec<String>,
    style: Style,
}

impl Said {
    /// The texts broken into lines beside the time; the first has the name before it.
    fn lines(self, cells: usize) -> Vec<Line> {
        let Self { time, name, name_style, texts, style } = self;
        let room = cells.saturating_sub(TIME).max(1);
        let mut lines = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            // The name takes its place in the first line, so it is wrapped with it and taken off again.
            let name = if number == 0 { name.as_str() } else { "" };
            for line in wrap(&format!("{name}{text}"), room) {
                let is_first = lines.is_empty();
                let (name, text) = match line.strip_prefix(name).filter(|_| is_first && !name.is_empty()) {
                    Some(text) => (name.to_owned(), text.to_owned()),
                    None => (String::new(), line),
                };
                let time = if is_first { time.clone() } else { " ".repeat(TIME) };
                lines.push(Line { time, name, text, style, name_style });
            }
        }
        lines
    }
}

pub(super) fn clock(time: Option<Timestamp>, zone: &TimeZone) -> String {
    let shown = time.map(|time| time.to_zoned(zone.clone()).strftime("%H:%M:%S ").to_string());
    shown.unwrap_or_else(|| " ".repeat(TIME))
}
