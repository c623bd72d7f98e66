//! The scripts that start one peer each.

use std::path::{Path, PathBuf};

use super::plan::PlannedNode;

/// A program of meshline as a person would call it: by its path if it is beside this one, else by its name.
pub(super) fn callable(program: &str) -> PathBuf {
    let path = beside(program);
    if path.is_file() { path } else { PathBuf::from(program) }
}

/// The absolute path of a program beside this one, whether it is there yet or not.
pub(super) fn beside(program: &str) -> PathBuf {
    let here = std::env::current_exe().ok();
    let folder = here.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new("/usr/bin"));
    folder.join(program)
}

/// The script that starts a node. It works from any folder and wherever its own folder is copied to; on a
/// host where the program is elsewhere, `node` is looked up on the PATH (and Node.js told apart from it).
pub(super) fn start(node: &PlannedNode, program: &Path) -> String {
    let ports = match &node.next {
        Some(next) => format!("{} -> {}", node.listen.port(), next.port()),
        None => node.listen.port().to_string(),
    };
    let number = node.number;
    format!(
        r#"#!/bin/sh
# Starts peer {number}. Further arguments go to `node run`.
here=$(cd -- "$(dirname -- "$0")" && pwd) || exit 1
node={program}
if ! [ -f "$node" ] || ! [ -x "$node" ]; then
  node=$(command -v node) || {{ echo "$0: found no program 'node' of meshline, neither {shown} nor on the PATH" >&2; exit 1; }}
  case $("$node" --version 2>/dev/null) in
    v*) echo "$0: $node is Node.js; put the folder of meshline's node before it on the PATH" >&2; exit 1 ;;
  esac
fi
echo 'Starting peer {number} ({ports})'
exec "$node" run --config "$here/{config}" "$@"
"#,
        program = quoted(&program.to_string_lossy()),
        shown = program.display().to_string().replace(['"', '$', '`', '\\'], "?"),
        config = node.config(),
    )
}

/// A word of the shell, quoted only if it must be.
pub(super) fn word(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+' | '=' | ':'));
    if plain && !text.is_empty() { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
