//! Nodes as `config-tool ring` writes them, in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{Running, wait};
use super::scratch::{Scratch, free_ports};
use super::{Bench, api, output};

/// A folder of configurations, all to all.
pub(super) struct Ring {
    folder: Scratch,
    bin: PathBuf,
    nodes: u16,
    base: u16,
}

impl Ring {
    /// Writes the configurations of so many nodes, with a signal server or with each other's addresses.
    pub(super) fn write(bench: &Bench, nodes: u16, with_signal: bool) -> Result<Self, String> {
        Self::write_with(bench, nodes, if with_signal { &[] } else { &["--no-signal"] })
    }

    /// The same with more words for `config-tool ring`.
    pub(super) fn write_with(bench: &Bench, nodes: u16, words: &[&str]) -> Result<Self, String> {
        let base = free_ports(2 * nodes + 2)?;
        let folder = Scratch::new("bench")?;
        let mut command = Command::new(bench.bin.join("config-tool"));
        command.args(["ring", "--topology", "mesh", "--dir"]).arg(folder.path().join("ring"));
        let number = |flag: &str, value: u16| [flag.to_owned(), value.to_string()];
        command.args(number("--nodes", nodes)).args(number("--signal-port", base));
        command.args(number("--proxy-port", base + 1)).args(number("--base-port", base + 2));
        command.args(number("--http-base-port", base + 2 + nodes));
        output(command.args(words))?;
        Ok(Self { folder, bin: bench.bin.clone(), nodes, base })
    }

    /// Starts the signal server and waits until it listens.
    pub(super) fn start_signal(&self) -> Result<Running, String> {
        let mut command = Command::new(self.bin.join("signal-server"));
        let running = Running::start(command.arg("--config").arg(self.file("signal-server.json")))?;
        wait("the signal server listens", Duration::from_millis(5), || all_listen(&[self.base]))?;
        Ok(running)
    }

    /// Starts the node of this number, counted from 1.
    pub(super) fn start(&self, number: u16) -> Result<Running, String> {
        self.start_with(number, &[])
    }

    /// The same with more words on its command line.
    pub(super) fn start_with(&self, number: u16, words: &[&str]) -> Result<Running, String> {
        let config = self.file(&format!("node-{number}.json"));
        Running::start(Command::new(self.bin.join("node")).args(["run", "--config"]).arg(config).args(words))
    }

    /// Starts the view that was written beside the nodes.
    pub(super) fn start_view(&self) -> Result<Running, String> {
        Running::start(Command::new(self.bin.join("view")).args(["run", "--config"]).arg(self.file("view.json")))
    }

    /// Where that view answers.
    pub(super) fn view_socket(&self) -> PathBuf {
        self.file("view.data/api.sock")
    }

    /// Where the node of this number answers.
    pub(super) fn socket(&self, number: u16) -> PathBuf {
        self.file(&format!("node-{number}.data/api.sock"))
    }

    /// The folder of the ledger of the node of this number, made if it is not there.
    pub(super) fn ledger(&self, number: u16) -> Result<PathBuf, String> {
        let path = self.file(&format!("node-{number}.data/ledger"));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Where the node of this number has its page.
    pub(super) fn http(&self, number: u16) -> String {
        format!("127.0.0.1:{}", self.base + 1 + self.nodes + number)
    }

    /// The secret of the node of this number; none before its first start.
    pub(super) fn token(&self, number: u16) -> Result<String, String> {
        let path = self.file(&format!("node-{number}.data/api.token"));
        let token = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(token.trim().to_owned())
    }

    /// The address of the page of the node of this number, as its console prints it.
    pub(super) fn page(&self, number: u16) -> Result<String, String> {
        Ok(format!("http://{}/#{}", self.http(number), self.token(number)?))
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u16> + use<> {
        1..=self.nodes
    }

    /// Waits until all nodes listen for links.
    pub(super) fn wait_listening(&self) -> Result<(), String> {
        wait("all nodes listen", Duration::from_millis(2), || self.all_listening())
    }

    /// Whether every node takes connections.
    pub(super) fn all_listening(&self) -> bool {
        all_listen(&self.numbers().map(|number| self.base + 1 + number).collect::<Vec<_>>())
    }

    /// Waits until every node is linked to all others. One is asked at a time, so that asking costs next to nothing.
    pub(super) fn wait_linked(&self) -> Result<(), String> {
        let others = usize::from(self.nodes) - 1;
        for number in self.numbers() {
            let socket = self.socket(number);
            let what = format!("node {number} has {others} links");
            wait(&what, Duration::from_millis(10), || api::links(&socket) == others)?;
        }
        Ok(())
    }

    /// A file of the folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("ring").join(name)
    }
}

/// Whether somebody listens on all of these ports. The system knows: to connect would be to disturb.
fn all_listen(ports: &[u16]) -> bool {
    let table = fs::read_to_string(Path::new("/proc/net/tcp")).unwrap_or_default();
    let listening: Vec<u16> = table.lines().skip(1).filter_map(listening_port).collect();
    ports.iter().all(|port| listening.contains(port))
}

fn listening_port(line: &str) -> Option<u16> {
    let mut words = line.split_whitespace();
    let local = words.nth(1)?;
    let state = words.nth(1)?;
    let (_, port) = local.split_once(':')?;
    (state == "0A").then(|| u16::from_str_radix(port, 16).ok()).flatten()
}
