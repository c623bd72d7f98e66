//! Which cores the two processes of an echo run on.
//!
//! Left alone the system puts them on one core or on two, differently for each pair and each minute, and a wake-up
//! across cores costs more than a whole echo. So both are measured.

use std::fs;
use std::process::{Command, Stdio};

/// Where this process and the others run.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) name: &'static str,
    /// Our core and that of the others; `None` leaves it to the system.
    cores: Option<(usize, usize)>,
}

/// Two cores and one, if this machine lets us choose.
pub(crate) fn placements() -> Vec<Placement> {
    match allowed_cores().as_slice() {
        [first, .., last] if pin(std::process::id(), *first) => vec![
            Placement { name: "two cores", cores: Some((*first, *last)) },
            Placement { name: "one core", cores: Some((*first, *first)) },
        ],
        _ => vec![Placement { name: "any core", cores: None }],
    }
}

impl Placement {
    pub(crate) fn apply(&self, others: &[u32]) {
        let Some((ours, theirs)) = self.cores else { return };
        assert!(pin(std::process::id(), ours), "taskset");
        assert!(others.iter().all(|pid| pin(*pid, theirs)), "taskset");
    }
}

/// Keeps a process on one core, if there is `taskset` to do it with.
fn pin(pid: u32, core: usize) -> bool {
    let mut command = Command::new("taskset");
    command.args(["-a", "-c", "-p", &core.to_string(), &pid.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// From lists such as `0-3,8`.
fn allowed_cores() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}
