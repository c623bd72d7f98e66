//! The commands that `node` and `view` share: asking a running member, and joining a network.

mod absent;
mod apply;
mod chat;
mod client;
mod connect;
mod duration;
mod examples;
mod explain;
mod forward;
#[cfg(feature = "shell")]
mod generate;
#[cfg(not(feature = "shell"))]
#[path = "../absent/generate.rs"]
mod generate;
mod join;
#[cfg(feature = "ledger")]
mod ledger;
mod links;
mod page;
mod peers;
mod place;
#[cfg(feature = "ledger")]
mod progress;
#[cfg(feature = "ledger")]
mod reach;
mod read;
mod routes;
mod run;
#[cfg(feature = "ledger")]
mod secret;
mod services;
mod status;
mod table;
mod tap;
mod topic;
mod trace;
mod tunnels;
mod variables;
mod wait;
#[cfg(feature = "ledger")]
mod wallet;

use std::process::ExitCode;

use clap::Subcommand;

pub use absent::{Absent, absent};
pub use client::Client;
pub use duration::seconds;
pub use generate::parse;
#[cfg(feature = "ledger")]
pub use ledger::{LedgerVerb, ledger};
pub use place::Place;
pub use run::{LedgerArgs, ListenArgs, RunArgs};
pub use variables::without_variable;
#[cfg(feature = "ledger")]
pub use wallet::{WalletVerb, light_wallet, wallet};

use crate::config::MemberConfig;
use crate::exit::{Exit, told};
use crate::output::{print_error, while_read};

/// A command to a member that runs already, or that is about to join.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the state of the running member: links, ring, clock, limits
    Status,
    /// List every other member known, reachable or not
    Peers,
    /// List every way to every member, with its cost
    Routes,
    /// Ask each member on the way to another for echoes; exit 4 if the last does not answer
    Trace {
        /// Name, id, or the first 8 or more characters of the id
        peer: String,
    },
    /// Print the frames on this member's own links as they come and go, one JSON document a line
    Tap(tap::TapArgs),
    /// Show how a member is reached, why so, what was tried, and what would help
    Explain {
        /// Name, id, or the first 8 or more characters of the id
        peer: String,
    },
    /// Listen on one side and connect on the other: add, list or remove forwards
    #[command(subcommand)]
    Forward(forward::ForwardVerb),
    /// Connect standard input and output with something at another member
    Connect(connect::ConnectArgs),
    /// List the tunnels with other members and the paths of each
    Tunnels,
    /// List what members offer, with health and cost; --watch shows what changes
    Services(services::ServicesArgs),
    /// Offer a service of this host to others for as long as this command runs
    Advertise(services::AdvertiseArgs),
    /// Show the last reading of a topic, or follow it
    Read(read::ReadArgs),
    /// Wait until something is so; exit 1 if it is not in time
    Wait(wait::WaitArgs),
    /// Write to all members, or read what they wrote
    #[command(subcommand)]
    Chat(chat::ChatVerb),
    /// Write a request to become a member, for `config-tool invite`
    Join(join::JoinArgs),
    /// Take in a membership, or a revocation or a rebuild and spread it
    Apply {
        /// The file with the signed record
        file: std::path::PathBuf,
    },
    /// Print the address of the member's page with its token
    Page,
}

impl Verb {
    /// Whether it prints for as long as somebody reads, and is of no use after that.
    fn is_for_its_reader(&self) -> bool {
        let is_followed = matches!(self, Self::Services(args) if args.is_followed())
            || matches!(self, Self::Read(args) if args.is_followed());
        is_followed || matches!(self, Self::Tap(_) | Self::Chat(chat::ChatVerb::Follow))
    }
}

/// Does a command for a program whose configuration is a `T`.
///
/// # Errors
/// With the exit code the command should end with.
pub async fn execute<T: MemberConfig>(verb: Verb, place: &Place) -> anyhow::Result<()> {
    if verb.is_for_its_reader() { while_read(perform::<T>(verb, place)).await } else { perform::<T>(verb, place).await }
}

async fn perform<T: MemberConfig>(verb: Verb, place: &Place) -> anyhow::Result<()> {
    match verb {
        Verb::Status => status::run(&place.client::<T>()?, place.json).await,
        Verb::Peers => peers::run(&place.client::<T>()?, place.json).await,
        Verb::Routes => routes::run(&place.client::<T>()?, place.json).await,
        Verb::Trace { peer } => trace::run(&place.client::<T>()?, &peer, place.json).await,
        Verb::Tap(args) => tap::run(&place.client::<T>()?, &args, place.json).await,
        Verb::Explain { peer } => explain::run(&place.client::<T>()?, &peer, place.json).await,
        Verb::Forward(verb) => forward::run(&place.client::<T>()?, verb, place.json).await,
        Verb::Connect(args) => connect::run(&place.client::<T>()?, &args).await,
        Verb::Tunnels => tunnels::run(&place.client::<T>()?, place.json).await,
        Verb::Services(args) => services::run(&place.client::<T>()?, &args, place.json).await,
        Verb::Advertise(args) => services::advertise::<T>(&args, place).await,
        Verb::Read(args) => read::run(&place.client::<T>()?, &args, place.json).await,
        Verb::Wait(args) => wait::run(&place.client::<T>()?, &args, place.json).await,
        Verb::Chat(verb) => chat::run(&place.client::<T>()?, verb, place.json).await,
        Verb::Join(args) => join::run::<T>(&args, place),
        Verb::Apply { file } => apply::run::<T>(&file, place).await,
        Verb::Page => page::run::<T>(place),
    }
}

/// Runs the whole of a program and turns its end into an exit code and, if it failed, a line on stderr.
pub fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => Exit::Done.into(),
        Err(error) => {
            print_error(&told(error.chain()));
            Exit::of(error.chain()).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Verb;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        verb: Verb,
    }

    #[test]
    fn times_have_a_unit_or_not() {
        for time in ["5", "5s", "1m"] {
            let words = ["node", "advertise", "--kind", "_http._tcp", "--check", time];
            assert!(Program::try_parse_from(words).is_ok(), "{time}");
        }
    }

    #[test]
    fn what_follows_ends_with_its_reader_and_what_has_something_to_do_does_not() {
        let is_for_its_reader = |words: &str| {
            let program = Program::try_parse_from(["node"].into_iter().chain(words.split(' ')));
            program.expect("a command").verb.is_for_its_reader()
        };
        for words in ["tap", "read temp --follow", "chat follow", "services --watch"] {
            assert!(is_for_its_reader(words), "{words}");
        }
        // Ended early these would not have done it, or say with a wrong code how it went.
        for words in
            ["services", "read temp", "advertise --kind _http._tcp", "wait", "connect donald", "chat send hello"]
        {
            assert!(!is_for_its_reader(words), "{words}");
        }
    }
}
