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
    let mut targets = base(LevelFilter::DEBUG);
    for (index, part) in text.split(',').map(str::trim).enumerate() {
        match part.split_once('=') {
            None if index == 0 => targets = base(level(part)?),
            None => return None,
            Some((target, word)) if !target.is_empty() => {
                targets = targets.with_target(target, level(word)?);
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
