//! Where the passphrase comes from.

use std::io;

use meshline_wallet::Passphrase;
use meshline_wallet::ask::{AskError, passphrase};
use meshline_wallet::file::{Cost, FileError, Sealer};
use meshline_wallet::secrets::Secrets;

use crate::support::{Seeded, phrase};

/// Asks with these answers, and says which prompts were shown.
fn ask(variable: Option<&str>, is_new: bool, answers: &[&str]) -> (Result<Passphrase, AskError>, Vec<String>) {
    let (mut answers, mut prompts) = (answers.iter(), Vec::new());
    let result = passphrase(variable.map(str::to_owned), is_new, &mut |prompt| {
        prompts.push(prompt.to_owned());
        answers.next().map(|answer| (*answer).to_owned()).ok_or_else(|| io::Error::other("no terminal"))
    });
    (result, prompts)
}

/// Whether both open the same file.
fn is_same(one: &Passphrase, other: &str) -> bool {
    let mut random = Seeded::new(1);
    let sealer = Sealer::new(one, Cost::LEAST, &mut random).unwrap();
    let file = sealer.seal(&Secrets::new(&phrase()), &mut random).unwrap();
    Sealer::open(&file, &Passphrase::new(other.to_owned()).unwrap()).is_ok()
}

#[test]
fn the_variable_goes_before_asking() {
    for is_new in [false, true] {
        let (result, prompts) = ask(Some(" pass "), is_new, &[]);
        assert!(is_same(&result.unwrap(), " pass ") && prompts.is_empty());
    }
    let (result, prompts) = ask(Some(""), false, &["typed"]);
    assert!(matches!(result, Err(AskError::Bad(FileError::BadPassphrase))) && prompts.is_empty());
}

#[test]
fn what_is_typed_is_taken_without_the_end_of_its_line_alone() {
    for (typed, meant) in [("pass\n", "pass"), ("pass\r\n", "pass"), (" pass \n", " pass "), ("pass", "pass")] {
        let (result, prompts) = ask(None, false, &[typed]);
        assert!(is_same(&result.unwrap(), meant), "{typed:?}");
        assert_eq!(prompts, ["Passphrase: "]);
    }
    let (result, _) = ask(None, false, &["\n"]);
    assert!(matches!(result, Err(AskError::Bad(FileError::BadPassphrase))));
}

#[test]
fn a_new_one_is_typed_twice() {
    let (result, prompts) = ask(None, true, &["pass\n", "pass\n"]);
    assert!(is_same(&result.unwrap(), "pass"));
    assert_eq!(prompts, ["New passphrase: ", "Once more: "]);
    let (result, _) = ask(None, true, &["pass\n", "Pass\n"]);
    assert!(matches!(result, Err(AskError::Different)));
}

#[test]
fn where_nobody_can_be_asked_the_variable_is_named() {
    let (result, _) = ask(None, false, &[]);
    let error = result.unwrap_err().to_string();
    assert_eq!(error, "no passphrase: MESHLINE_WALLET_PASSPHRASE is not set, and nobody can be asked: no terminal");
}
