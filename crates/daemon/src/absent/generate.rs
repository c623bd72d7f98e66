//! In place of completions and manual pages, in a program that was built without: the two commands say so.

use std::process::ExitCode;

use clap::{Arg, Command, Parser};

use super::absent;
use super::examples::with_examples;
use crate::exit::Exit;
use crate::output::print_error;

const ABSENT: [&str; 2] = ["completions", "man"];

/// Reads the command line of a program.
///
/// # Errors
/// How the program ends, if it was asked for one of the two.
pub fn parse<C: Parser>() -> Result<C, ExitCode> {
    let words = Arg::new("words").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true);
    let hidden = ABSENT.map(|name| Command::new(name).hide(true).arg(words.clone()));
    let mut matches = with_examples(C::command()).subcommands(hidden).get_matches();
    if let Some(name) = matches.subcommand_name().filter(|name| ABSENT.contains(name)) {
        print_error(&absent(&format!("`{name}`"), "shell"));
        return Err(Exit::Usage.into());
    }
    Ok(C::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit()))
}
