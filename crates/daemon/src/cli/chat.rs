//! `chat`: send, history, follow.

use std::time::Duration;

use clap::{Args, Subcommand};
use meshline_net::http::EventStream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use crate::api::{MessageRow, Messages};
use crate::log::escape;
use crate::output::{print, print_error, print_next};

/// How long `send` waits to be able to say who has the message.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(2);

/// Between attempts to reach a member that went away. It is on the same machine: an attempt costs nothing.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What to do with the chat.
#[derive(Debug, Subcommand)]
pub enum ChatVerb {
    /// Write to all members
    Send {
        /// The text, at most 16 KiB
        #[arg(allow_hyphen_values = true)]
        text: String,
    },
    /// Show what was written, in the order that all members show
    History(HistoryArgs),
    /// Show what is written, as it comes, until interrupted
    Follow,
}

/// Which messages.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only what arrived after this cursor, the first of it
    #[arg(long, value_name = "CURSOR", env = "MESHLINE_AFTER", conflicts_with = "before")]
    after: Option<u64>,
    /// Only what stands before the message with this cursor, the last of it
    #[arg(long, value_name = "CURSOR", env = "MESHLINE_BEFORE")]
    before: Option<u64>,
    /// At most so many messages
    #[arg(long, value_name = "N", env = "MESHLINE_LIMIT")]
    limit: Option<usize>,
}

impl HistoryArgs {
    fn path(&self) -> String {
        let after = self.after.map(|after| format!("after={after}"));
        let before = self.before.map(|before| format!("before={before}"));
        let limit = self.limit.map(|limit| format!("limit={limit}"));
        let parts: Vec<String> = [after, before, limit].into_iter().flatten().collect();
        format!("/api/v1/chat?{}", parts.join("&"))
    }
}

pub(super) async fn run(client: &Client, verb: ChatVerb, json: bool) -> anyhow::Result<()> {
    match verb {
        ChatVerb::Send { text } => send(client, &text, json).await,
        ChatVerb::History(args) => history(client, &args, json).await,
        ChatVerb::Follow => follow(client, json).await,
    }
}

/// How far an own message has come.
#[derive(Deserialize)]
struct Delivered {
    cursor: String,
    state: String,
    delivered_to: usize,
    delivered_of: usize,
}

impl Delivered {
    fn is_complete(&self) -> bool {
        self.state == "delivered"
    }

    /// Nobody can be given it now: that may last for days.
    fn is_queued(&self) -> bool {
        self.state == "queued"
    }

    /// For a person.
    fn words(&self, on_ring: bool) -> String {
        let Self { state, delivered_to, delivered_of, .. } = self;
        match (state.as_str(), *delivered_of) {
            ("delivered", _) => format!("delivered to {delivered_to}"),
            ("queued", _) if on_ring => "queued until the ring closes".to_owned(),
            ("queued", _) => "queued until somebody comes".to_owned(),
            (_, 0) => format!("sent; delivered to {delivered_to} so far"),
            (_, of) => format!("sent; delivered to {delivered_to} of {of} so far"),
        }
    }
}

async fn send(client: &Client, text: &str, json: bool) -> anyhow::Result<()> {
    let mut events = client.events(None).await?;
    let mut document: Value = client.post("/api/v1/chat", &json!({ "text": text })).await?;
    let mut delivered: Delivered = serde_json::from_value(document.clone())?;
    // A ring may be about to close. A member that is slow, or one that is alone, is no reason to wait for ever.
    let _ = tokio::time::timeout(DELIVERY_PATIENCE, watch(&mut events, &mut delivered)).await;
    if !json {
        print(&delivered.words(delivered.is_queued() && is_on_ring(client).await))?;
        return Ok(());
    }
    if let Some(object) = document.as_object_mut() {
        object.insert("complete".to_owned(), delivered.is_complete().into());
        object.insert("state".to_owned(), delivered.state.into());
        object.insert("delivered_to".to_owned(), delivered.delivered_to.into());
        object.insert("delivered_of".to_owned(), delivered.delivered_of.into());
    }
    print(&document.to_string())?;
    Ok(())
}

/// Whether the member waits for a ring. It is no reason to fail if it cannot tell: the message is kept.
async fn is_on_ring(client: &Client) -> bool {
    client.get::<Value>("/api/v1/status").await.is_ok_and(|status| status.get("topology") == Some(&json!("ring")))
}

/// Reads events until everybody has the message, or it waits for somebody.
async fn watch(events: &mut EventStream, delivered: &mut Delivered) {
    while !delivered.is_complete() {
        let Ok(Some(event)) = events.next().await else { return };
        let news = serde_json::from_str::<Delivered>(&event.data).ok().filter(|_| event.name == "delivered");
        if let Some(news) = news.filter(|news| news.cursor == delivered.cursor) {
            *delivered = news;
        }
    }
}

async fn history(client: &Client, args: &HistoryArgs, json: bool) -> anyhow::Result<()> {
    let messages: Messages = client.get(&args.path()).await?;
    if json {
        print(&serde_json::to_string(&messages)?)?;
    } else {
        for message in &messages.messages {
            print(&line(message))?;
        }
    }
    Ok(())
}

/// Where a reader of the chat stands: the last event seen and the last message shown.
struct Follower<'a> {
    client: &'a Client,
    json: bool,
    last_event: Option<String>,
    cursor: u64,
}

