//! Frames on the links of this member, for its operator. What a relay ticket opens is not shown.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use meshline_net::{Content, TapReader, Tapped};
use meshline_protocol::NodeId;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Api;
use super::documents::rfc3339;
use super::events::{Lagged, Reset};
use super::extract::Params;
use super::operations::Parameter;
use super::problem::Problem;
use super::reads::rows;
use super::select::select;
use crate::feed::{Bounds, Feed};

/// Frames kept for one slow reader, and bytes of them.
const BOUNDS: Bounds = Bounds { entries: 1_024, bytes: 1024 * 1024, readers: 1 };

/// How long after its reader went the copying of frames ends, if none comes that shows it sooner.
const LOOK_AFTER: Duration = Duration::from_millis(500);

/// All frames matter the same.
const RANK: u8 = 0;

/// Characters of a ticket that are shown: enough to tell two apart, too few to use one.
const TICKET_SHOWN: usize = 6;

/// What may stand behind the `?`.
pub(super) const PARAMETERS: [Parameter; 3] = [
    Parameter {
        name: "peer",
        place: "query",
        description: "Only frames on links with this member: name, id, or a prefix of 8 or more.",
        shape: |schemas| schemas.subschema_for::<String>(),
    },
    Parameter {
        name: "type",
        place: "query",
        description: "Only messages of this type (`routing`) or this one of its kinds (`routing.ack`).",
        shape: |schemas| schemas.subschema_for::<String>(),
    },
    Parameter {
        name: "bodies",
        place: "query",
        description: "Whether the beginning of each body is shown too, as text.",
        shape: |schemas| schemas.subschema_for::<bool>(),
    },
];

/// What is wanted of all frames.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    peer: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    bodies: bool,
}

/// One frame. The event is `frame`.
#[derive(Debug, Serialize, JsonSchema)]
struct FrameRow {
    /// RFC 3339 in UTC with microseconds, by this member's clock.
    time: String,
    /// `in` or `out`.
    direction: &'static str,
    /// The link, by its number in this process.
    link: u64,
    /// Who is at the other end, once that is proved or accepted.
    peer: Option<NodeId>,
    /// The type of the message, with its kind behind a point; `unknown` or `invalid`.
    #[serde(rename = "type")]
    kind: String,
    /// The message as on the wire; of an unknown one its type, of an invalid one what was wrong.
    #[schemars(schema_with = "any_message")]
    message: Value,
    /// The length of its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    len: Option<usize>,
    /// The beginning of its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

/// What messages look like stands in the schema of the wire.
fn any_message(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": ["object", "string"], "additionalProperties": true})
}

/// The form of the data of each event.
pub(super) fn shapes(schemas: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
    vec![
        ("frame", schemas.subschema_for::<FrameRow>()),
        ("lagged", schemas.subschema_for::<Lagged>()),
        ("reset", schemas.subschema_for::<Reset>()),
    ]
}

pub(super) async fn stream(State(api): State<Api>, Params(wanted): Params<Wanted>) -> Result<Response, Problem> {
    let peer = match &wanted.peer {
        Some(selector) => Some(select(&rows(&api).await?, selector)?),
        None => None,
    };
    let tap = api.mesh.tap().ok_or_else(Problem::too_many_readers)?;
    let feed = Feed::new("tap-".to_owned(), 1, BOUNDS);
    let reader = feed.read(None, RANK).map_err(|_| Problem::too_many_readers())?;
    drop(tokio::spawn(fill(feed, tap, peer, wanted)));
    Ok(reader.into_response())
}

/// Hands on what is wanted until the reader is gone or the mesh ends.
async fn fill(feed: Arc<Feed>, mut tap: TapReader, peer: Option<NodeId>, wanted: Wanted) {
    while feed.is_read() {
        match tokio::time::timeout(LOOK_AFTER, tap.next()).await {
            Err(_) => {}
            Ok(None) => return,
            Ok(Some(Err(missed))) => feed.push("lagged", RANK, |_, data| {
                // A String takes whatever is written into it.
                let _ = write!(data, "{{\"missed\":{missed}}}");
            }),
            Ok(Some(Ok(frame))) if is_wanted(&frame, peer, wanted.kind.as_deref()) => {
                let row = row(&frame, wanted.bodies);
                feed.push("frame", RANK, |_, data| data.push_str(&serde_json::to_string(&row).unwrap_or_default()));
            }
            Ok(Some(Ok(_))) => {}
        }
    }
}

fn is_wanted(frame: &Tapped, peer: Option<NodeId>, kind: Option<&str>) -> bool {
    let is_of = |wanted: &str| {
        let found = kind_of(&frame.content);
        found == wanted || found.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'))
    };
    peer.is_none_or(|peer| frame.peer == Some(peer)) && kind.is_none_or(is_of)
}

fn kind_of(content: &Content) -> &'static str {
    match content {
        Content::Message(message, _) => message.kind(),
        Content::Unknown(_) => "unknown",
        Content::Invalid(_) => "invalid",
    }
}

