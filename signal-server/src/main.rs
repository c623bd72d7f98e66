//! `signal-server`: reads its configuration, listens, and answers until it is told to stop.

mod signals;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use meshline_daemon::cli::parse;
use meshline_daemon::config::{Flags, SignalServerConfig, load};
use meshline_daemon::exit::Exit;
use meshline_daemon::files::new_key;
use meshline_daemon::{log, output};
use meshline_net::tls::{TlsIdentity, connect_and_prove};
use meshline_protocol::NodeId;
use signal_server::{DialBack, NoDialBack, Server, Settings, StoreSetting};
use tokio::signal::unix::{SignalKind, signal};

use self::signals::{note_hangups, told_to_stop};

/// Tells the members of a mesh where the others are.
///
/// Every key of the configuration may also be given as an environment variable: MESHLINE_TTL_S, MESHLINE_MAX_TOTAL …
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    /// The configuration; without one all defaults hold.
    #[arg(long, env = "MESHLINE_CONFIG", value_name = "F")]
    config: Option<PathBuf>,
    /// Where to listen; may be given several times [env: MESHLINE_LISTEN]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    /// Serve this network only; may be given several times [env: MESHLINE_NETWORKS]
    #[arg(long, value_name = "ID|NAME")]
    network: Vec<String>,
    /// Where the list is kept: a file, redis://HOST:PORT/DB, or none [env: MESHLINE_STORE]
    #[arg(long, value_name = "FILE|URL|none")]
    store: Option<String>,
    /// How much to log: off, error, warn, info, debug or trace [env: MESHLINE_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

const EXAMPLES: &str = "Examples:
  signal-server --config signal-server.json
  signal-server --listen 127.0.0.1:6000 --store none";

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let done = start(arguments);
    done.map_or_else(
        |error| {
            output::print_error(&format!("{error:#}"));
            Exit::of(error.chain()).into()
        },
        |()| Exit::Done.into(),
    )
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let flags = Flags::new()
        .set("/listen", Some(arguments.listen))
        .set("/networks", Some(arguments.network))
        .set("/store", arguments.store.clone())
        .set("/log/level", arguments.log_level);
    let effective = load::<SignalServerConfig>(arguments.config.as_deref(), flags)?;
    let _log = log::start(&effective.config.log)?;
    for warning in &effective.warnings {
        tracing::warn!("{warning}");
    }
    let store = store(&effective.config, arguments.config.as_deref(), arguments.store.is_some());
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    runtime.block_on(serve(&effective.config, store))
}

async fn serve(config: &SignalServerConfig, store: StoreSetting) -> anyhow::Result<()> {
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let hangup = signal(SignalKind::hangup())?;
    let server = Server::bind(&settings(config, store), dial_back(config)?).await?;
    for address in server.addresses() {
        tracing::info!(%address, "listening");
    }
    let notes = tokio::spawn(note_hangups(hangup));
    server.run(told_to_stop(terminate, interrupt)).await;
    notes.abort();
    tracing::info!("stopped");
    Ok(())
}

/// A server without a configuration keeps nothing unless it is told where: it would leave a file wherever it was tried.
fn store(config: &SignalServerConfig, file: Option<&Path>, is_told: bool) -> StoreSetting {
    let is_told = is_told || std::env::var_os("MESHLINE_STORE").is_some();
    match file.filter(|_| !is_told) {
        Some(file) => StoreSetting::parse(&config.store, file.parent().unwrap_or_else(|| Path::new(""))),
        None if is_told => StoreSetting::parse(&config.store, Path::new("")),
        None => StoreSetting::Memory,
    }
}

fn settings(config: &SignalServerConfig, store: StoreSetting) -> Settings {
    let count = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    Settings {
        listen: config.listen.iter().map(ToString::to_string).collect(),
        ttl_s: config.ttl_s,
        max_per_key: count(config.max_per_key),
        max_per_address: count(config.max_per_address),
        max_total: count(config.max_total),
        networks: config.networks.clone(),
        store,
    }
}

/// Who proves addresses at which a member was not seen. The key it dials with is for nothing else and new at every
/// start: the member proves itself, this server need not.
fn dial_back(config: &SignalServerConfig) -> anyhow::Result<Arc<dyn DialBack>> {
    if !config.dial_back {
        return Ok(Arc::new(NoDialBack));
    }
    let identity = TlsIdentity::new(&new_key()?)?;
    Ok(Arc::new(move |address: SocketAddr, id: NodeId| {
        let identity = identity.clone();
        async move { connect_and_prove(&address.into(), &identity, Some(id)).await.is_ok() }
    }))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use meshline_daemon::cli::without_variable;

    use super::Arguments;

    #[test]
    fn the_command_line_is_well_formed_and_every_flag_has_an_environment_variable() {
        Arguments::command().debug_assert();
        assert_eq!(without_variable(&Arguments::command()), [""; 0]);
    }
}
