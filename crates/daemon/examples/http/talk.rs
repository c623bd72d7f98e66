//! The least that a chat in browsers can be: what one posts goes to all as an event. No signatures, no disk, no mesh,
//! no history; its page has the hooks of the real one.

use std::convert::Infallible;
use std::io::Result;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, Response};
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::serve::{self, answer};

const PAGE: &str = include_str!("talk.html");

/// Longer texts are not sent.
const MAX_TEXT: usize = 16 * 1024;

type Readers = Arc<Mutex<Vec<UnboundedSender<Bytes>>>>;

pub(crate) async fn serve() -> Result<()> {
    let readers = Readers::default();
    serve::serve(move |request| handle(Arc::clone(&readers), request)).await
}

async fn handle(readers: Readers, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::POST {
        let text = to_bytes(Body::new(request.into_body()), MAX_TEXT).await.unwrap_or_default();
        let event: Bytes = [b"data: ", text.as_ref(), b"\n\n"].concat().into();
        readers.lock().unwrap_or_else(PoisonError::into_inner).retain(|reader| reader.send(event.clone()).is_ok());
        return answer("application/json", Body::from("{}"));
    }
    if request.uri().path() == "/events" {
        let (sender, events) = unbounded_channel();
        readers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        return answer("text/event-stream", Body::new(Events(events)));
    }
    answer("text/html; charset=utf-8", Body::from(PAGE))
}

/// What is sent to one reader.
struct Events(UnboundedReceiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
