//! `view`: a member that only connects out. It never listens and carries nothing for others.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use meshline_daemon::cli::{Place, RunArgs, Verb, execute, finish};
use meshline_daemon::config::{Flags, ViewConfig};
use meshline_daemon::member::{Launch, block_on, run};

/// A member of a meshline network that only connects out.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: ViewVerb,
}

#[derive(Debug, Subcommand)]
enum ViewVerb {
    /// Run the view, from a configuration file or from flags
    Run(RunArgs),
    #[command(flatten)]
    Shared(Verb),
}

fn main() -> ExitCode {
    let Cli { place, verb } = Cli::parse();
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
