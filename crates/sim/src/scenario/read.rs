//! Reading a scenario. Whatever is wrong is told with file, line, column and the path inside the document.

use std::fmt;

use super::types::Scenario;

/// A scenario that shows what there is, for `--help`.
pub const EXAMPLE: &str = r#"{
  "about": "half of them die at once, and a message still reaches all",
  "nodes": 200,
  "max_links": 8,
  "network": { "least_ms": 10, "spread_ms": 30, "loss_percent": 1, "regions": [[0, 60], [60, 0]] },
  "start": { "by": "signal", "over_s": 10 },
  "clocks": { "within_s": 60 },
  "run_s": 300,
  "faults": [
    { "at_s": 120, "what": { "kill": { "percent": 50, "how": "reset" } }, "whole_within_s": 30 },
    { "at_s": 180, "what": { "churn": { "percent_a_minute": 10, "for_s": 60, "away_s": 30 } } }
  ],
  "messages": [{ "at_s": 121, "count": 5, "every_ms": 500, "within_s": 60, "coverage_percent": 100 }],
  "rest": { "from_s": 60, "for_s": 60 },
  "expect": { "whole_within_s": 60 }
}"#;

/// Why a scenario cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    file: String,
    line: usize,
    column: usize,
    path: String,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, path, what } = self;
        write!(out, "{file}:{line}:{column}: {path}: {what}")
    }
}

/// Reads the text of a file.
///
/// # Errors
/// The first fault in it.
pub fn read(file: &str, text: &str) -> Result<Scenario, Fault> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fault = |path: String, error: &serde_json::Error| {
        let (line, column) = (error.line(), error.column());
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or(&what).to_owned();
        Fault { file: file.to_owned(), line, column, path, what }
    };
    let scenario: Scenario = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| fault(error.path().to_string(), error.inner()))?;
    deserializer.end().map_err(|error| fault(".".to_owned(), &error))?;
    let rows = scenario.network.regions.len();
    if scenario.network.regions.iter().any(|row| row.len() != rows) {
        let what = format!("every one of the {rows} rows must have {rows} numbers");
        let line = text.lines().position(|line| line.contains("\"regions\"")).map_or(1, |at| at + 1);
        return Err(Fault { file: file.to_owned(), line, column: 1, path: "network.regions".to_owned(), what });
    }
    Ok(scenario)
}
