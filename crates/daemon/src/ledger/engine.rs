//! The thread that has the ledger of a running node.
//!
//! Others hand it work as functions over the [`Engine`] and wait for what they return; it does one after the other, so
//! everything that one function sees and changes is of one moment. Between them it goes on with what takes long, a step
//! at a time: the index, judging the chain again, the unspent outputs built anew, the next block to be searched.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use meshline_net::LedgerPort;
use meshline_wallet::Address;
use tokio::sync::{broadcast, oneshot};

use super::documents::{MineDocument, MiningStatus, ReindexDocument, StatusDocument, SyncStatus, VerifyDocument};
use super::exchange::Exchange;
use super::mining::Mining;
use super::task::{Judging, Mending};
use super::teller::Desk;
use super::thread::{Work, answered, end, wait_for};
use super::{Book, LedgerError, Tidings, views};

/// Work that may wait for the thread: beyond, whoever brings more is sent away. What waits is small, but the peers'
/// blocks and payments are among it.
const MAX_WAITING: usize = 256;

/// How often it looks at the clock when nobody brings work.
const TURN: Duration = Duration::from_millis(250);

/// How often it notes how it stands, for whoever asks while it is busy.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// The index takes a new block in so long after it came: who passes the block on needs the processor first. Whoever asks
/// the index has it follow at once.
const FOLLOW_DELAY: Duration = Duration::from_millis(400);

/// How often what waits for a block is looked through for what has waited too long, and saved.
const TIDY_EVERY: Duration = Duration::from_secs(300);

/// Work for the thread.
pub(super) enum Message {
    /// Something to be done.
    Work(Work<Engine>),
    /// Something has come from the mesh.
    News,
    /// The end: what has to be kept is kept, then this is answered.
    End(oneshot::Sender<()>),
}

impl From<Work<Engine>> for Message {
    fn from(work: Work<Engine>) -> Self {
        Self::Work(work)
    }
}

/// The ledger of a running node, in its thread.
#[derive(Debug)]
pub struct Engine {
    /// Chain and waiting payments.
    pub book: Book,
    /// The search for blocks.
    pub(super) mining: Mining,
    exchange: Exchange,
    judging: Judging,
    pub(super) mending: Mending,
    tidings: broadcast::Sender<Tidings>,
    /// When the index goes on, if it lacks blocks.
    follow_at: Option<Instant>,
    tidied: Instant,
    known: Arc<Mutex<StatusDocument>>,
    noted: Instant,
}

/// Whether blocks are searched, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MineOrder {
    /// On or off.
    pub on: bool,
    /// Who gets the rewards; whoever got them last unless told.
    #[serde(default)]
    pub to: Option<String>,
}

/// What others hold of the thread.
#[derive(Debug, Clone)]
pub struct Handle {
    sender: SyncSender<Message>,
    /// What it stood like a moment ago.
    known: Arc<Mutex<StatusDocument>>,
}

impl Handle {
    /// Starts the thread with an opened ledger. With `mine_to` it searches for blocks at once.
    ///
    /// # Errors
    /// If that is no address of the chain, or the system gives no thread.
    pub(super) fn start(
        book: Book,
        mine_to: Option<&str>,
        threads: usize,
        tidings: broadcast::Sender<Tidings>,
    ) -> Result<Self, LedgerError> {
        let to = mine_to.map(|text| Address::parse(text, book.prefix())).transpose()?;
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let mining = Mining::new(to.map(|address| address.lock), threads, sender.clone());
        let known = Arc::new(Mutex::new(views::status(&book, None, None)));
        let mut engine = Engine {
            book,
            mining,
            exchange: Exchange::new(sender.clone()),
            judging: Judging::default(),
            mending: Mending::default(),
            tidings,
            follow_at: Some(Instant::now()),
            tidied: Instant::now(),
            known: Arc::clone(&known),
            noted: Instant::now(),
        };
        let thread = thread::Builder::new().name("ledger".to_owned());
        let work = move || {
            let ended = engine.run(&receiver);
            // Whoever waits for the end may want the folder next.
            drop(engine);
            if let Some(ended) = ended {
                let _ = ended.send(());
            }
        };
        thread.spawn(work).map_err(|_| LedgerError::Silent("no thread can be started"))?;
        Ok(Self { sender, known })
    }

    /// Joins the mesh: from now on the ledger is that of all members that have the same chain.
    pub(super) fn join(&self, port: LedgerPort) {
        // The thread may be ending.
        let _ = self.sender.send(Message::Work(Box::new(move |engine| engine.exchange.join(port))));
    }

