use super::super::sleeps::check;
use super::lines;

const TEST: &str = "crates/net/tests/it/main.rs";

#[test]
fn a_fixed_sleep_in_a_test_is_named_however_it_was_imported() {
    assert_eq!(lines(check, TEST, "tokio::time::sleep(SECOND).await;"), [1]);
    assert_eq!(lines(check, TEST, "a();\nthread::sleep(SECOND);"), [2]);
    assert_eq!(lines(check, TEST, "sleep(SECOND).await;"), [1]);
    assert_eq!(lines(check, "crates/mesh/src/link/tests.rs", "sleep(SECOND);"), [1]);
    assert_eq!(lines(check, "crates/lab/src/host.rs", "sleep(SECOND);"), [1]);
}

#[test]
fn outside_tests_it_is_no_concern_of_this_rule() {
    assert!(lines(check, "crates/net/src/dial.rs", "tokio::time::sleep(delay).await;").is_empty());
}

#[test]
fn a_reason_on_the_line_or_above_it_excuses_it() {
    assert!(lines(check, TEST, "sleep(SECOND); // paced: one byte a second").is_empty());
    assert!(lines(check, TEST, "// paced: one byte a second\nsleep(SECOND);").is_empty());
    assert_eq!(lines(check, TEST, "sleep(SECOND); // paced:"), [1], "a reason must be given");
    assert_eq!(lines(check, TEST, "// paced: this one only\nsleep(A);\nsleep(B);"), [3]);
}

#[test]
fn a_name_of_our_own_is_not_the_runtimes_sleep() {
    assert!(lines(check, TEST, "clock.sleep(1);\nfn sleep() {}\nlet a = \"sleep(1)\"; nosleep(1);").is_empty());
}
