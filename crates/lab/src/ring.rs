//! A network written by `config-tool ring` into a temporary folder.

use std::path::{Path, PathBuf};
use std::sync::Once;

use serde_json::Value;
use tempfile::TempDir;

use crate::lab::Site;
use crate::member::{Answer, Member};
use crate::ports::free_block;
use crate::process::Process;
use crate::programs::{clean, program};

/// Places of the ports in a block: nodes from 0 on, pages from here on.
const PAGES: u16 = 20;
const SIGNAL: u16 = 40;
const PROXY: u16 = 41;

/// The files of a network. They go with it.
#[derive(Debug)]
pub struct Ring {
    folder: TempDir,
    sites: Vec<Site>,
    signal_site: Site,
    first_port: u16,
}

impl Ring {
    /// A network on this machine, by the flags of `config-tool ring` less `--dir` and those for ports.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    #[must_use]
    pub fn write(flags: &str) -> Self {
        let first = free_block();
        let ports = format!(
            "--base-port {first} --http-base-port {} --signal-port {} --proxy-port {}",
            first + PAGES,
            first + SIGNAL,
            first + PROXY
        );
        let ring = Self { folder: folder(), sites: Vec::new(), signal_site: Site::here(), first_port: first };
        ring.config_tool(&format!("ring --dir . {ports} {flags}")).done();
        ring
    }

    /// A network with a node on each of these hosts; `signal` is where signal server and proxy go.
    ///
    /// # Panics
    /// If it is refused.
    #[track_caller]
    #[must_use]
    pub fn write_on(sites: &[Site], signal: &Site, flags: &str) -> Self {
        let hosts: Vec<&str> = sites.iter().map(Site::address).collect();
        let hosts = format!("--hosts {} --signal-host {}", hosts.join(","), signal.address());
        let ring = Self { folder: folder(), sites: sites.to_vec(), signal_site: signal.clone(), first_port: 6001 };
        ring.config_tool(&format!("ring --dir . --nodes {} {hosts} {flags}", sites.len())).done();
        ring
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the config-tool in the folder.
    #[track_caller]
    #[must_use]
    pub fn config_tool(&self, line: &str) -> Answer {
        let mut command = clean(program("config-tool"));
        command.args(line.split_whitespace()).current_dir(self.path());
        Answer::of(command)
    }

    /// The port node `number` listens on; they are counted from 1.
    #[must_use]
    pub fn port(&self, number: u16) -> u16 {
        self.first_port + number - 1
    }

    /// Node `number`, not started yet; they are counted from 1. On a host of its own it has just what that host needs.
    #[must_use]
    pub fn node(&self, number: u16) -> Member {
        let file = format!("node-{number}.json");
        match self.sites.get(usize::from(number) - 1) {
            None => Member::new("node", self.path().join(file)),
            Some(site) => {
                let mut member = Member::new("node", self.path().join(format!("host-{number}")).join(file));
                member.move_to(site);
                member
            }
        }
    }

    /// Adds keys to the configuration of node `number`.
    ///
    /// # Panics
    /// If it cannot be read or written.
    #[track_caller]
    pub fn configure(&self, number: u16, keys: &Value) {
        self.node(number).configure(keys);
    }

    /// The script that starts node `number`.
    #[must_use]
    pub fn script(&self, number: u16) -> PathBuf {
        self.path().join(format!("p{number}.sh"))
    }

    /// Nodes 1 to `count`, started.
    #[track_caller]
    #[must_use]
    pub fn start(&self, count: u16) -> Vec<Member> {
        let mut nodes: Vec<Member> = (1..=count).map(|number| self.node(number)).collect();
        for node in &mut nodes {
            node.start();
        }
        nodes
    }

    /// The view, not started yet.
    #[must_use]
    pub fn view(&self) -> Member {
        Member::new("view", self.path().join("view.json"))
    }

    /// The proxy, started.
    #[track_caller]
    #[must_use]
    pub fn start_proxy(&self) -> Member {
        let mut proxy = Member::new("proxy", self.path().join("proxy.json"));
        proxy.move_to(&self.signal_site);
        proxy.start();
        proxy
    }

    /// The signal server, started and listening.
    #[track_caller]
    #[must_use]
    pub fn start_signal(&self) -> Process {
        let mut command = self.signal_site.bound_command(program("signal-server"));
        command.arg("--config").arg(self.path().join("signal-server.json"));
        let server = Process::start("signal-server", command);
        server.wait_for("listening");
        server
    }
}

/// What the folders of all runs begin with; the process id of the run follows.
const PREFIX: &str = "meshline-lab-";

fn folder() -> TempDir {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep);
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder")
}

/// Removes what runs that were killed left behind.
fn sweep() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // It may be somebody else's, or swept by another run just now.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
