//! The light client with its files, its clock and the mesh.

use std::time::{Duration, Instant};

use bytes::Bytes;
use meshline_ledger::chain::Chain;
use meshline_ledger::light::{Event, Light, LightRefusal, Output};
use meshline_ledger::store::RedbStore;
use meshline_ledger::sync::{Input, Now, Phase};
use meshline_ledger::{Genesis, Lock, Transaction};
use meshline_net::LedgerPort;
use meshline_wallet::Prefix;
use tracing::{debug, info, warn};

use super::LightDocument;
use crate::files::{self, Access, FolderLock};
use crate::ledger::book::{CHAIN, now_s};
use crate::ledger::exchange::input;
use crate::ledger::place::prefix_of;
use crate::ledger::{LedgerError, LedgerPlace};

/// What was found and sent, and up to where.
const FOUND: &str = "light.dat";

/// How long peers are listened to before others have their turn.
const SLICE: Duration = Duration::from_millis(10);

/// How often it is saved while much comes; what a crash takes is looked through again.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// The light client, in its thread.
#[derive(Debug)]
pub(super) struct Client {
    place: LedgerPlace,
    pub(super) genesis: Genesis,
    pub(super) prefix: Prefix,
    pub(super) chain: Chain<RedbStore>,
    pub(super) light: Light,
    port: Option<LedgerPort>,
    began: Instant,
    /// Something changed since it was saved.
    is_new: bool,
    saved: Instant,
    received: u64,
    has_more: bool,
    _lock: FolderLock,
}

