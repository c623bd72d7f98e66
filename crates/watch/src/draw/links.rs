//! Links: round trip, loss and goodput, each with how it was of late.

use ratatui::style::Style;

use super::table::{Cell, Column, Row, Table};
use crate::dashboard::{Dashboard, Sample, Series};
use crate::documents::Link;
use crate::text::clean;
use crate::theme::Theme;
use crate::words::{micros, millis, percent, rate};

/// Loss from which on a link deserves a look: TCP slows down.
const LOSS_TO_SEE: f64 = 0.01;

/// Loss at which it is hardly one.
const LOSS_TO_MEND: f64 = 0.05;

/// Bars of round trips reach at least this high, in microseconds.
const LEAST_RTT: f64 = 1.0;

pub(super) fn links(dashboard: &Dashboard) -> Table {
    let columns = vec![
        Column::text("LINK TO", 7, 24),
        Column::text("BY", 4, 5).rank(4),
        Column::figure("RTT", 7),
        Column::bars(12),
        Column::figure("LOSS", 6),
        Column::bars(6).rank(3),
        Column::figure("GOODPUT", 10),
        Column::bars(12).rank(2),
        Column::figure("SENDING", 10).rate().rank(6),
        Column::figure("RECEIVING", 10).rate().rank(5),
        Column::figure("UP", 7).rank(7),
        Column::text("ADDRESS", 15, 44).rank(8),
    ];
    Table { columns, rows: dashboard.status.links.iter().map(|link| row(dashboard, link)).collect() }
}

fn row(dashboard: &Dashboard, link: &Link) -> Row {
    let theme = dashboard.settings.theme;
    let series = dashboard.series.get(&link.peer);
    let last = series.map(Series::last).unwrap_or_default();
    let bars = |of: fn(&Sample) -> Option<f64>, least| {
        Cell::Bars(series.map(|series| series.values(of)).unwrap_or_default(), least, theme.accent())
    };
    let by_probe = link.goodput_by.as_deref() == Some("probe");
    Row {
        key: link.peer.clone(),
        cells: vec![
            Cell::plain(clean(&link.name)),
            Cell::Text(clean(&link.transport), theme.dim()),
            Cell::plain(link.rtt_us.map_or_else(|| "-".to_owned(), micros)),
            bars(rtt, LEAST_RTT),
            Cell::Text(percent(link.loss), loss_style(link.loss, theme)),
            bars(loss, LOSS_TO_SEE),
            Cell::Text(rate(link.goodput_bps), if by_probe { theme.dim() } else { Style::new() }),
            bars(goodput, 1.0),
            Cell::plain(traffic(last.sent_bps)),
            Cell::plain(traffic(last.received_bps)),
            Cell::Text(millis(link.up_ms), theme.dim()),
            Cell::Text(clean(&link.address), theme.dim()),
        ],
    }
}

/// What passes is known, other than what would.
pub(super) fn traffic(bps: u64) -> String {
    if bps == 0 { "0".to_owned() } else { rate(bps) }
}

fn loss_style(loss: f64, theme: Theme) -> Style {
    match loss {
        loss if loss >= LOSS_TO_MEND => theme.bad(),
        loss if loss >= LOSS_TO_SEE => theme.warn(),
        _ => Style::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for the height of a bar")]
pub(super) fn rtt(sample: &Sample) -> Option<f64> {
    sample.rtt_us.map(|rtt| rtt as f64)
}

pub(super) fn loss(sample: &Sample) -> Option<f64> {
    (!sample.loss.is_nan()).then_some(sample.loss)
}

#[expect(clippy::cast_precision_loss, reason = "for the height of a bar")]
pub(super) fn goodput(sample: &Sample) -> Option<f64> {
    (sample.goodput_bps > 0).then_some(sample.goodput_bps as f64)
}

#[expect(clippy::cast_precision_loss, reason = "for the height of a bar")]
pub(super) fn sent(sample: &Sample) -> Option<f64> {
    Some(sample.sent_bps as f64)
}

#[expect(clippy::cast_precision_loss, reason = "for the height of a bar")]
pub(super) fn received(sample: &Sample) -> Option<f64> {
    Some(sample.received_bps as f64)
}
