//! `proxy`: a member that relays links for members that cannot reach each other directly.

use std::process::ExitCode;

use clap::Parser;
use meshline_daemon::cli::{ListenArgs, Place, RunArgs, finish, parse};
use meshline_daemon::config::ProxyConfig;
use meshline_daemon::member::{Launch, ProxyLimits, block_on, run};

/// Relays links for members of a meshline network that cannot reach each other. What it relays is encrypted
/// from end to end.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    listening: ListenArgs,
    #[command(flatten)]
    common: RunArgs,
}

const EXAMPLES: &str = "Examples:
  proxy --config proxy.json
  proxy completions bash > /etc/bash_completion.d/proxy";

fn main() -> ExitCode {
    let Cli { place, listening, common } = match parse() {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    finish(block_on(async move {
        let flags = listening.flags(&place);
        let effective = common.load::<ProxyConfig>(&place, flags.clone())?;
        let limit = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
        let limits = ProxyLimits {
            max_relays: limit(effective.config.max_relays),
            max_relays_per_member: limit(effective.config.max_relays_per_member),
            max_relay_bps_per_member: effective.config.max_relay_kbps_per_member.map(|kbps| u64::from(kbps) * 1_000),
        };
        let load = Box::new(move || common.load::<ProxyConfig>(&place, flags.clone()));
        run(Launch { load, proxy: Some(limits) }).await
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
