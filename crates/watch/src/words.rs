//! Figures as people read them in narrow columns.

pub(crate) use meshline_daemon::words::{condition, distance, micros, millis};

/// Bits a second; a dash while nobody knows.
#[must_use]
pub(crate) fn rate(bps: u64) -> String {
    match bps {
        0 => "-".to_owned(),
        1..1_000 => format!("{bps} bit/s"),
        1_000..1_000_000 => format!("{} kbit/s", bps / 1_000),
        1_000_000..10_000_000 => format!("{}.{} Mbit/s", bps / 1_000_000, bps % 1_000_000 / 100_000),
        10_000_000..10_000_000_000 => format!("{} Mbit/s", bps / 1_000_000),
        _ => format!("{} Gbit/s", bps / 1_000_000_000),
    }
}

/// A share from 0 to 1; a dash for what is no number.
#[must_use]
pub(crate) fn percent(share: f64) -> String {
    if share.is_nan() {
        return "-".to_owned();
    }
    let share = share.clamp(0.0, 1.0) * 100.0;
    match share {
        0.0 => "0 %".to_owned(),
        share if share < 0.1 => "<0.1 %".to_owned(),
        share if share < 10.0 => format!("{share:.1} %"),
        share => format!("{share:.0} %"),
    }
}

/// So many of something.
#[must_use]
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The beginning of an id, which is enough to name it on a command line.
#[must_use]
pub(crate) fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::{count, percent, rate};

    #[test]
    fn figures_fit_into_narrow_columns() {
        let shown: Vec<String> = [0, 999, 45_000, 5_000_000, 50_000_000_000].map(rate).into();
        assert_eq!(shown, ["-", "999 bit/s", "45 kbit/s", "5.0 Mbit/s", "50 Gbit/s"]);
        let shown: Vec<String> = [0.0, 0.000_5, 0.012, 0.5, 7.0, f64::NAN].map(percent).into();
        assert_eq!(shown, ["0 %", "<0.1 %", "1.2 %", "50 %", "100 %", "-"]);
        assert_eq!((count(1, "link", "links"), count(0, "link", "links")), ("1 link".into(), "0 links".into()));
    }
}
