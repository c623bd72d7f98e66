//! What `cargo xtask bench chat` looks at pages with: Chromium, by the driver of the page's own tests.
//!
//! `page open URL CSS PAUSE` opens a page in a fresh browser and says when its first content was painted, when an
//! element was, and what was loaded. `page talk FROM TO BARE ROUNDS COUNT PACE` sends messages in the page FROM, one each
//! PACE milliseconds on average, and says when they were seen in the page TO, in turns with the same over a bare server.
//! The last line is the result as JSON; `{"skipped": …}` where there is no browser.
#![expect(clippy::print_stdout, reason = "what is printed is the result")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a measurement that cannot go on stops")]

mod open;
mod support;
mod talk;

use std::process::ExitCode;

use serde_json::json;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["open", url, css, pause] => open::run(url, css, number(pause)),
        ["talk", from, to, bare, rounds, count, pace] => talk::Talk {
            pages: [*from, *to],
            bare,
            rounds: number(rounds),
            count: number(count),
            pace_ms: number(pace),
        }
        .run(),
        _ => {
            eprintln!("open URL CSS PAUSE, or talk FROM TO BARE ROUNDS COUNT PACE");
            return ExitCode::from(2);
        }
    };
    println!("{}", result.unwrap_or_else(|why| json!({ "skipped": why })));
    ExitCode::SUCCESS
}

fn number(word: &str) -> u64 {
    word.parse().expect("a number")
}
