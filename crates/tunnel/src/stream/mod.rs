//! Streams: ordered bytes in both directions, each with its own credit and its own end.

mod receive;
mod send;
mod table;

pub(crate) use receive::{End, ReceiveHalf};
pub(crate) use send::{SendHalf, State};
pub(crate) use table::{Change, Lane, Lost, Streams};

/// Both halves.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) send: SendHalf,
    pub(crate) receive: ReceiveHalf,
}
