//! Running a member: node, view or proxy are the same program with different roles.

mod console;
mod core_config;
mod history;
mod narrate;
mod reload;
mod signals;
mod state;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use meshline_mesh::Node;
use meshline_net::{Clock, MeshHandle};
use meshline_protocol::NodeId;
use meshline_services::Stack;

use crate::api::{Served, Server, Token};
use crate::config::{Console, Effective, MemberConfig, NodeConfig, read_identity};
use crate::gateway::{LocalGateway, own_ports};
use crate::lan::LocalSegment;
use crate::ledger::NodeLedger;
use crate::{files, log};

pub use core_config::{ProxyLimits, core_config};
use reload::Reloader;

/// From the goodbye to the end, at most: a supervisor that waits five seconds never has to kill.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(4);

/// Reads the configuration: at the start, and again when asked to.
pub type Load<T> = Box<dyn Fn() -> anyhow::Result<Effective<T>>>;

/// What a member is started with.
#[expect(missing_debug_implementations, reason = "a function has no such form")]
pub struct Launch<T> {
    /// Reads its configuration.
    pub load: Load<T>,
    /// A proxy's limits; `None` for the other programs.
    pub proxy: Option<ProxyLimits>,
}

/// Runs a member until it is told to stop.
///
/// # Errors
/// If it cannot start: a port that is taken, a file that cannot be read.
pub async fn run<T: MemberConfig>(launch: Launch<T>) -> anyhow::Result<()> {
    let effective = (launch.load)()?;
    let identity = read_identity(&effective.config)?;
    let role = T::ROLE;
    let config: NodeConfig = effective.config.into_node();
    let log = log::start(&config.log)?;
    for warning in &effective.warnings {
        tracing::warn!(target: "meshline", "{warning}");
    }
    files::make_folder(&config.data_dir)?;
    let _lock = files::lock_folder(&config.data_dir)?;
    let ledger = NodeLedger::start(&config)?;
    let saved = state::load(&config.data_dir);
    let core = core_config(&config, role, launch.proxy, identity.membership, saved);
    let id = identity.key.id();
    let seed = files::random_bytes()?;
    let clock = Clock::start();
    let mut settings = meshline_net::Settings::new(clock, identity.key.clone(), &core);
    let services = meshline_services::Settings {
        chat: config.chat.bounds(),
        stored: history::load(&config.data_dir)?,
        ..meshline_services::Settings::default()
    };
    let now = clock.now();
    let stack = Stack::new(Node::new(core, identity.key, seed, now), services, now);
    let retries = config.retries;
    settings.port_mapping = config.port_mapping;
    settings.store = Some(state::sink(&config.data_dir));
    settings.keep = Some(history::sink(&config.data_dir));
    settings.on_event = Some(Box::new(move |event| narrate::tell(event, retries)));
    let mesh = meshline_net::start(settings, stack).await?;
    ledger.join(mesh.ledger());
    let mut reloader = Reloader::new(launch.load, &config, log);
    serve(&config, (mesh, id), (&ledger, &mut reloader)).await
}

async fn serve<T: MemberConfig>(
    config: &NodeConfig,
    (mesh, id): (MeshHandle, NodeId),
    (ledger, reloader): (&Arc<NodeLedger>, &mut Reloader<T>),
) -> anyhow::Result<()> {
    let token = Arc::new(Token::read_or_make(&config.data_dir)?);
    let http = config.http.as_ref().map(meshline_protocol::Address::as_str);
    let bound = Server::bind(&config.data_dir, http).await?;
    let own_ports = own_ports(&mesh, bound.address());
    let gateway = Arc::new(LocalGateway::start(config, &mesh, own_ports).await);
    gateway.publish(config).await;
    let segment = LocalSegment::start(config, &id, &mesh, &gateway)?;
    let tail = reloader.tail();
    let api = bound.serve(Served {
        mesh: mesh.clone(),
        gateway: Arc::clone(&gateway),
        ledger: Arc::clone(ledger),
        token: Arc::clone(&token),
        tail,
    })?;
    let page = api.address().map(|address| format!("http://{address}/"));
    state::write_page(&config.data_dir, page.as_deref());
    // Said on the console alone: what is logged may be read by others.
    let secret = page.as_ref().map(|page| page_url(page, &token));
    if let Some(page) = &page {
        tracing::info!(target: "meshline", address = %page, "local API listening");
    }
    tokio::select! {
        () = console::run(wants_console(config.console), secret.as_deref(), &mesh) => {}
        () = signals::terminated(async || reloader.reload(&mesh, &gateway).await) => {}
    }
    tracing::info!(target: log::CONSOLE, "Server is shutting down");
    if let Some(segment) = segment {
        segment.finish().await;
    }
    gateway.close();
    // Whoever does not answer by then is told nothing more.
    let ended = async { tokio::join!(mesh.shutdown(), ledger.end()) };
    let _ = tokio::time::timeout(SHUTDOWN_LIMIT, ended).await;
    drop(api);
    Ok(())
}

fn wants_console(console: Console) -> bool {
    match console {
        Console::Always => true,
        Console::Never => false,
        Console::Auto => std::io::stdin().is_terminal(),
    }
}

/// The address of the page of a running member, without its token.
#[must_use]
pub fn page_address(data_dir: &Path) -> Option<String> {
    state::read_page(data_dir)
}

/// The address of a page with its token, which stands behind the `#` and so is never sent by the browser.
#[must_use]
pub fn page_url(address: &str, token: &Token) -> String {
    format!("{address}#{}", token.as_str())
}

/// Runs a program's future on a runtime with one thread: the work of a member is many small steps, and on one
/// thread none of them waits for a wake-up on another core.
///
/// # Errors
/// The future's own, or that the system refuses a runtime.
pub fn block_on(program: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(program)
}
