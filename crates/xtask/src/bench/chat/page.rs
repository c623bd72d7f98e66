//! What is seen in a browser, by the example `page` of `node`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::bench::{Bench, median};

/// A browser is busy with itself for so long after its start.
const PAUSE_MS: usize = 1_500;

/// Runs the example, shows what it prints, and returns its result, the last line; nothing, and says so, where there is
/// no browser.
pub(super) fn look(bench: &Bench, words: &[&str]) -> Result<Option<Value>, String> {
    let mut command = Command::new(bench.bin.join("examples/page"));
    let started = command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| format!("the example `page` cannot be started: {error}"))?;
    let mut last = String::new();
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        last = line.map_err(|error| format!("page: {error}"))?;
        if !last.starts_with('{') {
            println!("{last}");
        }
    }
    let status = child.wait().map_err(|error| format!("page: {error}"))?;
    if !status.success() {
        return Err(format!("page {} ended with {status}", words.first().unwrap_or(&"")));
    }
    let result: Value = serde_json::from_str(&last).map_err(|error| format!("page: no result: {error}"))?;
    if let Some(why) = result.get("skipped").and_then(Value::as_str) {
        println!("skipped: {}: {why}", words.first().unwrap_or(&""));
        return Ok(None);
    }
    Ok(Some(result))
}

/// What opening a page in a fresh browser took, round by round.
#[derive(Default)]
pub(super) struct Opened(Vec<Value>);

impl Opened {
    /// Opens once more; `false` where there is no browser. `css` is the element that is waited for.
    pub(super) fn open(&mut self, bench: &Bench, url: &str, css: &str) -> Result<bool, String> {
        let pause = bench.size(PAUSE_MS, PAUSE_MS / 5).to_string();
        let figures = look(bench, &["open", url, css, &pause])?;
        let is_there = figures.is_some();
        self.0.extend(figures);
        Ok(is_there)
    }

    /// All values of one name, as js/figures.js tells them.
    pub(super) fn all(&self, name: &str) -> Vec<f64> {
        self.0.iter().map(|figures| number(figures, name)).collect()
    }

    pub(super) fn median(&self, name: &str) -> f64 {
        median(&self.all(name))
    }

    /// Milliseconds, with the least and the most.
    pub(super) fn millis(&self, name: &str) -> String {
        let all = self.all(name);
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(0.0, f64::max);
        format!("{:.0} ms ({least:.0} to {most:.0})", median(&all))
    }
}

/// The ratio of two figures that were measured in turns.
pub(super) fn ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    median(&ratios)
}

pub(super) fn number(figures: &Value, name: &str) -> f64 {
    figures.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
