//! Rule: the crates whose results must be repeatable all have the same strict `clippy.toml`. Clippy reads the nearest
//! file and no other, so a crate without its own would silently fall back to the lenient one at the root.

use std::path::Path;

use super::{Finding, PURE};
use crate::workspace;

/// The copy that the others are compared with.
const MODEL: &str = "crates/protocol/clippy.toml";

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let model = workspace::read(root, MODEL)?;
    let folders = PURE.iter().chain(&["sim"]).map(|name| format!("crates/{name}"));
    let present = folders.filter(|folder| root.join(folder).join("Cargo.toml").is_file());
    let strayed = present.map(|folder| format!("{folder}/clippy.toml")).filter(|path| differs(root, path, &model));
    Ok(strayed.map(|path| Finding::new(&path, 0, format!("must be there and equal to {MODEL}"))).collect())
}

fn differs(root: &Path, path: &str, model: &str) -> bool {
    workspace::read(root, path).map_or(true, |text| text != model)
}
