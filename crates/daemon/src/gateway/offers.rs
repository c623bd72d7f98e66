//! What this member offers to others: what its configuration exposes, and what somebody holds open for a while. The
//! directory is told of both, the gateway lets both be reached.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use meshline_gateway::{Expose, Gateway, Refusal, Rules};
use meshline_net::MeshHandle;
use meshline_protocol::limits::MAX_SERVICES;
use meshline_protocol::message::{Health, OfferedService};
use meshline_protocol::{Code, ServiceText, Target};
use meshline_services::discovery::{Command, Reply};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A service on this host that has not taken a connection by then does not answer.
const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// Services held open by commands at once: no more can be told anyway.
const MAX_HELD: usize = MAX_SERVICES;

/// One of them.
struct Offered {
    expose: Expose,
    held: bool,
    health: Health,
    checking: Option<JoinHandle<()>>,
}

impl Drop for Offered {
    fn drop(&mut self) {
        if let Some(checking) = &self.checking {
            checking.abort();
        }
    }
}

/// All of them, by a number of their own.
#[derive(Default)]
struct Table {
    entries: Mutex<BTreeMap<u64, Offered>>,
    changed: Notify,
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Offered>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exposed(&self) -> Vec<Expose> {
        self.lock().values().map(|offered| offered.expose.clone()).collect()
    }

    /// What the directory is to tell.
    fn advertised(&self) -> Vec<OfferedService> {
        let service = |offered: &Offered| {
            let Expose { name, text, .. } = offered.expose.clone();
            let kind = offered.expose.kind().filter(|_| offered.expose.is_advertised())?;
            Some(OfferedService { name, kind, port: offered.expose.port(), text, health: offered.health })
        };
        self.lock().values().filter_map(service).collect()
    }

    /// Adds one and, if it is to be, begins to check it.
    fn add(self: &Arc<Self>, expose: Expose, held: bool, health: Health) -> u64 {
        let mut entries = self.lock();
        let number = entries.last_key_value().map_or(0, |(last, _)| last + 1);
        let checking = expose.check_s.map(|seconds| {
            let every = Duration::from_secs(u64::from(seconds.max(1)));
            tokio::spawn(check(Arc::downgrade(self), number, expose.target.clone(), every))
        });
        entries.insert(number, Offered { expose, held, health, checking });
        number
    }

    /// Takes out what is configured; where it was, and whether it answered.
    fn take_configured(&self) -> Vec<(Target, Health)> {
        let mut entries = self.lock();
        let known = entries.values().filter(|offered| !offered.held);
        let known = known.map(|offered| (offered.expose.target.clone(), offered.health)).collect();
        entries.retain(|_, offered| offered.held);
        known
    }

    fn note(&self, number: u64, health: Health) {
        let mut entries = self.lock();
        let Some(offered) = entries.get_mut(&number).filter(|offered| offered.health != health) else { return };
        offered.health = health;
        drop(entries);
        self.changed.notify_one();
    }
}

/// Tries a service again and again until it is offered no more.
async fn check(table: Weak<Table>, number: u64, target: Target, every: Duration) {
    loop {
        let health = try_once(&target).await;
        let Some(table) = table.upgrade() else { return };
        table.note(number, health);
        drop(table);
        sleep(every).await;
    }
}

async fn try_once(target: &Target) -> Health {
    let connecting = async {
        match target {
            Target::Tcp(address) => TcpStream::connect((address.host(), address.port())).await.map(drop),
            Target::Unix(path) => UnixStream::connect(path.as_ref()).await.map(drop),
            // Nothing says whether anybody is there.
            Target::Udp(_) | Target::Serial(..) => Err(std::io::ErrorKind::Unsupported.into()),
        }
    };
    match timeout(CHECK_LIMIT, connecting).await {
        Ok(Ok(())) => Health::Up,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::Unsupported => Health::Unknown,
        Ok(Err(_)) | Err(_) => Health::Down,
    }
}

