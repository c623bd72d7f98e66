//! Rows in columns that fit: what does not matter as much gives way, and bars take what is left.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::text::{pad, width};
use crate::theme::Theme;

/// The widest bars, in cells: what is kept of a link fills them.
const MAX_BARS: usize = crate::dashboard::MAX_SAMPLES;

/// What stands in a column of a row.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// A text.
    Text(String, Style),
    /// Values, and the least height of the scale.
    Bars(Vec<Option<f64>>, f64, Style),
}

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::Text(text.into(), Style::new())
    }

    fn natural(&self) -> usize {
        match self {
            Self::Text(text, _) => width(text),
            Self::Bars(..) => 0,
        }
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    least: usize,
    most: usize,
    to_right: bool,
    /// The column of the highest rank is left out first; 0 never is.
    rank: u8,
    is_bars: bool,
    /// It takes two looks to tell.
    is_rate: bool,
}

impl Column {
    /// A text of `least` to `most` cells.
    pub(crate) const fn text(title: &'static str, least: usize, most: usize) -> Self {
        Self { title, least, most, to_right: false, rank: 0, is_bars: false, is_rate: false }
    }

    /// A figure.
    pub(crate) const fn figure(title: &'static str, most: usize) -> Self {
        Self { title, least: most, most, to_right: true, rank: 0, is_bars: false, is_rate: false }
    }

    /// Bars of at least so many cells.
    pub(crate) const fn bars(least: usize) -> Self {
        Self { title: "", least, most: least, to_right: false, rank: 0, is_bars: true, is_rate: false }
    }

    /// It takes two looks to tell.
    pub(crate) const fn rate(self) -> Self {
        Self { is_rate: true, ..self }
    }

    /// Gives way before those of lower rank.
    pub(crate) const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

/// A row, known by its key.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    /// Whether a text in it contains this, which is in lower case.
    pub(crate) fn has(&self, filter: &str) -> bool {
        filter.is_empty()
            || self.cells.iter().any(|cell| match cell {
                Cell::Text(text, _) => text.to_lowercase().contains(filter),
                Cell::Bars(..) => false,
            })
    }
}

/// Which rows are seen: those from `top` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) top: usize,
    pub(crate) chosen: Option<usize>,
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Draws the heading and the rows that are seen; the one that is chosen stands out.
    pub(crate) fn draw(&self, buffer: &mut Buffer, area: Rect, part: Part, theme: Theme) {
        let seen = usize::from(area.height.saturating_sub(1));
        let from_top = self.rows.get(part.top..).unwrap_or_default();
        let rows = from_top.get(..seen).unwrap_or(from_top);
        let widths = self.widths(usize::from(area.width), rows);
        let titles: Vec<Cell> =
            self.columns.iter().map(|column| Cell::Text(column.title.to_owned(), theme.heading())).collect();
        self.draw_row(buffer, Rect { height: 1, ..area }, &titles, &widths);
        for (y, (number, row)) in (area.y + 1..).zip((part.top..).zip(rows)) {
            let line = Rect { y, height: 1, ..area };
            self.draw_row(buffer, line, &row.cells, &widths);
            if part.chosen == Some(number) {
                buffer.set_style(line, theme.selected());
            }
        }
    }

    /// The same as one look can tell: without bars and rates.
    pub(crate) fn at_one_look(&self) -> Self {
        let keeps = |column: &Column| !column.is_bars && !column.is_rate;
        let row = |row: &Row| {
            let cells = self.columns.iter().zip(&row.cells).filter(|(column, _)| keeps(column));
            Row { key: row.key.clone(), cells: cells.map(|(_, cell)| cell.clone()).collect() }
        };
        let columns = self.columns.iter().filter(|column| keeps(column)).copied().collect();
        Self { columns, rows: self.rows.iter().map(row).collect() }
    }

    fn draw_row(&self, buffer: &mut Buffer, line: Rect, cells: &[Cell], widths: &[usize]) {
        // Two cells between columns where there is room.
        let gap = if total(widths, 2) <= usize::from(line.width) { 2 } else { 1 };
        let mut x = usize::from(line.x);
        for ((column, cell), width) in self.columns.iter().zip(cells).zip(widths).filter(|(_, width)| **width > 0) {
            let (text, style) = match cell {
                Cell::Text(text, style) => (pad(text, *width, column.to_right), *style),
                Cell::Bars(values, least, style) => (Theme::bars(values, *width, *least), *style),
            };
            let room = usize::from(line.right()).saturating_sub(x);
            let at = u16::try_from(x).unwrap_or(u16::MAX);
            if room > 0 {
                // What is measured in another way must not reach into the next column.
                buffer.set_stringn(at, line.y, text, room.min(*width), style);
            }
            x += width + gap;
        }
    }

    /// The width of each column, 0 for those left out.
    fn widths(&self, available: usize, rows: &[Row]) -> Vec<usize> {
        let natural = |(at, column): (usize, &Column)| {
            let widest = rows.iter().filter_map(|row| row.cells.get(at)).map(Cell::natural).max().unwrap_or(0);
            widest.max(width(column.title)).clamp(column.least, column.most.max(column.least))
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(natural).collect();
        while total(&widths, 1) > available && self.give_way(&mut widths, available) {}
        self.spread(&mut widths, available);
        widths
    }

    /// Takes from the widest text that may be narrower, or leaves out what matters least. Says whether it could.
    fn give_way(&self, widths: &mut [usize], available: usize) -> bool {
        let excess = total(widths, 1) - available;
        let least: usize =
            self.columns.iter().zip(widths.iter()).map(|(column, width)| width.saturating_sub(column.least)).sum();
        let droppable =
            self.columns.iter().zip(widths.iter_mut()).filter(|(column, width)| column.rank > 0 && **width > 0);
        if excess > least {
            let last = droppable.max_by_key(|(column, _)| column.rank);
            if let Some((_, width)) = last {
                *width = 0;
                return true;
            }
        }
        let narrower = self.columns.iter().zip(widths.iter_mut()).filter(|(column, width)| **width > column.least);
        match narrower.max_by_key(|(_, width)| **width) {
            Some((_, width)) => *width -= 1,
            None => return false,
        }
        true
    }

    /// Gives bars what is left, in equal parts.
    fn spread(&self, widths: &mut [usize], available: usize) {
        let count =
            self.columns.iter().zip(widths.iter()).filter(|(column, width)| column.is_bars && **width > 0).count();
        let left = available.saturating_sub(total(widths, 2));
        for (column, width) in self.columns.iter().zip(widths.iter_mut()) {
            if column.is_bars && *width > 0 {
                *width = (*width + left / count.max(1)).min(MAX_BARS);
            }
        }
    }
}

fn total(widths: &[usize], gap: usize) -> usize {
    let shown = widths.iter().filter(|width| **width > 0).count();
    widths.iter().sum::<usize>() + gap * shown.saturating_sub(1)
}
