//! Figures as people read them.

/// Microseconds as milliseconds.
pub(super) fn ms(micros: u64) -> String {
    let (whole, tenths) = (micros / 1_000, micros % 1_000 / 100);
    match micros {
        0..1_000 => format!("0.{:02} ms", micros / 10),
        1_000..100_000 => format!("{whole}.{tenths} ms"),
        _ => format!("{whole} ms"),
    }
}

/// A share from 0 to 1.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// Bits a second; what nobody has measured yet is 0.
pub(super) fn rate(bps: u64) -> String {
    match bps {
        0 => "a rate not measured yet".to_owned(),
        1..1_000_000 => format!("{} kbit/s", bps / 1_000),
        1_000_000..100_000_000 => format!("{}.{} Mbit/s", bps / 1_000_000, bps % 1_000_000 / 100_000),
        100_000_000..10_000_000_000 => format!("{} Mbit/s", bps / 1_000_000),
        _ => format!("{} Gbit/s", bps.saturating_add(500_000_000) / 1_000_000_000),
    }
}

/// How much more `other` is than `base`.
pub(super) fn more(base: u64, other: u64) -> String {
    let (base, other) = (base.max(1), other.max(1));
    match other / base {
        0 => "less".to_owned(),
        1 => format!("{} % more", other.saturating_sub(base).saturating_mul(100) / base),
        times => format!("{times} times as much"),
    }
}

/// Seconds, minutes or days.
pub(crate) fn span(micros: u64) -> String {
    match micros / 1_000_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// What the two ends of a link keep it for.
pub(crate) fn link_kept(name: &str, ours: &[&'static str], theirs: &[&'static str]) -> String {
    let purposes = |purposes: &[&'static str]| match purposes {
        [] => "nothing of its own".to_owned(),
        purposes => purposes.join(", "),
    };
    format!("this node keeps the link for {}, {name} for {}", purposes(ours), purposes(theirs))
}
