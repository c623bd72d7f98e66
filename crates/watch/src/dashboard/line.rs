//! A line that is typed: a message, or what rows are filtered by.

use meshline_protocol::limits::MAX_TEXT;

use crate::input::Key;
use crate::text::{clean, head, tail, width};

/// What is typed, and where the next character goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    text: String,
    /// Bytes before the cursor.
    at: usize,
}

impl Line {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn take(&mut self) -> String {
        self.at = 0;
        std::mem::take(&mut self.text)
    }

    pub(crate) fn set(&mut self, text: String) {
        self.at = text.len();
        self.text = text;
    }

    fn before(&self) -> &str {
        self.text.get(..self.at).unwrap_or("")
    }

    fn after(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// What does not fit into a message is left out.
    pub(crate) fn insert(&mut self, text: &str) {
        let room = MAX_TEXT.saturating_sub(self.text.len());
        let fits = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        let text = text.get(..fits).unwrap_or("");
        self.text.insert_str(self.at, text);
        self.at += text.len();
    }

    /// Says whether the key meant anything.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    pub(crate) fn handle_key(&mut self, key: Key) -> bool {
        let back = self.before().chars().next_back().map_or(0, char::len_utf8);
        let on = self.after().chars().next().map_or(0, char::len_utf8);
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Left => self.at -= back,
            Key::Right => self.at += on,
            Key::Home | Key::Ctrl('a') => self.at = 0,
            Key::End | Key::Ctrl('e') => self.at = self.text.len(),
            Key::Backspace => self.erase(self.at - back),
            Key::Delete => drop(self.text.drain(self.at..self.at + on)),
            Key::Ctrl('u') => self.erase(0),
            Key::Ctrl('w') => self.erase(self.word_start()),
            _ => return false,
        }
        true
    }

    /// Removes what stands between `from` and the cursor.
    fn erase(&mut self, from: usize) {
        drop(self.text.drain(from..self.at));
        self.at = from;
    }

    fn word_start(&self) -> usize {
        let word = self.before().trim_end();
        word.rfind(' ').map_or(0, |space| space + 1)
    }

    /// What of it is seen in so many cells, and the cell of the cursor.
    pub(crate) fn view(&self, cells: usize) -> (String, usize) {
        let shown = |text: &str| clean(&text.replace('\n', "↵"));
        let (before, after) = (shown(self.before()), shown(self.after()));
        let before = tail(&before, cells.saturating_sub(1));
        let cursor = width(before);
        (format!("{before}{}", head(&after, cells.saturating_sub(cursor))), cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Line, MAX_TEXT};

    fn typed(text: &str) -> Line {
        let mut line = Line::default();
        line.insert(text);
        line
    }

    #[test]
    fn keys_edit_the_line_character_by_character() {
        let mut line = typed("größe");
        for key in [Key::Left, Key::Left, Key::Backspace, Key::Char('x'), Key::Delete, Key::Home, Key::Char('日')] {
            assert!(line.handle_key(key));
        }
        assert_eq!(line.text(), "日grxe");
        line.handle_key(Key::End);
        line.insert(" two words");
        line.handle_key(Key::Ctrl('w'));
        assert_eq!(line.text(), "日grxe two ");
        line.handle_key(Key::Ctrl('u'));
        assert!(line.is_empty() && !line.handle_key(Key::Up));
        for key in [Key::Backspace, Key::Delete, Key::Left, Key::Right, Key::Ctrl('w')] {
            assert!(line.handle_key(key), "an empty line stays empty");
        }
        assert!(line.is_empty());
    }

    #[test]
    fn a_line_holds_what_a_message_may_and_no_more() {
        let mut line = typed(&"x".repeat(MAX_TEXT - 1));
        line.insert("é");
        assert_eq!(line.text().len(), MAX_TEXT - 1, "half a character is none");
        line.insert("yz");
        assert_eq!(line.text().len(), MAX_TEXT);
    }

    #[test]
    fn the_cursor_stays_in_sight_and_nothing_typed_steers_the_terminal() {
        let mut line = typed("a\u{1b}\nb");
        assert_eq!(line.view(20), ("a\\u{1b}↵b".to_owned(), 9));
        assert_eq!(line.view(4), ("}↵b".to_owned(), 3));
        line.handle_key(Key::Home);
        assert_eq!(line.view(3), ("a\\u".to_owned(), 0));
    }
}
