//! What all requests share: the registry behind its lock, the clock, counters, the log.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use meshline_protocol::signal::RefreshRequest;
use meshline_protocol::{NetworkId, NodeId, SignedRecord, UnixMicros};

use crate::checks::Checks;
use crate::connection::Slots;
use crate::dial_back::{self, DialBack, DialQueue, Question};
use crate::log::LogBudget;
use crate::metrics::Metrics;
use crate::registry::{Candidate, Granted, Leaver, Overview, Refusal, Registry, Secret, SecretKey, Seen};
use crate::settings::Settings;

/// How old the overview on the page may be: making it walks all networks.
const OVERVIEW_AGE: Duration = Duration::from_secs(1);

/// Open networks on the page, and members of each.
const PAGE_NETWORKS: usize = 50;
const PAGE_ROWS: usize = 200;

/// How often ended entries are dropped even if nobody asks, and ended revocations.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const REVOCATIONS_EVERY: u32 = 60;

#[derive(Debug)]
pub(crate) struct App {
    registry: Mutex<Registry>,
    overview: Mutex<Option<(Instant, Arc<Overview>)>>,
    pub(crate) ttl_s: u32,
    pub(crate) metrics: Metrics,
    pub(crate) log: LogBudget,
    pub(crate) slots: Arc<Slots>,
    pub(crate) dials: DialQueue,
    checks: Checks,
    is_stopping: AtomicBool,
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random source failed")]
pub struct NoRandom;

impl App {
    /// The state, and the work beside the requests, which the caller runs until it stops.
    pub(crate) fn new(
        settings: &Settings,
        dial_back: Arc<dyn DialBack>,
    ) -> Result<(Arc<Self>, impl Future<Output = ()> + Send + use<>), NoRandom> {
        let (seed, key) = (random_bytes()?, SecretKey::new(&random_bytes()?));
        let (dials, questions) = DialQueue::new(dial_back.is_available());
        let (checks, checking) = Checks::new();
        let app = Arc::new(Self {
            registry: Mutex::new(Registry::new(settings.rules(), key, u64::from_le_bytes(seed))),
            overview: Mutex::new(None),
            ttl_s: settings.ttl_s,
            metrics: Metrics::default(),
            log: LogBudget::new(Instant::now()),
            slots: Arc::default(),
            dials,
            checks,
            is_stopping: AtomicBool::new(false),
        });
        let (settling, sweeping) = (Arc::clone(&app), Arc::clone(&app));
        let dialling =
            dial_back::work(questions, dial_back, move |question, answered| settling.settle(question, answered));
        let work = async move {
            tokio::join!(dialling, checking, sweep(sweeping));
        };
        Ok((app, work))
    }

    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// The registry, for no longer than it takes: nothing is awaited while it is held.
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the author of an announcement; its network and id come with the grant. `None` if the server stops.
    pub(crate) async fn announce(&self, record: SignedRecord, observed: IpAddr) -> Option<Result<Listed, Refusal>> {
        Some(self.checks.check(record).await?.and_then(|candidate| self.enter(candidate, observed)))
    }

    fn enter(&self, candidate: Candidate, observed: IpAddr) -> Result<Listed, Refusal> {
        let now = now();
        let (network, id, name) = (candidate.network.clone(), candidate.member.id, candidate.member.name.clone());
        let granted = self.registry().announce(candidate, Seen { observed, now })?;
        let outcome = granted.outcome.name();
        self.log
            .line(|| tracing::info!(peer = %id, %name, %network, address = %observed, reason = outcome, "announced"));
        Ok(self.listed(network, id, &granted, Seen { observed, now }))
    }

    /// Prolongs an entry by its secret.
    pub(crate) fn refresh(&self, request: RefreshRequest, observed: IpAddr) -> Result<Listed, Refusal> {
        let RefreshRequest { network, id, secret } = request;
        let seen = Seen { observed, now: now() };
        let granted = self.registry().refresh(id, &network, &secret, seen)?;
        self.log.line(|| tracing::debug!(peer = %id, %network, address = %observed, "refreshed"));
        Ok(self.listed(network, id, &granted, seen))
    }

    /// Takes the author of a departure off the list.
    pub(crate) fn depart(&self, record: &SignedRecord, id: NodeId) -> Result<(), Refusal> {
        let now = now();
        let leaver = Leaver::check(record, id, now)?;
        let network = leaver.network.clone();
        self.registry().depart(leaver, now)?;
        self.log.line(|| tracing::info!(peer = %id, %network, "departed"));
        Ok(())
    }

    /// Takes in a revocation.
    pub(crate) fn revoke(&self, record: &SignedRecord) -> Result<(), Refusal> {
        if let Some(id) = self.registry().revoke(record, now())? {
            self.log.line(|| tracing::info!(peer = %id, network = %record.by, "revoked"));
        }
        Ok(())
    }

    /// What a stranger may see, a second old at most.
    pub(crate) fn overview(&self) -> Arc<Overview> {
        let mut cached = self.overview.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, overview)) = &*cached
            && made.elapsed() < OVERVIEW_AGE
        {
            return Arc::clone(overview);
        }
        let overview = Arc::new(self.registry().overview(PAGE_NETWORKS, PAGE_ROWS));
        *cached = Some((Instant::now(), Arc::clone(&overview)));
        overview
    }

    fn listed(&self, network: NetworkId, id: NodeId, granted: &Granted, seen: Seen) -> Listed {
        let Seen { observed, now } = seen;
        let ask = |address| Question { network: network.clone(), id, seq: granted.seq, address, observed };
        granted.unproved.iter().cloned().map(ask).for_each(|question| self.dials.ask(question));
        let left_s = granted.ends.since(now) / 1_000_000;
        Listed {
            network,
            outcome: granted.outcome.name(),
            expires_s: u32::try_from(left_s).unwrap_or(0),
            secret: granted.secret,
        }
    }

    fn settle(&self, question: &Question, answered: bool) {
        let reason = if answered { "answered" } else { "unanswered" };
        self.metrics.dial_back(reason);
        self.registry().settle(question.id, &question.network, question.seq, (&question.address, answered));
        let Question { id, address, .. } = question;
        self.log.line(|| tracing::debug!(peer = %id, %address, reason, "dialled back"));
    }
}

/// What the answer to an announcement says about the caller's own entry.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) network: NetworkId,
    pub(crate) outcome: &'static str,
    pub(crate) expires_s: u32,
    pub(crate) secret: Secret,
}

/// The time by the system's clock.
pub(crate) fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMicros::new(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

async fn sweep(app: Arc<App>) {
    let mut timer = tokio::time::interval(SWEEP_EVERY);
    let mut round = 0_u32;
    loop {
        timer.tick().await;
        // A step at a time, so that requests get in between however many end at once.
        while app.registry().sweep(now()) {
            tokio::task::yield_now().await;
        }
        round = round.wrapping_add(1);
        if round.is_multiple_of(REVOCATIONS_EVERY) {
            app.registry().sweep_revocations(now());
        }
    }
}
