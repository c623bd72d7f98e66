//! Which row is chosen, and which part of many rows is seen.

use crate::input::Key;

/// A choice among rows that come and go: the row is remembered by its key, and its place where it went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cursor {
    chosen: Option<String>,
    at: usize,
    top: usize,
    /// Rows seen when it was drawn last.
    page: usize,
    /// Keys of all rows when it was drawn last.
    keys: Vec<String>,
}

impl Cursor {
    /// Finds the choice again among these rows, of which `page` are seen. Returns the place of the first one seen.
    pub(crate) fn fit(&mut self, keys: Vec<String>, page: usize) -> usize {
        let found = self.chosen.as_ref().and_then(|chosen| keys.iter().position(|key| key == chosen));
        self.at = found.unwrap_or(self.at).min(keys.len().saturating_sub(1));
        self.keys = keys;
        self.page = page.max(1);
        self.top = self.top.clamp((self.at + 1).saturating_sub(self.page), self.at);
        self.top = self.top.min(self.keys.len().saturating_sub(self.page));
        self.top
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// The key of the row that is chosen.
    pub(crate) fn chosen(&self) -> Option<&str> {
        self.keys.get(self.at).map(String::as_str)
    }

    /// Says whether the key meant anything.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    pub(crate) fn handle_key(&mut self, key: Key) -> bool {
        let last = self.keys.len().saturating_sub(1);
        self.at = match key {
            Key::Up | Key::Char('k') => self.at.saturating_sub(1),
            Key::Down | Key::Char('j') => self.at + 1,
            Key::PageUp => self.at.saturating_sub(self.page),
            Key::PageDown => self.at + self.page,
            Key::Home | Key::Char('g') => 0,
            Key::End | Key::Char('G') => last,
            _ => return false,
        }
        .min(last);
        self.chosen = self.keys.get(self.at).cloned();
        true
    }
}

/// A place in lines of which new ones are added at the end: at the end, or so far before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scroll {
    /// Lines below the last one seen.
    below: usize,
    /// Lines there were when it was drawn last, and how many were seen.
    lines: usize,
    page: usize,
}

impl Scroll {
    /// The place of the first line seen. Whoever has scrolled back keeps what is seen when lines are added.
    pub(crate) fn fit(&mut self, lines: usize, page: usize) -> usize {
        if self.below > 0 {
            self.below += lines.saturating_sub(self.lines);
        }
        self.lines = lines;
        self.page = page.max(1);
        self.below = self.below.min(lines.saturating_sub(self.page));
        lines.saturating_sub(self.page + self.below)
    }

    /// Lines below what is seen.
    pub(crate) const fn below(&self) -> usize {
        self.below
    }

    pub(crate) fn show_newest(&mut self) {
        self.below = 0;
    }

    /// Says whether the key meant anything.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]
    pub(crate) fn handle_key(&mut self, key: Key) -> bool {
        let most = self.lines.saturating_sub(self.page);
        self.below = match key {
            Key::Up | Key::Char('k') => self.below + 1,
            Key::Down | Key::Char('j') => self.below.saturating_sub(1),
            Key::PageUp => self.below + self.page,
            Key::PageDown => self.below.saturating_sub(self.page),
            Key::Home | Key::Char('g') => most,
            Key::End | Key::Char('G') => 0,
            _ => return false,
        }
        .min(most);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Key, Scroll};

    fn keys(names: &str) -> Vec<String> {
        names.chars().map(String::from).collect()
    }

    #[test]
    fn the_choice_follows_its_row_and_stays_in_place_when_the_row_is_gone() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.fit(keys("abcd"), 2), 0);
        for _ in 0..2 {
            cursor.handle_key(Key::Down);
        }
        assert_eq!((cursor.fit(keys("abcd"), 2), cursor.chosen()), (1, Some("c")));
        assert_eq!((cursor.fit(keys("xabcd"), 2), cursor.at()), (2, 3));
        cursor.fit(keys("xabd"), 2);
        assert_eq!(cursor.chosen(), Some("d"));
        assert_eq!((cursor.fit(Vec::new(), 2), cursor.chosen()), (0, None));
        assert!(cursor.handle_key(Key::Down) && cursor.handle_key(Key::End) && !cursor.handle_key(Key::Char('q')));
        assert_eq!((cursor.fit(keys("ab"), 0), cursor.at()), (0, 0));
    }

    #[test]
    fn whoever_reads_what_was_is_not_moved_by_what_comes() {
        let mut scroll = Scroll::default();
        assert_eq!(scroll.fit(10, 4), 6);
        scroll.handle_key(Key::PageUp);
        assert_eq!((scroll.fit(10, 4), scroll.below()), (2, 4));
        assert_eq!((scroll.fit(13, 4), scroll.below()), (2, 7));
        scroll.handle_key(Key::Home);
        assert_eq!(scroll.fit(13, 4), 0);
        scroll.show_newest();
        assert_eq!(scroll.fit(14, 4), 10);
        assert_eq!(scroll.fit(2, 4), 0);
    }
}
