//! The signal server over real sockets.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test ends where it fails")]

mod bad_input;
mod client;
mod nodes;
mod pages;
mod process;
mod records;
mod slow;
mod store;
