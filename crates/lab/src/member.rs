//! A member of a network: its configuration, the place it runs at, its process, and the commands that ask it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::lab::Site;
use crate::process::Process;
use crate::programs::program;
use crate::wait::until;

/// What a command said.
#[derive(Debug)]
pub struct Answer {
    /// The exit code.
    pub code: Option<i32>,
    /// Its result.
    pub stdout: String,
    /// Its complaints.
    pub stderr: String,
}

impl Answer {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// The result of a command that must have succeeded.
    ///
    /// # Panics
    /// If it failed.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// A node, view or proxy.
#[derive(Debug)]
pub struct Member {
    program: &'static str,
    config: PathBuf,
    name: String,
    site: Site,
    environment: Vec<(String, OsString)>,
    asking: Vec<(String, OsString)>,
    process: Option<Process>,
}

impl Member {
    /// The member with this configuration, on this machine.
    #[must_use]
    pub fn new(program: &'static str, config: impl Into<PathBuf>) -> Self {
        let config = config.into();
        let document = std::fs::read_to_string(&config).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let name = document.as_ref().and_then(|document| document.get("name")?.as_str());
        let name = name.unwrap_or(program).to_owned();
        Self { program, config, name, site: Site::here(), environment: Vec::new(), asking: Vec::new(), process: None }
    }

    /// From the next start on it runs there.
    pub fn move_to(&mut self, site: &Site) {
        self.site = site.clone();
    }

    /// From the next start on its process finds this in its environment.
    pub fn set_env(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.push((name.to_owned(), value.into()));
    }

    /// From now on the commands that ask it find this in their environment.
    pub fn ask_with(&mut self, name: &str, value: impl Into<OsString>) {
        self.asking.push((name.to_owned(), value.into()));
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Adds keys to its configuration.
    ///
    /// # Panics
    /// If it cannot be read or written.
    #[track_caller]
    pub fn configure(&self, keys: &Value) {
        let text = std::fs::read_to_string(&self.config).expect("its configuration");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        if let (Some(config), Some(keys)) = (config.as_object_mut(), keys.as_object()) {
            config.extend(keys.clone());
        }
        std::fs::write(&self.config, config.to_string()).expect("written");
    }

    /// Its own id, from the running process.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    #[must_use]
    pub fn id(&self) -> String {
        self.status().get("id").and_then(Value::as_str).expect("an id").to_owned()
    }

    /// Starts it.
    #[track_caller]
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts it with further flags.
    #[track_caller]
    pub fn start_with(&mut self, flags: &[&str]) {
        let mut command = self.site.bound_command(program(self.program));
        if self.program != "proxy" {
            command.arg("run");
        }
        command.arg("--config").arg(&self.config).args(flags);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start(&self.name, command));
    }

    /// Starts it by its script, which takes further flags too.
    #[track_caller]
    pub fn start_by(&mut self, script: &Path, flags: &[&str]) {
        let mut command = self.site.bound_command(script);
        command.args(flags);
        self.process = Some(Process::start(&self.name, command));
    }

    /// Its process.
    ///
    /// # Panics
    /// If it was not started.
    #[track_caller]
    #[must_use]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("it was not started")
    }

    /// Its process, to type, kill and the like.
    ///
    /// # Panics
    /// If it was not started.
    #[track_caller]
    pub fn process_mut(&mut self) -> &mut Process {
        self.process.as_mut().expect("it was not started")
    }

