//! One reader: the body of an answer, which takes from the memory what the connection has room for.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::Feed;

/// A comment so often keeps the connection from looking dead, and finds readers that went away.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Proxies in between must not collect what should arrive at once.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A reader of a [`Feed`]. It keeps its place and nothing else, and gives the place up when it is dropped.
#[derive(Debug)]
pub(crate) struct Reader {
    feed: Arc<Feed>,
    key: u64,
    /// The number of the entry to be read next.
    place: u64,
    rank: u8,
    greeting: Option<Bytes>,
    keep_alive: Interval,
}

impl Reader {
    pub(super) fn new(feed: Arc<Feed>, key: u64, place: u64, rank: u8, greeting: Bytes) -> Self {
        let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { feed, key, place, rank, greeting: Some(greeting), keep_alive }
    }

    /// The answer that brings the events.
    pub(crate) fn into_response(self) -> Response {
        let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), (UNBUFFERED, "no")];
        (headers, axum::body::Body::new(self)).into_response()
    }

    /// The same; something is held until nobody reads it any more.
    pub(crate) fn into_response_holding<T: Send + Unpin + 'static>(self, held: T) -> Response {
        let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), (UNBUFFERED, "no")];
        (headers, axum::body::Body::new(Holding { reader: self, _held: held })).into_response()
    }

    fn poll_text(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        if let Some(greeting) = self.greeting.take() {
            return Poll::Ready(greeting);
        }
        if let Some(text) = self.take(context) {
            return Poll::Ready(text);
        }
        ready!(self.keep_alive.poll_tick(context));
        Poll::Ready(COMMENT)
    }

    /// The next entry of its rank; without one the task is woken when something is kept.
    fn take(&mut self, context: &Context<'_>) -> Option<Bytes> {
        let mut kept = self.feed.lock();
        let oldest = kept.oldest();
        if self.place < oldest {
            let missed = oldest - self.place;
            self.place = oldest;
            return Some(format!("{}{{\"missed\":{missed}}}\n\n", self.feed.head("lagged", oldest - 1)).into());
        }
        let skip = usize::try_from(self.place - oldest).unwrap_or(usize::MAX);
        for entry in kept.entries.range(skip.min(kept.entries.len())..) {
            self.place += 1;
            if entry.rank <= self.rank {
                return Some(entry.text.clone());
            }
        }
        kept.readers.insert(self.key, Some(context.waker().clone()));
        None
    }
}

impl hyper::body::Body for Reader {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_text(context).map(|text| Some(Ok(Frame::data(text))))
    }
}

/// A reader with something that lasts as long as it.
struct Holding<T> {
    reader: Reader,
    _held: T,
}

impl<T: Unpin> hyper::body::Body for Holding<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.reader).poll_frame(context)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.feed.lock().readers.remove(&self.key);
    }
}
