//! Members in this process with real sockets at both ends and pipes for tunnels between them.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod exits;
mod forwards;
mod http;
mod mesh;
mod reverse;
mod socks5;
mod support;
mod udp;
