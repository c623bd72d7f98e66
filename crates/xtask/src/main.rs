//! The chores of the workspace, run as `cargo xtask VERB`. A chore is one file and one row of [`VERBS`].
#![expect(clippy::print_stdout, reason = "what a chore prints is its result")]

mod bench;
mod ci;
mod man;
mod soak;
mod tidy;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

/// What a chore answers: nothing, or the sentence that says why it failed.
type Outcome = Result<(), String>;

/// One chore: its name, its line of help, and what runs it with the workspace root and the words after its name.
struct Verb {
    name: &'static str,
    help: &'static str,
    run: fn(&Path, &[String]) -> Outcome,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "ci",
        help: "format, tidy, clippy, tests and docs with warnings denied; stops at the first failure",
        run: ci::run,
    },
    Verb {
        name: "tidy",
        help: "the house rules that the compiler does not know: arrows, sizes, clocks, links …",
        run: tidy::run,
    },
    Verb {
        name: "bench",
        help: "figures on this machine, each beside its rival: bench mesh|crowd|chat|routing|tunnel|proxy|ledger|ledger-net|nat [--small] [--rounds N]",
        run: bench::run,
    },
    Verb {
        name: "man",
        help: "manual pages and completions of the five programs, into a folder: man FOLDER",
        run: man::run,
    },
    Verb {
        name: "thing",
        help: "the view for small devices: records what it uses (valgrind), builds and measures it: thing [--bin FOLDER]",
        run: bench::thing,
    },
    Verb {
        name: "soak",
        help: "long runs: the scenarios of the simulator at their own size, or a tenth, and ledger-rules: soak [--small] [NAME…] [-- --json]",
        run: soak::run,
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = words.split_first() else {
        print_help();
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print_help();
        return ExitCode::SUCCESS;
    }
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        eprintln!("xtask: there is no `{name}`; `cargo xtask` lists what there is");
        return ExitCode::from(2);
    };
    match workspace::root().and_then(|root| (verb.run)(&root, rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask {name}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn print_help() {
    println!("Usage: cargo xtask VERB\n");
    for verb in VERBS {
        println!("  {:<8} {}", verb.name, verb.help);
    }
}

/// Refuses words that a chore without options does not understand.
fn no_words(words: &[String]) -> Outcome {
    match words.first() {
        None => Ok(()),
        Some(word) => Err(format!("takes no options, but `{word}` was given")),
    }
}
