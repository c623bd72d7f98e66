//! Real sockets on loopback, real cores on top: what two processes would do.

#![expect(clippy::disallowed_methods, reason = "tests measure")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![expect(clippy::wildcard_enum_match_arm, reason = "tests look for one event among all")]

mod bad_input;
mod beside;
mod doors;
mod forwarding;
mod ledger;
mod links;
mod quic;
mod relay;
mod relay_turns;
mod support;
mod tunnels;
