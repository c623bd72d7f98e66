//! The program itself.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{read_answer, send};
use super::records::{announcement, signed};

/// A running server, killed if a test fails.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    log: BufReader<ChildStderr>,
}

impl Program {
    fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(arguments, &[])
    }

    /// The same with variables of the environment.
    pub(crate) fn start_in(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_signal-server"))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("MESHLINE_CONFIG")
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            assert!(log.read_line(&mut line).expect("text") > 0, "it ended");
        }
        let address = line.split("address=").nth(1).expect("an address").trim().parse().expect("an address");
        Self { child, address, log }
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// The exit code, and what was logged since the start.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("it is ours");
        let mut log = String::new();
        std::io::Read::read_to_string(&mut self.log, &mut log).expect("text");
        (status.code(), log)
    }

    /// Most memory it ever had, in KiB.
    fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already unless a test failed.
        let _ = self.child.kill();
    }
}

#[tokio::test]
async fn it_logs_who_comes_and_stops_when_told_to() {
    for signal in ["-TERM", "-INT"] {
        let program = Program::start();
        let answer = send(program.address, "POST", "/v1/nodes", "", signed(&announcement(1), 1).as_bytes()).await;
        assert_eq!(answer.status, 200);
        send(program.address, "POST", "/v1/nodes", "", b"x").await;
        let begin = Instant::now();
        program.signal(signal);
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(begin.elapsed() < Duration::from_secs(5));
        assert!(log.contains("member-1") && log.contains("added"), "{log}");
        assert!(log.contains("invalid_frame"), "{log}");
    }
}

#[tokio::test]
async fn a_gibibyte_is_not_read_and_takes_no_memory() {
    let program = Program::start();
    let before = program.peak_kib();
    for headers in ["content-length: 1073741824", "transfer-encoding: chunked"] {
        let mut stream = TcpStream::connect(program.address).await.expect("it listens");
        let head = format!("POST /v1/nodes HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let piece = [b"10000\r\n", &vec![b' '; 0x1_0000][..], b"\r\n"].concat();
        let mut sent = 0;
        while sent < 1 << 30 && stream.write_all(&piece).await.is_ok() {
            sent += piece.len();
        }
        assert!(sent < 64 << 20, "{sent} bytes were taken");
        let answer = read_answer(&mut stream).await;
        assert!(matches!(answer.status, 0 | 413), "{answer:?}");
    }
    let deep = "[".repeat(8_000);
    for _ in 0..500 {
        send(program.address, "POST", "/v1/nodes", "", deep.as_bytes()).await;
    }
    let grown = program.peak_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB more");
    program.signal("-TERM");
    assert_eq!(program.end().0, Some(0));
}

#[test]
fn a_wrong_configuration_or_usage_exits_2() {
    for arguments in [["--listen", "nowhere"], ["--config", "/nowhere/at/all.json"], ["--no-such-flag", "x"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_signal-server"))
            .args(arguments)
            .env_remove("MESHLINE_CONFIG")
            .output()
            .expect("it was built");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[test]
fn an_address_in_use_exits_1_and_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_signal-server"))
        .args(["--listen", &address])
        .env_remove("MESHLINE_CONFIG")
        .output()
        .expect("it was built");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "{output:?}");
}
