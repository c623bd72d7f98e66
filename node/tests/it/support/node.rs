//! Real nodes on loopback: their configuration, their kills, their API and their command line.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Request, Response};
use super::process::{Process, command, folder};
use super::wait::until;

/// Below the ports that systems give to outbound connections: a port stays free while its node is down. The lab's own
/// begin at 20,000.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 7_000;

/// A port of loopback that nobody uses. The process id chooses where to begin, so that two runs do not meet.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(PORTS)).unwrap_or(0);
    let mut tried = (0..PORTS).map(|_| FIRST_PORT + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS) % PORTS);
    tried.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}

/// A node with its files in a temporary folder; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) http: u16,
    port: u16,
    process: Option<Process>,
    folder: Rc<TempDir>,
    environment: Vec<(String, OsString)>,
}

/// Nodes with these names, linked each to all others, and running.
#[track_caller]
pub(crate) fn mesh(names: &[&str]) -> Vec<Node> {
    let mut nodes = write(names, false);
    nodes.iter_mut().for_each(Node::start);
    for node in &nodes {
        node.wait_for_reach(names.len() - 1);
    }
    nodes
}

/// Nodes with these names, each linked to the next, running, and the ring closed.
#[track_caller]
pub(crate) fn ring(names: &[&str]) -> Vec<Node> {
    let mut nodes = write(names, true);
    nodes.iter_mut().for_each(Node::start);
    for node in &nodes {
        node.wait_for_ring(names.len());
    }
    nodes
}

/// One node without others, not started yet.
pub(crate) fn single(name: &str) -> Node {
    write(&[name], false).remove(0)
}

fn write(names: &[&str], ring: bool) -> Vec<Node> {
    let folder = Rc::new(folder());
    let made = names.iter().map(|name| Node {
        name: (*name).to_owned(),
        http: free_port(),
        port: free_port(),
        process: None,
        folder: Rc::clone(&folder),
        environment: Vec::new(),
    });
    let nodes: Vec<Node> = made.collect();
    let address = |node: &Node| format!("127.0.0.1:{}", node.port);
    for (at, node) in nodes.iter().enumerate() {
        let next = nodes.get((at + 1) % nodes.len()).filter(|_| ring).map(address);
        let others = nodes.iter().filter(|other| !ring && other.port != node.port).map(address);
        let config = json!({
            "name": node.name,
            "network": "page-tests",
            "listen": [address(node)],
            "topology": if ring { "ring" } else { "mesh" },
            "next": next,
            "peers": others.collect::<Vec<_>>(),
            "http": format!("127.0.0.1:{}", node.http),
            "data_dir": node.data_dir(),
            "log": {"level": "debug"},
            // On loopback a way over another member is now and then the quicker one: pages show links, not chance.
            "routing": {"carry": ring},
        });
        std::fs::write(node.config(), config.to_string()).expect("a file can be written");
    }
    nodes
}

impl Node {
    fn file(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("{}.{ending}", self.port))
    }

    fn config(&self) -> PathBuf {
        self.file("json")
    }

    fn data_dir(&self) -> PathBuf {
        self.file("data")
    }

    /// Starts it, and waits until it answers.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let mut start = self.asking(&["run"]);
        start.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start(&self.name, start, &self.file("log")));
        until(&format!("{} answers", self.name), || {
            let answer = Request::get(self.http, "/healthz").send().map_err(|error| error.to_string())?;
            if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
        });
    }

    /// From the next start on it runs with these variables.
    pub(crate) fn set_environment(&mut self, variables: Vec<(String, OsString)>) {
        self.environment = variables;
    }

    /// Ends it without a chance to say goodbye.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Stops it without ending it: its connections stay open and nothing comes from it.
    #[track_caller]
    pub(crate) fn halt(&self) {
        self.process.as_ref().expect("it runs").halt();
    }

    /// Lets it go on.
    #[track_caller]
    pub(crate) fn resume(&self) {
        self.process.as_ref().expect("it runs").resume();
    }

    /// Asks it to end.
    #[track_caller]
    pub(crate) fn terminate(&mut self) {
        self.process.take().expect("it runs").terminate();
    }

    /// The token of its API.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        let text = std::fs::read_to_string(self.data_dir().join("api.token")).expect("a token");
        text.trim().to_owned()
    }

    /// Where its page is.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// The address of its page, with the token.
    #[track_caller]
    pub(crate) fn url(&self) -> String {
        format!("{}/#{}", self.origin(), self.token())
    }

    /// A command to it, not started yet: `node status`, `node chat follow`.
    pub(crate) fn asking(&self, words: &[&str]) -> Command {
        let mut asking = command(env!("CARGO_BIN_EXE_node"));
        asking.args(words).arg("--config").arg(self.config());
        asking
    }

    /// Starts a command that goes on; the second file of its kind is another one.
    #[track_caller]
    pub(crate) fn watch(&self, words: &[&str], file: &str) -> Process {
        Process::start(&words.join(" "), self.asking(words), &self.file(file))
    }

    /// Reads a document of the API.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> Value {
        self.try_read(path).unwrap_or_else(|error| panic!("{}: {path}: {error}", self.name))
    }

    fn try_read(&self, path: &str) -> Result<Value, String> {
        let answer = Request::get(self.http, path).bearer(&self.token()).send().map_err(|error| error.to_string())?;
        if answer.status == 200 { Ok(answer.json()) } else { Err(format!("{answer:?}")) }
    }

    /// Asks for a message to be sent.
    #[track_caller]
    pub(crate) fn post(&self, text: &str) -> Response {
        let body = json!({ "text": text }).to_string();
        Request::post(self.http, "/api/v1/chat", body).bearer(&self.token()).send().expect("it answers")
    }

    /// Sends a message.
    #[track_caller]
    pub(crate) fn say(&self, text: &str) -> Value {
        let answer = self.post(text);
        assert_eq!(answer.status, 200, "{}: {text:?}: {answer:?}", self.name);
        answer.json()
    }

    /// The texts of its history, in order.
    #[track_caller]
    pub(crate) fn texts(&self) -> Vec<String> {
        let history = self.read("/api/v1/chat?limit=10000");
        let rows = history["messages"].as_array().expect("rows");
        rows.iter().map(|row| row["text"].as_str().expect("a text").to_owned()).collect()
    }

    /// Its id.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.read("/api/v1/status")["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until its history has a text.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, text: &str) {
        until(&format!("{} has {text:?}", self.name), || {
            let texts = self.texts();
            if texts.iter().any(|found| found == text) { Ok(()) } else { Err(format!("{texts:?}")) }
        });
    }

    /// Waits until so many members can be reached.
    #[track_caller]
    pub(crate) fn wait_for_reach(&self, count: usize) {
        until(&format!("{} reaches {count}", self.name), || {
            let peers = self.try_read("/api/v1/peers")?;
            let rows = peers["peers"].as_array().map(Vec::as_slice).unwrap_or_default();
            let reached = rows.iter().filter(|row| row["reachable"] == true).count();
            if reached == count { Ok(()) } else { Err(peers.to_string()) }
        });
    }

    /// Waits until its ring is closed with so many members.
    #[track_caller]
    pub(crate) fn wait_for_ring(&self, length: usize) {
        until(&format!("{} sees a closed ring of {length}", self.name), || {
            let ring = self.try_read("/api/v1/status")?["ring"].take();
            if ring["complete"] == true && ring["length"] == length { Ok(()) } else { Err(ring.to_string()) }
        });
    }
}
