//! What the figures were measured on.

use std::fs;
use std::process::Command;

use super::output;

/// A line of facts.
pub(super) fn describe() -> String {
    let date = output(Command::new("date").arg("-I")).unwrap_or_default();
    let rustc = output(Command::new("rustc").arg("--version")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = text("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    format!(
        "{}: {}, {cores} cores, {:.1} GiB, Linux {}, {}, load average {load}",
        date.trim(),
        after("/proc/cpuinfo", "model name"),
        memory_gib(),
        text("/proc/sys/kernel/osrelease").trim(),
        rustc.split(" (").next().unwrap_or_default().trim(),
    )
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What stands behind a name and a colon.
fn after(path: &str, name: &str) -> String {
    let text = text(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim());
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn memory_gib() -> f64 {
    let kib = after("/proc/meminfo", "MemTotal");
    kib.trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0 / 1024.0
}
