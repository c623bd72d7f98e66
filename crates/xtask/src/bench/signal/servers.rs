//! Who answers, each on the first core.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Bodies;
use crate::bench::process::{Running, wait};
use crate::bench::scratch::{Scratch, free_ports};
use crate::bench::table::Row;
use crate::bench::{Bench, output};

/// Somebody who answers.
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) bodies: Option<Bodies>,
    /// Where it and what asks it may write.
    pub(super) folder: PathBuf,
    process: Running,
}

impl Contender {
    fn start(name: &str, folder: &Path, port: u16, command: &mut Command) -> Result<Self, String> {
        let process = Running::start(command)?;
        let (path, folder) = ("/".to_owned(), folder.to_owned());
        let started = Self { name: name.to_owned(), port, path, bodies: None, folder, process };
        wait(name, Duration::from_millis(20), || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())?;
        Ok(started)
    }

    pub(super) fn cpu_s(&self) -> f64 {
        self.process.cpu_s()
    }
}

/// A signal server with a registry that is full already.
pub(super) struct Crowd {
    pub(super) name: String,
    pub(super) server: Contender,
    pub(super) bodies: Bodies,
    /// Bytes of an answer.
    pub(super) answer: usize,
    count: usize,
    /// Resident memory of a server without entries, in MiB.
    empty_mib: f64,
}

impl Crowd {
    pub(super) fn start(bench: &Bench, scratch: &Scratch, name: &str, count: usize) -> Result<Self, String> {
        let file = scratch.path().join(format!("crowd-{count}"));
        let mut maker = Command::new(bench.bin.join("examples/crowd"));
        output(maker.arg(count.to_string()).arg(&file))?;
        let empty_mib = empty(bench, scratch)?.process.rss_mib();
        let server = signal_server(bench, scratch, name, Some(&file))?;
        let bodies = file.with_extension("refreshes");
        let answer = answer_bytes(&server, &bodies)?;
        Ok(Self { name: name.to_owned(), server, bodies, answer, count, empty_mib })
    }

    /// What an entry costs, where there are enough to tell.
    pub(super) fn memory(&self) -> Option<Row> {
        if self.count < 100_000 {
            return None;
        }
        let count = u32::try_from(self.count).map_or(f64::NAN, f64::from);
        let bytes = (self.server.process.rss_mib() - self.empty_mib) * 1_048_576.0 / count;
        let figure = format!("RSS of an entry, of {}, whole process", self.name);
        Some(Row::new(figure, format!("{bytes:.0} bytes"), "the record + 80"))
    }
}

/// A server that has seen nobody.
pub(super) fn empty(bench: &Bench, scratch: &Scratch) -> Result<Contender, String> {
    signal_server(bench, scratch, "without entries", None)
}

fn signal_server(bench: &Bench, scratch: &Scratch, name: &str, store: Option<&Path>) -> Result<Contender, String> {
    let port = free_ports(1)?;
    let mut command = pinned(&bench.bin.join("signal-server"));
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--log-level", "error"]);
    command.arg("--store").arg(store.unwrap_or_else(|| Path::new("none")));
    command.envs([("MESHLINE_TTL_S", "3600"), ("MESHLINE_MAX_TOTAL", "1000000"), ("MESHLINE_DIAL_BACK", "false")]);
    Contender::start(name, scratch.path(), port, &mut command)
}

/// Announcements that no server has seen, and how many signatures a core verifies a second.
pub(super) fn newcomers(bench: &Bench, count: usize, file: &Path) -> Result<f64, String> {
    let mut maker = pinned(&bench.bin.join("examples/crowd"));
    let text = output(maker.args(["sign", &count.to_string()]).arg(file))?;
    let rate = text.split_whitespace().next().and_then(|rate| rate.parse().ok());
    rate.ok_or_else(|| format!("no rate of signatures: {text}"))
}

fn answer_bytes(server: &Contender, bodies: &Path) -> Result<usize, String> {
    let text = fs::read_to_string(bodies).map_err(|error| format!("{}: {error}", bodies.display()))?;
    let body = text.lines().next().ok_or("no refreshes")?;
    let url = format!("http://127.0.0.1:{}/v1/nodes?limit=50", server.port);
    let answer = output(Command::new("curl").args(["-sf", "-H", "content-type: application/json", "-d", body, &url]))?;
    Ok(answer.len())
}

/// A bare hyper, and what else is installed.
pub(super) fn beside(bench: &Bench, scratch: &Scratch, size: usize, single: bool) -> Result<Vec<Contender>, String> {
    let mut all = vec![hyper(bench, scratch, size)?];
    // What is not there, or does not start, is named and left out.
    let tracker = || if single { opentracker(scratch) } else { Err("it keeps no connections".to_owned()) };
    for (name, other) in [("nginx", nginx(scratch, size)), ("opentracker", tracker())] {
        match other {
            Ok(other) => all.push(other),
            Err(why) => println!("{name}: left out: {why}"),
        }
    }
    Ok(all)
}

fn hyper(bench: &Bench, scratch: &Scratch, size: usize) -> Result<Contender, String> {
    let port = free_ports(1)?;
    let mut command = pinned(&bench.bin.join("examples/bare"));
    let server = Contender::start("hyper", scratch.path(), port, command.args([port.to_string(), size.to_string()]))?;
    // It reads the same requests.
    let bodies = scratch.path().join("crowd-1000.refreshes");
    Ok(Contender { bodies: Some(bodies), ..server })
}

fn nginx(scratch: &Scratch, size: usize) -> Result<Contender, String> {
    let port = free_ports(1)?;
    let folder = scratch.path().join(format!("nginx-{port}"));
    let write =
        |name: &str, text: String| fs::write(folder.join(name), text).map_err(|error| format!("{name}: {error}"));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    write("index.html", "x".repeat(size))?;
    let at = folder.display();
    write(
        "nginx.conf",
        format!(
            "daemon off; master_process off; worker_processes 1; user root; pid {at}/pid; error_log {at}/errors;
             events {{ worker_connections 1024; }}
             http {{ access_log off; keepalive_requests 1000000; sendfile on; tcp_nopush on; open_file_cache max=10;
               client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
               uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
               server {{ listen 127.0.0.1:{port}; root {at}; }} }}"
        ),
    )?;
    let mut command = pinned(Path::new("nginx"));
    Contender::start("nginx, static file", &folder, port, command.arg("-c").arg(folder.join("nginx.conf")))
}

fn opentracker(scratch: &Scratch) -> Result<Contender, String> {
    let port = free_ports(1)?;
    let folder = scratch.path().join(format!("tracker-{port}"));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // It becomes `nobody` in that folder as its root, and tracks what a list there allows.
    let allowed = "61".repeat(20) + "\n";
    fs::write(folder.join("allowed"), allowed).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut command = pinned(Path::new("opentracker"));
    command
        .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-P", &port.to_string(), "-w", "allowed", "-d"])
        .arg(&folder);
    let server = Contender::start("opentracker", &folder, port, &mut command)?;
    let path =
        "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=6001&left=1&compact=1".to_owned();
    Ok(Contender { path, ..server })
}

fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}
