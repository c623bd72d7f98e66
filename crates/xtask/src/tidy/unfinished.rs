//! Rule: nothing is left half done. An open question is an issue, not a mark in the sources.

use super::Finding;
use super::source::{Source, find_word, numbered};

const MACROS: &[&str] = &["todo!", "unimplemented!", "dbg!"];
const MARK: &str = "FIXME";

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let calls = numbered(&source.code).flat_map(|(line, code)| {
        MACROS.iter().filter(move |name| find_word(code, name).is_some()).map(move |name| (line, *name))
    });
    let marks = [&source.code, &source.comments]
        .into_iter()
        .flat_map(|view| numbered(view))
        .filter(|(_, text)| find_word(text, MARK).is_some())
        .map(|(line, _)| (line, MARK));
    calls.chain(marks).map(|(line, what)| Finding::new(&source.path, line, format!("`{what}` is left here"))).collect()
}
