//! Makes foreign text harmless in a line of text.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with control characters, line breaks, and marks that hide or turn text written out:
/// `\n`, `\t`, `\r`, and `\u{1b}` for the rest. Ordinary text comes back as it is.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_where(text, is_harmful)
}

/// As [`escape`], but line breaks stay.
pub(super) fn escape_lines(text: &str) -> Cow<'_, str> {
    escape_where(text, |c| c != '\n' && is_harmful(c))
}

fn escape_where(text: &str, harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) { push_escaped(&mut escaped, c) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

fn push_escaped(text: &mut String, c: char) {
    match c {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        // A String takes whatever is written into it.
        _ => drop(write!(text, "\\u{{{:x}}}", u32::from(c))),
    }
}

/// Control characters of both blocks; marks of direction, joiners and invisible characters; tags, which
/// carry hidden text.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
