//! The local segment of a running member: who is found there, what of the mesh is offered to it, and what of it to the
//! mesh. Everything here was asked for in the configuration.
//!
//! What is heard is judged elsewhere: nodes by the core, which dials them at its own pace, services by [`Imports`]. What
//! came of it is made true every two seconds, so that nobody on the segment sets the pace of the mesh.

mod exchange;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use meshline_mesh::{LanBeacon, LanSighting};
use meshline_net::MeshHandle;
use meshline_net::lan::{LanAnnouncement, LanEnd, LanEvent, LanFound, LanKind, Segment};
use meshline_protocol::NodeId;
use meshline_services::imports::{Announced, Imports};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};

use crate::config::{LanConfig, NodeConfig};
use crate::files;
use crate::gateway::LocalGateway;
use exchange::{Held, Offered};

/// What is announced is of this version; others are left to those who know them.
const VERSION: &str = "1";

/// Between two looks at what is to be offered there and here.
const PACE: Duration = Duration::from_secs(2);

/// Before it is begun again after somebody filled the memory, or the system refused.
const REST: Duration = Duration::from_secs(60);

/// After this all that is there has answered once: what did not is gone.
const SETTLED: Duration = Duration::from_secs(15);

/// What taking everything back may take at the end.
const END_LIMIT: Duration = Duration::from_millis(800);

/// The task that announces and listens.
#[derive(Debug)]
pub(crate) struct LocalSegment {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl LocalSegment {
    /// Begins, if anything is to be done there.
    pub(crate) fn start(
        config: &NodeConfig,
        id: &NodeId,
        mesh: &MeshHandle,
        gateway: &Arc<LocalGateway>,
    ) -> anyhow::Result<Option<Self>> {
        if !config.lan.is_wanted() {
            return Ok(None);
        }
        let [a, b, c, d, ..] = files::random_bytes()?;
        let work = Work {
            config: config.lan.clone(),
            beacon: LanBeacon::new(&config.network, id),
            place: LanAnnouncement::place(mesh.listening()),
            name: format!("meshline-{:08x}", u32::from_be_bytes([a, b, c, d])),
            mesh: mesh.clone(),
            gateway: Arc::clone(gateway),
            imports: Imports::default(),
            held: Held::default(),
            offered: Offered::default(),
            named: BTreeSet::new(),
        };
        let (end, ended) = oneshot::channel();
        Ok(Some(Self { end, task: tokio::spawn(work.run(ended)) }))
    }

    /// Takes back what was announced.
    pub(crate) async fn finish(self) {
        let _ = self.end.send(());
        let _ = timeout(END_LIMIT, self.task).await;
    }
}

struct Work {
    config: LanConfig,
    beacon: LanBeacon,
    /// Where this node listens beyond loopback.
    place: Option<(u16, Vec<IpAddr>)>,
    /// A name that says nothing, another one at each start.
    name: String,
    mesh: MeshHandle,
    gateway: Arc<LocalGateway>,
    imports: Imports,
    held: Held,
    offered: Offered,
    /// Why announcements were passed over, each told once.
    named: BTreeSet<&'static str>,
}

impl Work {
    async fn run(mut self, mut ended: oneshot::Receiver<()>) {
        loop {
            match Segment::open(&self.kinds(), &self.name) {
                Ok(mut segment) => tokio::select! {
                    end = self.listen(&mut segment) => tell(&end),
                    _ = &mut ended => return segment.close().await,
                },
                Err(end) => tell(&end),
            }
            tokio::select! {
                () = sleep(REST) => {}
                _ = &mut ended => return,
            }
        }
    }

    fn kinds(&self) -> Vec<LanKind> {
        let nodes = self.config.discover.then(LanKind::node);
        nodes.into_iter().chain(self.config.import.iter().map(|import| import.kind.clone().into())).collect()
    }

    /// Announces and listens until the segment is given up.
    async fn listen(&mut self, segment: &mut Segment) -> LanEnd {
        self.imports.begin_round();
        self.offered = Offered::default();
        if let Err(end) = self.announce(segment) {
            return end;
        }
        let (mut settled, mut is_settled) = (pin!(sleep(SETTLED)), false);
        let mut pace = interval(PACE);
        loop {
            tokio::select! {
                event = segment.next() => match event {
                    Ok(event) => self.handle(event).await,
                    Err(end) => return end,
                },
                () = &mut settled, if !is_settled => {
                    is_settled = true;
                    self.imports.forget_silent();
                }
                _ = pace.tick() => {
                    self.held.follow(&self.imports, &self.config.import, &self.gateway).await;
                    self.offered.follow(&self.config.offer, (&self.mesh, &self.gateway), segment).await;
                }
            }
        }
    }

    fn announce(&self, segment: &mut Segment) -> Result<(), LanEnd> {
        let Some((port, addresses)) = self.place.clone().filter(|_| self.config.discover) else { return Ok(()) };
        let LanBeacon { network, member } = self.beacon.clone();
        let text = [("v", VERSION.to_owned()), ("n", network), ("m", member)];
        let text = text.map(|(key, value)| (key.to_owned(), value)).to_vec();
        let (kind, instance) = (LanKind::node(), self.name.clone());
        segment.announce(&LanAnnouncement { kind, instance, addresses, port, text })
    }

    async fn handle(&mut self, event: LanEvent) {
        match event {
            LanEvent::Found(found) if found.kind == LanKind::node() => {
                if let Some(sighting) = sighting(found) {
                    self.mesh.lan_seen(sighting).await;
                }
            }
            LanEvent::Gone { kind, instance } if kind == LanKind::node() => self.mesh.lan_gone(instance).await,
            LanEvent::Found(LanFound { kind, instance, addresses, text }) => {
                let announced = Announced { kind: kind.kind().clone(), instance, addresses, text };
                if let Err(reason) = self.imports.see(&announced)
                    && self.named.insert(reason)
                {
                    tracing::info!(target: "meshline", reason, "services of the local segment are passed over");
                }
            }
            LanEvent::Gone { kind, instance } => self.imports.forget(kind.kind(), &instance),
        }
    }
}

fn sighting(found: LanFound) -> Option<LanSighting> {
    let says = |key| found.says(key).unwrap_or_default().to_owned();
    let (version, network, member) = (says("v"), says("n"), says("m"));
    let LanFound { instance, addresses, .. } = found;
    (version == VERSION).then_some(LanSighting { instance, network, member, addresses })
}

fn tell(end: &LanEnd) {
    let reason = if *end == LanEnd::Flooded { "lan_flooded" } else { "lan_failed" };
    let rest_s = REST.as_secs();
    tracing::warn!(target: "meshline", reason, "the local segment is not listened to for {rest_s} s: {end}");
}
