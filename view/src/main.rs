//! `view`: a member that only connects out. It never listens and carries nothing for others.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use meshline_daemon::cli::{Place, RunArgs, Verb, execute, finish, parse};
use meshline_daemon::config::{Flags, ViewConfig};
use meshline_daemon::member::{Launch, block_on, run};

#[cfg(feature = "ledger")]
use meshline_daemon::cli::{WalletVerb, light_wallet};
#[cfg(feature = "watch")]
use meshline_watch::WatchArgs;

#[cfg(not(all(feature = "ledger", feature = "watch")))]
use meshline_daemon::cli::Absent;

/// A member of a meshline network that only connects out.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: ViewVerb,
}

#[cfg(feature = "watch")]
const EXAMPLES: &str = "Examples:
  view run --config view.json
  view services --watch --config view.json
  view watch --config view.json
  view run --config view.json --topic temp --every 5s --exec 'cat /sys/class/thermal/*/temp'";
#[cfg(not(feature = "watch"))]
const EXAMPLES: &str = "Examples:
  view run --config view.json
  view services --watch --config view.json
  view run --config view.json --topic temp --every 5s --exec 'cat /sys/class/thermal/*/temp'";

#[derive(Debug, Subcommand)]
enum ViewVerb {
    /// Run the view, from a configuration file or from flags
    Run(Box<RunArgs>),
    /// Watch members, links, routes, chat, services and events on the terminal
    #[cfg(feature = "watch")]
    #[command(after_help = "Examples:
  view watch --config view.json                 the dashboard; ? lists the keys, q quits
  view watch --config view.json --panel chat    begins with the chat
  view watch --config view.json --once --json | jq .peers        one document with everything, for scripts
  view watch --config view.json --json --interval 10 >> log      one document a line, every ten seconds
  NO_COLOR=1 view watch --config view.json --characters ascii    for terminals that can do little")]
    Watch(WatchArgs),
    #[cfg(not(feature = "watch"))]
    #[command(hide = true)]
    Watch(Absent),
    /// Addresses, balances and payments over a ledger that this view follows and does not keep
    #[cfg(feature = "ledger")]
    #[command(subcommand)]
    #[command(after_help = "The view must run, with \"ledger\": {\"genesis\": …} in its configuration.
It hears of blocks alone: what others pay is shown when a block has it, what this wallet pays at once.
Examples:
  view wallet new --config view.json            an address; the first time the phrase, once
  view wallet list --config view.json           what they hold, once all blocks are looked through
  view wallet send --to ADDRESS --amount 1.5 --config view.json")]
    Wallet(WalletVerb),
    #[cfg(not(feature = "ledger"))]
    #[command(hide = true)]
    Wallet(Absent),
    #[command(flatten)]
    Shared(Verb),
}

fn main() -> ExitCode {
    let Cli { place, verb } = match parse() {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    finish(block_on(async move {
        match verb {
            #[cfg(feature = "watch")]
            ViewVerb::Watch(args) => meshline_watch::run::<ViewConfig>(&args, &place).await,
            #[cfg(not(feature = "watch"))]
            ViewVerb::Watch(absent) => absent.refuse("watch", "watch"),
            #[cfg(feature = "ledger")]
            ViewVerb::Wallet(verb) => light_wallet(verb, &place).await,
            #[cfg(not(feature = "ledger"))]
            ViewVerb::Wallet(absent) => absent.refuse("wallet", "ledger"),
            ViewVerb::Shared(verb) => execute::<ViewConfig>(verb, &place).await,
            ViewVerb::Run(args) => {
                let load = Box::new(move || args.load::<ViewConfig>(&place, Flags::new()));
                run(Launch { load, proxy: None }).await
            }
        }
    }))
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
