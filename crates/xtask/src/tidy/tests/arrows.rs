//! The arrows, fed with documents of the shape that `cargo metadata` prints.

use serde_json::{Value, json};

use super::super::arrows::findings;

/// A package as cargo describes it; `needs` names normal dependencies.
fn package(name: &str, folder: &str, needs: &[&str]) -> Value {
    let needs: Vec<Value> = needs.iter().map(|name| json!({"name": name, "kind": null})).collect();
    json!({"name": name, "manifest_path": format!("/w/{folder}/Cargo.toml"), "dependencies": needs})
}

fn judge(package: &Value) -> Vec<String> {
    let metadata = json!({"workspace_root": "/w", "packages": [package]});
    findings(&metadata).unwrap().iter().map(ToString::to_string).collect()
}

fn library(name: &str, needs: &[&str]) -> Vec<String> {
    judge(&package(&format!("meshline-{name}"), &format!("crates/{name}"), needs))
}

#[test]
fn every_arrow_of_the_house_is_allowed() {
    let mut left: Vec<String> = Vec::new();
    for layer in [
        vec!["protocol"],
        vec!["identity"],
        vec!["mesh"],
        vec!["services", "ledger", "tunnel"],
        vec!["net", "sim"],
        vec!["gateway"],
        vec!["daemon"],
        vec!["watch"],
        vec!["lab"],
    ] {
        let needs: Vec<&str> = left.iter().map(String::as_str).collect();
        for name in &layer {
            assert!(library(name, &needs).is_empty(), "{name} {needs:?}");
        }
        left.extend(layer.iter().map(|name| format!("meshline-{name}")));
    }
    assert!(judge(&package("node", "node", &["meshline-daemon", "meshline-protocol", "clap"])).is_empty());
}

#[test]
fn nothing_points_back_or_sideways() {
    for (user, used) in [
        ("protocol", "identity"),
        ("mesh", "net"),
        ("services", "ledger"),
        ("ledger", "services"),
        ("net", "sim"),
        ("sim", "net"),
        ("net", "daemon"),
        ("daemon", "lab"),
        ("daemon", "xtask"),
        ("xtask", "protocol"),
    ] {
        let found = library(user, &[&format!("meshline-{used}")]);
        let expected =
            format!("crates/{user}/Cargo.toml: `{user}` may not use `{used}`: the arrows point the other way");
        assert_eq!(found, [expected]);
    }
}

#[test]
fn programs_never_use_programs() {
    assert_eq!(judge(&package("view", "view", &["node"])).len(), 1);
    assert_eq!(library("daemon", &["node"]).len(), 1);
    assert!(library("lab", &["node"]).is_empty(), "the lab may");
}

#[test]
fn test_dependencies_follow_the_arrows_too() {
    let mut mesh = package("meshline-mesh", "crates/mesh", &[]);
    mesh["dependencies"] = json!([{"name": "meshline-sim", "kind": "dev"}]);
    assert_eq!(judge(&mesh).len(), 1);
}

#[test]
fn a_pure_crate_names_no_runtime_except_for_its_tests() {
    for name in ["tokio", "tokio-util", "hyper", "rustls", "mio", "socket2"] {
        assert_eq!(
            library("mesh", &[name]),
            [format!("crates/mesh/Cargo.toml: `mesh` is pure and may not use `{name}`")]
        );
        assert!(library("net", &[name]).is_empty());
    }
    assert!(library("identity", &["rustls-webpki", "thiserror"]).is_empty());
    let mut mesh = package("meshline-mesh", "crates/mesh", &[]);
    mesh["dependencies"] = json!([{"name": "tokio", "kind": "dev"}]);
    assert!(judge(&mesh).is_empty());
}

#[test]
fn an_unknown_or_misnamed_package_is_refused() {
    assert_eq!(library("helpers", &[]).len(), 1, "not in the layers");
    assert_eq!(judge(&package("mesh", "crates/mesh", &[])).len(), 1, "no prefix");
    assert_eq!(judge(&package("meshline-mesh", "crates/core", &[])).len(), 1, "another folder");
    assert_eq!(judge(&package("meshline-node", "node", &[])).len(), 1, "a program has no prefix");
}

#[test]
fn a_document_of_another_shape_is_an_error() {
    assert!(findings(&json!({"packages": []})).is_err());
}
