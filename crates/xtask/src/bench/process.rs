//! A process that is ended when it is not needed any more, and what it uses.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that runs until this is dropped.
pub(super) struct Running(Child);

impl Running {
    /// Starts it, silent.
    pub(super) fn start(command: &mut Command) -> Result<Self, String> {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let name = quiet.get_program().to_string_lossy().into_owned();
        quiet.spawn().map(Self).map_err(|error| format!("{name} cannot be started: {error}"))
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal, named as `kill` wants it; one that is gone already does not mind.
    pub(super) fn signal(&self, signal: &str) -> Result<(), String> {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).stderr(Stdio::null()).status();
        status.map(drop).map_err(|error| format!("kill cannot be started: {error}"))
    }

    /// Asks it to end and waits until it has.
    pub(super) fn terminate(mut self) -> Result<(), String> {
        self.signal("-TERM")?;
        wait("a program ends", Duration::from_millis(10), || self.0.try_wait().is_ok_and(|status| status.is_some()))
    }

    /// Processor time so far in seconds, of all threads that still run: /proc/PID/stat counts the same in steps of
    /// ten milliseconds, which fifty processes would add up to half a second.
    pub(super) fn cpu_s(&self) -> f64 {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.0.id())) else { return 0.0 };
        let of_one = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        };
        threads.flatten().filter_map(of_one).sum::<f64>() / 1e9
    }

    /// Resident memory in MiB.
    pub(super) fn rss_mib(&self) -> f64 {
        self.status_mib("VmRSS:")
    }

    /// The most it ever was, in MiB.
    pub(super) fn peak_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, key: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.map(|line| line.trim().trim_end_matches(" kB"));
        kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
    }
}

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever ended by itself has nothing left to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks again and again until something holds.
pub(super) fn wait(what: &str, pause: Duration, holds: impl FnMut() -> bool) -> Result<(), String> {
    wait_longer(what, (pause, PATIENCE), holds)
}

/// The same, for what takes longer: the pause between two looks, and when to give up.
pub(super) fn wait_longer(
    what: &str,
    (pause, patience): (Duration, Duration),
    mut holds: impl FnMut() -> bool,
) -> Result<(), String> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > patience {
            return Err(format!("{what}: not within {} s", patience.as_secs()));
        }
        std::thread::sleep(pause);
    }
    Ok(())
}
