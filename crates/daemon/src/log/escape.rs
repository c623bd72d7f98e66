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
    let before = std::iter::once(None).chain(text.chars().map(Some));
    let judged = text.chars().zip(before).map(|(c, before)| (c, harmful(c) && !is_selector_of(before, c)));
    if !judged.clone().any(|(_, is_harmful)| is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for (c, is_harmful) in judged {
        if is_harmful { push_escaped(&mut escaped, c) } else { escaped.push(c) }
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

/// Control characters of both blocks, breaks of lines, and whatever shows nothing by itself: what Unicode calls
/// `Default_Ignorable_Code_Point` (marks of direction, joiners, fillers, selectors, tags), marks around annotations, and
/// the empty pattern of braille.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
        || matches!(c, '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}')
        || matches!(c, '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// One selector behind a sign that can be an emoji says whether it is one: keycaps, signs, pictures.
fn is_selector_of(before: Option<char>, c: char) -> bool {
    let is_sign = |sign: char| {
        matches!(sign, '#' | '*' | '0'..='9' | '\u{a9}' | '\u{ae}')
            || matches!(sign, '\u{203c}'..='\u{3299}' | '\u{1f000}'..='\u{1faff}') && !is_harmful(sign)
    };
    matches!(c, '\u{fe0e}' | '\u{fe0f}') && before.is_some_and(is_sign)
}
