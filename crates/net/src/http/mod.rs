//! A small HTTP/1.1 client: one request on one connection, for the local API and for signal servers.
//!
//! The answer is bounded in size and time while it arrives. Redirects are not followed and nothing is decoded: who
//! asks names the place it wants. [`request`] connects by itself; [`request_over`] takes any stream, such as one that
//! another member carries. [`events`] reads server-sent events until the server ends them.

mod events;
mod exchange;
mod target;

pub use events::{Event, EventStream, events};
pub use exchange::{Limits, Raw, Request, Response, request, request_over, request_through, upgrade};
pub use hyper::header;
pub use hyper::{Method, StatusCode};
pub use target::Target;

use std::io;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not a URL of a place this client can reach.
    #[error("not an http or https URL: {0}")]
    Url(String),
    /// A path or header that cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Request(String),
    /// Nobody answers there, or not with TLS that can be trusted.
    #[error("cannot connect to {place}: {error}")]
    Connect {
        /// The host and port, or the path of the socket.
        place: String,
        /// What went wrong.
        error: io::Error,
    },
    /// The connection broke, or what came over it is not HTTP.
    #[error("the exchange broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// The answer took too long.
    #[error("no complete answer in time")]
    Timeout,
    /// The answer, or one event, is longer than the limit, in bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// Events were asked for and something else came.
    #[error("expected events, found status {0}")]
    NoEvents(StatusCode),
}

impl HttpError {
    /// Whether the other end went away in the middle, as a process does that is killed.
    #[must_use]
    pub fn is_end(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
        let gone = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        error.is_incomplete_message() || cause.is_some_and(|cause| gone.contains(&cause.kind()))
    }
}

#[cfg(test)]
mod tests;
