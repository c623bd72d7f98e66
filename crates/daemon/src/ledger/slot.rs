//! The ledger of a node that runs, if it has one: opened at the start, or created while it runs.

use std::sync::{Arc, Mutex as Lock, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use meshline_net::LedgerPort;
use meshline_wallet::Passphrase;
use meshline_wallet::verbs::BalanceDocument;
use tokio::sync::{Mutex, broadcast};

use super::documents::{SearchDocument, SearchStatus};
use super::engine::Handle;
use super::mine::cores;
use super::{
    Book, CreateDocument, CreateOrder, LedgerError, LedgerPlace, LightHandle, MoneyError, Purse, Tidings, Till, Told,
    balance, create,
};
use crate::config::NodeConfig;
use crate::log::CONSOLE;

/// Tidings kept for a listener that is slow; it is told how many it missed.
const MAX_TIDINGS: usize = 1_024;

/// The ledger of a running node.
#[derive(Debug)]
pub struct NodeLedger {
    place: LedgerPlace,
    mine_to: Option<String>,
    threads: usize,
    handle: OnceLock<Handle>,
    /// Of a view, which follows a ledger and keeps none.
    light: OnceLock<LightHandle>,
    /// Where the mesh is met: also by a ledger that is made later.
    port: OnceLock<LedgerPort>,
    tidings: broadcast::Sender<Tidings>,
    /// One verb of the wallet at a time: each takes 64 MiB to try its passphrase, and the file is one's alone.
    purse: Mutex<()>,
    /// The search that somebody waits for.
    search: Lock<Option<SearchStatus>>,
}

/// Tells how far a search is until it is over.
struct Searching<'a>(&'a NodeLedger);

impl Drop for Searching<'_> {
    fn drop(&mut self) {
        self.0.note_search(None);
    }
}

/// A command may have it at the moment; it is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(50);

/// Opens the ledger, before anything else of the node runs.
fn open_soon(place: &LedgerPlace) -> Result<Book, LedgerError> {
    let begin = Instant::now();
    loop {
        match Book::open(place) {
            Err(error) if error.is_locked() && begin.elapsed() < PATIENCE => std::thread::sleep(INTERVAL),
            other => return other,
        }
    }
}

impl NodeLedger {
    /// The ledger of a node with this configuration; opened if there is one.
    ///
    /// # Errors
    /// If there is one and it cannot be opened.
    pub fn start(config: &NodeConfig) -> Result<Arc<Self>, LedgerError> {
        let threads = config.ledger.mine_threads.map_or_else(cores, |threads| threads as usize);
        let ledger = Self {
            place: LedgerPlace::of(config),
            mine_to: config.ledger.mine_to.clone(),
            threads,
            handle: OnceLock::new(),
            light: OnceLock::new(),
            port: OnceLock::new(),
            tidings: broadcast::channel(MAX_TIDINGS).0,
            purse: Mutex::new(()),
            search: Lock::new(None),
        };
        if ledger.place.is_light {
            // Whoever names a genesis file means it to be used; without one there is no ledger.
            if ledger.place.is_present() || config.ledger.genesis.is_some() {
                let _ = ledger.light.set(LightHandle::start(&ledger.place)?);
            }
        } else if ledger.place.is_present() {
            ledger.run(open_soon(&ledger.place)?)?;
        }
        Ok(Arc::new(ledger))
    }

    fn run(&self, book: Book) -> Result<(), LedgerError> {
        let (chain, height) = (book.id(), book.chain.height());
        let handle = Handle::start(book, self.mine_to.as_deref(), self.threads, self.tidings.clone())?;
        if self.handle.set(handle).is_err() {
            return Err(LedgerError::Silent("it was opened twice"));
        }
        self.meet();
        tracing::info!(target: "meshline", "ledger of the chain {chain} at height {height}");
        if let Some(to) = &self.mine_to {
            // Two spaces, as the tutorial prints it.
            tracing::info!(target: CONSOLE, "Mining is on. Address to receive rewards:  {to}");
        }
        Ok(())
    }

    /// Joins the mesh, at once or when there is a ledger. For the node's start, before anybody else has the ledger.
    pub fn join(&self, port: LedgerPort) {
        if self.port.set(port).is_ok() {
            self.meet();
        }
    }

