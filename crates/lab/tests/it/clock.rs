//! A member whose clock is wrong at boot: it is a member all the same.

use std::path::PathBuf;

use meshline_lab::{Process, Ring, Site, program, skipped};

/// The library itself: its wrapper would stand between the test and the process.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let folders = folders.chain(["/usr/lib".into(), "/usr/local/lib".into()]);
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

#[test]
fn a_clock_wrong_by_years_keeps_nobody_out() {
    let Some(library) = libfaketime() else {
        return skipped("there is no libfaketime (Debian: apt-get install libfaketime)");
    };
    let ring = Ring::write("--nodes 4 --no-signal");
    let nodes = ring.start(3);
    for node in &nodes {
        node.wait_for_links(2);
    }
    for shift in ["-3y", "+3y"] {
        let wrong = ring.node(4);
        let mut command = Site::here().bound_command(program("node"));
        command.arg("run").arg("--config").arg(wrong.config());
        command.env("LD_PRELOAD", &library).env("FAKETIME", shift).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let _process = Process::start(wrong.name(), command);
        wrong.wait_until_linked_to(&["bobby", "donald", "eddy"]);
        let offset = wrong.status()["time"]["offset_us"].as_i64().expect("a number");
        assert_eq!(offset > 0, shift.starts_with('-'), "{shift}: {offset} µs");
        assert!(offset.abs() > 90_000_000_000_000, "{shift}: {offset} µs");
        wrong.chat_to(&format!("what year is it? {shift}"), 3);
        nodes[0].chat_to(&format!("not yours: {shift}"), 3);
    }
}
