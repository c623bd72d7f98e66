//! Counters in the text form of Prometheus.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use meshline_mesh::Status;
use meshline_services::chat::Report;

use super::Api;
use super::chat::report;
use super::problem::Problem;
use super::reads::read_status;

pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let (status, chat) = tokio::join!(read_status(&api), report(&api));
    let text = text(&status?) + &chat_text(&chat?);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

fn text(status: &Status) -> String {
    let mut out = String::new();
    let mut sample = |kind: &str, name: &str, help: &str, value: String| {
        // A String takes whatever is written into it.
        let _ = write!(out, "# HELP meshline_{name} {help}\n# TYPE meshline_{name} {kind}\n{value}");
    };
    let gauge = |name: &str, value: u64| format!("meshline_{name} {value}\n");
    let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    sample("gauge", "up_seconds", "time since start", gauge("up_seconds", status.uptime_ms / 1_000));
    sample("gauge", "links", "links up", gauge("links", count(status.limits.links)));
    sample(
        "gauge",
        "handshakes",
        "connections without an accepted hello",
        gauge("handshakes", count(status.limits.handshakes)),
    );
    sample("gauge", "members", "members known", gauge("members", count(status.limits.members)));
    let bytes = |name: &str, of: fn(&meshline_mesh::LinkRow) -> u64| {
        status.links.iter().fold(String::new(), |mut lines, link| {
            let _ = writeln!(lines, "meshline_{name}{{peer=\"{}\"}} {}", link.peer, of(link));
            lines
        })
    };
    sample("counter", "sent_bytes_total", "bytes of frames sent", bytes("sent_bytes_total", |link| link.sent_bytes));
    sample(
        "counter",
        "received_bytes_total",
        "bytes of frames received",
        bytes("received_bytes_total", |link| link.received_bytes),
    );
    let refused = status.refused.iter().fold(String::new(), |mut lines, (code, count)| {
        let _ = writeln!(lines, "meshline_refused_total{{code=\"{code}\"}} {count}");
        lines
    });
    sample("counter", "refused_total", "refusals by name", refused);
    out
}

fn chat_text(chat: &Report) -> String {
    [
        ("messages", "messages kept", chat.messages),
        ("bytes", "bytes of signed texts kept", chat.bytes),
        ("durable", "1 if the last write to disk went well", usize::from(chat.durable)),
    ]
    .into_iter()
    .fold(String::new(), |mut out, (name, help, value)| {
        let name = format!("meshline_chat_{name}");
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        out
    })
}
