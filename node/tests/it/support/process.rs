//! A process that ends with its test, with all it started, and whose last lines are shown if the test fails.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use tempfile::TempDir;

use super::wait::within;

/// Lines shown when a test fails.
const SHOWN: usize = 80;

/// A goodbye to everybody may take this long.
const FAREWELL: Duration = Duration::from_secs(5);

/// A process group of its own. What it writes goes to a file.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts a command of [`command`]; its output is added to the file.
    #[track_caller]
    pub(crate) fn start(name: &str, mut command: Command, output: &Path) -> Self {
        let file = File::options().create(true).append(true).open(output).expect("a file can be made");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a second handle")).stderr(file);
        let child = command.process_group(0).spawn().unwrap_or_else(|error| panic!("{name}: {command:?}: {error}"));
        Self { name: name.to_owned(), child, output: output.to_owned() }
    }

    /// All it has written.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// SIGKILL for the whole group.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself, and so may what it started.
        let _ = signal("KILL", &format!("-{}", self.child.id()));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGSTOP.
    #[track_caller]
    pub(crate) fn halt(&self) {
        assert!(signal("STOP", &self.child.id().to_string()), "{} ended before", self.name);
    }

    /// SIGCONT.
    #[track_caller]
    pub(crate) fn resume(&self) {
        assert!(signal("CONT", &self.child.id().to_string()), "{} ended before", self.name);
    }

    /// SIGTERM; it must end with exit code 0.
    #[track_caller]
    pub(crate) fn terminate(&mut self) {
        assert!(signal("TERM", &self.child.id().to_string()), "{} ended before", self.name);
        let status = within(FAREWELL, &format!("the end of {}", self.name), || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        assert!(status.success(), "{}: {status} after SIGTERM", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            let shown = lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default();
            eprintln!("--- {}: the last {} of {} lines\n{}", self.name, shown.len(), lines.len(), shown.join("\n"));
        }
    }
}

fn signal(signal: &str, target: &str) -> bool {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", signal, target]).stderr(Stdio::null());
    kill.status().is_ok_and(|status| status.success())
}

/// A command in a clean environment (nothing of whoever runs the tests configures the programs), killed with the
/// thread that starts it, however that ends.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    static BINDS: OnceLock<bool> = OnceLock::new();
    let mut command = if *BINDS.get_or_init(|| has_tool("setpriv")) {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MESHLINE_")) {
        command.env_remove(name);
    }
    command
}

/// What the folders of all runs begin with; the process id of the run follows.
const PREFIX: &str = "meshline-page-";

/// A folder that goes with the test, or, if that is killed, with the next run.
pub(crate) fn folder() -> TempDir {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(sweep);
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder")
}

fn sweep() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // It may be somebody else's, or swept by another run just now.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a program of the system is there.
pub(crate) fn has_tool(name: &str) -> bool {
    let mut asked = Command::new("sh");
    asked.args(["-c", "command -v \"$1\"", "sh", name]).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}
