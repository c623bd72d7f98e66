//! A member whose clock is wrong at boot: it is a member all the same, and how wrong it is, is told with a bound.

use std::path::PathBuf;

use meshline_lab::{Cable, Direction, Lab, Member, Ring, skipped, until};
use serde_json::Value;

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

/// One way there, and back: so the middle of a round trip, which the clock is taken to be read at, is off by 18 ms.
const THERE_MS: u64 = 40;
const BACK_MS: u64 = 4;

/// The link of a member with the other of two.
fn link(member: &Member, name: &str) -> Result<Value, String> {
    let status = member.try_json(&["status"])?;
    let link = status["links"].as_array().into_iter().flatten().find(|link| link["name"] == name).cloned();
    link.ok_or_else(|| format!("no link to {name}: {status}"))
}

/// Waits until the other's clock is told with a bound as good as wanted; never may the truth be beyond the bound told.
#[track_caller]
fn tells(member: &Member, name: &str, truth_us: i64) {
    until("the bound is half of a round trip and a millisecond", || {
        let link = link(member, name)?;
        let of = |what: &str| link[what].as_i64().ok_or_else(|| format!("no {what}: {link}"));
        let (offset, error, rtt) = (of("clock_offset_us")?, of("clock_error_us")?, of("min_rtt_us")?);
        assert!((offset - truth_us).abs() <= error, "{truth_us} µs are not {offset} ± {error} µs");
        if error > rtt / 2 + 1_000 {
            return Err(format!("{error} µs at a round trip of {rtt} µs"));
        }
        eprintln!("{}: {offset} µs ± {error} µs, off by {} µs; round trip {rtt} µs", member.name(), offset - truth_us);
        Ok(())
    });
}

#[test]
fn over_a_lopsided_cable_the_true_offset_is_within_the_bound_and_the_bound_is_half_of_the_round_trip() {
    let Some(lab) = Lab::with_cables() else { return };
    for (by, truth_us) in [("+37.25", 37_250_000), ("-0.5", -500_000), ("+365d", 365 * 86_400 * 1_000_000)] {
        let sites = [lab.site_apart(), lab.site_apart()];
        let mut cable = lab.cable(&sites[0], &sites[1], Cable::new());
        cable.set(Direction::Forth, Cable::new().delay_ms(THERE_MS));
        cable.set(Direction::Back, Cable::new().delay_ms(BACK_MS));
        let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
        let (mut right, mut wrong) = (ring.node(1), ring.node(2));
        if !shift(&mut wrong, by) {
            return;
        }
        right.start();
        wrong.start();
        // A clock that is a year ahead keeps nobody out: two members alone cannot tell which of them is right.
        right.wait_until_linked_to(&[wrong.name()]);
        wrong.wait_until_linked_to(&[right.name()]);
        tells(&right, wrong.name(), truth_us);
        tells(&wrong, right.name(), -truth_us);
        right.chat_to(&format!("what time is it? {by}"), 1);
        wrong.chat_to(&format!("another one: {by}"), 1);
    }
}
