//! The other process: this program in one of its `serve-…` modes.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use meshline_protocol::NodeId;

/// A served mode in a process of its own, ended when dropped.
#[derive(Debug)]
pub(crate) struct Served {
    process: Child,
    pub(crate) address: SocketAddr,
    /// The key it proves; its own id where it speaks TLS.
    pub(crate) id: Option<NodeId>,
    /// Everything it said of itself.
    pub(crate) words: Vec<String>,
}

impl Served {
    /// Starts a mode and waits until it listens.
    pub(crate) fn start(words: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        let mut process = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let address = words.first().expect("an address").parse().unwrap();
        let id = words.get(1).map(|id| id.parse().unwrap());
        Self { process, address, id, words }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the served process: says where it listens, and ends when the one who started it does.
pub(crate) fn announce(address: SocketAddr, id: Option<NodeId>) {
    println!("{address} {}", id.map(|id| id.to_string()).unwrap_or_default());
    end_with_parent();
}

/// The same for a node that listens for something else beside its links.
pub(crate) fn announce_with(address: &str, id: NodeId, other: SocketAddr) {
    println!("{address} {id} {other}");
    end_with_parent();
}

fn end_with_parent() {
    drop(std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    }));
}
