//! The gateway of a running member: started from its configuration, told who the members are, and with the forwards that
//! were added kept in `data_dir`.

mod detour;
mod offers;
mod roster;
mod stored;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use meshline_gateway::{
    Connected, Directory, Expose, ForwardConfig, ForwardRow, ForwardState, Gateway, GatewayReport, GatewaySettings,
    OwnPorts, ProxyState, Refusal, Rules,
};
use meshline_net::MeshHandle;
use meshline_protocol::{Code, NodeId, ServiceName, Target};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::config::NodeConfig;
use crate::topics::{TopicRow, Topics};
use detour::LocalDetour;
pub(crate) use offers::Held;
use offers::Offers;
use roster::Roster;
use stored::Stored;

/// The gateway of one member. Ends when dropped, or before.
#[derive(Debug)]
pub struct LocalGateway {
    gateway: Arc<Gateway>,
    detour: Arc<LocalDetour>,
    roster: Arc<Roster>,
    offers: Offers,
    topics: OnceLock<Topics>,
    stored: Stored,
    /// Those that carry what is offered to the local segment, as it was at the start.
    segment: Vec<ForwardConfig>,
    /// Held while forwards are added or removed, so that what is on disk is the last state.
    changing: Mutex<()>,
    following: JoinHandle<()>,
}

impl LocalGateway {
    /// Begins with what is configured and what was added at earlier runs. `own_ports` are those of the mesh and the API.
    pub async fn start(config: &NodeConfig, mesh: &MeshHandle, own_ports: OwnPorts) -> Self {
        let roster = Arc::new(Roster::new(!config.network.is_open(), mesh.clone()));
        roster.refresh().await;
        roster.learn_own().await;
        let following = tokio::spawn(roster::follow(Arc::clone(&roster)));
        let segment: Vec<ForwardConfig> = config.lan.forwards().collect();
        let stored = Stored::at(&config.data_dir);
        let settings = GatewaySettings {
            rules: rules(config),
            own_ports,
            forwards: all_forwards(config, &segment),
            stored: stored.load(),
            proxy: config.socks5.clone(),
            ..GatewaySettings::default()
        };
        let gateway = Gateway::start(settings, mesh.tunnels().clone(), Arc::<Roster>::clone(&roster)).await;
        tell_faults(&gateway.report());
        let gateway = Arc::new(gateway);
        let detour = Arc::new(LocalDetour::new(config, &gateway, &roster));
        let weak: Weak<LocalDetour> = Arc::downgrade(&detour);
        mesh.set_detour(weak);
        let offers = Offers::new(mesh.clone(), Arc::clone(&gateway));
        offers.configure(rules(config)).await;
        let (topics, changing) = (OnceLock::new(), Mutex::new(()));
        Self { gateway, detour, roster, offers, topics, stored, segment, changing, following }
    }

    /// Makes everything as it is configured now. Added forwards stay.
    pub async fn reconfigure(&self, config: &NodeConfig) {
        self.detour.set(config);
        self.offers.configure(rules(config)).await;
        self.gateway.set_forwards(all_forwards(config, &self.segment)).await;
        // What is wrong with it is told with everything else.
        let _ = self.gateway.set_proxy(config.socks5.clone()).await;
        tell_faults(&self.gateway.report());
    }

    /// Adds a forward; answered once it is on disk.
    ///
    /// # Errors
    /// What is wrong with it, why it cannot listen, who is not known, or [`Code::StorageFailed`].
    pub async fn add(&self, forward: ForwardConfig) -> Result<ForwardRow, Refusal> {
        let _changing = self.changing.lock().await;
        let row = self.gateway.add_forward(forward).await?;
        if let Err(refusal) = self.stored.save(self.gateway.stored()).await {
            let _ = self.gateway.remove_forward(row.id);
            return Err(refusal);
        }
        Ok(row)
    }

