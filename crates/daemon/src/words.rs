//! Figures as people read them in narrow columns, on the command line and on the dashboard.

/// A duration in microseconds.
#[must_use]
pub fn micros(value: u64) -> String {
    match value {
        0..10_000 => format!("{value} µs"),
        10_000..100_000 => format!("{}.{} ms", value / 1_000, value % 1_000 / 100),
        100_000..10_000_000 => format!("{} ms", value / 1_000),
        _ => format!("{} s", value / 1_000_000),
    }
}

/// A duration in milliseconds.
#[must_use]
pub fn millis(value: u64) -> String {
    match value / 1_000 {
        0 => format!("{value} ms"),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// How far away the owner of a service is, by the expected delivery time in microseconds: 0 is this member, and to nothing
/// leads no way.
#[must_use]
pub fn distance(cost: Option<u64>) -> String {
    match cost {
        None => "away".to_owned(),
        Some(0) => "here".to_owned(),
        Some(cost) => micros(cost),
    }
}

/// Whether a service is up, and whether it comes and goes.
#[must_use]
pub fn condition(health: &str, is_damped: bool) -> String {
    if is_damped { format!("{health}, flapping") } else { health.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{condition, distance, micros, millis};

    #[test]
    fn figures_fit_into_narrow_columns() {
        let shown: Vec<String> = [0, 9_999, 12_345, 123_456, 12_000_000].map(micros).into();
        assert_eq!(shown, ["0 µs", "9999 µs", "12.3 ms", "123 ms", "12 s"]);
        let shown: Vec<String> = [10, 3_000, 600_000, 10_000_000, 200_000_000].map(millis).into();
        assert_eq!(shown, ["10 ms", "3 s", "10 min", "2 h", "2 d"]);
        let shown: Vec<String> = [None, Some(0), Some(1_500)].map(distance).into();
        assert_eq!(shown, ["away", "here", "1500 µs"]);
        assert_eq!((condition("up", true), condition("up", false)), ("up, flapping".into(), "up".into()));
    }
}
