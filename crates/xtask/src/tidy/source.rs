//! One Rust file seen three ways: as written, as code alone, as comments alone. What is left out of a view is replaced
//! by spaces, line for line and character for character, so that a rule never trips over a string or a comment.

pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) code: String,
    pub(super) comments: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let marked = Lexer::mark(text);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: view(&marked, Kind::Code),
            comments: view(&marked, Kind::Comment),
        }
    }

    /// Whether the file holds tests only; the house is more lenient with those.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// The folder name of the crate under `crates/`, if the file is in one.
    pub(super) fn crate_folder(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }
}

/// The lines of a view with their numbers, counted from 1.
pub(super) fn numbered(view: &str) -> impl Iterator<Item = (usize, &str)> {
    view.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// Where `word` stands in the line as a word of its own, not as a part of a longer name.
pub(super) fn find_word(line: &str, word: &str) -> Option<usize> {
    line.match_indices(word).map(|(at, _)| at).find(|&at| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        let open_ended = !word.ends_with(is_name);
        !before.is_some_and(is_name) && (open_ended || !after.is_some_and(is_name))
    })
}

pub(super) fn is_name(symbol: char) -> bool {
    symbol.is_alphanumeric() || symbol == '_'
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

fn view(marked: &[(char, Kind)], keep: Kind) -> String {
    marked.iter().map(|&(symbol, kind)| if symbol == '\n' || kind == keep { symbol } else { ' ' }).collect()
}

/// Marks each character as code, comment or literal.
struct Lexer {
    symbols: Vec<char>,
    at: usize,
    marked: Vec<(char, Kind)>,
}

impl Lexer {
    fn mark(text: &str) -> Vec<(char, Kind)> {
        let symbols: Vec<char> = text.chars().collect();
        let mut lexer = Self { marked: Vec::with_capacity(symbols.len()), symbols, at: 0 };
        while lexer.peek(0).is_some() {
            lexer.step();
        }
        lexer.marked
    }

    fn step(&mut self) {
        if self.starts("//") {
            self.line_comment();
        } else if self.starts("/*") {
            self.block_comment();
        } else if let Some(hashes) = self.raw_string_hashes() {
            self.raw_string(hashes);
        } else if self.starts("\"") {
            self.quoted('"');
        } else if self.starts("'") && self.is_char_literal() {
            self.quoted('\'');
        } else {
            self.take(Kind::Code, 1);
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|symbol| symbol != '\n') {
            self.take(Kind::Comment, 1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.peek(0).is_some() {
            if self.starts("/*") {
                depth += 1;
                self.take(Kind::Comment, 2);
            } else if self.starts("*/") {
                depth -= 1;
                self.take(Kind::Comment, 2);
                if depth == 0 {
                    return;
                }
            } else {
                self.take(Kind::Comment, 1);
            }
        }
    }

    /// For `r"`, `br##"` and the like: the number of hashes.
    fn raw_string_hashes(&self) -> Option<usize> {
        let inside_name =
            self.at.checked_sub(1).and_then(|before| self.symbols.get(before)).copied().is_some_and(is_name);
        let prefix = ["r", "br", "cr"]
            .into_iter()
            .find(|prefix| self.starts(prefix) && matches!(self.peek(prefix.len()), Some('"' | '#')))?;
        let hashes = self.symbols.iter().skip(self.at + prefix.len()).take_while(|&&symbol| symbol == '#').count();
        let opens = self.peek(prefix.len() + hashes) == Some('"');
        (opens && !inside_name).then_some(hashes)
    }

    fn raw_string(&mut self, hashes: usize) {
        let end = format!("\"{}", "#".repeat(hashes));
        while self.peek(0).is_some_and(|symbol| symbol != '"') {
            self.take(Kind::Literal, 1);
        }
        self.take(Kind::Literal, 1);
        while self.peek(0).is_some() && !self.starts(&end) {
            self.take(Kind::Literal, 1);
        }
        self.take(Kind::Literal, end.len());
    }

    fn quoted(&mut self, quote: char) {
        self.take(Kind::Literal, 1);
        while let Some(symbol) = self.peek(0) {
            match symbol {
                '\\' => self.take(Kind::Literal, 2),
                _ => self.take(Kind::Literal, 1),
            }
            if symbol == quote {
                return;
            }
        }
    }

    /// `'a'` and `'\n'` are literals, `'a` in `&'a str` is a lifetime.
    fn is_char_literal(&self) -> bool {
        self.peek(1) == Some('\\') || self.peek(2) == Some('\'')
    }

    fn starts(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(offset, symbol)| self.peek(offset) == Some(symbol))
    }

    fn peek(&self, offset: usize) -> Option<char> {
        self.symbols.get(self.at + offset).copied()
    }

    fn take(&mut self, kind: Kind, count: usize) {
        for _ in 0..count {
            let Some(symbol) = self.peek(0) else { return };
            self.marked.push((symbol, kind));
            self.at += 1;
        }
    }
}
