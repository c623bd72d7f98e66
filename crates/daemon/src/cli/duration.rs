//! Times on the command line: a number with ms, s, m or h behind it; without, it is seconds.

use std::time::Duration;

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no duration"))?;
    let seconds = match unit {
        "ms" => number / 1_000.0,
        "s" | "" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(format!("{unit:?} is none of ms, s, m, h")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Whole seconds from 1 to `MOST`.
///
/// # Errors
/// If a text says anything else.
pub fn seconds<const MOST: u64>(text: &str) -> Result<u64, String> {
    let time = duration(text)?;
    if time.subsec_nanos() > 0 || !(1..=MOST).contains(&time.as_secs()) {
        return Err(format!("expected whole seconds from 1s to {MOST}s, such as 5, 5s or 1m"));
    }
    Ok(time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for bad in ["", "s", "-1s", "1d", "nan"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn whole_seconds_are_read_within_their_bounds() {
        for (text, wanted) in [("5", 5), ("5s", 5), ("1m", 60), ("2000ms", 2), ("1h", 3_600)] {
            assert_eq!(seconds::<3_600>(text), Ok(wanted), "{text}");
        }
        for text in ["0", "500ms", "1500ms", "0s", "1.5s", "-1s", "3601", "2h", "soon"] {
            assert!(seconds::<3_600>(text).is_err(), "{text}");
        }
    }
}
