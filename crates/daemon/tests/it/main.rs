//! The local API as clients meet it: over real sockets, byte by byte where that is the point.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod bounds;
mod document;
mod events;
mod forwards;
mod ledger;
mod log;
mod requests;
mod routes;
mod safety;
mod schema;
mod services;
mod support;
mod topics;
mod via;