/// The events begin before the cursor is read, so what is written in between comes with them; what came with both is
/// shown once, by its cursor. After a lost connection it goes on where it was.
async fn follow(client: &Client, json: bool) -> anyhow::Result<()> {
    let mut events = client.events(None).await?;
    let newest: Messages = client.get("/api/v1/chat?limit=1").await?;
    let mut follower = Follower { client, json, last_event: None, cursor: number(&newest.cursor) };
    loop {
        follower.show(&mut events).await?;
        print_error("the member went away; waiting for it");
        events = follower.come_back().await?;
    }
}

impl Follower<'_> {
    /// Shows what comes until the connection ends.
    async fn show(&mut self, events: &mut EventStream) -> anyhow::Result<()> {
        while let Ok(Some(event)) = events.next().await {
            match event.name.as_str() {
                "chat" => self.print(serde_json::from_str(&event.data).into_iter().collect())?,
                "lagged" | "reset" if !self.catch_up().await? => {
                    self.last_event = None;
                    return Ok(());
                }
                _ => {}
            }
            self.last_event = Some(event.id);
        }
        Ok(())
    }

    /// Connects again, and shows what was written meanwhile if the events cannot tell it.
    async fn come_back(&mut self) -> anyhow::Result<EventStream> {
        loop {
            tokio::time::sleep(RETRY_PAUSE).await;
            let Ok(events) = self.client.events(self.last_event.as_deref()).await else { continue };
            if self.last_event.is_some() || self.catch_up().await? {
                return Ok(events);
            }
        }
    }

    /// Reads page after page what arrived after the last message shown. Says whether the member answered to the end.
    async fn catch_up(&mut self) -> anyhow::Result<bool> {
        loop {
            let path = format!("/api/v1/chat?after={}", self.cursor);
            let Ok(page) = self.client.get::<Messages>(&path).await else { return Ok(false) };
            self.print(page.messages)?;
            self.cursor = number(&page.cursor);
            if !page.more {
                return Ok(true);
            }
        }
    }

    fn print(&mut self, rows: Vec<MessageRow>) -> anyhow::Result<()> {
        let shown = self.cursor;
        for message in rows.into_iter().filter(|message| number(&message.cursor) > shown) {
            self.cursor = self.cursor.max(number(&message.cursor));
            print_next(&if self.json { serde_json::to_string(&message)? } else { line(&message) })?;
        }
        Ok(())
    }
}

fn number(cursor: &str) -> u64 {
    cursor.parse().unwrap_or(0)
}

/// One message for a person: local time, name, text, nothing in it that could steer the terminal; own ones with how far
/// they have come.
fn line(message: &MessageRow) -> String {
    let time = message.time.parse::<jiff::Timestamp>().map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    let time = time.map_or_else(|_| message.time.clone(), |time| time.strftime("%H:%M:%S").to_string());
    let text: Vec<_> = message.text.split('\n').map(escape).collect();
    format!("{time} {}: {}{}", escape(&message.name), text.join("\n         "), delivery(message))
}

fn delivery(message: &MessageRow) -> String {
    match (message.own, message.delivered_of) {
        (false, _) => String::new(),
        (true, 0) => format!("  [{}]", escape(&message.state)),
        (true, of) => format!("  [{} to {} of {of}]", escape(&message.state), message.delivered_to),
    }
}

#[cfg(test)]
mod tests {
    use super::{Delivered, HistoryArgs, MessageRow, line};

    fn own(text: &str, state: &str, delivered_to: usize, delivered_of: usize) -> MessageRow {
        MessageRow {
            cursor: "1".to_owned(),
            author: meshline_protocol::NodeId::from_bytes([1; 32]),
            name: "bobby".to_owned(),
            text: text.to_owned(),
            time: "no time".to_owned(),
            clock: 1,
            seq: 1,
            own: true,
            state: state.to_owned(),
            delivered_to,
            delivered_of,
            path: Vec::new(),
        }
    }

    #[test]
    fn own_messages_say_how_far_they_have_come_and_others_do_not() {
        assert_eq!(line(&own("hello", "delivered", 4, 4)), "no time bobby: hello  [delivered to 4 of 4]");
        assert_eq!(line(&own("hello", "queued", 0, 0)), "no time bobby: hello  [queued]");
        let theirs = MessageRow { own: false, ..own("a\u{1b}[2J\nb", "received", 0, 0) };
        assert_eq!(line(&theirs), "no time bobby: a\\u{1b}[2J\n         b");
    }

    #[test]
    fn what_is_sent_is_told_in_words() {
        let told = |state: &str, delivered_to, delivered_of| {
            Delivered { cursor: String::new(), state: state.to_owned(), delivered_to, delivered_of }.words(false)
        };
        assert_eq!(told("delivered", 2, 2), "delivered to 2");
        assert_eq!(told("sent", 1, 2), "sent; delivered to 1 of 2 so far");
        assert_eq!(told("sent", 0, 0), "sent; delivered to 0 so far");
        assert_eq!(told("queued", 0, 0), "queued until somebody comes");
        let queued = Delivered { cursor: String::new(), state: "queued".to_owned(), delivered_to: 0, delivered_of: 0 };
        assert_eq!(queued.words(true), "queued until the ring closes");
    }

    #[test]
    fn a_page_of_the_history_is_asked_for_by_cursor_and_count() {
        let path = |after, before, limit| HistoryArgs { after, before, limit }.path();
        assert_eq!(path(None, None, None), "/api/v1/chat?");
        assert_eq!(path(Some(3), None, Some(10)), "/api/v1/chat?after=3&limit=10");
        assert_eq!(path(None, Some(7), None), "/api/v1/chat?before=7");
    }
}
