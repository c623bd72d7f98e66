//! A view only connects out, and chats all the same.

use std::collections::BTreeSet;
use std::process::Command;

use meshline_lab::{Process, Ring, program, skipped, until};

/// Numbers of all TCP sockets that listen where this process is.
fn listening(pid: u32) -> BTreeSet<String> {
    let tables = ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")));
    let rows: Vec<String> =
        tables.into_iter().flatten().flat_map(|table| table.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let sockets = rows.iter().filter_map(|row| {
        let columns: Vec<&str> = row.split_whitespace().collect();
        (columns.get(3) == Some(&"0A")).then(|| (*columns.get(9).unwrap_or(&"")).to_owned())
    });
    sockets.collect()
}

/// Numbers of the sockets this process holds.
fn held(pid: u32) -> BTreeSet<String> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let number =
        |link: std::path::PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    links.filter_map(number).collect()
}

fn ports(process: &Process) -> usize {
    listening(process.pid()).intersection(&held(process.pid())).count()
}

#[test]
fn a_view_chats_on_a_mesh_and_listens_nowhere() {
    let ring = Ring::write("--nodes 2");
    let _signal = ring.start_signal();
    let nodes = ring.start(2);
    let mut view = ring.view();
    view.start();
    view.wait_until_linked_to(&["bobby", "donald"]);
    assert_eq!(ports(view.process()), 0);
    assert_eq!(ports(nodes[0].process()), 2, "a node listens for links and for its page: the count counts");
    view.chat_to("from the view", 2);
    nodes[1].read("from the view");
    nodes[0].chat_to("to the view", 2);
    view.read("to the view");
}

#[test]
fn a_view_chats_on_a_ring_and_listens_nowhere() {
    let ring = Ring::write("--nodes 3 --topology ring --no-signal");
    let nodes = ring.start(3);
    for node in &nodes {
        node.wait_for_ring(3);
    }
    let mut view = ring.view();
    view.start();
    view.wait_for_links(1);
    assert_eq!(ports(view.process()), 0);
    view.chat_to("from the view", 3);
    for node in &nodes {
        node.read("from the view");
        node.wait_for_ring(3);
    }
    // The message is back at its author when the ring has it; the view has it beside the ring.
    nodes[2].chat_to("to the view", 2);
    view.read("to the view");
}

#[test]
fn a_view_ends_when_the_terminal_is_gone_on_which_it_was_started() {
    if Command::new("script").arg("--version").output().is_err() {
        return skipped("script is not there, which makes a terminal (Debian: bsdutils)");
    }
    let ring = Ring::write("--nodes 1 --no-signal");
    let _nodes = ring.start(1);
    let view = ring.view();
    let run = format!("exec '{}' run --config '{}'", program("view").display(), view.config().display());
    let mut terminal = Command::new("script");
    terminal.args(["-q", "-c", &run, "/dev/null"]);
    let mut terminal = Process::start("terminal", terminal);
    view.wait_for_links(1);
    terminal.kill();
    until("nobody answers any more", || {
        let answer = view.ask(&["status"]);
        if answer.code == Some(3) { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}
