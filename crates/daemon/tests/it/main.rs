//! The local API as clients meet it: over real sockets, byte by byte where that is the point.

mod bounds;
mod document;
mod events;
mod log;
mod requests;
mod safety;
mod schema;
mod support;