impl Client {
    /// Opens what an earlier run kept.
    pub(super) fn open(place: &LedgerPlace) -> Result<Self, LedgerError> {
        let genesis = place.read_genesis()?;
        files::make_folder(&place.folder)?;
        let lock = files::lock_folder(&place.folder)?;
        let chain = Chain::open(&genesis, RedbStore::open(&place.file(CHAIN))?)?;
        let mut light = Light::new(&chain, files::random_bytes()?);
        let path = place.file(FOUND);
        match std::fs::read(&path) {
            Ok(bytes) => {
                if let Err(error) = light.load(&bytes, &chain) {
                    let _ = files::put_aside(&path);
                    let what = "what was found in the ledger cannot be read; put aside, and looked for again";
                    warn!(target: "meshline", %error, file = %path.display(), "{what}");
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => warn!(target: "meshline", %error, file = %path.display(), "what was found cannot be read"),
        }
        Ok(Self {
            place: place.clone(),
            prefix: prefix_of(&genesis)?,
            genesis,
            chain,
            light,
            port: None,
            began: Instant::now(),
            is_new: false,
            saved: Instant::now(),
            received: 0,
            has_more: false,
            _lock: lock,
        })
    }

    pub(super) fn join(&mut self, port: LedgerPort) {
        self.port = Some(port);
    }

    fn now(&self) -> Now {
        let mono_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { mono_us, unix_s: now_s() }
    }

    /// How long nothing needs to be done unless somebody brings work.
    pub(super) fn pause(&self) -> Duration {
        if self.has_more {
            return Duration::ZERO;
        }
        let now = self.now();
        Duration::from_micros(self.light.poll_timeout(now).saturating_sub(now.mono_us)).max(Duration::from_millis(2))
    }

    /// Takes in what has come, for a while, and does what follows.
    pub(super) fn advance(&mut self) {
        let begin = Instant::now();
        let port = self.port.clone();
        self.has_more = port.is_some();
        while let Some(port) = port.as_ref().filter(|_| begin.elapsed() < SLICE) {
            let Some(news) = port.take() else {
                self.has_more = false;
                break;
            };
            let peer = *news.peer();
            self.handle(input(news));
            port.charge(&peer, self.light.take_effort());
        }
        self.handle(Input::Tick);
        if self.is_new && self.saved.elapsed() >= SAVE_EVERY {
            self.saved = Instant::now();
            if let Err(error) = self.save() {
                warn!(target: "meshline", %error, "what is known of the ledger was not saved");
            }
        }
    }

    fn handle(&mut self, input: Input) {
        if let Input::Frame { body, .. } = &input {
            // A line has some two hundred bytes.
            self.received = self.received.saturating_add(200 + body.as_ref().map_or(0, Bytes::len) as u64);
        }
        let now = self.now();
        self.light.handle(input, now, &mut self.chain);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.light.poll_output() {
            match output {
                Output::Send { peer, message, body } => {
                    if let Some(port) = &self.port {
                        // To one whose link is gone, or is full: what is not answered is asked of another peer.
                        let _ = port.send(&peer, message, body);
                    }
                }
                Output::Misbehaved { peer, reason, ended } => {
                    if ended {
                        warn!(target: "meshline", %peer, reason = reason.name(), "the ledger is not spoken with it any more: {reason}");
                    } else {
                        debug!(target: "meshline", %peer, reason = reason.name(), "{reason}");
                    }
                }
                Output::Event(event) => self.on_event(&event),
            }
        }
    }

    fn on_event(&mut self, event: &Event) {
        self.is_new = true;
        match event {
            Event::Joined { peer, height } => debug!(target: "meshline", %peer, height, "has this ledger"),
            Event::Foreign { peer, chain } => debug!(target: "meshline", %peer, %chain, "has another ledger"),
            Event::Found { txid, height } => {
                info!(target: "meshline", %txid, height, "a payment of the wallet is in a block")
            }
            Event::Proved { txid, height } => debug!(target: "meshline", %txid, height, "proved to be in a block"),
            Event::Undone { txid } => {
                info!(target: "meshline", %txid, "the block of a payment is no longer part of the chain")
            }
            Event::Conflicted { txid } => {
                warn!(target: "meshline", %txid, "an own payment is void: another one spends the same")
            }
            Event::Scanned { height } => debug!(target: "meshline", height, "looked through"),
            Event::Alone { from } => {
                let what = "one member only serves filters: nothing can be compared until there is another";
                warn!(target: "meshline", from, "{what}");
            }
            Event::Compared { from } => info!(target: "meshline", from, "another member says the same of all filters"),
            Event::Synced { height } => info!(target: "meshline", height, "the ledger is followed to its end"),
            Event::StoreFailed(error) => warn!(target: "meshline", %error, "the headers were not kept"),
        }
    }

    /// Writes what the next run needs.
    pub(super) fn save(&mut self) -> Result<(), LedgerError> {
        // Headers first: what was found refers to them.
        self.chain.flush()?;
        files::write(&self.place.file(FOUND), &self.light.save(), Access::Private)?;
        self.is_new = false;
        Ok(())
    }

    /// Looks for these locks; for such as are new from where the looking through begins, or `from` another height.
    pub(super) fn watch(&mut self, locks: &[Lock], from: Option<u32>) -> Result<(), LightRefusal> {
        let from = from.unwrap_or_else(|| self.light.from());
        self.light.watch(locks, from, &self.chain)?;
        self.is_new = true;
        self.handle(Input::Tick);
        Ok(())
    }

    /// Takes an own transaction. It is on the disk before it counts as sent.
    pub(super) fn submit(&mut self, transaction: &Transaction) -> Result<(), String> {
        let now = self.now();
        self.light.submit(transaction, now, &mut self.chain).map_err(|error| error.to_string())?;
        let saved = self.save();
        self.collect();
        saved.map_err(|error| format!("it is sent, but is forgotten if this view ends now: {error}"))
    }

    pub(super) fn document(&self) -> LightDocument {
        let report = self.light.report(&self.chain);
        let phase = match report.phase {
            Phase::Alone => "alone",
            Phase::Headers => "headers",
            Phase::Blocks => "blocks",
            Phase::Synced => "synced",
        };
        LightDocument {
            schema: "meshline/ledger-light/1".to_owned(),
            chain: self.chain.id().to_string(),
            phase: phase.to_owned(),
            height: report.height,
            tip: self.chain.best_header().0.to_string(),
            scanned: report.scanned,
            from: report.from,
            uncompared_from: report.alone_from,
            peers: report.peers.iter().map(|peer| peer.peer).collect(),
            serving: report.serving,
            blocks: report.blocks,
            received_bytes: self.received,
        }
    }
}
