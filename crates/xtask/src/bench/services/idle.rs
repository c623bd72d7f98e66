//! What a view with two links costs that has nothing to do, beside a mosquitto that has nothing to do: as it is released,
//! and as it is built for small devices.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::readings::Broker;
use crate::bench::process::{Running, wait};
use crate::bench::ring::Ring;
use crate::bench::scratch::Scratch;
use crate::bench::table::Row;
use crate::bench::{Bench, api, cargo, target};
use crate::workspace;

/// What is private of a process and what it shares with others, in MiB.
fn parts(pid: u32) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let of = |key: &str| -> f64 {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key));
        let kib = lines.filter_map(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kib.sum::<f64>() / 1024.0
    };
    (of("Anonymous:"), of("Rss:"))
}

/// As it is released.
pub(super) fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    measure(bench, &bench.bin.join("view"), "view")
}

/// As `cargo thing` builds it, which takes minutes where it was not built before.
pub(super) fn thing(bench: &Bench) -> Result<Vec<Row>, String> {
    let root = workspace::root()?;
    cargo(&root, &["thing"])?;
    measure(bench, &target(&root)?.with_file_name("small").join("view"), "view for small devices")
}

fn measure(bench: &Bench, program: &Path, what: &str) -> Result<Vec<Row>, String> {
    let ring = Ring::write(bench, 2, true)?;
    let _signal = ring.start_signal()?;
    let _nodes = ring.numbers().map(|number| ring.start(number)).collect::<Result<Vec<_>, _>>()?;
    ring.wait_linked()?;
    let view = Running::start(Command::new(program).args(["run", "--config"]).arg(ring.file("view.json")))?;
    let socket = ring.file("view.data/api.sock");
    wait("the view has its links", Duration::from_millis(10), || api::links(&socket) == 2)?;
    let scratch = Scratch::new("idle")?;
    let broker = Broker::start(&scratch)?;
    std::thread::sleep(Duration::from_secs(bench.size(15, 3) as u64));
    let seconds = bench.size(60, 3) as u64;
    let before = view.cpu_s();
    let broker_before = broker.as_ref().map(|broker| broker.running.cpu_s());
    std::thread::sleep(Duration::from_secs(seconds));
    let share = |used: f64| used / seconds as f64 * 100.0;
    let cpu = format!("{:.2} %", share(view.cpu_s() - before));
    let (anonymous, _) = parts(view.pid());
    let rss = format!("{:.1} MiB, {anonymous:.1} of them its own memory", view.rss_mib());
    println!("idle {what}: {rss}, {cpu} of a core");
    let mut rows = vec![
        Row::new(format!("RSS of an idle {what} with 2 links, after {} s", bench.size(75, 6)), rss, "≤ 8 MiB"),
        Row::new(format!("Processor of an idle {what} with 2 links, over {seconds} s"), cpu, "≤ 0.5 % of a core"),
    ];
    if let (Some(broker), Some(used)) = (&broker, broker_before) {
        let beside = [
            format!("mosquitto without clients: {:.1} MiB", broker.running.rss_mib()),
            format!("mosquitto without clients: {:.2} %", share(broker.running.cpu_s() - used)),
        ];
        rows = rows.into_iter().zip(beside).map(|(row, beside)| row.with(beside)).collect();
    }
    Ok(rows)
}
