use super::super::clocks::check;
use super::lines;

#[test]
fn a_pure_crate_asks_for_neither_time_nor_chance() {
    for text in
        ["let t = Instant::now();", "std::time::SystemTime::now()", "rand::thread_rng()", "rand::rng().random()"]
    {
        assert_eq!(lines(check, "crates/mesh/src/link.rs", text), [1], "{text}");
    }
    assert_eq!(lines(check, "crates/ledger/src/chain/tests.rs", "\nInstant::now()"), [2], "tests are no exception");
}

#[test]
fn comments_and_other_crates_may_name_them() {
    assert!(lines(check, "crates/mesh/src/link.rs", "// never Instant::now\n/// `rand::rng()`").is_empty());
    assert!(lines(check, "crates/net/src/driver.rs", "Instant::now()").is_empty());
    assert!(lines(check, "node/src/main.rs", "Instant::now()").is_empty());
}
