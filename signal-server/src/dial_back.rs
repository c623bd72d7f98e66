//! Proving an announced address by connecting to it.
//!
//! Announcements make this server open connections, so it must not become a tool: few at once, none into places
//! that the announcer could not reach itself, and few to any one address however many members name it.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use meshline_protocol::{Address, NetworkId, NodeId, UnixMicros};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::address::Reach;

/// Dial-backs under way at once.
pub const MAX_DIALS: usize = 16;

/// How long a name may take to resolve, and a member to answer.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Dial-backs that wait for their turn; more are left out, and asked for again by the next refresh.
pub const MAX_WAITING: usize = 256;

/// How long an outcome is taken for granted, and the window in which [`MAX_PER_TARGET`] counts.
pub const WINDOW: Duration = Duration::from_secs(30);

/// Members for whom one address is dialled within [`WINDOW`].
pub const MAX_PER_TARGET: usize = 4;

/// Addresses dialled within [`WINDOW`].
pub const MAX_TARGETS: usize = 4_096;

/// The outcome of a dial-back, to come.
pub type Answer = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Connects to a member and says whether it is the one with this id. It is given [`DIAL_TIMEOUT`].
pub trait DialBack: Send + Sync + 'static {
    /// Whether the member with this id proves its key at `address`.
    fn dial(&self, address: SocketAddr, id: NodeId) -> Answer;

    /// Whether there is any point in asking.
    fn is_available(&self) -> bool {
        true
    }
}

/// Dials nobody: only addresses at which a member was seen are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDialBack;

impl DialBack for NoDialBack {
    fn dial(&self, _: SocketAddr, _: NodeId) -> Answer {
        Box::pin(std::future::ready(false))
    }

    fn is_available(&self) -> bool {
        false
    }
}

impl<F, A> DialBack for F
where
    F: Fn(SocketAddr, NodeId) -> A + Send + Sync + 'static,
    A: Future<Output = bool> + Send + 'static,
{
    fn dial(&self, address: SocketAddr, id: NodeId) -> Answer {
        Box::pin(self(address, id))
    }
}

/// One announced address to be proved.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) network: NetworkId,
    pub(crate) id: NodeId,
    pub(crate) seq: UnixMicros,
    pub(crate) address: Address,
    pub(crate) observed: IpAddr,
}

/// Where questions are put.
#[derive(Debug)]
pub(crate) struct DialQueue {
    waiting: mpsc::Sender<Question>,
    is_available: bool,
}

impl DialQueue {
    /// The queue, and its other end for [`work`].
    pub(crate) fn new(is_available: bool) -> (Self, mpsc::Receiver<Question>) {
        let (waiting, questions) = mpsc::channel(MAX_WAITING);
        (Self { waiting, is_available }, questions)
    }

    /// Asks, unless there is nobody to ask or no room.
    pub(crate) fn ask(&self, question: Question) {
        if self.is_available {
            // A full queue is a reason to leave it: the next refresh asks again.
            let _ = self.waiting.try_send(question);
        }
    }
}

/// Empties the queue and hands every outcome to `settle`.
pub(crate) async fn work<S>(mut questions: mpsc::Receiver<Question>, dial_back: Arc<dyn DialBack>, settle: S)
where
    S: Fn(&Question, bool) + Send + Sync + 'static,
{
    let settle = Arc::new(settle);
    let slots = Arc::new(Semaphore::new(MAX_DIALS));
    let recent = Arc::new(Mutex::new(Recent::new(Instant::now())));
    while let Some(question) = questions.recv().await {
        let verdict = lock(&recent).verdict(&question, Instant::now());
        match verdict {
            Verdict::Known(answered) => settle(&question, answered),
            Verdict::Skip => {}
            Verdict::Dial => {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
                let (dial_back, settle, recent) = (Arc::clone(&dial_back), Arc::clone(&settle), Arc::clone(&recent));
                tokio::spawn(async move {
                    let answered = prove(&question, &*dial_back).await;
                    lock(&recent).remember(&question, answered);
                    settle(&question, answered);
                    drop(slot);
                });
            }
        }
    }
}

async fn prove(question: &Question, dial_back: &dyn DialBack) -> bool {
    let host = (question.address.host().to_owned(), question.address.port());
    let Ok(Ok(found)) = timeout(DIAL_TIMEOUT, tokio::net::lookup_host(host)).await else { return false };
    let allowed = found.into_iter().find(|target| Reach::may_dial(target.ip(), question.observed));
    let Some(target) = allowed else { return false };
    timeout(DIAL_TIMEOUT, dial_back.dial(target, question.id)).await.unwrap_or(false)
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Known(bool),
    Dial,
    Skip,
}

/// What was dialled in this window.
#[derive(Debug)]
struct Recent {
    since: Instant,
    targets: HashMap<Address, Vec<(NodeId, Option<bool>)>>,
}

impl Recent {
    fn new(since: Instant) -> Self {
        Self { since, targets: HashMap::new() }
    }

    fn verdict(&mut self, question: &Question, now: Instant) -> Verdict {
        if now.duration_since(self.since) >= WINDOW {
            *self = Self::new(now);
        }
        if self.targets.len() >= MAX_TARGETS && !self.targets.contains_key(&question.address) {
            return Verdict::Skip;
        }
        let asked = self.targets.entry(question.address.clone()).or_default();
        match asked.iter().find(|(id, _)| *id == question.id) {
            Some((_, Some(answered))) => Verdict::Known(*answered),
            Some((_, None)) => Verdict::Skip,
            None if asked.len() >= MAX_PER_TARGET => Verdict::Skip,
            None => {
                asked.push((question.id, None));
                Verdict::Dial
            }
        }
    }

    fn remember(&mut self, question: &Question, answered: bool) {
        let asked = self.targets.get_mut(&question.address);
        if let Some((_, outcome)) = asked.and_then(|asked| asked.iter_mut().find(|(id, _)| *id == question.id)) {
            *outcome = Some(answered);
        }
    }
}

fn lock(recent: &Mutex<Recent>) -> std::sync::MutexGuard<'_, Recent> {
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
