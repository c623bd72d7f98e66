//! Somebody who speaks to a port by hand: over bare TCP, or over TLS with `openssl s_client`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::programs::has_tool;
use crate::skipped;
use crate::wait::within;

/// How a connection ended.
#[derive(Debug)]
pub struct Ending {
    /// All that was said to us.
    pub said: String,
    /// How long after the last question.
    pub after: Duration,
}

/// Somebody on bare TCP.
#[derive(Debug)]
pub struct Stranger(TcpStream);

impl Stranger {
    /// Connects to a port of this machine.
    ///
    /// # Panics
    /// If nobody listens.
    #[track_caller]
    #[must_use]
    pub fn connect(port: u16) -> Self {
        Self(TcpStream::connect(("127.0.0.1", port)).expect("it listens"))
    }

    /// Sends bytes; whether they could be sent.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// Sends a piece again and again, until so much is sent or the other side has enough; how much.
    pub fn push(&mut self, piece: &[u8], limit: usize) -> usize {
        push(&mut self.0, piece, limit)
    }

    /// Waits for the other side to close.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    #[must_use]
    pub fn ending(mut self, limit: Duration) -> Ending {
        let begin = Instant::now();
        self.0.set_read_timeout(Some(limit)).expect("no zero");
        let mut said = Vec::new();
        match self.0.read_to_end(&mut said) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("not closed within {limit:?}"),
            // A reset is an end too.
            _ => Ending { said: String::from_utf8_lossy(&said).into_owned(), after: begin.elapsed() },
        }
    }
}

/// Somebody with a node key, over TLS.
#[derive(Debug)]
pub struct TlsStranger {
    child: Child,
    input: Option<ChildStdin>,
}

impl TlsStranger {
    /// Whether there is an openssl to do it with; says so if not.
    #[must_use]
    pub fn is_possible() -> bool {
        let there = has_tool("openssl");
        if !there {
            skipped("there is no program openssl");
        }
        there
    }

    /// Connects to a port of this machine with the key in `key`, by a certificate it writes beside it.
    ///
    /// # Panics
    /// If openssl cannot make the certificate.
    #[track_caller]
    #[must_use]
    pub fn connect(port: u16, key: &Path) -> Self {
        let certificate = key.with_extension("crt");
        // Another one may be reading it just now.
        if !certificate.exists() {
            certify(key, &certificate);
        }
        let mut command = Command::new("openssl");
        command.args(["s_client", "-tls1_3", "-quiet", "-connect", &format!("127.0.0.1:{port}")]);
        command.arg("-key").arg(key).arg("-cert").arg(&certificate);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("openssl is there");
        Self { input: child.stdin.take(), child }
    }

    /// Sends bytes; whether they could be sent.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.input.as_mut().is_some_and(|input| input.write_all(bytes).and_then(|()| input.flush()).is_ok())
    }

    /// Sends a piece again and again, until so much is sent or the other side has enough; how much.
    pub fn push(&mut self, piece: &[u8], limit: usize) -> usize {
        self.input.as_mut().map_or(0, |input| push(input, piece, limit))
    }

    /// Waits for the other side to close.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    #[must_use]
    pub fn ending(mut self, limit: Duration) -> Ending {
        let begin = Instant::now();
        within(limit, "the end of openssl s_client", || match self.child.try_wait() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let after = begin.elapsed();
        let mut said = Vec::new();
        let output = self.child.stdout.as_mut().expect("piped");
        // What was said before a reset counts.
        let _ = output.read_to_end(&mut said);
        Ending { said: String::from_utf8_lossy(&said).into_owned(), after }
    }
}

impl Drop for TlsStranger {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate is only the envelope of the key.
#[track_caller]
pub(crate) fn certify(key: &Path, certificate: &Path) {
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-x509", "-subj", "/CN=stranger", "-days", "1", "-key"]).arg(key);
    let made = command.arg("-out").arg(certificate).output().expect("openssl is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn push(output: &mut impl Write, piece: &[u8], limit: usize) -> usize {
    let mut sent = 0;
    while sent < limit && output.write_all(piece).is_ok() {
        sent += piece.len();
    }
    sent
}