/// What this member offers.
pub(super) struct Offers {
    mesh: MeshHandle,
    gateway: Arc<Gateway>,
    table: Arc<Table>,
    telling: JoinHandle<()>,
}

impl std::fmt::Debug for Offers {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Offers").finish_non_exhaustive()
    }
}

impl Drop for Offers {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

/// A service that is offered for as long as this lives.
#[must_use]
pub(crate) struct Held {
    table: Arc<Table>,
    number: u64,
}

impl Held {
    /// Has the directory say something else of it.
    pub(crate) fn say(&self, text: ServiceText) {
        let mut entries = self.table.lock();
        let Some(offered) = entries.get_mut(&self.number).filter(|offered| offered.expose.text != text) else { return };
        offered.expose.text = text;
        drop(entries);
        self.table.changed.notify_one();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.table.lock().remove(&self.number);
        self.table.changed.notify_one();
    }
}

impl Offers {
    pub(super) fn new(mesh: MeshHandle, gateway: Arc<Gateway>) -> Self {
        let table = Arc::new(Table::default());
        let telling = tokio::spawn({
            let (mesh, gateway, table) = (mesh.clone(), Arc::clone(&gateway), Arc::clone(&table));
            async move {
                loop {
                    table.changed.notified().await;
                    // Less was offered than before, or the same in another state: there is nothing to refuse.
                    let _ = tell(&mesh, &gateway, &table).await;
                }
            }
        });
        Self { mesh, gateway, table, telling }
    }

    /// Makes what is configured this. What is held stays.
    pub(super) async fn configure(&self, rules: Rules) {
        let before = self.table.take_configured();
        let mut told = 0;
        for mut expose in rules.expose {
            told += usize::from(expose.is_advertised());
            if expose.is_advertised() && told > MAX_SERVICES {
                let service = expose.name.as_str();
                tracing::warn!(target: "meshline", "more than {MAX_SERVICES} services: the directory does not tell of {service}");
                expose.advertise = Some(false);
            }
            // What was found out of a place is no less true for another line in the file.
            let known = before.iter().find(|(target, _)| *target == expose.target && expose.check_s.is_some());
            self.table.add(expose, false, known.map_or(Health::Unknown, |(_, health)| *health));
        }
        self.gateway.set_rules(Rules { expose: self.table.exposed(), exit: rules.exit });
        if let Err(Refusal { code, detail }) = tell(&self.mesh, &self.gateway, &self.table).await {
            tracing::warn!(target: "meshline", code = code.name(), detail, "services are not told: {detail}");
        }
    }

    /// Offers a service until what is returned is dropped.
    pub(super) async fn hold(&self, expose: Expose) -> Result<Held, Refusal> {
        let refuse = |code, detail: String| Err(Refusal { code, detail });
        let name = expose.name.clone();
        let (is_taken, held) = {
            let entries = self.table.lock();
            let is_taken = entries.values().any(|offered| offered.expose.name == name);
            (is_taken, entries.values().filter(|offered| offered.held).count())
        };
        if is_taken {
            return refuse(Code::InvalidMessage, format!("this member offers a service {name} already"));
        }
        if held >= MAX_HELD {
            return refuse(Code::TooManyServices, format!("{MAX_HELD} services are held here already"));
        }
        let held = Held { table: Arc::clone(&self.table), number: self.table.add(expose, true, Health::Unknown) };
        tell(&self.mesh, &self.gateway, &self.table).await.map(|()| held)
    }
}

/// Tells gateway and directory what there is now.
async fn tell(mesh: &MeshHandle, gateway: &Gateway, table: &Table) -> Result<(), Refusal> {
    gateway.set_exposed(table.exposed());
    let command = meshline_services::Command::Discovery(Command::Offer(table.advertised()));
    match mesh.command(command).await {
        meshline_services::Reply::Discovery(Reply::Refused { code, detail }) => Err(Refusal { code, detail }),
        meshline_services::Reply::Discovery(_)
        | meshline_services::Reply::Mesh(_)
        | meshline_services::Reply::Chat(_) => Ok(()),
    }
}
