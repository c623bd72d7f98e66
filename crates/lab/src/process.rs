//! A process of its own: what it writes, what it reads, and how it ends.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::log::Log;
use crate::wait::{PATIENCE, within};

/// How long what an ended process wrote may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program that runs. It is killed when dropped; if a test fails, its last lines are shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    log: Arc<Log>,
    readers: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts a command; `name` stands before its lines when a test fails. It ends with the calling thread.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {command:?}: {error}"));
        let log = Arc::new(Log::default());
        let readers =
            vec![log.follow(child.stdout.take().expect("piped")), log.follow(child.stderr.take().expect("piped"))];
        Self { name: name.to_owned(), stdin: child.stdin.take(), child, log, readers, ended: None }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that contains `text`, from the start on.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_after(0, text).1
    }

    /// How many lines there are by now: for [`Self::wait_after`].
    #[must_use]
    pub fn mark(&self) -> usize {
        self.log.len()
    }

    /// The lines from a mark on.
    #[must_use]
    pub fn since(&self, mark: usize) -> Vec<String> {
        self.log.since(mark)
    }

    /// All it wrote, each line with its time by the clock of all logs.
    #[must_use]
    pub fn told(&self) -> String {
        self.log.last(usize::MAX, &self.name)
    }

    /// Waits for a line that contains `text`, from a mark on; the mark behind it, and the line.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn wait_after(&self, mark: usize, text: &str) -> (usize, String) {
        self.wait_within(mark, text, PATIENCE)
    }

    /// As [`Self::wait_after`], with a limit of its own.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn wait_within(&self, mark: usize, text: &str, limit: Duration) -> (usize, String) {
        let found = self.log.wait(mark, limit, |line| line.contains(text));
        let (at, line) = found.unwrap_or_else(|| panic!("{}: no line {text:?} within {limit:?}", self.name));
        (at + 1, line)
    }

    /// Types a line.
    ///
    /// # Panics
    /// If the process does not read any more.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it was closed");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{}: cannot type {line:?}: {error}", self.name));
    }

    /// The end of the input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Ends it without a chance to say goodbye.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            // It may have ended by itself.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
        self.join();
    }

    /// Sends a signal by name, such as `TERM`.
    ///
    /// # Panics
    /// If it does not run any more.
    #[track_caller]
    pub fn signal(&self, signal: &str) {
        assert!(signal_pids(&[self.pid()], signal), "{}: not there for SIG{signal}", self.name);
    }

    /// Sends a signal by name to several at one instant.
    ///
    /// # Panics
    /// If one does not run any more.
    #[track_caller]
    pub fn signal_all(processes: &[&Self], signal: &str) {
        let pids: Vec<u32> = processes.iter().map(|process| process.pid()).collect();
        let names: Vec<&str> = processes.iter().map(|process| process.name.as_str()).collect();
        assert!(signal_pids(&pids, signal), "one of {names:?} is not there for SIG{signal}");
    }

    /// Asks it to end, and waits.
    ///
    /// # Panics
    /// If it does not end within five seconds, or not with exit code 0.
    #[track_caller]
    pub fn terminate(&mut self) -> Duration {
        let begin = Instant::now();
        self.signal("TERM");
        let code = self.wait(Duration::from_secs(5));
        assert_eq!(code, Some(0), "{}: the end after SIGTERM", self.name);
        begin.elapsed()
    }

    /// Waits for the end; the exit code, `None` if a signal ended it.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        let status = within(limit, &format!("the end of {}", self.name), || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        self.ended = Some(status);
        self.join();
        status.code()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Resident memory in KiB.
    ///
    /// # Panics
    /// If it does not run any more.
    #[must_use]
    pub fn rss_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// How long it has been on a processor, in all its threads.
    ///
    /// # Panics
    /// If it does not run any more.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let of = |thread: std::io::Result<std::fs::DirEntry>| {
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        };
        Duration::from_nanos(threads.filter_map(of).sum())
    }

    fn status_kib(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        number.unwrap_or_else(|| panic!("{}: no {key} in its status", self.name))
    }

    /// Once it has ended, all it wrote is there, unless it left somebody behind who holds its outputs.
    fn join(&mut self) {
        let begin = Instant::now();
        for reader in self.readers.drain(..) {
            while !reader.is_finished() && begin.elapsed() < LAST_WORDS {
                // paced: between two looks at a thread that is about to end
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Sends a signal by name to processes at one instant: to such as this one started and has not waited for, so that no
/// other has their number. Whether all were there.
#[must_use]
pub fn signal_pids(pids: &[u32], signal: &str) -> bool {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", pids.join(" "))]).status();
    sent.is_ok_and(|status| status.success())
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprint!("{}", self.log.tail(&self.name));
        }
    }
}
