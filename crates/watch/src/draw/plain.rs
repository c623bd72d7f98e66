//! The panels below each other as plain text, for a file or a pipe.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::table::{Part, Table};
use super::{frame, links, lists, members, nothing};
use crate::dashboard::{Dashboard, Happened, Panel};
use crate::input::Now;
use crate::text::clean;

/// The newest messages that are printed.
const MESSAGES: usize = 10;

/// The newest events that are printed.
const EVENTS: usize = 20;

pub(crate) fn plain(dashboard: &Dashboard, now: Now, columns: usize) -> String {
    let name = clean(&dashboard.status.name);
    let mut parts = vec![format!("{name}{}\n{}", frame::state(dashboard), frame::facts(dashboard, now))];
    for (panel, table) in [
        (Panel::Links, links::links(dashboard)),
        (Panel::Members, members::members(dashboard)),
        (Panel::Routes, lists::routes(dashboard)),
        (Panel::Services, lists::services(dashboard)),
    ] {
        let rows = if table.rows.is_empty() { nothing(dashboard, panel, false, now) } else { lines(&table, columns) };
        parts.push(format!("{}\n{rows}", panel.name()));
    }
    parts.push(format!("{}\n{}", Panel::Chat.name(), messages(dashboard, now)));
    parts.push(format!("{}\n{}", Panel::Events.name(), events(dashboard, now)));
    parts.join("\n\n")
}

fn lines(table: &Table, columns: usize) -> String {
    let table = table.at_one_look();
    let area = Rect::new(
        0,
        0,
        u16::try_from(columns).unwrap_or(u16::MAX),
        u16::try_from(table.rows.len() + 1).unwrap_or(u16::MAX),
    );
    let theme = crate::theme::Theme { colour: false, unicode: true };
    // A screen has at most 65,535 cells, a listing may have more.
    let mut shown = Vec::new();
    let page = (usize::from(u16::MAX) / usize::from(area.width.max(1))).clamp(2, table.rows.len() + 1);
    for top in (0..table.rows.len()).step_by(page - 1) {
        let area = Rect { height: u16::try_from(page).unwrap_or(u16::MAX), ..area };
        let mut buffer = Buffer::empty(area);
        table.draw(&mut buffer, area, Part { top, chosen: None }, theme);
        shown.extend(rows(&buffer).skip(usize::from(top > 0)));
    }
    while shown.last().is_some_and(String::is_empty) {
        shown.pop();
    }
    shown.join("\n")
}

fn rows(buffer: &Buffer) -> impl Iterator<Item = String> + '_ {
    let area = buffer.area;
    (area.top()..area.bottom()).map(move |y| {
        let mut line = String::new();
        let mut covered = 0;
        for x in area.left()..area.right() {
            let symbol = buffer.cell((x, y)).map_or("", |cell| cell.symbol());
            if covered == 0 {
                line.push_str(symbol);
            }
            covered = crate::text::width(symbol).max(covered).saturating_sub(1);
        }
        line.trim_end().to_owned()
    })
}

fn messages(dashboard: &Dashboard, now: Now) -> String {
    let rows = &dashboard.talk.rows;
    if rows.is_empty() {
        return nothing(dashboard, Panel::Chat, false, now);
    }
    let newest = rows.iter().skip(rows.len().saturating_sub(MESSAGES));
    let line = |row: &crate::documents::Message| {
        let time = super::chat::clock(row.time.parse().ok(), &dashboard.settings.zone);
        format!("{time}{}: {}", clean(&row.name), clean(&row.text))
    };
    newest.map(line).collect::<Vec<_>>().join("\n")
}

fn events(dashboard: &Dashboard, now: Now) -> String {
    let rows = &dashboard.happened.rows;
    if rows.is_empty() {
        return nothing(dashboard, Panel::Events, false, now);
    }
    let newest = rows.iter().skip(rows.len().saturating_sub(EVENTS));
    let line = |row: &Happened| {
        let time = super::chat::clock(Timestamp::from_millisecond(row.unix_ms).ok(), &dashboard.settings.zone);
        format!("{time}{}", row.words)
    };
    newest.map(line).collect::<Vec<_>>().join("\n")
}