    /// Waits for a line of its log.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.process().wait_for(text)
    }

    /// A command to it: `node status`, `view chat send …`.
    #[track_caller]
    #[must_use]
    pub fn ask(&self, words: &[&str]) -> Answer {
        // A proxy answers as nodes do, but has no commands of its own.
        let asker = if self.program == "proxy" { "node" } else { self.program };
        let mut command = self.site.command(program(asker));
        command.args(words).arg("--config").arg(&self.config);
        command.envs(self.asking.iter().map(|(name, value)| (name, value)));
        Answer::of(command)
    }

    /// The document a command prints.
    ///
    /// # Panics
    /// If the command fails.
    #[track_caller]
    #[must_use]
    pub fn json(&self, words: &[&str]) -> Value {
        self.try_json(words).unwrap_or_else(|error| panic!("{}: {words:?}: {error}", self.name))
    }

    /// The document a command prints, or its complaint: a member that was just started does not answer yet.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub fn try_json(&self, words: &[&str]) -> Result<Value, String> {
        let answer = self.ask(&[words, &["--json"]].concat());
        if answer.code != Some(0) {
            return Err(format!("exit code {:?}: {}", answer.code, answer.stderr.trim()));
        }
        serde_json::from_str(&answer.stdout).map_err(|error| format!("{error}: {}", answer.stdout))
    }

    /// The document of `status`.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    #[must_use]
    pub fn status(&self) -> Value {
        self.json(&["status"])
    }

    /// The rows of `peers`.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    #[must_use]
    pub fn peers(&self) -> Vec<Value> {
        self.json(&["peers"]).get("peers").and_then(Value::as_array).expect("a listing").clone()
    }

    /// The row of `peers` of one member.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    #[must_use]
    pub fn peer(&self, name: &str) -> Option<Value> {
        self.peers().into_iter().find(|row| row.get("name").is_some_and(|found| found == name))
    }

    /// Names of those it is linked to, sorted.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    #[must_use]
    pub fn linked(&self) -> Vec<String> {
        linked(&self.status())
    }

    /// Waits until it has so many links or more.
    ///
    /// # Panics
    /// If it does not come to that.
    #[track_caller]
    pub fn wait_for_links(&self, count: usize) {
        let goal = format!("peers={count}");
        let answer = self.ask(&["wait", "--for", &goal, "--timeout", "30s"]);
        assert_eq!(answer.code, Some(0), "{}: {goal}: {}", self.name, answer.stderr);
    }

    /// Waits until its links are just those to the members of these names.
    ///
    /// # Panics
    /// If it does not come to that.
    #[track_caller]
    pub fn wait_until_linked_to(&self, names: &[&str]) {
        let mut wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        wanted.sort();
        until(&format!("{} is linked to {wanted:?}", self.name), || {
            let linked = linked(&self.try_json(&["status"])?);
            if linked == wanted { Ok(()) } else { Err(format!("{linked:?}")) }
        });
    }

    /// Waits until its ring is closed with so many members.
    ///
    /// # Panics
    /// If it does not come to that.
    #[track_caller]
    pub fn wait_for_ring(&self, length: usize) {
        until(&format!("{} sees a closed ring of {length}", self.name), || {
            let status = self.try_json(&["status"])?;
            let ring = status.get("ring").cloned().unwrap_or_default();
            let closed = ring.get("complete").is_some_and(|complete| complete == true);
            let right = ring.get("length").is_some_and(|found| *found == length);
            if closed && right { Ok(()) } else { Err(ring.to_string()) }
        });
    }

    /// Writes to the chat; the document of the answer.
    ///
    /// # Panics
    /// If it does not answer.
    #[track_caller]
    #[must_use]
    pub fn chat(&self, text: &str) -> Value {
        self.json(&["chat", "send", text])
    }

    /// Writes to the chat a message that all of so many others must get.
    ///
    /// # Panics
    /// If they do not.
    #[track_caller]
    pub fn chat_to(&self, text: &str, others: usize) {
        let said = self.ask(&["chat", "send", text]).done();
        assert_eq!(said.trim(), format!("delivered to {others}"), "{}: {text:?}", self.name);
    }

    /// Waits until a text is in its history, once; its row.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn read(&self, text: &str) -> Value {
        until(&format!("{} reads {text:?}", self.name), || {
            let history = self.try_json(&["chat", "history"])?;
            let messages = history.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
            let mut found = messages.iter().filter(|message| message.get("text").is_some_and(|found| found == text));
            match (found.next(), found.next()) {
                (Some(message), None) => Ok(message.clone()),
                (Some(_), Some(_)) => panic!("{}: twice: {text:?}", self.name),
                (None, _) => Err(format!("{} messages", messages.len())),
            }
        })
    }
}

fn linked(status: &Value) -> Vec<String> {
    let links = status.get("links").and_then(Value::as_array).expect("links");
    let mut names: Vec<String> = links.iter().filter_map(|link| Some(link.get("name")?.as_str()?.to_owned())).collect();
    names.sort();
    names
}
