use std::error::Error;

use super::{Exit, Stop, told};

#[test]
fn the_codes_are_those_of_the_contract() {
    let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::NoDaemon, Exit::NoPeer, Exit::Refused];
    assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_code_of_an_error_is_found_among_its_causes() {
    let inner = Stop::new(Exit::NoPeer, "no such peer");
    let outer = std::fmt::Error;
    let chain: [&(dyn Error + 'static); 2] = [&outer, &inner];
    assert_eq!(Exit::of(chain.into_iter()), Exit::NoPeer);
}

#[test]
fn an_error_without_a_code_is_a_failure() {
    let error: &(dyn Error + 'static) = &std::fmt::Error;
    assert_eq!(Exit::of(std::iter::once(error)), Exit::Failed);
}

#[test]
fn a_cause_that_was_said_already_is_not_said_again() {
    let missing = || crate::files::read(std::path::Path::new("/nonexistent/file")).expect_err("it is not there");
    let alone = told(anyhow::Error::from(missing()).chain());
    assert_eq!(alone, "/nonexistent/file: cannot read: No such file or directory (os error 2)");
    let within = told(anyhow::Error::from(missing()).context("no key").chain());
    assert_eq!(within, format!("no key: {alone}"));
}
