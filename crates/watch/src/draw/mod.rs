//! Puts the dashboard on a screen: all panels beside each other where there is room, one at a time where there is not.

mod boxes;
mod chat;
mod frame;
mod links;
mod lists;
mod members;
mod plain;
mod table;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Block;

use crate::dashboard::{Age, Dashboard, Mode, Panel};
use crate::input::Now;
use crate::text::{clean, clip, wrap};
use crate::words::millis;
pub(crate) use plain::plain;
use table::{Part, Table};

/// The smallest screen on which anything can be read.
const SMALLEST: (u16, u16) = (40, 10);

/// From this size on all panels stand beside each other: three columns of 38 cells, three rows of nine lines.
const ALL_AT_ONCE: (u16, u16) = (116, 32);

pub(crate) fn draw(dashboard: &mut Dashboard, frame: &mut Frame<'_>, now: Now) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let words = format!("at least {}×{} cells are needed", SMALLEST.0, SMALLEST.1);
        return write(frame, area, 0, &words, Style::new());
    }
    let all = !dashboard.is_zoomed && area.width >= ALL_AT_ONCE.0 && area.height >= ALL_AT_ONCE.1;
    let (head, rest) = split(area, if all { 2 } else { 3 });
    let (body, foot) = split(rest, rest.height - 1);
    frame::head(dashboard, frame, head, now);
    if !all {
        frame::tabs(dashboard, frame, Rect { y: head.bottom() - 1, height: 1, ..head });
    }
    for (which, place) in places(dashboard.focus, body, all) {
        panel(dashboard, frame, which, place, now);
    }
    frame::foot(dashboard, frame, foot, now);
    match dashboard.mode {
        Mode::Help => boxes::help(dashboard, frame, body),
        Mode::Detail => boxes::detail(dashboard, frame, body),
        Mode::Browse | Mode::Filter | Mode::Compose => {}
    }
}

/// Which panels are where. One at a time has the last events below it, if it is high enough.
fn places(focus: Panel, body: Rect, all: bool) -> Vec<(Panel, Rect)> {
    if !all {
        let strip = if body.height >= 18 && focus != Panel::Events { 5 } else { 0 };
        let (main, strip) = split(body, body.height - strip);
        let strip = (strip.height > 0).then_some((Panel::Events, strip));
        return [Some((focus, main)), strip].into_iter().flatten().collect();
    }
    let (links, rest) = split(body, body.height * 3 / 10);
    let (middle, bottom) = split(rest, rest.height * 11 / 20);
    let (members, chat) = split_side(middle, middle.width / 2);
    let (routes, rest) = split_side(bottom, bottom.width * 7 / 20);
    let (services, events) = split_side(rest, rest.width / 2);
    vec![
        (Panel::Links, links),
        (Panel::Members, members),
        (Panel::Chat, chat),
        (Panel::Routes, routes),
        (Panel::Services, services),
        (Panel::Events, events),
    ]
}

/// The upper part of this height, and the rest.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// The left part of this width, and the rest.
fn split_side(area: Rect, width: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    (Rect { width, ..area }, Rect { x: area.x + width, width: area.width - width, ..area })
}

fn panel(dashboard: &mut Dashboard, frame: &mut Frame<'_>, panel: Panel, area: Rect, now: Now) {
    let theme = dashboard.settings.theme;
    let is_focused = dashboard.focus == panel;
    let table = match panel {
        Panel::Members => Some(members::members(dashboard)),
        Panel::Links => Some(links::links(dashboard)),
        Panel::Routes => Some(lists::routes(dashboard)),
        Panel::Services => Some(lists::services(dashboard)),
        Panel::Chat | Panel::Events => None,
    };
    let filter = dashboard.filter(panel).text().to_lowercase();
    let table = table.map(|mut table| {
        table.rows.retain(|row| row.has(&filter));
        table
    });
    let title = frame::title(dashboard, panel, table.as_ref().map(|table| table.rows.len()), now);
    let block = Block::bordered().border_style(theme.border(is_focused)).title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    match (panel, table) {
        (_, Some(table)) if !table.rows.is_empty() => rows(dashboard, frame, panel, inner, &table),
        (Panel::Chat, _) => chat::chat(dashboard, frame, inner, now),
        (Panel::Events, _) if !dashboard.happened.rows.is_empty() => chat::events(dashboard, frame, inner),
        (_, table) => {
            dashboard.cursor(panel).fit(Vec::new(), usize::from(inner.height));
            let is_filtered = table.is_some() && !filter.is_empty();
            paragraph(frame, inner, &nothing(dashboard, panel, is_filtered, now), theme.dim());
        }
    }
}

fn rows(dashboard: &mut Dashboard, frame: &mut Frame<'_>, panel: Panel, inner: Rect, table: &Table) {
    let theme = dashboard.settings.theme;
    let is_focused = dashboard.focus == panel;
    let keys = table.rows.iter().map(|row| row.key.clone()).collect();
    let cursor = dashboard.cursor(panel);
    let top = cursor.fit(keys, usize::from(inner.height.saturating_sub(1)));
    let chosen = is_focused.then(|| cursor.at());
    table.draw(frame.buffer_mut(), inner, Part { top, chosen }, theme);
}

/// Why a panel is empty.
fn nothing(dashboard: &Dashboard, panel: Panel, is_filtered: bool, now: Now) -> String {
    let age = dashboard.freshness.age(panel.source(), now.mono_ms);
    if is_filtered {
        return format!("nothing contains {:?}; Esc shows all", dashboard.filter(panel).text());
    }
    match (age, panel) {
        (Age::Waiting, _) => "the member is asked …".to_owned(),
        (Age::Failed(fault), _) => fault.words(),
        (Age::Missing, Panel::Services) => "this member has no directory of services".to_owned(),
        (Age::Missing, _) => "this member has no such thing".to_owned(),
        (Age::Fresh | Age::Stale(_), Panel::Members) => "no other member is known".to_owned(),
        (Age::Fresh | Age::Stale(_), Panel::Links) => "no link is up".to_owned(),
        (Age::Fresh | Age::Stale(_), Panel::Routes) => "there is no way to any other member".to_owned(),
        (Age::Fresh | Age::Stale(_), Panel::Chat) => "nobody wrote anything yet".to_owned(),
        (Age::Fresh | Age::Stale(_), Panel::Services) => "no member offers anything".to_owned(),
        (Age::Fresh | Age::Stale(_), Panel::Events) => "nothing has happened yet".to_owned(),
    }
}

/// How old something is, where that is worth saying.
fn age_words(age: Age<'_>) -> Option<String> {
    match age {
        Age::Stale(ms) => Some(format!("{} old", millis(ms))),
        Age::Failed(_) => Some("no answer".to_owned()),
        Age::Waiting | Age::Fresh | Age::Missing => None,
    }
}

/// One line of foreign or own text.
fn write(frame: &mut Frame<'_>, area: Rect, line: u16, words: &str, style: Style) {
    if line < area.height {
        let words = clip(&clean(words), usize::from(area.width));
        frame.buffer_mut().set_stringn(area.x, area.y + line, words, usize::from(area.width), style);
    }
}

fn paragraph(frame: &mut Frame<'_>, area: Rect, words: &str, style: Style) {
    for (line, words) in (0..area.height).zip(wrap(&clean(words), usize::from(area.width))) {
        write(frame, area, line, &words, style);
    }
}
