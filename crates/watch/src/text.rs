//! Foreign text in cells of a terminal: harmless, and as wide as the terminal will draw it.
//!
//! Width is counted character by character, as cells are filled. What a terminal may join with its neighbour and draw
//! at another width (selectors, tones of skin, heaps of marks) is left out, so that a name never moves a border.

use meshline_daemon::log::escape;
use unicode_width::UnicodeWidthChar;

/// Marks over one character: Vietnamese and Hebrew need two. A heap of them would be drawn over the lines around it.
const MAX_MARKS: usize = 2;

/// Text on one line: control characters, line breaks and hidden marks are written out, and every character has the
/// width it is counted with.
#[must_use]
pub(crate) fn clean(text: &str) -> String {
    let mut marks = 0;
    escape(text).chars().filter(|c| keep(*c, &mut marks)).collect()
}

fn keep(c: char, marks: &mut usize) -> bool {
    if matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}') {
        return false;
    }
    *marks = if cells(c) == 0 { *marks + 1 } else { 0 };
    *marks <= MAX_MARKS
}

fn cells(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Cells that a text takes.
#[must_use]
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

/// The text cut to `limit` cells, with `…` where something is missing.
#[must_use]
pub(crate) fn clip(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut cut = head(text, limit.saturating_sub(1)).to_owned();
    if limit > 0 {
        cut.push('…');
    }
    cut
}

/// The longest beginning that fits into `limit` cells.
#[must_use]
pub(crate) fn head(text: &str, limit: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += cells(*c);
        used > limit
    });
    end.map_or(text, |(at, _)| text.get(..at).unwrap_or(text))
}

/// The longest end that fits into `limit` cells.
#[must_use]
pub(crate) fn tail(text: &str, limit: usize) -> &str {
    let mut used = 0;
    let start = text.char_indices().rev().find(|(_, c)| {
        used += cells(*c);
        used > limit
    });
    start.map_or(text, |(at, c)| text.get(at + c.len_utf8()..).unwrap_or(text))
}

/// The text in exactly `cells` cells, at their left or at their right.
#[must_use]
pub(crate) fn pad(text: &str, cells: usize, to_right: bool) -> String {
    let text = clip(text, cells);
    let gap = " ".repeat(cells.saturating_sub(width(&text)));
    if to_right { gap + &text } else { text + &gap }
}

/// Lines of at most `limit` cells, broken between words where there are any.
#[must_use]
pub(crate) fn wrap(text: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(1);
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        push_word(&mut lines, word, limit);
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

fn push_word(lines: &mut Vec<String>, word: &str, limit: usize) {
    let used = lines.last().map_or(0, |line| width(line));
    if used > 0 && used + width(word.trim_end()) > limit {
        lines.push(String::new());
    }
    let mut rest = word;
    loop {
        let Some(line) = lines.last_mut() else { return };
        let fits = head(rest, limit.saturating_sub(width(line)).max(usize::from(line.is_empty())));
        // A wide character in a column of one cell: it is drawn or not, but the loop ends.
        let fits = if fits.is_empty() && line.is_empty() { first(rest) } else { fits };
        line.push_str(fits);
        rest = rest.get(fits.len()..).unwrap_or("");
        if rest.trim_end().is_empty() {
            return;
        }
        lines.push(String::new());
    }
}

fn first(text: &str) -> &str {
    let end = text.chars().next().map_or(0, char::len_utf8);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::{clean, clip, head, pad, tail, width, wrap};

    #[test]
    fn what_could_steer_a_terminal_is_written_out_and_marks_do_not_pile_up() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(clean("e\u{301}\u{301}\u{301}\u{301}x"), "e\u{301}\u{301}x");
        assert_eq!(clean("☂\u{fe0f} 👍\u{1f3fd}"), "☂ 👍");
    }

    #[test]
    fn wide_characters_count_twice_and_are_never_cut_in_half() {
        assert_eq!(width("日本"), 4);
        assert_eq!(clip("日本語", 6), "日本語");
        assert_eq!(clip("日本語", 5), "日本…");
        assert_eq!(clip("日本語", 4), "日…");
        assert_eq!(clip("abc", 0), "");
        assert_eq!((head("日本", 3), tail("日本", 3)), ("日", "本"));
        assert_eq!(pad("日", 4, true), "  日");
        assert_eq!(pad("日本語", 4, false), "日… ");
    }

    #[test]
    fn lines_break_between_words_and_a_long_word_breaks_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("日本", 1), ["日", "本"]);
        assert_eq!(wrap("", 5), [""]);
        for line in wrap(&"wörter ".repeat(50), 11) {
            assert!(width(&line) <= 11, "{line}");
        }
    }
}
