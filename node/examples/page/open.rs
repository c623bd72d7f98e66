//! A page in a fresh browser: nothing cached, nothing kept.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::driver::Driver;
use crate::support::wait::until;

/// Runs in the page before anything else does, and notes when the element was painted.
const WATCH: &str = include_str!("js/opened.js");

/// What the browser measured itself.
const FIGURES: &str = include_str!("js/figures.js");

pub(crate) fn run(url: &str, css: &str, pause_ms: u64) -> Result<Value, String> {
    let driver = Driver::start(&[])?;
    let script = WATCH.replace("CSS", &Value::from(css).to_string());
    let arguments = json!({ "source": script });
    driver.post("/goog/cdp/execute", &json!({"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": arguments}));
    // A browser that has just started is still busy with itself.
    std::thread::sleep(Duration::from_millis(pause_ms));
    driver.post("/url", &json!({ "url": url }));
    let read = || driver.post("/execute/sync", &json!({"script": FIGURES, "args": []}));
    Ok(until(&format!("{css} of {url} is painted"), || {
        let figures = read();
        let is_whole = figures["painted"].is_number() && figures["first"].is_number();
        if is_whole { Ok(figures) } else { Err(figures.to_string()) }
    }))
}
