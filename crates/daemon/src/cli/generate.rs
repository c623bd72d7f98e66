//! What is made from the command line itself: completions for shells, and manual pages.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{Resettable, StyledStr};
use clap::{Arg, ArgMatches, Command, CommandFactory, Parser, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::examples::with_examples;
use crate::exit::Exit;
use crate::output::{print, print_error};

/// The line above examples.
const HEADING: &str = "Examples:";

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
fn generated(mut command: Command, matches: &ArgMatches) -> Option<io::Result<()>> {
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
        let version = version(&command);
        match page(command, &version) {
            Ok((_, page)) => text = page,
            Err(error) => return Some(Err(error)),
        }
    } else {
        return None;
    }
    Some(print(String::from_utf8_lossy(&text).trim_end()))
}

fn version(command: &Command) -> String {
    command.get_version().unwrap_or_default().to_owned()
}

/// Writes the page of a command and those of all below it.
fn pages(command: Command, folder: &Path) -> io::Result<()> {
    let version = version(&command);
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let written = std::fs::create_dir_all(folder).and_then(|()| pages_from(&command, &version, folder));
    written.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))
}

fn pages_from(command: &Command, version: &str, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        pages_from(below, version, folder)?;
    }
    let (name, text) = page(command.clone(), version)?;
    std::fs::write(folder.join(name), text)
}

/// A page and the name of its file. The examples stand as they are: the maker of pages would fill their lines like those of
/// any text. Whoever looks at the foot of a page reads of which command it is, with the words before it.
fn page(mut command: Command, version: &str) -> io::Result<(String, Vec<u8>)> {
    command.build();
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.after_help(Resettable::<StyledStr>::Reset)).source(format!("{name} {version}"));
    let mut text = Vec::new();
    man.render(&mut text)?;
    if !help.is_empty() {
        examples(&help).to_writer(&mut text)?;
    }
    Ok((man.get_filename(), text))
}

/// What stands at the end of a command's help, in the language of pages.
fn examples(help: &str) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["EXAMPLES"]);
    let mut is_example = false;
    for line in help.lines() {
        if line == HEADING {
            is_example = true;
            section.control("nf", []);
        } else if line.is_empty() {
            if is_example {
                section.control("fi", []);
            }
            is_example = false;
            section.control("PP", []);
        } else {
            section.text([roman(line)]);
        }
    }
    if is_example {
        section.control("fi", []);
    }
    section
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

    #[test]
    fn examples_stand_line_by_line_and_the_foot_has_the_whole_name() {
        let help = "Examples:\n  outer inner 'a b' \\\n      --flag\n  outer inner c\n\nEnds when both have.";
        let inner = Command::new("inner").about("Does it").after_help(help);
        let outer =
            Command::new("outer").version("1.2").subcommand(inner).after_help("It must run.\nExamples:\n  outer");
        let folder = tempfile::tempdir().expect("a folder");
        pages(outer, folder.path()).expect("written");
        let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("its page");
        let inner = page("outer-inner.1");
        let lines = "\n.nf\n  outer inner \\*(Aqa b\\*(Aq \\\\\n      \\-\\-flag\n  outer inner c\n.fi\n.PP\nEnds when both have.\n";
        assert!(inner.contains(&format!("\n.SH EXAMPLES{lines}")), "{inner}");
        assert!(!inner.contains("EXTRA") && !inner.contains("Examples:"), "{inner}");
        let title = inner.lines().find(|line| line.starts_with(".TH ")).expect("a title");
        assert!(title.starts_with(".TH outer-inner 1 ") && title.contains("\"outer inner 1.2\""), "{title}");
        let outer = page("outer.1");
        assert!(outer.contains("\n.SH EXAMPLES\nIt must run.\n.nf\n  outer\n.fi\n"), "{outer}");
    }
}