    fn meet(&self) {
        let Some(port) = self.port.get() else { return };
        if let Some(handle) = self.handle.get() {
            handle.join(port.clone());
        }
        if let Some(light) = self.light.get() {
            light.join(port.clone());
        }
    }

    /// Whoever has the ledger.
    ///
    /// # Errors
    /// If there is none, or one that is followed only.
    pub fn handle(&self) -> Result<&Handle, LedgerError> {
        self.handle
            .get()
            .ok_or_else(|| if self.light.get().is_some() { LedgerError::Followed } else { self.place.none() })
    }

    /// The light client of a view.
    ///
    /// # Errors
    /// If there is none, or the whole ledger.
    pub fn light(&self) -> Result<&LightHandle, LedgerError> {
        self.light.get().ok_or_else(|| if self.handle.get().is_some() { LedgerError::Kept } else { self.place.none() })
    }

    /// Whoever lets a wallet look into the ledger, if there is one.
    fn till(&self) -> Option<&dyn Till> {
        let light = self.light.get().map(|light| light as &dyn Till);
        light.or_else(|| self.handle.get().map(|handle| handle as &dyn Till))
    }

    /// What happens from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Tidings> {
        self.tidings.subscribe()
    }

    /// Makes a chain and opens it.
    ///
    /// # Errors
    /// If there is one, or it cannot be made.
    pub async fn create(self: &Arc<Self>, order: CreateOrder) -> Result<CreateDocument, LedgerError> {
        if self.place.is_light {
            return Err(LedgerError::Wrong("a view follows a ledger and makes none: make it on a node".to_owned()));
        }
        let _alone = self.purse.lock().await;
        let ledger = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || {
            let address = order.address.clone();
            let address =
                address.ok_or_else(|| LedgerError::Wrong("who gets the first money? give an address".to_owned()))?;
            let made = ledger.searching(|ledger, told| create(&ledger.place, &order, &address, told));
            let (book, document) = made?;
            ledger.run(book)?;
            Ok(document)
        });
        made.await.unwrap_or_else(|_| Err(LedgerError::Silent("it failed")))
    }

    /// A verb of the wallet, in a thread that may wait. Of the ledger it is given what there is.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub async fn with_purse<R: Send + 'static>(
        self: &Arc<Self>,
        passphrase: Passphrase,
        verb: impl FnOnce(&Purse<'_>, Option<&dyn Till>) -> Result<R, MoneyError> + Send + 'static,
    ) -> Result<R, MoneyError> {
        let _alone = self.purse.lock().await;
        let ledger = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            verb(&Purse { place: &ledger.place, passphrase: &passphrase }, ledger.till())
        });
        work.await.unwrap_or_else(|_| Err(LedgerError::Silent("it failed").into()))
    }

    /// What an address holds, in a thread that may wait.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub async fn balance(self: &Arc<Self>, address: String) -> Result<BalanceDocument, MoneyError> {
        let ledger = Arc::clone(self);
        let told = tokio::task::spawn_blocking(move || match ledger.till() {
            Some(till) => balance(till, &address),
            None => Err(ledger.place.none().into()),
        });
        told.await.unwrap_or_else(|_| Err(LedgerError::Silent("it failed").into()))
    }

    fn note_search(&self, search: Option<SearchStatus>) {
        *self.search.lock().unwrap_or_else(PoisonError::into_inner) = search;
    }

    /// Does something during which a nonce may be searched, and lets others see how far that is.
    pub fn searching<R>(&self, work: impl FnOnce(&Self, Told<'_>) -> R) -> R {
        let searching = Searching(self);
        work(self, &mut |hashes, expected| searching.0.note_search(Some(SearchStatus { hashes, expected })))
    }

    /// How far the search is that somebody waits for.
    #[must_use]
    pub fn search(&self) -> SearchDocument {
        let search = *self.search.lock().unwrap_or_else(PoisonError::into_inner);
        SearchDocument { schema: "meshline/ledger-search/1".into(), search }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &LedgerPlace {
        &self.place
    }

    /// Keeps what has to be kept, and ends.
    pub async fn end(&self) {
        if let Some(handle) = self.handle.get() {
            handle.end().await;
        }
        if let Some(light) = self.light.get() {
            light.end().await;
        }
    }
}
