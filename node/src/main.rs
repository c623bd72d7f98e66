//! `node`: a full peer. `node run` runs it, the other verbs ask the one that runs.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use meshline_daemon::cli::{ListenArgs, Place, RunArgs, Verb, execute, finish};
use meshline_daemon::config::NodeConfig;
use meshline_daemon::member::{Launch, block_on, run};
use meshline_watch::WatchArgs;

/// A full peer of a meshline network.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: NodeVerb,
}

#[derive(Debug, Subcommand)]
enum NodeVerb {
    /// Run the node, from a configuration file or from flags
    Run(Box<NodeRun>),
    /// Watch members, links, routes, chat, services and events on the terminal
    #[command(after_help = "Examples:
  node watch --config node.json                 the dashboard; ? lists the keys, q quits
  node watch --config node.json --panel chat    begins with the chat
  node watch --once --json | jq .peers          one document with everything, for scripts
  node watch --json --interval 10 >> log        one document a line, every ten seconds
  NO_COLOR=1 node watch --characters ascii      for terminals that can do little")]
    Watch(WatchArgs),
    #[command(flatten)]
    Shared(Verb),
}

#[derive(Debug, Args)]
struct NodeRun {
    #[command(flatten)]
    listening: ListenArgs,
    #[command(flatten)]
    common: RunArgs,
}

fn main() -> ExitCode {
    let Cli { place, verb } = Cli::parse();
    finish(block_on(async move {
        match verb {
            NodeVerb::Watch(args) => meshline_watch::run::<NodeConfig>(&args, &place).await,
            NodeVerb::Shared(verb) => execute::<NodeConfig>(verb, &place).await,
            NodeVerb::Run(args) => {
                let mut flags = args.listening.flags(&place);
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
