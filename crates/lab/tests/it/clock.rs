//! A member whose clock is wrong at boot: it is a member all the same.

use meshline_lab::{Process, Ring, Site, has_tool, program, skipped};

#[test]
fn a_clock_wrong_by_years_keeps_nobody_out() {
    if !has_tool("faketime") {
        skipped("there is no program faketime (Debian: apt-get install faketime)");
        return;
    }
    let ring = Ring::write("--nodes 4 --no-signal");
    let nodes = ring.start(3);
    for node in &nodes {
        node.wait_for_links(2);
    }
    for shift in ["-3y", "+3y"] {
        let late = ring.node(4);
        let mut command = Site::here().bound_command("faketime");
        command.args(["-m", "-f", shift]).arg(program("node")).arg("run").arg("--config").arg(late.config());
        let _process = Process::start(late.name(), command);
        late.wait_until_linked_to(&["bobby", "donald", "eddy"]);
        let offset = late.status()["time"]["offset_us"].as_i64().expect("a number");
        assert_eq!(offset > 0, shift.starts_with('-'), "{shift}: {offset} µs");
        assert!(offset.abs() > 90_000_000_000_000, "{shift}: {offset} µs");
        late.chat_to(&format!("what year is it? {shift}"), 3);
        nodes[0].chat_to(&format!("{shift}: another than yours"), 3);
    }
}