fn row(frame: &Tapped, bodies: bool) -> FrameRow {
    let (message, body) = match &frame.content {
        Content::Message(message, body) => (serde_json::to_value(message).unwrap_or_default(), body.as_ref()),
        Content::Unknown(text) | Content::Invalid(text) => (Value::from(text.as_str()), None),
    };
    FrameRow {
        time: rfc3339(frame.time),
        direction: if frame.sent { "out" } else { "in" },
        link: frame.link.0,
        peer: frame.peer,
        kind: kind_of(&frame.content).to_owned(),
        message: without_tickets(message),
        len: body.map(|(len, _)| *len),
        body: body.filter(|_| bodies).map(|(_, shown)| String::from_utf8_lossy(shown).into_owned()),
    }
}

/// Tickets are secrets as long as they hold: they are shown by their beginning.
fn without_tickets(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let shown = |name: &str, value: Value| match value.as_str() {
                Some(ticket) if matches!(name, "ticket" | "secret") => {
                    format!("{}…", ticket.chars().take(TICKET_SHOWN).collect::<String>()).into()
                }
                Some(_) | None => without_tickets(value),
            };
            members.into_iter().map(|(name, value)| (name.clone(), shown(&name, value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_tickets).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use meshline_mesh::LinkId;
    use meshline_protocol::message::{ErrorMessage, Message, Relay};
    use meshline_protocol::{Code, UnixMicros};

    use super::*;

    fn tapped(message: Message, body: Option<&[u8]>) -> Tapped {
        Tapped {
            time: UnixMicros::new(0),
            sent: true,
            link: LinkId(3),
            peer: Some(NodeId::from_bytes([1; 32])),
            content: Content::Message(Box::new(message), body.map(|body| (9_000, body.to_vec().into()))),
        }
    }

    fn error() -> Message {
        Message::Error(ErrorMessage::new(Code::Other, "x"))
    }

    #[test]
    fn a_ticket_is_shown_by_its_beginning_wherever_it_stands() {
        let ticket: meshline_protocol::Ticket =
            "0123456789abcdef0123456789abcdef0123456789a".parse().expect("a ticket");
        let shown = row(&tapped(Message::Relay(Relay::Ticket(ticket)), None), true);
        assert_eq!(shown.message, serde_json::json!({"relay": {"ticket": "012345…"}}));
        let nested = serde_json::json!({"relay": {"grant": {"ticket": "0123456789", "peer": "x"}}, "l": [{"ticket": "abcdefgh"}]});
        let shown = without_tickets(nested).to_string();
        assert!(!shown.contains("0123456") && !shown.contains("abcdefg"), "{shown}");
    }

    #[test]
    fn a_body_is_a_length_unless_it_is_asked_for() {
        let frame = tapped(error(), Some(b"hello"));
        let (short, long) = (row(&frame, false), row(&frame, true));
        assert_eq!((short.len, short.body), (Some(9_000), None));
        assert_eq!(long.body.as_deref(), Some("hello"));
        assert_eq!((long.direction, long.link), ("out", 3));
    }

    #[test]
    fn frames_are_chosen_by_member_and_type() {
        let frame = tapped(error(), None);
        let other = NodeId::from_bytes([2; 32]);
        assert!(is_wanted(&frame, None, None) && is_wanted(&frame, frame.peer, Some("error")));
        assert!(!is_wanted(&frame, Some(other), None) && !is_wanted(&frame, None, Some("err")));
        let ticket = tapped(
            Message::Relay(Relay::Ticket("0123456789abcdef0123456789abcdef0123456789a".parse().expect("a ticket"))),
            None,
        );
        assert!(is_wanted(&ticket, None, Some("relay")) && is_wanted(&ticket, None, Some("relay.ticket")));
        assert!(!is_wanted(&ticket, None, Some("relay.grant")));
    }
}
