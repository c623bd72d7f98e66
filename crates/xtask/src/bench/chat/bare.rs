//! The rival: a bare hyper server, by the example `http` of `crates/daemon`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::bench::Bench;
use crate::bench::process::Running;

/// A server that ends when this is dropped.
pub(super) struct Bare {
    pub(super) process: Running,
    pub(super) address: String,
}

impl Bare {
    /// One that answers everything with the bytes of a file.
    pub(super) fn serve(bench: &Bench, file: &Path) -> Result<Self, String> {
        Self::start(program(bench).arg("serve").arg(file))
    }

    /// One over which two pages talk.
    pub(super) fn talk(bench: &Bench) -> Result<Self, String> {
        Self::start(program(bench).arg("talk"))
    }

    fn start(command: &mut Command) -> Result<Self, String> {
        let mut child: Child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the bare server cannot be started: {error}"))?;
        let out = child.stdout.take();
        let process = Running::from(child);
        let first = out.and_then(|out| BufReader::new(out).lines().next()).ok_or("the bare server says nothing")?;
        Ok(Self { process, address: first.map_err(|error| error.to_string())? })
    }
}

fn program(bench: &Bench) -> Command {
    Command::new(bench.bin.join("examples/http"))
}
