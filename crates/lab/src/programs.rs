//! Where the built programs are, and which tools of the system there are.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::skipped;

/// The folder with the built programs.
///
/// # Panics
/// If they are not built.
#[must_use]
pub fn bin_dir() -> PathBuf {
    if let Some(folder) = std::env::var_os("MESHLINE_BIN_DIR") {
        return folder.into();
    }
    // This is target/<profile>/deps/it-…, or target/<profile>/deps/rustdoc….
    let here = std::env::current_exe().expect("a test knows where it is");
    here.parent().and_then(|deps| deps.parent()).map(PathBuf::from).expect("a test is in a target folder")
}

/// The path of a built program.
///
/// # Panics
/// If it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = bin_dir().join(name);
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    assert!(
        path.is_file(),
        "{} is not there. Build the programs first: cargo build --workspace --bins{release}",
        path.display()
    );
    path
}

/// A command in a clean environment: nothing of whoever runs the tests configures the programs.
pub(crate) fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MESHLINE_")) {
        command.env_remove(name);
    }
    command
}

/// Whether a program of the system is there.
#[must_use]
pub fn has_tool(name: &str) -> bool {
    let mut asked = Command::new("sh");
    asked.args(["-c", "command -v \"$1\"", "sh", name]).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// The path of a program of the system, those of its administrator too; `None`, said in a line, if it is not installed.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let others = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let found =
        std::env::split_paths(&folders).chain(others).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        skipped(&format!("there is no program {name}"));
    }
    found
}