    /// Removes an added forward for good. Its open connections live on.
    ///
    /// # Errors
    /// There is none of that number, it is configured, or [`Code::StorageFailed`]: then it is back after a restart.
    pub async fn remove(&self, id: u32) -> Result<ForwardConfig, Refusal> {
        let _changing = self.changing.lock().await;
        let removed = self.gateway.remove_forward(id)?;
        self.stored.save(self.gateway.stored()).await?;
        Ok(removed)
    }

    /// A stream to a target through a member, `auto` or a service.
    ///
    /// # Errors
    /// Why there is none, by the member that was asked.
    pub async fn connect(&self, peer: &str, target: Option<Target>) -> Result<Connected, Refusal> {
        self.gateway.connect(peer, target).await
    }

    /// Begins to publish what is configured, once.
    pub async fn publish(&self, config: &NodeConfig) {
        let mut topics = Topics::start(&config.topics, &config.data_dir, self).await;
        topics.judge_readers(&config.topics, Arc::<Roster>::clone(&self.roster));
        // A second time nothing is configured that was not before.
        let _ = self.topics.set(topics);
    }

    /// The topics of this member, in figures.
    pub(crate) fn topics(&self) -> Vec<TopicRow> {
        self.topics.get().map(Topics::rows).unwrap_or_default()
    }

    /// Where a topic of this member is read on this host.
    pub(crate) fn topic(&self, name: &ServiceName) -> Option<PathBuf> {
        self.topics.get()?.place(name)
    }

    /// Offers a service until what is returned is dropped.
    ///
    /// # Errors
    /// There is one of this name, or there are too many.
    pub(crate) async fn hold(&self, expose: Expose) -> Result<Held, Refusal> {
        self.offers.hold(expose).await
    }

    /// Everything there is to tell.
    #[must_use]
    pub fn report(&self) -> GatewayReport {
        self.gateway.report()
    }

    /// The members that `text` may mean, by name or by the beginning of an id.
    #[must_use]
    pub fn meant(&self, text: &str) -> Vec<NodeId> {
        self.roster.meant(text)
    }

    /// Whether `text` means this member itself, by name or by the beginning of its id.
    #[must_use]
    pub fn is_own(&self, text: &str) -> bool {
        self.roster.meant_own(text).is_some()
    }

    /// Listens and serves no more. Open connections end with the tunnels.
    pub fn close(&self) {
        self.gateway.close();
        self.following.abort();
    }
}

impl Drop for LocalGateway {
    fn drop(&mut self) {
        self.following.abort();
    }
}

fn all_forwards(config: &NodeConfig, segment: &[ForwardConfig]) -> Vec<ForwardConfig> {
    config.forwards.iter().chain(segment).cloned().collect()
}

/// Ports of this member: those on which the mesh listens, and that of the API.
#[must_use]
pub fn own_ports(mesh: &MeshHandle, api: Option<std::net::SocketAddr>) -> OwnPorts {
    OwnPorts(mesh.listening().iter().map(meshline_protocol::Address::port).chain(api.map(|api| api.port())).collect())
}

fn rules(config: &NodeConfig) -> Rules {
    Rules { expose: config.expose.clone(), exit: config.exit.clone() }
}

/// What does not listen keeps a member from nothing else, so it is told.
fn tell_faults(report: &GatewayReport) {
    for row in &report.forwards {
        if let ForwardState::Refused(Refusal { code, detail }) = &row.state {
            let (listen, code) = (&row.forward.listen, code.name());
            tracing::warn!(target: "meshline", address = %listen, code, detail, "a forward cannot begin: {detail}");
        }
    }
    if let Some(ProxyState::Refused(Refusal { code, detail })) = report.proxy.as_ref().map(|proxy| &proxy.state) {
        tracing::warn!(target: "meshline", code = code.name(), detail, "the local proxy cannot begin: {detail}");
    }
}

/// A refusal by the disk.
fn not_kept(path: &Path, error: &dyn std::fmt::Display) -> Refusal {
    Refusal { code: Code::StorageFailed, detail: format!("{}: {error}", path.display()) }
}
