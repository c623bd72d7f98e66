//! A member with its papers in order that says whatever a test wants, over TLS with `openssl s_client`.
//!
//! It answers time frames, so that it stays linked, and keeps every line it hears.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use meshline_identity::KeyPair;
use meshline_protocol::NodeId;
use serde_json::{Value, json};

use crate::lab::Site;
use crate::log::Log;
use crate::stranger::certify;
use crate::wait::PATIENCE;

/// How long what it signs is valid, in microseconds.
const HOUR: u64 = 3_600_000_000;

/// How a line begins in which a peer tells its place in the tree of messages to all.
const PLACE: &str = "{\"broadcast\":{\"place\":";

/// How the first line begins that whoever is let in hears after the greeting.
const IS_IN: &str = "{\"time\":";

/// A raw body is at most so long.
const MAX_BODY: usize = 65_536;

/// A member of a closed network that is linked to one other.
#[derive(Debug)]
pub struct Insider {
    child: Child,
    pen: Arc<Mutex<ChildStdin>>,
    heard: Arc<Log>,
    key: KeyPair,
    network: String,
    seq: u64,
    /// How far from the least root it says it is; 0 if it says nothing.
    leads: Arc<AtomicU8>,
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[track_caller]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Insider {
    /// Links to `address` with the key and the membership that the configuration of a node names; that node must not
    /// run. Its host is where it calls from.
    ///
    /// # Panics
    /// If it is not let in.
    #[track_caller]
    #[must_use]
    pub fn join(site: &Site, config: &Path, address: &str) -> Self {
        let insider = Self::call(site, config, address, &[]);
        insider.wait_for(0, IS_IN);
        insider
    }

    /// The same without waiting, telling where it says it is reached: [`Self::is_in`] says whether it was let in.
    ///
    /// # Panics
    /// If its files are not those of a node.
    #[track_caller]
    #[must_use]
    pub fn call(site: &Site, config: &Path, address: &str, own: &[String]) -> Self {
        let folder = config.parent().expect("a file is in a folder");
        let config: Value = serde_json::from_str(&read(config)).expect("JSON");
        let member = |name: &str| config.get(name).and_then(Value::as_str).expect("a closed network's node").to_owned();
        let key_file = folder.join(member("key_file"));
        let certificate = key_file.with_extension("crt");
        if !certificate.exists() {
            certify(&key_file, &certificate);
        }
        let mut command = site.bound_command("openssl");
        command.args(["s_client", "-tls1_3", "-quiet", "-connect", address, "-key"]).arg(&key_file);
        command.arg("-cert").arg(&certificate);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("openssl is there");
        let (pen, voice) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let key = KeyPair::from_pem(&read(&key_file)).expect("a key");
        let (pen, network) = (Arc::new(Mutex::new(pen)), member("network"));
        let mut insider = Self { child, pen, heard: Arc::default(), key, network, seq: 0, leads: Arc::default() };
        insider.listen(voice);
        let papers: Value = serde_json::from_str(&read(&folder.join(member("membership")))).expect("JSON");
        insider.greet(&member("name"), own, &papers);
        insider
    }

    /// Whether it was let in, so far.
    #[must_use]
    pub fn is_in(&self) -> bool {
        self.heard(IS_IN) > 0
    }

    /// Whether its link is over, or never came to be.
    pub fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Says what its peer's link to it is for, as it wants to have it.
    pub fn claim(&self, purposes: &[&str]) {
        self.send(&format!("{}\n", json!({"peers": {"purpose": {"purposes": purposes}}})));
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        self.key.id().to_string()
    }

    /// Signs and sends an advertisement of these links, rows as in an advertisement, and waits until it is taken.
    ///
    /// # Panics
    /// If nobody acknowledges it.
    #[track_caller]
    pub fn advertise(&mut self, links: &Value) {
        let mark = self.heard.len();
        let body = self.signable("links", json!({"carries": true, "links": links}));
        let line = json!({"by": self.id(), "seq": self.seq, "sig": self.key.sign_bytes(body.as_bytes())});
        self.send(&format!("{}\n{body}", json!({"len": body.len(), "routing": {"advertisement": line}})));
        self.wait_for(mark, &format!("{{\"id\":\"{}\",\"seq\":{}}}", self.id(), self.seq));
    }

    /// Says from now on, whenever its peer tells where it is in the tree of messages to all, that it is so many links, at
    /// least one, from the least root there can be; waits until its peer takes it for the way of messages to all.
    ///
    /// # Panics
    /// If its peer does not.
    #[track_caller]
    pub fn lead(&self, hops: u8) {
        self.leads.store(hops, Ordering::SeqCst);
        if self.heard(PLACE) > 0 {
            write(&self.pen, &lead(hops));
        }
        self.wait_for(0, "\"graft\"");
    }

    /// How many of the lines it heard contain a text.
    #[must_use]
    pub fn heard(&self, text: &str) -> usize {
        self.heard.since(0).iter().filter(|line| line.contains(text)).count()
    }

    #[track_caller]
    fn wait_for(&self, mark: usize, text: &str) {
        let found = self.heard.wait(mark, PATIENCE, |line| line.contains(text));
        assert!(found.is_some(), "no {text} came\n{}", self.heard.tail("insider"));
    }

    fn signable(&mut self, kind: &str, mut text: Value) -> String {
        self.seq = now().max(self.seq + 1);
        let common = json!({"type": kind, "network": self.network, "seq": self.seq, "expires": self.seq + HOUR});
        if let (Value::Object(text), Value::Object(common)) = (&mut text, common) {
            text.extend(common);
        }
        text.to_string()
    }

    fn greet(&mut self, name: &str, addresses: &[String], papers: &Value) {
        let text = json!({"name": name, "roles": ["node"], "addresses": addresses, "membership": papers});
        let signed = self.signable("announcement", text);
        let sig = self.key.sign_bytes(signed.as_bytes());
        let mut hello = header(&self.network, &self.id());
        if let Some(hello) = hello.as_object_mut() {
            hello.insert("announcement".to_owned(), json!({"signed": signed, "by": self.id(), "sig": sig}));
        }
        self.send(&format!("{}\n", json!({"hello": hello})));
    }

    fn send(&self, text: &str) {
        write(&self.pen, text);
    }

    /// Hears on a thread of its own.
    fn listen(&self, voice: ChildStdout) {
        let (heard, pen, leads) = (Arc::clone(&self.heard), Arc::clone(&self.pen), Arc::clone(&self.leads));
        let (network, id) = (self.network.clone(), self.id());
        std::thread::spawn(move || {
            let mut voice = BufReader::new(voice);
            let mut line = String::new();
            while voice.read_line(&mut line).is_ok_and(|count| count > 0) {
                let frame: Value = serde_json::from_str(&line).unwrap_or_default();
                let is_place = line.contains(PLACE);
                heard.push(std::mem::take(&mut line));
                let hops = leads.load(Ordering::SeqCst);
                if is_place && hops > 0 {
                    write(&pen, &lead(hops));
                }
                let body = frame.get("len").and_then(Value::as_u64).and_then(|len| usize::try_from(len).ok());
                let mut body = vec![0; body.unwrap_or(0).min(MAX_BODY)];
                if voice.read_exact(&mut body).is_err() {
                    return;
                }
                if let Some(answer) = frame.get("time").and_then(|asked| answer(asked, &network, &id)) {
                    write(&pen, &answer);
                }
            }
        });
    }
}

/// What hellos and time frames begin with.
fn header(network: &str, id: &str) -> Value {
    json!({"network": network, "version": 1, "id": id, "time": now(), "ping": -1})
}

/// A place so far from the least root that there can be.
fn lead(hops: u8) -> String {
    let least = NodeId::from_bytes([0; 32]);
    format!("{}\n", json!({"broadcast": {"place": {"root": least, "hops": hops}}}))
}

/// The second step of the exchange that a time frame began.
fn answer(asked: &Value, network: &str, id: &str) -> Option<String> {
    if asked.get("step")? != 0 {
        return None;
    }
    let mut time = header(network, id);
    let more = json!({"exchange": asked.get("exchange")?, "step": 1,
        "stamps": {"origin": asked.get("time")?, "receive": now()}});
    if let (Value::Object(time), Value::Object(more)) = (&mut time, more) {
        time.extend(more);
    }
    Some(format!("{}\n", json!({ "time": time })))
}

fn write(pen: &Mutex<ChildStdin>, text: &str) {
    let mut pen = pen.lock().unwrap_or_else(PoisonError::into_inner);
    // Whoever waits for the answer notices that the link is gone.
    let _ = pen.write_all(text.as_bytes()).and_then(|()| pen.flush());
}

impl Drop for Insider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
