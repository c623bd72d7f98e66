//! The place of the one local proxy, which comes, changes and goes while the member runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meshline_protocol::{Address, Code};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Proxy, ProxyConfig, run};
use crate::counters::{Counters, Traffic};
use crate::gateway::Shared;
use crate::refusal::{Refusal, refuse};

/// How the proxy stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProxyState {
    /// It listens there.
    Listening(Address),
    /// It could not begin.
    Refused(Refusal),
}

/// What the proxy tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProxyReport {
    /// How it stands.
    pub state: ProxyState,
    /// Through whom connections leave.
    pub exit: String,
    /// What went through it.
    #[serde(flatten)]
    pub traffic: Traffic,
}

#[derive(Default)]
pub(crate) struct ProxySlot(Mutex<Option<Entry>>);

struct Entry {
    config: ProxyConfig,
    counters: Arc<Counters>,
    running: Result<(Address, JoinHandle<()>), Refusal>,
}

impl ProxySlot {
    fn lock(&self) -> MutexGuard<'_, Option<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the proxy there is and begins the new one. The same one again is not touched.
    pub(crate) async fn set(&self, config: Option<ProxyConfig>, shared: &Arc<Shared>) -> Result<(), Refusal> {
        let stays = |entry: &Entry| entry.running.is_ok() && Some(&entry.config) == config.as_ref();
        if self.lock().as_ref().is_some_and(stays) {
            return Ok(());
        }
        self.clear();
        let Some(config) = config else { return Ok(()) };
        let counters = Arc::new(Counters::default());
        let running = start(&config, Arc::clone(&counters), shared).await;
        let outcome = running.as_ref().map(|_| ()).map_err(Clone::clone);
        *self.lock() = Some(Entry { config, counters, running });
        outcome
    }

    pub(crate) fn clear(&self) {
        if let Some(Ok((_, task))) = self.lock().take().map(|entry| entry.running) {
            task.abort();
        }
    }

    pub(crate) fn report(&self) -> Option<ProxyReport> {
        self.lock().as_ref().map(|entry| ProxyReport {
            state: match &entry.running {
                Ok((address, _)) => ProxyState::Listening(address.clone()),
                Err(refusal) => ProxyState::Refused(refusal.clone()),
            },
            exit: entry.config.exit.clone(),
            traffic: entry.counters.traffic(),
        })
    }
}

async fn start(
    config: &ProxyConfig,
    counters: Arc<Counters>,
    shared: &Arc<Shared>,
) -> Result<(Address, JoinHandle<()>), Refusal> {
    config.check()?;
    let listen = &config.listen;
    let failed = |error: std::io::Error| refuse(Code::TargetRefused, format!("cannot listen on {listen}: {error}"));
    let listener = TcpListener::bind((listen.host(), listen.port())).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?.into();
    let proxy = Arc::new(Proxy { config: config.clone(), counters, shared: Arc::clone(shared) });
    Ok((address, tokio::spawn(run(listener, proxy))))
}
