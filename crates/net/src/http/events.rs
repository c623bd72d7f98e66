//! Server-sent events, as the HTML standard describes their stream.

use std::collections::VecDeque;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use tokio::time::timeout;

use super::exchange::{Opened, open};
use super::{HttpError, Limits, Request, Target};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its lines, joined by line feeds.
    pub data: String,
    /// The id to go on from after a break; empty if none was ever given.
    pub id: String,
}

/// Asks for events. `limits.timeout` holds until the answer begins, `limits.max_body` for each event: the stream
/// itself has no end. [`EventStream::next`] waits as long as it takes.
///
/// # Errors
/// If the server cannot be reached or answers with anything but events.
pub async fn events(target: &Target, request: Request, limits: Limits) -> Result<EventStream, HttpError> {
    let request = request.header(ACCEPT, HeaderValue::from_static("text/event-stream"));
    let opening = async { open(target.connect().await?, target, request).await };
    let opened = timeout(limits.timeout, opening).await.map_err(|_| HttpError::Timeout)??;
    let kind = opened.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let status = opened.response.status();
    if status != StatusCode::OK || !kind.starts_with("text/event-stream") {
        return Err(HttpError::NoEvents(status));
    }
    Ok(EventStream { opened, reader: EventReader::new(limits.max_body) })
}

/// Events as they come. Dropping it closes the connection.
#[expect(missing_debug_implementations, reason = "a connection has no such form")]
pub struct EventStream {
    opened: Opened,
    reader: EventReader,
}

impl EventStream {
    /// The next event; `None` when the server has ended the stream. Nothing is lost if the caller stops waiting.
    ///
    /// # Errors
    /// If the connection breaks, or an event is longer than the limit.
    pub async fn next(&mut self) -> Result<Option<Event>, HttpError> {
        let body: &mut Incoming = self.opened.response.body_mut();
        loop {
            if let Some(event) = self.reader.pop() {
                return Ok(Some(event));
            }
            let Some(frame) = body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.reader.push(&data)?;
            }
        }
    }
}

/// Makes events out of bytes.
#[derive(Debug)]
pub(super) struct EventReader {
    max: usize,
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, so that a line feed behind it ends no second line.
    after_return: bool,
    is_first_line: bool,
    event: Event,
    has_data: bool,
    ready: VecDeque<Event>,
}

impl EventReader {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            line: Vec::new(),
            after_return: false,
            is_first_line: true,
            event: Event::default(),
            has_data: false,
            ready: VecDeque::new(),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => self.end_line(),
                byte if self.line.len() + self.event.data.len() < self.max => self.line.push(*byte),
                _ => return Err(HttpError::TooLong(self.max)),
            }
        }
        Ok(())
    }

    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let is_first = std::mem::take(&mut self.is_first_line);
        let line = if is_first { text.strip_prefix('\u{feff}').unwrap_or(&text) } else { &text };
        if line.is_empty() {
            self.end_event();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" if !value.contains('\0') => value.clone_into(&mut self.event.id),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, `retry`, or something newer.
            _ => {}
        }
    }

    /// An event without data is none, but the id it gave stays.
    fn end_event(&mut self) {
        let next = Event { id: self.event.id.clone(), ..Event::default() };
        let event = std::mem::replace(&mut self.event, next);
        if std::mem::take(&mut self.has_data) {
            self.ready.push_back(event);
        }
    }
}