    /// Has work done in the thread.
    ///
    /// # Errors
    /// If it has too much to do, or ends.
    pub async fn ask<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> R + Send + 'static,
    ) -> Result<R, LedgerError> {
        let (work, answer) = answered(work);
        self.sender.try_send(work.into()).map_err(|error| match error {
            TrySendError::Full(_) => LedgerError::Silent("it has too much to do"),
            TrySendError::Disconnected(_) => LedgerError::Silent("it is ending"),
        })?;
        answer.await.map_err(|_| LedgerError::Silent("it is ending"))
    }

    /// How the ledger stood when its thread last had the time to say so.
    #[must_use]
    pub fn last_known(&self) -> StatusDocument {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Judges the whole chain again; the node goes on meanwhile.
    ///
    /// # Errors
    /// If the thread ends.
    pub async fn verify(&self) -> Result<VerifyDocument, LedgerError> {
        let verdict = self.ask(|engine| engine.judging.ask()).await?;
        verdict.await.map_err(|_| LedgerError::Silent("it is ending"))
    }

    /// Builds the unspent outputs anew from the blocks and puts right what differs; the node goes on meanwhile.
    ///
    /// # Errors
    /// If the store fails or the thread ends.
    pub async fn reindex(&self) -> Result<ReindexDocument, LedgerError> {
        let done = self.ask(|engine| engine.mending.ask()).await?;
        let done = done.await.map_err(|_| LedgerError::Silent("it is ending"))?;
        done.map_err(LedgerError::Rebuild)
    }

    /// Ends the thread, when it has kept what has to be kept.
    pub async fn end(&self) {
        end(&self.sender, Message::End).await;
    }
}

/// From threads that may wait, never from a task.
impl Desk for Handle {
    fn with<R: Send + 'static>(&self, work: impl FnOnce(&mut Book) -> R + Send + 'static) -> Result<R, LedgerError> {
        wait_for(&self.sender, move |engine: &mut Engine| work(&mut engine.book))
    }
}

impl Engine {
    /// Until it is told to end, or nobody is left; whom to tell then.
    fn run(&mut self, receiver: &Receiver<Message>) -> Option<oneshot::Sender<()>> {
        loop {
            let ended = match receiver.recv_timeout(self.pause()) {
                Ok(Message::Work(work)) => {
                    work(self);
                    None
                }
                Ok(Message::End(ended)) => Some(ended),
                Ok(Message::News) | Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Some(ended) = ended {
                self.mining.stop();
                self.save();
                return Some(ended);
            }
            self.advance(Instant::now());
        }
        self.save();
        None
    }

    /// How long nothing needs to be done unless somebody brings work.
    fn pause(&self) -> Duration {
        if !self.judging.is_idle() || !self.mending.is_idle() {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let follow = self.follow_at.filter(|_| self.book.should_follow()).map(|at| at.saturating_duration_since(now));
        self.mining.pause(now).min(self.exchange.pause(&self.book)).min(follow.unwrap_or(TURN)).min(TURN)
    }

    fn advance(&mut self, now: Instant) {
        self.exchange.advance(&mut self.book);
        let tidings = self.book.take_tidings();
        if tidings.iter().any(|one| matches!(one, Tidings::Tip { .. })) {
            self.follow_at.get_or_insert(now + FOLLOW_DELAY);
        }
        self.mining.on_tidings(&tidings, now);
        for one in tidings {
            one.log();
            // Nobody may be listening.
            let _ = self.tidings.send(one);
        }
        self.mining.advance(&mut self.book, now);
        if self.follow_at.is_some_and(|at| at <= now) && self.book.should_follow() {
            self.follow();
        }
        self.judging.advance(&self.book);
        self.mending.advance(&mut self.book);
        if now.saturating_duration_since(self.noted) >= NOTE_EVERY {
            self.noted = now;
            self.note();
        }
        if now.saturating_duration_since(self.tidied) >= TIDY_EVERY {
            self.tidied = now;
            self.book.pool.expire(super::book::now_s());
            self.save();
        }
    }

    /// Takes some blocks into the index; the rest in the next turn.
    fn follow(&mut self) {
        match self.book.follow() {
            Ok(false) => {}
            Ok(true) => self.follow_at = None,
            Err(error) => {
                tracing::error!(target: "meshline", %error, "the index of the ledger does not follow");
                self.follow_at = None;
            }
        }
    }

    fn save(&mut self) {
        if let Err(error) = self.book.save() {
            tracing::error!(target: "meshline", %error, "what waits for a block was not saved");
        }
    }

    /// How the ledger stands.
    #[must_use]
    pub fn status(&self) -> StatusDocument {
        let task = self.judging.status(&self.book).or_else(|| self.mending.status(&self.book));
        let mut status = views::status(&self.book, Some(self.mining_status()), task);
        status.sync = self.exchange.dropped().map(|dropped| SyncStatus::of(&self.book.report(), &dropped));
        status
    }

    fn note(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = self.status();
    }

    fn mining_status(&self) -> MiningStatus {
        self.mining.status(&self.book)
    }

    /// Switches the search on or off.
    ///
    /// # Errors
    /// If nobody is named who gets the rewards, or by no address of the chain.
    pub fn mine(&mut self, order: &MineOrder) -> Result<MineDocument, LedgerError> {
        let to = order.to.as_deref().map(|text| Address::parse(text, self.book.prefix())).transpose()?;
        self.mining.switch(order.on, to.map(|address| address.lock))?;
        self.mining.advance(&mut self.book, Instant::now());
        Ok(MineDocument { schema: "meshline/ledger-mine/1".into(), mining: self.mining_status() })
    }
}
