//! Whether a command line can be given by variables as well.

use clap::{Arg, Command};

/// Flags of a command and of those below it that no variable stands for: none, as the tests of each program demand. Of those
/// which the configuration has, or which are read where they are used, the help says which it is.
#[must_use]
pub fn without_variable(command: &Command) -> Vec<String> {
    let flags = command.get_arguments().filter(|argument| !argument.is_positional());
    let of_this = flags.filter(lacks_variable).map(|flag| format!("{} --{}", command.get_name(), flag.get_id()));
    of_this.chain(command.get_subcommands().flat_map(without_variable)).collect()
}

fn lacks_variable(flag: &&Arg) -> bool {
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    !matches!(flag.get_id().as_str(), "help" | "version")
        && flag.get_env().is_none()
        && !help.contains("[env: MESHLINE_")
}
