//! `explain`: how a member is reached, why so, what was tried, and what would help.

use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, in_path};
use super::links::{HEADINGS, Link, goodput};
use super::table::{heading, millis, table};
use crate::log::escape;
use crate::output::print;

#[derive(Deserialize)]
struct Explanation {
    id: String,
    summary: String,
    addresses: Vec<String>,
    goodput_bps: u64,
    goodput_by: Option<String>,
    goodput_in_bps: u64,
    goodput_in_by: Option<String>,
    next_attempt_ms: Option<u64>,
    attempts: Vec<Attempt>,
    links: Vec<Link>,
    direct_link: Option<Link>,
    why: Vec<String>,
    advice: Vec<String>,
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
    let there = goodput(explanation.goodput_bps, explanation.goodput_by.as_deref());
    let back = goodput(explanation.goodput_in_bps, explanation.goodput_in_by.as_deref());
    if explanation.goodput_by.is_some() || explanation.goodput_in_by.is_some() {
        lines.push(format!("goodput    {there} there, {back} back"));
    }
    if let Some(next) = explanation.next_attempt_ms {
        lines.push(format!("next try   in {}", millis(next)));
    }
    lines.extend(sentences("why", &explanation.why));
    lines.extend(sentences("advice", &explanation.advice));
    lines.extend(links(explanation));
    lines.extend(attempts(&explanation.attempts));
    lines.join("\n")
}

fn sentences(title: &str, sentences: &[String]) -> Vec<String> {
    if sentences.is_empty() {
        return Vec::new();
    }
    let lines = sentences.iter().map(|sentence| format!("  - {}", escape(sentence)));
    [String::new(), title.to_owned()].into_iter().chain(lines).collect()
}

/// The links of the best way; behind them the direct one, if that is none of them.
fn links(explanation: &Explanation) -> Vec<String> {
    let is_used = explanation.links.len() == 1;
    let direct = explanation.direct_link.as_ref().filter(|_| !is_used);
    let all: Vec<&Link> = explanation.links.iter().chain(direct).collect();
    if all.is_empty() {
        return Vec::new();
    }
    let heads = ["FROM", "TO"].into_iter().chain(HEADINGS).map(ToOwned::to_owned).collect();
    let row = |link: &&Link| {
        [link.from_name.clone(), link.to_name.clone()].into_iter().chain(link.cells()).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(all.iter().map(row)).collect();
    vec![String::new(), table(&rows)]
}

fn attempts(attempts: &[Attempt]) -> Vec<String> {
    if attempts.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![heading(&["AGO", "BY", "ADDRESS", "OUTCOME", "DETAIL"])];
    for attempt in attempts {
        let Attempt { transport, address, outcome, detail, .. } = attempt;
        rows.push(vec![millis(attempt.ago_ms), transport.clone(), address.clone(), outcome.clone(), detail.clone()]);
    }
    vec![String::new(), table(&rows)]
}
