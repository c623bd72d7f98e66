//! What `cargo xtask bench chat` measures the local API and its page beside: bare hyper servers, and a client that asks
//! over some connections as fast as it is answered.
//!
//! `http serve FILE` prints the address it listens on and serves the bytes of the file until it is ended.
//! `http talk` does the same with a chat that is nothing but a request, an event and a page of one line.
//! `http ask ADDRESS PATH CONNECTIONS MILLIS` prints how many answers a second there were.
#![expect(clippy::print_stdout, reason = "what is printed is the result")]

mod ask;
mod serve;
mod talk;

use std::io::{Error, Result};
use std::path::Path;
use std::time::Duration;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words.as_slice() {
        ["serve", file] => runtime.block_on(serve::file(Path::new(file))),
        ["talk"] => runtime.block_on(talk::serve()),
        ["ask", address, path, connections, millis] => {
            let (connections, millis) = (number(connections)?, number(millis)?);
            runtime.block_on(ask::ask(address, path, connections, Duration::from_millis(millis)))
        }
        _ => Err(Error::other("serve FILE, talk, or ask ADDRESS PATH CONNECTIONS MILLIS")),
    }
}

fn number(word: &str) -> Result<u64> {
    word.parse().map_err(Error::other)
}
