//! Instants as people write them: `now+30s`, `2026-11-21T22:00:00Z`, or seconds since 1970.

use std::str::FromStr;

use meshline_protocol::UnixMicros;

const SECOND: i64 = 1_000_000;

/// What `--at` takes, for messages.
const EXPECTED: &str = "expected now+30s (s, m or h), a date such as 2026-11-21T22:00:00Z, or seconds since 1970";

/// An instant, which may be counted from the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// So many microseconds from now on.
    In(i64),
    /// There.
    Date(UnixMicros),
}

impl At {
    /// By the clock of this host.
    pub(crate) fn resolve(self, now: UnixMicros) -> UnixMicros {
        match self {
            Self::In(micros) => now.offset(micros),
            Self::Date(date) => date,
        }
    }
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_prefix("now") {
            Some(rest) => rest.strip_prefix('+').and_then(span).map(Self::In),
            None if text.contains('T') || text.contains('t') => date(text).map(Self::Date),
            None => seconds(text).map(|micros| Self::Date(UnixMicros::default().offset(micros))),
        };
        parsed.ok_or_else(|| format!("\"{text}\" is no instant: {EXPECTED}"))
    }
}

/// `30s`, `5m`, `2h`: a whole number and its unit.
pub(crate) fn span(text: &str) -> Option<i64> {
    let unit = match text.chars().next_back()? {
        's' => SECOND,
        'm' => 60 * SECOND,
        'h' => 3_600 * SECOND,
        _ => return None,
    };
    digits(text.get(..text.len() - 1)?)?.checked_mul(unit)
}

/// `1795000000` or `1795000000.25`.
fn seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole)?.checked_mul(SECOND)?.checked_add(micros(fraction)?)
}

/// Digits behind a point, as microseconds.
fn micros(fraction: &str) -> Option<i64> {
    digits(fraction)?;
    digits(format!("{fraction:0<6}").get(..6)?)
}

/// RFC 3339, section 5.6.
fn date(text: &str) -> Option<UnixMicros> {
    if !text.is_ascii() {
        return None;
    }
    let (date, time) = (text.get(..10)?, text.get(11..)?);
    let [year, month, day] = parts(date, '-', [4, 2, 2])?;
    let (clock, zone) = time.split_at_checked(time.find(['Z', 'z', '+', '-'])?)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = parts(clock, ':', [2, 2, 2])?;
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = (days_before(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second;
    let since_1970 = local.checked_sub(offset(zone)?)?.checked_mul(SECOND)?.checked_add(micros(fraction)?)?;
    u64::try_from(since_1970).ok().map(UnixMicros::new)
}

/// `Z`, `+01:00`: seconds ahead of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.chars().next()? {
        'Z' | 'z' => return (zone.len() == 1).then_some(0),
        '-' => -1,
        _ => 1,
    };
    let [hour, minute] = parts(zone.get(1..)?, ':', [2, 2])?;
    (hour < 24 && minute < 60).then_some(sign * (hour * 3_600 + minute * 60))
}

fn parts<const N: usize>(text: &str, between: char, lengths: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length)?;
        *number = digits(part)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Nothing but digits: `parse` takes a sign too.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let years = year * 365 + before / 4 - before / 100 + before / 400;
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    // The same count for 1970-01-01.
    years + months + day - 1 - 719_527
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros_of(text: &str) -> Option<u64> {
        match text.parse() {
            Ok(At::Date(date)) => Some(date.get()),
            Ok(At::In(_)) | Err(_) => None,
        }
    }

    #[test]
    fn spans_count_from_now_in_seconds_minutes_and_hours() {
        assert_eq!("now+30s".parse(), Ok(At::In(30 * SECOND)));
        assert_eq!("now+5m".parse(), Ok(At::In(300 * SECOND)));
        assert_eq!("now+2h".parse(), Ok(At::In(7_200 * SECOND)));
        for wrong in ["now", "now30s", "now+30", "now+s", "now+-3s", "now-3s", "now+1.5h", "now+99999999999999999h"] {
            assert!(wrong.parse::<At>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_read_with_their_zone_and_their_fraction() {
        assert_eq!(micros_of("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(micros_of("2000-03-01T00:00:00Z"), Some(951_868_800_000_000));
        assert_eq!(micros_of("2026-11-21T22:00:00Z"), Some(1_795_298_400_000_000));
        assert_eq!(micros_of("2026-11-21T23:00:00.250+01:00"), Some(1_795_298_400_250_000));
        assert_eq!(micros_of("2026-11-21t16:30:00.1234567-05:30"), Some(1_795_298_400_123_456));
        assert_eq!(micros_of("2024-02-29T12:00:00z"), Some(1_709_208_000_000_000));
    }

    #[test]
    fn numbers_are_seconds_since_1970() {
        assert_eq!(micros_of("1795298400"), Some(1_795_298_400_000_000));
        assert_eq!(micros_of("1795298400.5"), Some(1_795_298_400_500_000));
    }

    #[test]
    fn what_is_no_instant_is_refused_with_what_was_expected() {
        let wrong = [
            "",
            "soon",
            "-5",
            "+5",
            "1e9",
            "2026-11-21",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T22:00:00",
            "2026-11-21T22:00Z",
            "2026-11-21T22:00:00+25:00",
            "2026-11-21T22:00:00Zulu",
            "1960-01-01T00:00:00Z",
            "2026-11-2éT22:00:00Z",
        ];
        for text in wrong {
            let refusal = text.parse::<At>().expect_err(text);
            assert!(refusal.contains("now+30s"), "{refusal}");
        }
    }
}
