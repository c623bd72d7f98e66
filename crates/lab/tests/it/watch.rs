//! `watch` on a real terminal: what it shows, that it does what keys say, and that the terminal is as it was afterwards.

use std::path::PathBuf;
use std::process::Command;

use meshline_lab::{Member, Ring, bin_dir, has_tool, skipped, until};
use serde_json::json;
use tempfile::TempDir;

use crate::ledger::{EASY, PASSPHRASE};

/// A terminal in which a shell runs one command, on a server of its own that ends with this.
struct Terminal {
    folder: TempDir,
}

impl Terminal {
    /// `None`, said in a line, where there is no tmux.
    fn open(columns: u16, rows: u16, command: &str) -> Option<Self> {
        if !has_tool("tmux") {
            skipped("there is no tmux");
            return None;
        }
        let terminal = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        // The shell stays, so that what is left on the terminal can be read.
        let script = format!("stty -a > before; {command}; echo \"ended with $?\"; stty -a > after; exec cat");
        let mut tmux = terminal.command();
        tmux.args(["-f", "/dev/null", "new-session", "-d", "-x", &columns.to_string(), "-y", &rows.to_string(), "-c"]);
        tmux.arg(terminal.folder.path()).args(["sh", "-c", &script]);
        assert!(tmux.status().expect("it starts").success(), "tmux starts");
        Some(terminal)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        let names = std::env::vars().map(|(name, _)| name);
        for name in names.filter(|name| name.starts_with("MESHLINE_") || name.starts_with("TMUX")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8").arg("-u").arg("-S").arg(self.folder.path().join("tmux"));
        command
    }

    fn tmux(&self, words: &[&str]) -> String {
        let output = self.command().args(words).output().expect("it starts");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn write(&self, text: &str) {
        self.press(&["-l", text]);
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        until(&format!("the screen shows {text:?}"), || {
            let screen = self.screen();
            if screen.contains(text) { Ok(()) } else { Err(format!("\n{screen}")) }
        });
    }

    /// After the command has ended with this code: the terminal is as it was.
    #[track_caller]
    fn is_given_back(&self, code: i32) {
        self.shows(&format!("ended with {code}"));
        let read = |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let after = until("the settings of the terminal", || {
            Some(read("after")).filter(|text| !text.is_empty()).ok_or_else(String::new)
        });
        assert_eq!(read("before"), after, "raw or not, echo or not");
        assert!(!self.screen().contains("Members"), "the other screen is left: {}", self.screen());
        assert_eq!(self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.command().arg("kill-server").output();
    }
}

fn watch(member: &Member, program: &str, flags: &str) -> String {
    let program: PathBuf = bin_dir().join(program);
    format!("{} watch --config {} {flags}", program.display(), member.config().display())
}

#[test]
fn a_view_is_watched_on_80_by_24_and_on_more() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let shop = json!({"name": "shop", "kind": "_http._tcp", "target": "tcp://127.0.0.1:9", "allow": ["*"]});
    ring.configure(2, &json!({"expose": [shop]}));
    let nodes = ring.start(2);
    let mut view = ring.view();
    view.start();
    view.wait_until_linked_to(&["bobby", "donald"]);
    let Some(terminal) = Terminal::open(80, 24, &watch(&view, "view", "")) else { return };
    for text in ["2 links · 3 members", "bobby", "donald", "directly", "● live", "q quit"] {
        terminal.shows(text);
    }
    terminal.press(&["2"]);
    for text in ["LINK TO", "GOODPUT"] {
        terminal.shows(text);
    }
    terminal.press(&["Enter"]);
    terminal.shows("127.0.0.1:");
    terminal.press(&["Escape"]);
    terminal.press(&["3"]);
    for text in ["BY WAY OF", "its link"] {
        terminal.shows(text);
    }
    terminal.press(&["5"]);
    for text in ["SERVICE", "shop", "_http._tcp", "donald"] {
        terminal.shows(text);
    }
    // What happened before it began is there, too, among the ways that were found.
    terminal.press(&["6", "/"]);
    terminal.write("is ");
    terminal.press(&["Enter"]);
    for text in ["link to bobby is up", "link to donald is up", "shop (_http._tcp) of donald is offered"] {
        terminal.shows(text);
    }
    // A message there and one back.
    terminal.press(&["m"]);
    terminal.write("typed on a terminal, ёж 🦔");
    terminal.press(&["Enter"]);
    terminal.shows("[delivered to 2 of 2]");
    nodes[0].read("typed on a terminal, ёж 🦔");
    nodes[1].chat_to("to whoever watches", 2);
    terminal.shows("donald: to whoever watches");
    terminal.press(&["Escape"]);
    terminal.tmux(&["resize-window", "-x", "120", "-y", "40"]);
    for text in ["2 Links 2", "1 Members 3", "3 Routes", "4 Chat", "6 Events", "r ask now"] {
        terminal.shows(text);
    }
    terminal.tmux(&["resize-window", "-x", "30", "-y", "8"]);
    terminal.shows("at least 40×10");
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.shows("● live");
    // Drawn anew, and back from the shell: only then does it draw again.
    terminal.press(&["1"]);
    terminal.shows("MEMBER");
    terminal.press(&["C-l"]);
    terminal.press(&["C-z"]);
    terminal.press(&["2"]);
    terminal.shows("LINK TO");
    terminal.press(&["q"]);
    terminal.is_given_back(0);
}

#[test]
fn the_tip_of_a_ledger_is_shown_on_80_by_24() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let mut node = ring.node(1);
    node.ask_with(PASSPHRASE.0, PASSPHRASE.1);
    let _ = node.json(&["ledger", "create", "--preset", "test", "--bits", EASY]);
    node.start();
    let mut other = ring.node(2);
    other.start();
    node.wait_until_linked_to(&["donald"]);
    let kept = node.json(&["ledger", "status"]);
    let document = node.json(&["watch", "--once"]);
    assert_eq!((&document["ledger"]["tip"], document["faults"].get("ledger")), (&kept["tip"], None), "{document}");
    let Some(terminal) = Terminal::open(80, 24, &watch(&node, "node", "")) else { return };
    let tip = kept["tip"].as_str().expect("a name");
    terminal.shows(&format!("ledger {} …{}", kept["height"], &tip[tip.len() - 8..]));
}

#[test]
fn a_member_that_hangs_dies_and_comes_back_is_shown_as_that() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let mut nodes = ring.start(2);
    super::all_linked(&nodes);
    let Some(terminal) = Terminal::open(80, 24, &watch(&nodes[0], "node", "--panel links")) else { return };
    terminal.shows("donald");
    nodes[0].process().signal("STOP");
    terminal.shows("s old");
    terminal.shows("no answer in time");
    // Nothing waits for it: keys do what they do.
    terminal.press(&["1"]);
    terminal.shows("MEMBER");
    nodes[0].process().signal("CONT");
    terminal.shows("● live");
    nodes[0].process_mut().kill();
    terminal.shows("no member is running here");
    terminal.shows("donald");
    nodes[0].start();
    terminal.shows("● live");
    terminal.shows("directly");
    let pid = terminal.tmux(&["display-message", "-p", "#{pane_pid}"]);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pid.trim())).expect("a shell");
    let killed = Command::new("kill").arg("-TERM").arg(children.trim()).status().expect("it starts");
    assert!(killed.success(), "{children}");
    terminal.is_given_back(0);
}

