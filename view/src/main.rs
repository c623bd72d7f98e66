//! `view`: a member that only connects out. It never listens and carries nothing for others.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use meshline_daemon::cli::{Place, RunArgs, Verb, execute, finish, parse};
use meshline_daemon::config::{Flags, ViewConfig};
use meshline_daemon::member::{Launch, block_on, run};

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
  view run --topic temp --every 5s --exec 'cat /sys/class/thermal/thermal_zone0/temp' --config view.json";

#[derive(Debug, Subcommand)]
enum ViewVerb {
    /// Run the view, from a configuration file or from flags
    Run(Box<RunArgs>),
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
            ViewVerb::Shared(verb) => execute::<ViewConfig>(verb, &place).await,
            ViewVerb::Run(args) => {
                let load = Box::new(move || args.load::<ViewConfig>(&place, Flags::new()));
                run(Launch { load, proxy: None }).await
            }
        }
    }))
}
