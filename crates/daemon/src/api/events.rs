//! What happens, as server-sent events: the chat, and who comes and goes.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use meshline_mesh::{Event as MeshEvent, PeerName};
use meshline_services::{Event, chat};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::Api;
use super::documents::MessageRow;

/// A comment so often keeps the connection from looking dead, and finds readers that went away.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Texts waiting for one slow reader.
const MAX_WAITING: usize = 16;

pub(super) async fn stream(State(api): State<Api>) -> Response {
    let mut events = api.mesh.subscribe();
    let (writer, reader) = tokio::sync::mpsc::channel::<String>(MAX_WAITING);
    tokio::spawn(async move {
        let _ = writer.send("retry: 1000\n\n".to_owned()).await;
        loop {
            let text = tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => text_of(&event),
                    // The reader was too slow: it reads the history again from its last cursor.
                    Err(RecvError::Lagged(missed)) => Some(format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n")),
                    Err(RecvError::Closed) => break,
                },
                () = tokio::time::sleep(KEEP_ALIVE) => Some(":\n\n".to_owned()),
            };
            if let Some(text) = text
                && writer.send(text).await.is_err()
            {
                break;
            }
        }
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    std::future::ready((headers, Body::new(Lines(reader))).into_response()).await
}

/// The body of the answer: texts as they come.
struct Lines(tokio::sync::mpsc::Receiver<String>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|text| text.map(|text| Ok(Frame::data(text.into()))))
    }
}

/// One event in the form of the WHATWG HTML standard, §9.2; chat messages carry their cursor as id.
fn text_of(event: &Event) -> Option<String> {
    let (name, id, data) = match event {
        Event::Chat(chat::Event::Message { message, .. }) => ("chat", Some(message.cursor), row(message)),
        Event::Chat(chat::Event::Delivered { message, complete }) => {
            let data = json!({"cursor": message.cursor.to_string(), "delivered_to": message.delivery.delivered_to, "complete": complete});
            ("delivered", None, data)
        }
        Event::Mesh(event) => {
            let (name, data) = mesh_event(event)?;
            (name, None, data)
        }
    };
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Some(format!("event: {name}\n{id}data: {data}\n\n"))
}

fn row(message: &chat::Message) -> Value {
    serde_json::to_value(MessageRow::from(message.clone())).unwrap_or_default()
}

fn mesh_event(event: &MeshEvent) -> Option<(&'static str, Value)> {
    let named = |peer: &PeerName| json!({"peer": peer.id, "name": peer.name});
    Some(match event {
        MeshEvent::LinkUp { peer, transport, .. } => {
            ("link_up", json!({"peer": peer.id, "name": peer.name, "transport": transport.name()}))
        }
        MeshEvent::LinkDown { peer, code, .. } => {
            ("link_down", json!({"peer": peer.id, "name": peer.name, "code": code.name()}))
        }
        MeshEvent::MemberJoined { peer } => ("member_joined", named(peer)),
        MeshEvent::MemberLeft { peer } => ("member_left", named(peer)),
        MeshEvent::MemberRevoked { id, .. } => ("member_revoked", json!({"peer": id})),
        MeshEvent::RingChanged { next, previous } => {
            let id = |peer: &Option<PeerName>| peer.as_ref().map(|peer| peer.id);
            ("ring_changed", json!({"next": id(next), "previous": id(previous)}))
        }
        MeshEvent::RingClosed { length } => ("ring_closed", json!({"length": length})),
        MeshEvent::Listening { .. }
        | MeshEvent::ConnectFailed { .. }
        | MeshEvent::Refused { .. }
        | MeshEvent::Misbehaved { .. }
        | MeshEvent::Broadcast { .. }
        | MeshEvent::Delivered { .. }
        | MeshEvent::SignalFailed { .. }
        | MeshEvent::SignalAnswered { .. }
        | MeshEvent::Relayed { .. } => return None,
    })
}
