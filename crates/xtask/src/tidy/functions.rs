//! Finds every function with a body and how many lines it takes, from its `fn` to its closing brace.

use super::source::is_name;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) lines: usize,
}

/// Reads the code view of a file; in the order in which the bodies end.
pub(super) fn functions(code: &str) -> Vec<Function> {
    let mut scan = Scan { line: 1, ..Scan::default() };
    for symbol in code.chars() {
        scan.step(symbol);
    }
    scan.found
}

/// A function whose signature is being read or whose body is open.
#[derive(Clone)]
struct Head {
    name: String,
    line: usize,
}

#[derive(Default)]
struct Scan {
    line: usize,
    word: String,
    /// The line of a `fn` whose name comes next.
    fn_line: Option<usize>,
    /// A signature that has not reached its body yet, and how deep in its brackets we are.
    head: Option<Head>,
    nesting: usize,
    /// One entry per open brace: the function it is the body of, if it is one.
    braces: Vec<Option<Head>>,
    found: Vec<Function>,
}

impl Scan {
    fn step(&mut self, symbol: char) {
        if is_name(symbol) || symbol == '$' {
            self.word.push(symbol);
            return;
        }
        if !self.word.is_empty() {
            self.end_word();
        }
        match symbol {
            '\n' => self.line += 1,
            '(' | '[' => self.open_bracket(),
            ')' | ']' => self.nesting = self.nesting.saturating_sub(1),
            ';' if self.nesting == 0 => self.head = None,
            '{' => self.open_brace(),
            '}' => self.close_brace(),
            _ => {}
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if let Some(line) = self.fn_line.take() {
            self.head = Some(Head { name: word, line });
            self.nesting = 0;
        } else if word == "fn" {
            self.fn_line = Some(self.line);
        }
    }

    fn open_bracket(&mut self) {
        self.fn_line = None; // `fn(u8) -> u8` is a type, not a function
        self.nesting += 1;
    }

    fn open_brace(&mut self) {
        let head = self.head.take();
        self.braces.push(head);
        self.nesting = 0;
    }

    fn close_brace(&mut self) {
        if let Some(Some(head)) = self.braces.pop() {
            let lines = self.line - head.line + 1;
            self.found.push(Function { name: head.name, line: head.line, lines });
        }
    }
}
