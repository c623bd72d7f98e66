//! Rule: a crate may use only what stands in a layer before its own, whatever the kind of dependency. Two crates of one
//! layer never see each other, and the pure crates cannot name a runtime, a socket or TLS.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Finding, PURE};
use crate::workspace::PROGRAMS;

/// `protocol → identity → mesh → services, ledger, tunnel → net, sim, wallet → gateway → daemon → watch → programs → lab`.
const LAYERS: &[&[&str]] = &[
    &["protocol"],
    &["identity"],
    &["mesh"],
    &["services", "ledger", "tunnel"],
    &["net", "sim", "wallet"],
    &["gateway"],
    &["daemon"],
    &["watch"],
    PROGRAMS,
    &["lab"],
];

/// Uses nothing of ours, so that it builds in a moment; nothing of ours uses it.
const ALONE: &str = "xtask";

/// What a pure crate may not depend on; a trailing dash stands for a whole family.
const IMPURE: &[&str] = &["tokio", "tokio-", "hyper", "hyper-", "rustls", "quinn", "mio", "socket2"];

const PREFIX: &str = "meshline-";

/// A package of the workspace and what its manifest names.
struct Package {
    name: String,
    folder: String,
    needs: Vec<Need>,
}

struct Need {
    name: String,
    for_tests: bool,
}

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, String> {
    findings(&manifests(root)?)
}

/// The manifests as cargo understands them, renamed and inherited dependencies resolved.
fn manifests(root: &Path) -> Result<Value, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// Judges the document that `cargo metadata` prints.
pub(super) fn findings(metadata: &Value) -> Result<Vec<Finding>, String> {
    let root = text(metadata, "workspace_root")?;
    let packages: Vec<Package> =
        list(metadata, "packages")?.iter().map(|package| read_package(package, root)).collect::<Result<_, _>>()?;
    Ok(packages.iter().flat_map(judge).collect())
}

fn judge(package: &Package) -> Vec<Finding> {
    let manifest = format!("{}/Cargo.toml", package.folder);
    let Some(name) = short_name(package) else {
        let message =
            format!("`{}` is not in the layers of crates/xtask/src/tidy/arrows.rs under this folder", package.name);
        return vec![Finding::new(&manifest, 0, message)];
    };
    let arrows = package.needs.iter().filter_map(|need| wrong_arrow(name, need));
    let runtimes = package.needs.iter().filter_map(|need| impure(name, need));
    arrows.chain(runtimes).map(|message| Finding::new(&manifest, 0, message)).collect()
}

/// The name used in the layers; `None` where package name, folder and layers do not agree.
fn short_name(package: &Package) -> Option<&str> {
    let name = package.name.strip_prefix(PREFIX).unwrap_or(&package.name);
    let (expected_folder, expected_name) = if PROGRAMS.contains(&name) {
        (name.to_owned(), name.to_owned())
    } else {
        (format!("crates/{name}"), format!("{PREFIX}{name}"))
    };
    let known = name == ALONE || layer(name).is_some();
    (known && package.folder == expected_folder && package.name == expected_name).then_some(name)
}

fn wrong_arrow(user: &str, need: &Need) -> Option<String> {
    let used = if PROGRAMS.contains(&need.name.as_str()) { &need.name } else { need.name.strip_prefix(PREFIX)? };
    let allowed = matches!((layer(user), layer(used)), (Some(from), Some(to)) if to < from);
    (!allowed).then(|| format!("`{user}` may not use `{used}`: the arrows point the other way"))
}

fn impure(user: &str, need: &Need) -> Option<String> {
    let banned =
        IMPURE.iter().any(|banned| need.name == *banned || (banned.ends_with('-') && need.name.starts_with(banned)));
    (banned && !need.for_tests && PURE.contains(&user))
        .then(|| format!("`{user}` is pure and may not use `{}`", need.name))
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn read_package(package: &Value, root: &str) -> Result<Package, String> {
    let manifest = text(package, "manifest_path")?;
    let folder = manifest.strip_suffix("/Cargo.toml").unwrap_or(manifest);
    let folder = folder.strip_prefix(root).unwrap_or(folder).trim_start_matches('/');
    let needs = list(package, "dependencies")?.iter().map(read_need).collect::<Result<_, _>>()?;
    Ok(Package { name: text(package, "name")?.to_owned(), folder: folder.to_owned(), needs })
}

fn read_need(dependency: &Value) -> Result<Need, String> {
    let for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
    Ok(Need { name: text(dependency, "name")?.to_owned(), for_tests })
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| format!("cargo metadata has no text `{key}`"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], String> {
    value
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .ok_or_else(|| format!("cargo metadata has no list `{key}`"))
}
