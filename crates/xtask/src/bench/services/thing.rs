//! `cargo xtask thing`: records anew what an idle view for small devices uses of its program, builds it with that side by
//! side and measures it. A recording is good for the code that it was made of alone, so this belongs to every release.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::idle;
use crate::bench::process::{Running, wait_longer};
use crate::bench::ring::Ring;
use crate::bench::scratch::Scratch;
use crate::bench::table::Row;
use crate::bench::{Bench, api, cargo, output, target};

/// With the same names of functions as `cargo thing` has them, but not stripped of them.
const WITH_NAMES: [&str; 8] = [
    "build",
    "--profile",
    "small",
    "-p",
    "view",
    "--no-default-features",
    "--config",
    "build.rustflags=['-Csymbol-mangling-version=v0', '-Cforce-unwind-tables=no']",
];

/// Under callgrind everything takes fifty times as long, the first handshakes above all.
const LINKED_WITHIN: Duration = Duration::from_secs(240);

/// Longer than any routine pauses.
const RECORDED: Duration = Duration::from_secs(100);

/// Records into `view/used.ld`, builds, and says what an idle one takes.
pub(in crate::bench) fn run(root: &Path, bench: &Bench) -> Result<Vec<Row>, String> {
    cargo(root, &WITH_NAMES)?;
    let program = target(root)?.with_file_name("small").join("view");
    let scratch = Scratch::new("thing")?;
    let recording = scratch.path().join("used.out");
    record(bench, &program, &recording)?;
    let script = root.join("scripts/used-functions.py");
    let list = output(Command::new(script).arg(&recording).arg(&program))?;
    let path = root.join("view/used.ld");
    fs::write(&path, list).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("{} is written", path.display());
    idle::thing(bench)
}

/// An idle view with two links under callgrind, from its start on.
fn record(bench: &Bench, program: &Path, recording: &Path) -> Result<(), String> {
    let ring = Ring::write(bench, 2, true)?;
    let _signal = ring.start_signal()?;
    let _nodes = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    ring.wait_linked()?;
    let out = format!("--callgrind-out-file={}", recording.display());
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--demangle=no", &out]).arg(program).args(["run", "--config"]);
    let view = Running::start(command.arg(ring.file("view.json")))?;
    let socket = ring.view_socket();
    let is_linked = || api::links(&socket) == 2;
    wait_longer("the view has its links", (Duration::from_secs(1), LINKED_WITHIN), is_linked)?;
    println!("recording an idle view for {} s", RECORDED.as_secs());
    std::thread::sleep(RECORDED);
    view.terminate()
}
