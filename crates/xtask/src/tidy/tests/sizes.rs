use super::super::sizes::check;
use super::super::source::Source;
use super::lines;

fn blank_lines(count: usize) -> String {
    "\n".repeat(count)
}

fn function(lines: usize) -> String {
    format!("fn long() {{\n{}}}\n", blank_lines(lines - 2))
}

#[test]
fn a_file_may_have_600_lines_and_no_more() {
    assert!(lines(check, "crates/mesh/src/link.rs", &blank_lines(600)).is_empty());
    assert_eq!(lines(check, "crates/mesh/src/link.rs", &blank_lines(601)), [0]);
}

#[test]
fn a_dispatcher_a_program_and_a_test_have_limits_of_their_own() {
    for (path, limit) in [
        ("crates/mesh/src/link/mod.rs", 400),
        ("node/src/main.rs", 150),
        ("crates/lab/src/main.rs", 600),
        ("crates/mesh/src/link/tests.rs", 1000),
        ("crates/net/tests/it/mod.rs", 1000),
    ] {
        assert!(lines(check, path, &blank_lines(limit)).is_empty(), "{path}");
        assert_eq!(lines(check, path, &blank_lines(limit + 1)), [0], "{path}");
    }
}

#[test]
fn a_function_may_have_70_lines_and_120_in_a_test() {
    assert!(lines(check, "node/src/run.rs", &function(70)).is_empty());
    assert_eq!(lines(check, "node/src/run.rs", &function(71)), [1]);
    assert!(lines(check, "node/tests/it/main.rs", &function(120)).is_empty());
    assert_eq!(lines(check, "node/tests/it/main.rs", &function(121)), [1]);
}

#[test]
fn the_finding_names_the_function_and_the_limit() {
    let findings = check(&Source::new("node/src/run.rs", &function(71)));
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["node/src/run.rs:1: `long` has 71 lines, the limit is 70"]);
}
