//! The one handle to all of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meshline_protocol::opening::OpenStream;
use meshline_protocol::{Code, Target};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinHandle;

use crate::carrier::Carrier;
use crate::connector::{Connected, Connector, Via};
use crate::counters::Traffic;
use crate::directory::Directory;
use crate::exit::{self, Served};
use crate::forward::guest::Guests;
use crate::forward::{self, Forward, ForwardConfig, ForwardRow, Forwards, Origin, StoredForwards};
use crate::limits::{MAX_CONNECTIONS, MAX_UDP_PEERS, STREAM_IDLE, UDP_IDLE};
use crate::proxy::{ProxyConfig, ProxyReport, ProxySlot};
use crate::refusal::{Refusal, refuse};
use crate::rules::{ExitRules, Expose, OwnPorts, Rules};
use crate::service_word::ServiceWord;

/// What a gateway does at its start. All but the own ports can be changed later.
#[derive(Clone, Debug, Default)]
pub struct GatewaySettings {
    /// What others may use.
    pub rules: Rules,
    /// Ports of the API and the mesh.
    pub own_ports: OwnPorts,
    /// Forwards from the configuration.
    pub forwards: Vec<ForwardConfig>,
    /// Forwards that were added at an earlier run.
    pub stored: Vec<ForwardConfig>,
    /// The local proxy.
    pub proxy: Option<ProxyConfig>,
    /// How long and how many.
    pub patience: Patience,
}

/// Bounds that a test or a small device may want smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// After this time without a byte a connection ends.
    pub stream_idle: Duration,
    /// After this time without a payload a UDP address is forgotten.
    pub udp_idle: Duration,
    /// Connections of one forward or proxy at once.
    pub max_connections: usize,
    /// UDP addresses of one forward or association at once.
    pub max_udp_peers: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stream_idle: STREAM_IDLE,
            udp_idle: UDP_IDLE,
            max_connections: MAX_CONNECTIONS,
            max_udp_peers: MAX_UDP_PEERS,
        }
    }
}

/// What all tasks of a gateway share.
pub(crate) struct Shared {
    pub(crate) connector: Connector,
    pub(crate) served: Arc<Served>,
    pub(crate) guests: Arc<Guests>,
    pub(crate) forwards: Forwards,
    pub(crate) proxy: ProxySlot,
    pub(crate) own_ports: OwnPorts,
    pub(crate) patience: Patience,
    rules: Mutex<Arc<Rules>>,
}

impl Shared {
    /// The rules as they are now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Forwards, exposed services, ways out and the local proxy of one member. Ends when dropped.
pub struct Gateway {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// What a gateway tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GatewayReport {
    /// The forwards.
    pub forwards: Vec<ForwardRow>,
    /// What is exposed, and to whom.
    pub expose: Vec<Expose>,
    /// Ways out and listeners for others.
    pub exit: ExitRules,
    /// What others used here.
    pub served: Traffic,
    /// The local proxy.
    pub proxy: Option<ProxyReport>,
}

impl Gateway {
    /// Begins to serve and to listen. What cannot listen is told by [`Gateway::report`], so that one port in use does
    /// not keep a member from its other work.
    pub async fn start(settings: GatewaySettings, tunnels: impl Carrier, directory: Arc<dyn Directory>) -> Self {
        let carrier: Arc<dyn Carrier> = Arc::new(tunnels);
        let shared = Arc::new(Shared {
            connector: Connector::new(Arc::clone(&carrier), directory),
            served: Arc::default(),
            guests: Arc::default(),
            forwards: Forwards::default(),
            proxy: ProxySlot::default(),
            own_ports: settings.own_ports,
            patience: settings.patience,
            rules: Mutex::new(Arc::new(settings.rules)),
        });
        let serving = tokio::spawn(exit::serve(carrier, Arc::clone(&shared)));
        let gateway = Self { shared, serving };
        gateway.set_forwards(settings.forwards).await;
        for config in settings.stored {
            // A stored one that cannot begin now stays, or it would be lost to whatever used its port once.
            let _ = gateway.begin(Forward { config, origin: Origin::Added }, true).await;
        }
        let _ = gateway.set_proxy(settings.proxy).await;
        gateway
    }

    /// Adds a forward that is to be kept. A name is replaced by the full id it means now.
    ///
    /// # Errors
    /// What is wrong with it, why it cannot listen, or [`Code::NoSuchPeer`].
    pub async fn add_forward(&self, mut config: ForwardConfig) -> Result<ForwardRow, Refusal> {
        config.check()?;
        let via = self.shared.connector.resolve(&config.peer, config.target.is_some())?;
        config.peer = via.to_string();
        if let Via::Service(word) = &via {
            self.find_service(&config, word).await?;
        }
        let id = self.begin(Forward { config, origin: Origin::Added }, false).await?;
        let row = self.forwards().into_iter().find(|row| row.id == id);
        row.ok_or_else(|| refuse(Code::NotNeeded, "it was removed at once"))
    }