#[test]
fn once_is_for_scripts() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let shop = json!({"name": "shop", "kind": "_http._tcp", "target": "tcp://127.0.0.1:9", "allow": ["*"]});
    ring.configure(2, &json!({"expose": [shop]}));
    let nodes = ring.start(2);
    super::all_linked(&nodes);
    nodes[1].chat_to("said before", 1);
    let document = until("the directory has what donald offers", || {
        let document = nodes[0].try_json(&["watch", "--once"])?;
        if document["services"][0]["name"] == "shop" { Ok(document) } else { Err(document.to_string()) }
    });
    assert_eq!(document["schema"], "meshline/watch/1");
    assert_eq!(document["status"]["name"], "bobby");
    assert_eq!(document["status"]["links"][0]["name"], "donald");
    assert_eq!(document["peers"][0]["name"], "donald");
    for listing in ["routes", "messages", "events"] {
        assert!(document[listing].is_array(), "{listing}: {document}");
    }
    let events = document["events"].as_array().expect("checked");
    let has = |name: &str, of: &str| events.iter().any(|event| event["event"] == name && event["data"]["name"] == of);
    assert!(has("link_up", "donald") && has("service_added", "shop"), "{document}");
    assert!(events.iter().all(|event| event["time"].is_string() && event["event"] != "chat"), "{document}");
    let missing: Vec<&String> = document["faults"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    assert_eq!(missing, ["ledger"], "this node has none: {document}");
    let text = nodes[0].ask(&["watch", "--once"]).done();
    for part in ["LINK TO", "donald", "shop", "said before", "link to donald is up"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let nowhere = nodes[0].ask(&["watch"]);
    assert_eq!(nowhere.code, Some(2), "no terminal: {nowhere:?}");
    assert!(nowhere.stderr.contains("--once"), "{nowhere:?}");
    let nobody = ring.node(1);
    drop(nodes);
    let answer = nobody.ask(&["watch", "--once", "--json"]);
    assert_eq!(answer.code, Some(3), "{answer:?}");
}
