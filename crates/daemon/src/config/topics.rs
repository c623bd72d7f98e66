//! `topics`: readings that this member publishes.

use std::path::PathBuf;

use meshline_gateway::Allow;
use meshline_protocol::ServiceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::review::Review;

/// Topics of one member: a board with many sensors; each is a service of the 64 that a member offers.
const MAX_TOPICS: usize = 32;

/// Readings that a reader may ask for of those before.
const MAX_HISTORY: u32 = 1_000;

/// One entry of `topics`. It has one source: `exec`, `file` or `stdin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicConfig {
    /// What it is called.
    pub name: ServiceName,
    /// Who may read it: "*", full ids, names of a closed network, "role:…". Missing: nobody.
    #[serde(default)]
    pub allow: Vec<Allow>,
    /// A command for the shell, run again and again: each line it prints is a reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<String>,
    /// Seconds between two runs of the command.
    #[serde(default = "every")]
    #[schemars(range(min = 1, max = 86400))]
    pub every_s: u32,
    /// A file or pipe: each line that is in it or is added is a reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Whether each line of standard input is a reading.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stdin: bool,
    /// How many readings before the last a reader may ask for; they are kept in memory.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub history: u32,
}

/// As often as a room changes its temperature.
fn every() -> u32 {
    10
}

pub(super) fn check(topics: &[TopicConfig], review: &mut Review) {
    if topics.len() > MAX_TOPICS {
        review.fault("/topics", format!("found {} entries, expected {MAX_TOPICS} at most", topics.len()));
    }
    for (index, topic) in topics.iter().enumerate() {
        let pointer = format!("/topics/{index}");
        let sources = [topic.exec.is_some(), topic.file.is_some(), topic.stdin];
        if sources.iter().filter(|source| **source).count() != 1 {
            review.fault(&pointer, "expected one of \"exec\", \"file\" and \"stdin\"".to_owned());
        }
        review.range(&format!("{pointer}/every_s"), topic.every_s, 1..=86_400);
        review.range(&format!("{pointer}/history"), topic.history, 0..=MAX_HISTORY);
        if topics.iter().take(index).any(|before| before.name == topic.name) {
            review.fault(&format!("{pointer}/name"), format!("found the topic \"{}\" a second time", topic.name));
        }
        if topic.stdin && topics.iter().take(index).any(|before| before.stdin) {
            review.fault(&format!("{pointer}/stdin"), "standard input is another topic's already".to_owned());
        }
    }
}