    /// A word that names nobody is either a service somebody offers, though it may be down at the moment, or exposes without
    /// telling, or a slip.
    async fn find_service(&self, config: &ForwardConfig, word: &ServiceWord) -> Result<(), Refusal> {
        let nobody = |why: String| {
            refuse(Code::NoSuchPeer, format!("nobody is called {}, and as a service: {why}", word.name.as_str()))
        };
        if config.reverse {
            return Err(nobody("a reverse forward needs a member".to_owned()));
        }
        if self.shared.connector.is_offered(word).await? {
            return Ok(());
        }
        let (via, wish) = config.wish(&self.shared.connector)?;
        match self.shared.connector.connect(&via, wish).await {
            Ok(_) => Ok(()),
            // Several things of that name, or a member that needs a target, are no slip.
            Err(refusal) if refusal.code == Code::InvalidMessage => Err(refusal),
            Err(refusal) => Err(nobody(refusal.detail)),
        }
    }

    async fn begin(&self, forward: Forward, stays: bool) -> Result<u32, Refusal> {
        let (id, counters) = self.shared.forwards.reserve(&forward)?;
        let outcome = match forward.config.check() {
            Ok(()) => forward::start(&forward, (id, counters), &self.shared).await,
            Err(refusal) => Err(refusal),
        };
        self.shared.forwards.settle(id, outcome, stays).map(|()| id)
    }

    /// Ends an added forward and says what it was. Its open connections live on.
    ///
    /// # Errors
    /// There is none of that number, or it is configured.
    pub fn remove_forward(&self, id: u32) -> Result<ForwardConfig, Refusal> {
        self.shared.forwards.remove(id, Origin::Added)
    }

    /// Makes the configured forwards these. Those that stay are not touched.
    pub async fn set_forwards(&self, forwards: Vec<ForwardConfig>) {
        let rows = self.forwards();
        let configured = || rows.iter().filter(|row| row.origin == Origin::Configured);
        for row in configured().filter(|row| !forwards.contains(&row.forward)) {
            let _ = self.shared.forwards.remove(row.id, Origin::Configured);
        }
        for config in forwards {
            if !configured().any(|row| row.forward == config) {
                // Listed with its fault if it has one.
                let _ = self.begin(Forward { config, origin: Origin::Configured }, true).await;
            }
        }
    }

    /// All forwards.
    #[must_use]
    pub fn forwards(&self) -> Vec<ForwardRow> {
        let mut rows = self.shared.forwards.rows();
        let directory = self.shared.connector.directory();
        for row in &mut rows {
            let member = row.forward.peer.parse().ok().and_then(|id| directory.member(id));
            row.peer_name = member.map(|member| member.name).filter(|name| !name.is_empty());
        }
        rows
    }

    /// The forwards to be kept over restarts.
    #[must_use]
    pub fn stored(&self) -> StoredForwards {
        let added = self.forwards().into_iter().filter(|row| row.origin == Origin::Added);
        StoredForwards { schema: StoredForwards::SCHEMA.to_owned(), forwards: added.map(|row| row.forward).collect() }
    }

    /// Changes what others may use; for streams that are opened from now on.
    pub fn set_rules(&self, rules: Rules) {
        *self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Changes what is exposed by name.
    pub fn set_exposed(&self, expose: Vec<Expose>) {
        let exit = self.shared.rules().exit.clone();
        self.set_rules(Rules { expose, exit });
    }

    /// Starts, changes or ends the local proxy.
    ///
    /// # Errors
    /// Why it cannot listen; the report says so too.
    pub async fn set_proxy(&self, config: Option<ProxyConfig>) -> Result<(), Refusal> {
        self.shared.proxy.set(config, &self.shared).await
    }

    /// A stream to a target through a member, `auto` or a service.
    ///
    /// # Errors
    /// Why there is none, by the member that was asked.
    pub async fn connect(&self, peer: &str, target: Option<Target>) -> Result<Connected, Refusal> {
        let via = self.shared.connector.resolve(peer, target.is_some())?;
        self.shared.connector.connect(&via, OpenStream { target, ..OpenStream::default() }).await
    }

    /// Everything there is to tell.
    #[must_use]
    pub fn report(&self) -> GatewayReport {
        let rules = self.shared.rules();
        GatewayReport {
            forwards: self.forwards(),
            expose: rules.expose.clone(),
            exit: rules.exit.clone(),
            served: self.shared.served.counters.traffic(),
            proxy: self.shared.proxy.report(),
        }
    }

    /// Listens and serves no more. Connections that are open live on as long as their streams.
    pub fn close(&self) {
        self.serving.abort();
        self.shared.forwards.clear();
        self.shared.proxy.clear();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.close();
    }
}
