//! `node`: a full peer. `node run` runs it, the other verbs ask the one that runs.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use meshline_daemon::cli::{
    LedgerArgs, LedgerVerb, ListenArgs, Place, RunArgs, Verb, WalletVerb, execute, finish, ledger, parse, wallet,
};
use meshline_daemon::config::NodeConfig;
use meshline_daemon::member::{Launch, block_on, run};
use meshline_watch::WatchArgs;

/// A full peer of a meshline network.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: NodeVerb,
}

const EXAMPLES: &str = "Examples:
  node run --listen 127.0.0.1:6001 --next 127.0.0.1:6002 --name bobby
  node run --config node-1.json
  node status --json --config node-1.json
  node services --config node-1.json";

#[derive(Debug, Subcommand)]
enum NodeVerb {
    /// Run the node, from a configuration file or from flags
    Run(Box<NodeRun>),
    /// Make a ledger, look at it, judge it again, search for blocks
    #[command(subcommand)]
    Ledger(Box<LedgerVerb>),
    /// Addresses, balances and payments
    #[command(subcommand)]
    Wallet(WalletVerb),
    /// Watch members, links, routes, chat, services and events on the terminal
    #[command(after_help = "Examples:
  node watch --config node.json                 the dashboard; ? lists the keys, q quits
  node watch --config node.json --panel chat    begins with the chat
  node watch --config node.json --once --json | jq .peers        one document with everything, for scripts
  node watch --config node.json --json --interval 10 >> log      one document a line, every ten seconds
  NO_COLOR=1 node watch --config node.json --characters ascii    for terminals that can do little")]
    Watch(WatchArgs),
    #[command(flatten)]
    Shared(Verb),
}

#[derive(Debug, Args)]
struct NodeRun {
    #[command(flatten)]
    listening: ListenArgs,
    #[command(flatten)]
    ledger: LedgerArgs,
    #[command(flatten)]
    common: RunArgs,
}

fn main() -> ExitCode {
    let Cli { place, verb } = match parse() {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    finish(block_on(async move {
        match verb {
            NodeVerb::Watch(args) => meshline_watch::run::<NodeConfig>(&args, &place).await,
            NodeVerb::Shared(verb) => execute::<NodeConfig>(verb, &place).await,
            NodeVerb::Ledger(verb) => ledger(*verb, &place).await,
            NodeVerb::Wallet(verb) => wallet(verb, &place).await,
            NodeVerb::Run(args) => {
                let mut flags = args.ledger.flags(args.listening.flags(&place));
                if place.config.is_none() {
                    // Several nodes without a file share a machine: each takes a free port for its page.
                    flags = flags.set_default("/http", "127.0.0.1:0");
                }
                let load = Box::new(move || args.common.load::<NodeConfig>(&place, flags.clone()));
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
