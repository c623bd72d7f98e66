//! What the documentation tells people to do, done: the client in a shell, and the script of the README.

use std::path::{Path, PathBuf};

use meshline_lab::{Answer, Lab, Ring, Site, bin_dir, has_tool, skipped};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn a_client_in_a_shell_joins_and_chats() {
    if !has_tool("openssl") || !has_tool("bash") {
        return skipped("there is no openssl or no bash");
    }
    let ring = Ring::write("--nodes 2 --open --network-name by-hand --no-signal");
    let nodes = ring.start(2);
    for node in &nodes {
        node.wait_for_links(1);
    }
    let mut command = Site::here().bound_command(repository().join("docs/examples/by-hand.sh"));
    command.args([&format!("127.0.0.1:{}", ring.port(1)), "by-hand", "hello by hand"]);
    let answer = Answer::of(command);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    for node in &nodes {
        let message = node.read("hello by hand");
        let name = message["name"].as_str().expect("text");
        assert!(name.starts_with("by-hand~"), "claimed, not proved: {name}");
        node.wait_for("has left");
    }
}

/// The script with a folder of its own. Ends its ring, whatever becomes of the test.
struct Down<'a>(&'a Site, &'a Path);

impl Down<'_> {
    fn ring(&self, words: &[&str]) -> Answer {
        // Where the site is, all ports are free.
        let mut command = self.0.command("env");
        command.arg(format!("MESHLINE_BIN={}", bin_dir().display()));
        command.arg(format!("MESHLINE_RING_DIR={}", self.1.display()));
        command.arg(repository().join("scripts/ring.sh")).args(words);
        Answer::of(command)
    }
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let _ = self.ring(&["down"]);
    }
}

#[test]
fn the_script_of_the_readme_brings_a_ring_up_and_down() {
    let Some(lab) = Lab::new() else { return };
    let site = lab.site();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().join("ring");
    let script = Down(&site, &folder);
    for (flags, count) in [(&["up", "5"][..], 6), (&["up", "3", "--topology", "ring", "--no-signal"], 3)] {
        let up = script.ring(flags).done();
        assert!(up.contains(&format!("started {count} processes")), "{up}");
        assert!(up.contains("hello from node 1") && up.contains("next, try: "), "{up}");
        script.ring(&["kill", "2"]).done();
        assert!(script.ring(&["status"]).done().contains("not running"));
        script.ring(&["start", "2"]).done();
        assert!(!script.ring(&["status"]).done().contains("not running"));
        let down = script.ring(&["down"]).done();
        assert!(down.contains(&format!("ended {count} processes")), "{down}");
    }
}
