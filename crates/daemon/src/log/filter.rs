//! Which events are logged: a level for meshline, and single exceptions.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// What counts as meshline: its libraries all begin with the first, the others are the programs.
const OURS: [&str; 6] = ["meshline", "signal_server", "node", "view", "proxy", "config_tool"];

/// The words for levels, as they are offered.
pub(crate) const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Reads `info` or `info,meshline_net=trace`: a level for meshline, then targets with their own. The
/// libraries meshline uses are logged from `warn` up unless a target names them. `None` if it is neither.
pub(crate) fn parse(text: &str) -> Option<Targets> {
    parse_from(text, LevelFilter::OFF)
}

/// As [`parse`], but what is meshline's is heard from `debug` up in any case.
pub(crate) fn parse_for_tail(text: &str) -> Option<Targets> {
    parse_from(text, LevelFilter::DEBUG)
}

fn parse_from(text: &str, least: LevelFilter) -> Option<Targets> {
    let mut targets = base(LevelFilter::DEBUG);
    for (index, part) in text.split(',').map(str::trim).enumerate() {
        match part.split_once('=') {
            None if index == 0 => targets = base(level(part)?.max(least)),
            None => return None,
            Some((target, word)) if !target.is_empty() => {
                let least = if OURS.iter().any(|ours| target.starts_with(ours)) { least } else { LevelFilter::OFF };
                targets = targets.with_target(target, level(word)?.max(least));
            }
            Some(_) => return None,
        }
    }
    Some(targets)
}

fn base(ours: LevelFilter) -> Targets {
    let others = ours.min(LevelFilter::WARN);
    OURS.iter().fold(Targets::new().with_default(others), |targets, target| targets.with_target(*target, ours))
}

fn level(word: &str) -> Option<LevelFilter> {
    LEVELS.contains(&word).then(|| LevelFilter::from_str(word).ok()).flatten()
}
