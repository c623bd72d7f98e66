//! Rows with columns of equal width, for people.

use crate::log::escape;

/// Lays out rows; the first is the heading.
///
/// What is in them may come from others: nothing of it may steer the terminal.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| escape(cell).into_owned()).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A heading.
pub(super) fn heading(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A duration in microseconds as people read it.
pub(super) fn micros(value: Option<u64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 10_000 => format!("{value} µs"),
        Some(value) => format!("{}.{} ms", value / 1_000, value % 1_000 / 100),
    }
}

/// A duration in milliseconds as people read it.
pub(super) fn millis(value: u64) -> String {
    match value / 1_000 {
        0 => format!("{value} ms"),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}
