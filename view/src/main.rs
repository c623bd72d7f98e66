//! `view`: a member that only connects out. It never listens and carries nothing for others.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use meshline_daemon::cli::{Place, RunArgs, Verb, WalletVerb, execute, finish, light_wallet, parse};
use meshline_daemon::config::{Flags, ViewConfig};
use meshline_daemon::member::{Launch, block_on, run};
use meshline_watch::WatchArgs;

/// A member of a meshline network that only connects out.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: ViewVerb,
}

const EXAMPLES: &str = "Examples:
  view run --config view.json
  view services --watch --config view.json
  view watch --config view.json
  view run --config view.json --topic temp --every 5s --exec 'cat /sys/class/thermal/*/temp'";

#[derive(Debug, Subcommand)]
enum ViewVerb {
    /// Run the view, from a configuration file or from flags
    Run(Box<RunArgs>),
    /// Watch members, links, routes, chat, services and events on the terminal
    #[command(after_help = "Examples:
  view watch --config view.json                 the dashboard; ? lists the keys, q quits
  view watch --config view.json --panel chat    begins with the chat
  view watch --once --json | jq .peers          one document with everything, for scripts
  view watch --json --interval 10 >> log        one document a line, every ten seconds
  NO_COLOR=1 view watch --characters ascii      for terminals that can do little")]
    Watch(WatchArgs),
    /// Addresses, balances and payments over a ledger that this view follows and does not keep
    #[command(subcommand)]
    #[command(after_help = "The view must run, with \"ledger\": {\"genesis\": …} in its configuration.
Examples:
  view wallet new --config view.json            an address; the first time the phrase, once
  view wallet list --config view.json           what they hold, once all blocks are looked through
  view wallet send --to ADDRESS --amount 1.5 --config view.json")]
    Wallet(WalletVerb),
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
            ViewVerb::Watch(args) => meshline_watch::run::<ViewConfig>(&args, &place).await,
            ViewVerb::Wallet(verb) => light_wallet(verb, &place).await,
            ViewVerb::Shared(verb) => execute::<ViewConfig>(verb, &place).await,
            ViewVerb::Run(args) => {
                let load = Box::new(move || args.load::<ViewConfig>(&place, Flags::new()));
                run(Launch { load, proxy: None }).await
            }
        }
    }))
}
