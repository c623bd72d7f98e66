//! `explain`: every attempt to reach a member.

use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::table::{heading, millis, table};
use crate::log::escape;
use crate::output::print;

#[derive(Deserialize)]
struct Explanation {
    id: String,
    summary: String,
    addresses: Vec<String>,
    next_attempt_ms: Option<u64>,
    attempts: Vec<Attempt>,
}

#[derive(Deserialize)]
struct Attempt {
    ago_ms: u64,
    transport: String,
    address: String,
    outcome: String,
    detail: String,
}

pub(super) async fn run(client: &Client, peer: &str, json: bool) -> anyhow::Result<()> {
    let document: Value = client.get(&format!("/api/v1/explain/{}", in_path(peer))).await?;
    if json {
        print(&document.to_string())?;
        return Ok(());
    }
    let explanation: Explanation = serde_json::from_value(document)?;
    print(&text(&explanation))?;
    Ok(())
}

fn text(explanation: &Explanation) -> String {
    let mut lines = vec![escape(&explanation.summary).into_owned(), format!("id         {}", explanation.id)];
    let addresses =
        if explanation.addresses.is_empty() { "none announced".to_owned() } else { explanation.addresses.join(", ") };
    lines.push(format!("addresses  {addresses}"));
    if let Some(next) = explanation.next_attempt_ms {
        lines.push(format!("next try   in {}", millis(next)));
    }
    if !explanation.attempts.is_empty() {
        let mut rows = vec![heading(&["AGO", "BY", "ADDRESS", "OUTCOME", "DETAIL"])];
        for attempt in &explanation.attempts {
            let Attempt { transport, address, outcome, detail, .. } = attempt;
            rows.push(vec![
                millis(attempt.ago_ms),
                transport.clone(),
                address.clone(),
                outcome.clone(),
                detail.clone(),
            ]);
        }
        lines.push(String::new());
        lines.push(table(&rows));
    }
    lines.join("\n")
}

/// A selector as one segment of a path.
fn in_path(selector: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    selector
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
