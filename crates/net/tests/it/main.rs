//! Real sockets on loopback, real cores on top: what two processes would do.

#![expect(clippy::disallowed_methods, reason = "tests measure")]

mod bad_input;
mod doors;
mod links;
mod relay;
mod support;
