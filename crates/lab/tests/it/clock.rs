//! A member whose clock is wrong at boot: it is a member all the same.

use std::path::PathBuf;

use meshline_lab::{Member, Ring, skipped};

/// The library itself: its wrapper would stand between the test and the process.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let folders = folders.chain(["/usr/lib".into(), "/usr/local/lib".into()]);
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

/// Shifts a member's clock from its next start on, by `+1y` and the like; `false`, said in a line, where that cannot
/// be done. What it measures times with goes on as it did.
pub(crate) fn shift(member: &mut Member, by: &str) -> bool {
    let Some(library) = libfaketime() else {
        skipped("there is no libfaketime (Debian: apt-get install libfaketime)");
        return false;
    };
    member.set_env("LD_PRELOAD", library);
    member.set_env("FAKETIME", by);
    member.set_env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    true
}

#[test]
fn a_clock_wrong_by_years_keeps_nobody_out() {
    let ring = Ring::write("--nodes 4 --no-signal");
    let nodes = ring.start(3);
    for node in &nodes {
        node.wait_for_links(2);
    }
    for by in ["-3y", "+3y"] {
        let mut wrong = ring.node(4);
        if !shift(&mut wrong, by) {
            return;
        }
        wrong.start();
        wrong.wait_until_linked_to(&["bobby", "donald", "eddy"]);
        let offset = wrong.status()["time"]["offset_us"].as_i64().expect("a number");
        assert_eq!(offset > 0, by.starts_with('-'), "{by}: {offset} µs");
        assert!(offset.abs() > 90_000_000_000_000, "{by}: {offset} µs");
        wrong.chat_to(&format!("what year is it? {by}"), 3);
        nodes[0].chat_to(&format!("not yours: {by}"), 3);
    }
}
