//! The seed of a run, and how to repeat one that failed.

/// The variable that holds the only seed to run.
const VARIABLE: &str = "MESHLINE_SEED";

/// The variable that says how many seeds to run where several are.
const COUNT: &str = "MESHLINE_SEEDS";

/// The seed from the environment, or `default`.
#[must_use]
pub fn seed(default: u64) -> u64 {
    number_from(VARIABLE).unwrap_or(default)
}

/// The first `count` seeds, or as many as `MESHLINE_SEEDS` says, or only the one from the environment.
#[must_use]
pub fn seeds(count: u64) -> std::ops::RangeInclusive<u64> {
    let count = number_from(COUNT).unwrap_or(count);
    number_from(VARIABLE).map_or(1..=count, |only| only..=only)
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Whether frames and events are to be printed as they happen (`MESHLINE_TRACE=1`).
pub(crate) fn traced() -> bool {
    std::env::var_os("MESHLINE_TRACE").is_some()
}

/// The command that repeats what this thread runs.
pub(crate) fn repeat(seed: u64) -> String {
    let thread = std::thread::current();
    format!("seed {seed}; repeat with: {VARIABLE}={seed} cargo test -p meshline-sim {}", thread.name().unwrap_or(""))
}
