//! Asks the member, each source in a task of its own with a deadline. Whoever draws never waits for any of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meshline_daemon::cli::Client;
use meshline_daemon::exit::{Exit, Stop};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::documents::{Ledger, Listing, Message};
use crate::input::{Answer, Event, Fault, Source};

/// An answer from the same machine that takes longer is late; what is shown is old by then.
const DEADLINE: Duration = Duration::from_secs(4);

/// Between attempts to open the stream of events.
const RETRY: Duration = Duration::from_secs(1);

/// How often an open stream counts as heard, though nothing happens.
const QUIET: Duration = Duration::from_secs(10);

/// Where a source is.
const fn path(source: Source) -> &'static str {
    match source {
        Source::Status => "/api/v1/status",
        Source::Peers => "/api/v1/peers",
        Source::Routes => "/api/v1/routes",
        Source::Chat => "/api/v1/chat?limit=300",
        Source::Services => "/api/v1/services",
        Source::Ledger => "/api/v1/ledger",
        // What happened before; then they are told as they come.
        Source::Events => "/api/v1/events/past?limit=1024",
    }
}

/// Where a member tells of the tip that keeps no blocks and follows those of others.
const FOLLOWED: &str = "/api/v1/ledger/light";

/// The tasks. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Fetcher {
    data_dir: Arc<PathBuf>,
    told: Sender<Event>,
    wake: BTreeMap<Source, Arc<Notify>>,
    tasks: JoinSet<()>,
}

impl Fetcher {
    /// Begins to ask the member with this data folder, and tells what it says.
    pub(crate) fn start(data_dir: &Path, told: Sender<Event>) -> Self {
        let data_dir = Arc::new(data_dir.to_owned());
        let mut all = Self { data_dir, told, wake: BTreeMap::new(), tasks: JoinSet::new() };
        for source in Source::ALL {
            let wake = Arc::new(Notify::new());
            all.wake.insert(source, Arc::clone(&wake));
            let (data_dir, told) = (Arc::clone(&all.data_dir), all.told.clone());
            if source == Source::Events {
                all.tasks.spawn(listen(data_dir, wake, told));
            } else {
                all.tasks.spawn(ask_again(data_dir, source, wake, told));
            }
        }
        all
    }

    /// Asks for something now instead of later.
    pub(crate) fn ask(&self, source: Source) {
        self.wake.get(&source).into_iter().for_each(|wake| wake.notify_one());
    }

    /// Writes to all members.
    pub(crate) fn send(&mut self, text: String) {
        let (data_dir, told) = (Arc::clone(&self.data_dir), self.told.clone());
        self.tasks.spawn(async move {
            let message = json!({ "text": text });
            let sending = async { Client::new(&data_dir)?.post("/api/v1/chat", &message).await };
            let sent = within(sending).await.and_then(understood::<Message>);
            let _ = told.send(Event::Sent(sent)).await;
        });
        // What has ended is forgotten.
        while self.tasks.try_join_next().is_some() {}
    }
}

async fn ask_again(data_dir: Arc<PathBuf>, source: Source, wake: Arc<Notify>, told: Sender<Event>) {
    loop {
        let event = match document(&data_dir, source).await.and_then(|document| answer(source, document)) {
            Ok(answer) => Event::Answered(answer),
            Err(fault) => Event::Failed(source, fault),
        };
        if told.send(event).await.is_err() {
            return;
        }
        let pause = Duration::from_millis(source.interval_ms());
        let _ = timeout(pause, wake.notified()).await;
    }
}

/// The document of a source as it is.
pub(crate) async fn document(data_dir: &Path, source: Source) -> Result<Value, Fault> {
    let asking = async {
        let client = Client::new(data_dir)?;
        match client.get(path(source)).await {
            Err(error) if refusal(&error) == Some("ledger_followed") => client.get(FOLLOWED).await,
            answer => answer,
        }
    };
    within(asking).await
}

/// By what name the member refused.
fn refusal(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<Stop>()?.refusal.as_deref()
}

async fn within(asking: impl Future<Output = anyhow::Result<Value>>) -> Result<Value, Fault> {
    match timeout(DEADLINE, asking).await {
        Err(_) => Err(Fault::Late),
        Ok(outcome) => outcome.map_err(|error| fault(&error)),
    }
}

fn fault(error: &anyhow::Error) -> Fault {
    match error.downcast_ref::<Stop>() {
        Some(stop) if stop.exit == Exit::NoDaemon => Fault::Gone(stop.message.clone()),
        Some(stop) if stop.exit == Exit::NoPeer || stop.refusal.as_deref() == Some("no_ledger") => Fault::Missing,
        _ => Fault::Wrong(format!("{error:#}")),
    }
}

fn understood<T: DeserializeOwned>(document: Value) -> Result<T, Fault> {
    serde_json::from_value(document).map_err(|error| Fault::Wrong(format!("the answer is not understood: {error}")))
}

/// The document as far as it is shown.
pub(crate) fn answer(source: Source, document: Value) -> Result<Answer, Fault> {
    if source == Source::Status {
        return understood(document).map(|status| Answer::Status(Box::new(status)));
    }
    if source == Source::Ledger {
        return understood::<Ledger>(document).map(Answer::Ledger);
    }
    let Listing { peers, routes, services, messages, events } = understood(document)?;
    match source {
        Source::Peers => Ok(Answer::Peers(peers)),
        Source::Routes => Ok(Answer::Routes(routes)),
        Source::Services => Ok(Answer::Services(services)),
        Source::Chat => Ok(Answer::Chat(messages)),
        Source::Events => Ok(Answer::Events(events)),
        Source::Status | Source::Ledger => Err(Fault::Missing),
    }
}

async fn listen(data_dir: Arc<PathBuf>, wake: Arc<Notify>, told: Sender<Event>) {
    let mut last = None;
    loop {
        // A member of another version may not know of it: then there is what comes.
        if last.is_none()
            && let Ok(past) = document(&data_dir, Source::Events).await
        {
            last = past.get("last_event_id").and_then(Value::as_str).map(ToOwned::to_owned);
            if let Ok(past) = answer(Source::Events, past)
                && told.send(Event::Answered(past)).await.is_err()
            {
                return;
            }
        }
        if let Err(fault) = hear(&data_dir, &mut last, &told).await
            && told.send(Event::Failed(Source::Events, fault)).await.is_err()
        {
            return;
        }
        if told.is_closed() {
            return;
        }
        let _ = timeout(RETRY, wake.notified()).await;
    }
}

/// Tells what happens until the stream ends. `last` is the id to go on from.
async fn hear(data_dir: &Path, last: &mut Option<String>, told: &Sender<Event>) -> Result<(), Fault> {
    let opening = async { Client::new(data_dir)?.events(last.as_deref()).await };
    let opened = timeout(DEADLINE, opening).await.map_err(|_| Fault::Late)?;
    let mut stream = opened.map_err(|error| fault(&error))?;
    if told.send(Event::Connected).await.is_err() {
        return Ok(());
    }
    loop {
        let event = match timeout(QUIET, stream.next()).await {
            Err(_) => Event::Happened { name: String::new(), what: Value::Null },
            Ok(Ok(Some(event))) => {
                *last = Some(event.id).filter(|id| !id.is_empty());
                Event::Happened { name: event.name, what: serde_json::from_str(&event.data).unwrap_or_default() }
            }
            Ok(Ok(None)) => return Err(Fault::Gone("the member ended the stream of events".to_owned())),
            Ok(Err(error)) => return Err(Fault::Gone(error.to_string())),
        };
        if told.send(event).await.is_err() {
            return Ok(());
        }
    }
}
