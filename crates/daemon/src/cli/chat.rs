//! `chat`: send, history, follow.

use std::time::Duration;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use crate::api::{MessageRow, Messages};
use crate::log::escape;
use crate::output::print;

/// How long `send` waits to be able to say who has the message.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(2);

/// What to do with the chat.
#[derive(Debug, Subcommand)]
pub enum ChatVerb {
    /// Write to all members
    Send {
        /// The text, at most 16 KiB
        text: String,
    },
    /// Show what was written
    History {
        /// Only what came after this cursor
        #[arg(long, value_name = "CURSOR", env = "MESHLINE_AFTER")]
        after: Option<String>,
    },
    /// Show what is written, as it comes, until interrupted
    Follow,
}

pub(super) async fn run(client: &Client, verb: ChatVerb, json: bool) -> anyhow::Result<()> {
    match verb {
        ChatVerb::Send { text } => send(client, &text, json).await,
        ChatVerb::History { after } => history(client, after.as_deref(), json).await,
        ChatVerb::Follow => follow(client, json).await,
    }
}

#[derive(Deserialize)]
struct Delivered {
    cursor: String,
    delivered_to: usize,
    complete: bool,
}

async fn send(client: &Client, text: &str, json: bool) -> anyhow::Result<()> {
    let mut events = client.events().await?;
    let mut document: Value = client.post("/api/v1/chat", &json!({ "text": text })).await?;
    let cursor = document.get("cursor").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut delivered = Delivered { cursor, delivered_to: 0, complete: false };
    let watching = async {
        while let Ok(Some(event)) = events.next().await {
            let news = serde_json::from_str::<Delivered>(&event.data).ok().filter(|_| event.name == "delivered");
            if let Some(news) = news.filter(|news| news.cursor == delivered.cursor) {
                delivered = news;
                if delivered.complete {
                    return;
                }
            }
        }
    };
    // A ring that is open, or a member that is slow, is no reason to wait for ever.
    let _ = tokio::time::timeout(DELIVERY_PATIENCE, watching).await;
    if json {
        if let Some(object) = document.as_object_mut() {
            object.insert("delivered_to".to_owned(), delivered.delivered_to.into());
            object.insert("complete".to_owned(), delivered.complete.into());
        }
        print(&document.to_string())?;
    } else if delivered.complete {
        print(&format!("delivered to {}", delivered.delivered_to))?;
    } else {
        print(&format!("sent; delivered to {} so far", delivered.delivered_to))?;
    }
    Ok(())
}

async fn history(client: &Client, after: Option<&str>, json: bool) -> anyhow::Result<()> {
    let messages = read(client, after).await?;
    if json {
        print(&serde_json::to_string(&messages)?)?;
    } else {
        for message in &messages.messages {
            print(&line(message))?;
        }
    }
    Ok(())
}

async fn read(client: &Client, after: Option<&str>) -> anyhow::Result<Messages> {
    let after = after.map(|after| format!("?after={after}")).unwrap_or_default();
    client.get(&format!("/api/v1/chat{after}")).await
}

/// What is missed while reading the history comes with the events, which began before; what came with both is
/// shown once, by its cursor.
async fn follow(client: &Client, json: bool) -> anyhow::Result<()> {
    let mut events = client.events().await?;
    let mut last = read(client, None).await?.messages.last().map_or(0, |message| number(&message.cursor));
    while let Some(event) = events.next().await? {
        let fresh: Vec<MessageRow> = match event.name.as_str() {
            "chat" => serde_json::from_str(&event.data).into_iter().collect(),
            "lagged" => read(client, Some(&last.to_string())).await?.messages,
            _ => continue,
        };
        for message in fresh.into_iter().filter(|message| number(&message.cursor) > last).collect::<Vec<_>>() {
            last = number(&message.cursor);
            print(&if json { serde_json::to_string(&message)? } else { line(&message) })?;
        }
    }
    Ok(())
}

fn number(cursor: &str) -> u64 {
    cursor.parse().unwrap_or(0)
}

/// One message for a person: local time, name, text, nothing in it that could steer the terminal.
fn line(message: &MessageRow) -> String {
    let time = message.time.parse::<jiff::Timestamp>().map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    let time = time.map_or_else(|_| message.time.clone(), |time| time.strftime("%H:%M:%S").to_string());
    let text: Vec<_> = message.text.split('\n').map(escape).collect();
    format!("{time} {}: {}", escape(&message.name), text.join("\n         "))
}
