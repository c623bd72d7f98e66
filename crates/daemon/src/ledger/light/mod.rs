//! The light client of a view: a thread that has it, and what others hold of that thread.
//!
//! In the folder of the ledger are `genesis.json` (the chain), `chain.redb` (its headers) and `light.dat` (what was found
//! and sent, and up to where). The wallet is the node's: `data_dir/wallet`.

mod client;
mod teller;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use meshline_net::LedgerPort;
use meshline_protocol::NodeId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::thread::{Work, end, wait_for};
use super::{LedgerError, LedgerPlace};
use client::Client;

/// Work that may wait for the thread; whoever brings more is sent away.
const MAX_WAITING: usize = 64;

/// How often it looks at the clock when nobody brings work.
const TURN: Duration = Duration::from_secs(1);

/// Work for the thread.
enum Message {
    /// Something to be done.
    Work(Work<Client>),
    /// Something came from the mesh.
    News,
    /// The end: what has to be kept is kept, then this is answered.
    End(oneshot::Sender<()>),
}

impl From<Work<Client>> for Message {
    fn from(work: Work<Client>) -> Self {
        Self::Work(work)
    }
}

/// How far the light client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LightDocument {
    /// `meshline/ledger-light/1`.
    pub schema: String,
    /// Which chain, by the hash of its first block.
    pub chain: String,
    /// `alone` (no peer has this chain), `headers` (they are fetched), `blocks` (they are looked through) or `synced`.
    pub phase: String,
    /// Height of the last good header.
    pub height: u32,
    /// The hash of that header.
    pub tip: String,
    /// Up to which height blocks were looked through; `null` before the first.
    pub scanned: Option<u32>,
    /// The first block that is looked through: the wallet is no older.
    pub from: u32,
    /// The first block of which filters were taken on the word of one peer alone; `null` if all could be compared.
    pub uncompared_from: Option<u32>,
    /// Peers with the same chain.
    pub peers: Vec<NodeId>,
    /// Of these, how many serve filters.
    pub serving: usize,
    /// Blocks that were fetched whole since the start.
    pub blocks: u64,
    /// Bytes of the ledger that came since the start.
    pub received_bytes: u64,
}

impl LightDocument {
    /// For a person.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = match self.phase.as_str() {
            "alone" => "No linked member has this ledger. A node that has it must be linked.".to_owned(),
            "headers" => format!("Fetching headers, {} so far", self.height),
            "blocks" => format!("Looking through the blocks, {} of {}", self.scanned.unwrap_or(0), self.height),
            _ => format!("All {} blocks are known", self.height),
        };
        if let Some(from) = self.uncompared_from {
            let warning = "with one member only that serves filters nothing could be compared";
            text.push_str(&format!("\nFrom block {from} on: {warning}"));
        }
        text
    }
}

/// What others hold of the thread.
#[derive(Debug, Clone)]
pub struct LightHandle {
    sender: SyncSender<Message>,
    /// What it stood like a moment ago.
    known: Arc<Mutex<LightDocument>>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Message")
    }
}

impl LightHandle {
    /// Opens what is kept, and starts the thread.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(super) fn start(place: &LedgerPlace) -> Result<Self, LedgerError> {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let mut client = Client::open(place)?;
        let known = Arc::new(Mutex::new(client.document()));
        let handle = Self { sender, known: Arc::clone(&known) };
        tracing::info!(target: "meshline", "following the ledger of the chain {}", client.document().chain);
        let work = move || {
            let ended = run(&mut client, &receiver, &known);
            // Whoever waits for the end may want the folder next.
            drop(client);
            if let Some(ended) = ended {
                let _ = ended.send(());
            }
        };
        let thread = thread::Builder::new().name("ledger".to_owned()).spawn(work);
        thread.map(|_| handle).map_err(|_| LedgerError::Silent("no thread can be started"))
    }

    /// From now on peers are listened to and talked to.
    pub(super) fn join(&self, port: LedgerPort) {
        let sender = self.sender.clone();
        port.listen(move || {
            // Where there is no room the thread is busy, and looks at the port after each piece of work.
            let _ = sender.try_send(Message::News);
        });
        let _ = self.sender.send(Message::Work(Box::new(move |client| client.join(port))));
    }

    /// How far it was a moment ago.
    #[must_use]
    pub fn document(&self) -> LightDocument {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has something done in the thread and waits for it: from threads that may wait, never from a task.
    fn ask<R: Send + 'static>(&self, work: impl FnOnce(&mut Client) -> R + Send + 'static) -> Result<R, LedgerError> {
        wait_for(&self.sender, work)
    }

    /// Ends the thread, when it has kept what has to be kept.
    pub async fn end(&self) {
        end(&self.sender, Message::End).await;
    }
}

/// Until it is told to end, or nobody is left; whom to tell then.
fn run(client: &mut Client, receiver: &Receiver<Message>, known: &Mutex<LightDocument>) -> Option<oneshot::Sender<()>> {
    let mut ended = None;
    while ended.is_none() {
        match receiver.recv_timeout(client.pause().min(TURN)) {
            Ok(Message::Work(work)) => work(client),
            Ok(Message::News) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::End(whom)) => ended = Some(whom),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        client.advance();
        *known.lock().unwrap_or_else(PoisonError::into_inner) = client.document();
    }
    if let Err(error) = client.save() {
        tracing::error!(target: "meshline", %error, "what is known of the ledger was not saved");
    }
    ended
}
