//! `config-tool`: writes, signs, checks and explains the files of a meshline network.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed,
//! 2 wrong usage or an invalid file, 5 refused (a name that belongs to another member).

mod at;
mod check;
mod cli;
mod members;
mod membership;
mod network;
mod rebuild;
mod report;
mod ring;
mod roles;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use meshline_daemon::cli::parse;
use meshline_daemon::config::{ConfigError, schema};
use meshline_daemon::exit::{Exit, told};
use meshline_daemon::output::print_error;

use crate::cli::{Cli, Command};
use crate::report::Report;

fn main() -> ExitCode {
    let cli: Cli = match parse() {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = Exit::of(error.chain());
            // Findings begin with the file they are about, as editors expect it.
            let prefix = if error.is::<ConfigError>() { "" } else { "config-tool: " };
            print_error(&format!("{prefix}{}", told(error.chain())));
            exit.into()
        }
    }
}

fn run(cli: &Cli) -> Result<Exit> {
    let report = match &cli.command {
        Command::Ring(args) => ring::run(args)?,
        Command::Network(args) => network::run(args)?,
        Command::SignalServer(args) => roles::signal_server(args)?,
        Command::Proxy(args) => roles::proxy(args)?,
        Command::Node(args) => roles::node(args)?,
        Command::View(args) => roles::view(args)?,
        Command::Invite(args) => membership::invite(args)?,
        Command::Revoke(args) => membership::revoke(args)?,
        Command::Rebuild(args) => rebuild::run(args)?,
        Command::Check(args) => check::run(args)?,
        Command::Schema(args) => Report::new("schema")
            .with("role", args.role.name())
            .with("document", schema(args.role))
            .text(format!("{:#}", schema(args.role))),
        Command::Show(args) => show::run(args)?,
    };
    report.print(cli.json)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use meshline_daemon::cli::without_variable;

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed_and_every_flag_has_an_environment_variable() {
        Cli::command().debug_assert();
        assert_eq!(without_variable(&Cli::command()), [""; 0]);
    }
}
