//! Where the workspace is and which files belong to it.

use std::fs;
use std::path::{Path, PathBuf};

/// The five programs, each a folder at the root.
pub(crate) const PROGRAMS: &[&str] = &["signal-server", "node", "view", "proxy", "config-tool"];

/// The nearest folder above the current one that holds this crate's sources.
pub(crate) fn root() -> Result<PathBuf, String> {
    let here = std::env::current_dir().map_err(|error| format!("no current folder: {error}"))?;
    here.ancestors()
        .find(|folder| folder.join("crates/xtask/Cargo.toml").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("{} is not inside the workspace", here.display()))
}

/// Every file below the root with one of these extensions, as sorted relative paths with `/`.
/// Hidden folders and build output (marked by cargo with CACHEDIR.TAG) are left out.
pub(crate) fn files(root: &Path, extensions: &[&str]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
            let entry = entry.map_err(|error| unreadable(&folder, &error))?;
            let kind = entry.file_type().map_err(|error| unreadable(&folder, &error))?;
            let path = entry.path();
            if kind.is_dir() && belongs(&path) {
                folders.push(path);
            } else if kind.is_file() && has_extension(&path, extensions) {
                found.push(relative(root, &path));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The text of one file below the root.
pub(crate) fn read(root: &Path, path: &str) -> Result<String, String> {
    let path = root.join(path);
    fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))
}

fn belongs(folder: &Path) -> bool {
    let hidden = folder.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && !folder.join("CACHEDIR.TAG").exists()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|have| extensions.iter().any(|want| have == *want))
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}
