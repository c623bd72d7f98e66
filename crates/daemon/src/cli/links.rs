//! Links as both of their ends advertise them, for `trace` and `explain`.

use serde::Deserialize;

use super::routes::ms;

/// A link with both of its ends.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) from_name: String,
    pub(super) to_name: String,
    pub(super) cost: Option<u64>,
    pub(super) there: Option<View>,
    pub(super) back: Option<View>,
}

/// A link as one end measures it.
#[derive(Deserialize)]
pub(super) struct View {
    rtt_us: u64,
    loss: f64,
    goodput_bps: u64,
    weight: u16,
}

impl Link {
    /// Round trip, loss, goodput and weight there and back, and the cost there.
    pub(super) fn cells(&self) -> Vec<String> {
        let both = |of: fn(&View) -> String| {
            let shown = |view: &Option<View>| view.as_ref().map_or_else(|| "-".to_owned(), of);
            let (there, back) = (shown(&self.there), shown(&self.back));
            if there == back { there } else { format!("{there} | {back}") }
        };
        vec![
            both(|view| ms(view.rtt_us)),
            both(|view| format!("{:.1} %", view.loss * 100.0)),
            both(|view| rate(view.goodput_bps)),
            both(|view| format!("{} %", view.weight)),
            self.cost.map_or_else(|| "does not count".to_owned(), ms),
        ]
    }
}

/// The headings of [`Link::cells`].
pub(super) const HEADINGS: [&str; 5] = ["LINK RTT", "LOSS", "GOODPUT", "WEIGHT", "COST"];

/// What a link carries, and whether only a probe tells.
pub(super) fn goodput(bps: u64, by: Option<&str>) -> String {
    match by {
        Some("probe") => format!("{} (probe)", rate(bps)),
        Some(_) => rate(bps),
        None => "-".to_owned(),
    }
}

/// Bits a second as people read them.
pub(super) fn rate(bps: u64) -> String {
    match bps {
        0 => "?".to_owned(),
        1..100_000_000 => format!("{}.{} Mbit/s", bps / 1_000_000, bps % 1_000_000 / 100_000),
        100_000_000..10_000_000_000 => format!("{} Mbit/s", bps.saturating_add(500_000) / 1_000_000),
        _ => format!("{} Gbit/s", bps.saturating_add(500_000_000) / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::{Link, View, rate};

    #[test]
    fn the_more_a_link_carries_the_fewer_figures_tell_it() {
        let told = [0, 9_540_000, 940_400_000, 9_999_000_000, 149_796_500_000, u64::MAX].map(rate);
        let wanted = ["?", "9.5 Mbit/s", "940 Mbit/s", "9999 Mbit/s", "150 Gbit/s", "18446744073 Gbit/s"];
        assert_eq!(told, wanted);
    }

    #[test]
    fn both_ends_are_shown_where_they_differ_and_the_one_that_claims_nothing_is_a_dash() {
        let view = |rtt_us, goodput_bps| Some(View { rtt_us, loss: 0.125, goodput_bps, weight: 100 });
        let link = |there, back, cost| Link { from_name: String::new(), to_name: String::new(), cost, there, back };
        let cells = link(view(1_000, 9_500_000), view(2_000, 0), Some(500)).cells();
        assert_eq!(cells, ["1.00 ms | 2.00 ms", "12.5 %", "9.5 Mbit/s | ?", "100 %", "0.50 ms"]);
        let cells = link(view(1_000, 0), None, None).cells();
        assert_eq!(cells, ["1.00 ms | -", "12.5 % | -", "? | -", "100 % | -", "does not count"]);
    }
}
