//! What is made from the command line itself: completions for shells, and manual pages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, CommandFactory, Parser, value_parser};
use clap_complete::Shell;

use super::examples::with_examples;
use crate::exit::Exit;
use crate::output::{print, print_error};

const COMPLETIONS: &str = "completions";
const MAN: &str = "man";

/// Reads the command line of a program, each of which also knows `completions SHELL` and `man`.
///
/// # Errors
/// How the program ends, if that was all it was to do.
pub fn parse<C: Parser>() -> Result<C, ExitCode> {
    let mut matches = command::<C>().get_matches();
    if let Some(done) = generated(command::<C>(), &matches) {
        return Err(done.map_or_else(
            |error| {
                print_error(&error.to_string());
                Exit::Failed.into()
            },
            |()| Exit::Done.into(),
        ));
    }
    Ok(C::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit()))
}

/// A program's command with those two.
fn command<C: CommandFactory>() -> Command {
    let command = C::command();
    let is_plain = !command.has_subcommands();
    let shell = Arg::new("shell").required(true).value_parser(["bash", "zsh", "fish"]).help("For which shell");
    let completions = Command::new(COMPLETIONS).about("Print completions for a shell").arg(shell);
    let folder = Arg::new("out")
        .long("out")
        .value_name("FOLDER")
        .env("MESHLINE_OUT")
        .value_parser(value_parser!(PathBuf))
        .help("Write a page for each command into this folder");
    let man =
        Command::new(MAN).about("Print the manual page, or write those of all commands into a folder").arg(folder);
    let command = with_examples(command.subcommand(completions).subcommand(man));
    if is_plain { command.subcommand_negates_reqs(true).args_conflicts_with_subcommands(true) } else { command }
}

/// Does one of the two, if it was asked for.
fn generated(mut command: Command, matches: &ArgMatches) -> Option<std::io::Result<()>> {
    let (verb, given) = matches.subcommand()?;
    let mut text = Vec::new();
    if verb == COMPLETIONS {
        let shell = match given.get_one::<String>("shell").map(String::as_str) {
            Some("zsh") => Shell::Zsh,
            Some("fish") => Shell::Fish,
            Some(_) | None => Shell::Bash,
        };
        let name = command.get_name().to_owned();
        clap_complete::generate(shell, &mut command, name, &mut text);
    } else if verb == MAN {
        if let Some(folder) = given.get_one::<PathBuf>("out") {
            return Some(pages(command, folder));
        }
        if let Err(error) = clap_mangen::Man::new(command).render(&mut text) {
            return Some(Err(error));
        }
    } else {
        return None;
    }
    Some(print(String::from_utf8_lossy(&text).trim_end()))
}

fn pages(command: Command, folder: &Path) -> std::io::Result<()> {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program without commands of its own.
    #[derive(Debug, Parser)]
    #[command(name = "plain", arg_required_else_help = true)]
    struct Plain {
        /// Where
        #[arg(long, required = true)]
        listen: String,
    }

    fn text(words: &[&str]) -> Option<bool> {
        let matches = command::<Plain>().try_get_matches_from(words).ok()?;
        Some(generated(command::<Plain>(), &matches).is_some())
    }

    #[test]
    fn every_program_knows_both_and_its_own_words_as_before() {
        command::<Plain>().debug_assert();
        assert_eq!(text(&["plain", "completions", "bash"]), Some(true));
        assert_eq!(text(&["plain", "completions", "tcsh"]), None);
        assert_eq!(text(&["plain", "--listen", "x"]), Some(false));
        assert_eq!(text(&["plain"]), None, "what it needs it still needs");
    }

    #[test]
    fn each_command_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        pages(command::<Plain>(), folder.path()).expect("written");
        let page = std::fs::read_to_string(folder.path().join("plain.1")).expect("its page");
        assert!(page.contains("listen"), "{page}");
        assert!(folder.path().join("plain-completions.1").exists());
    }
}
