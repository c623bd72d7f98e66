//! The script of the ledger's tutorial, and what it can do that the tutorial could not.

use std::path::Path;

use meshline_lab::{Answer, Lab, bin_dir, has_tool, skipped, soak};

/// Runs it on a host of its own, where all ports are free; what it said.
fn tutorial(variant: &[&str]) {
    if !has_tool("jq") || !has_tool("bash") {
        return skipped("there is no jq or no bash");
    }
    let Some(lab) = Lab::new() else { return };
    let site = lab.site();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = site.bound_command("env");
    command.arg(format!("MESHLINE_BIN={}", bin_dir().display()));
    command.arg(format!("MESHLINE_TUTORIAL_DIR={}", folder.path().join("tutorial").display()));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/ledger-tutorial.sh")).args(variant);
    let answer = Answer::of(command);
    assert_eq!(answer.code, Some(0), "{variant:?}: {}{}", answer.stdout, answer.stderr);
    let said: Vec<&str> = answer.stdout.lines().collect();
    let balances: Vec<&str> =
        said.iter().filter_map(|line| line.strip_prefix("Balance of ")?.split(' ').nth(1)).collect();
    // In step 2, and at the end.
    assert_eq!(balances, ["10", "10", "10", "9", "9", "1", "1", "10", "10"], "{}", answer.stdout);
    let nodes = 3 + usize::from(variant.contains(&"--reorganise")) - usize::from(variant.contains(&"--kill-first"));
    assert_eq!(said.last(), Some(&format!("tutorial: done: the same chain at {nodes} nodes").as_str()));
}

#[test]
fn nine_nine_one_one_ten_ten() {
    tutorial(&[]);
}

#[test]
fn the_same_with_the_first_node_killed_payments_from_two_sides_and_three_blocks_replaced() {
    tutorial(&["--kill-first", "--race", "--reorganise"]);
}

#[test]
fn the_same_with_each_of_them_alone() {
    if !soak() {
        return skipped("each variant alone is for MESHLINE_SOAK=1");
    }
    for variant in ["--kill-first", "--race", "--reorganise"] {
        tutorial(&[variant]);
    }
}
