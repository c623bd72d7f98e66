//! Judging the whole chain again, and building its unspent outputs anew, while the node goes on: some blocks at a time,
//! between other work.

use std::time::{Duration, Instant};

use meshline_ledger::chain::{Rebuilding, Verification};
use meshline_ledger::sighash::BatchVerifier;
use tokio::sync::oneshot;

use super::Book;
use super::LedgerError;
use super::documents::{ReindexDocument, TaskStatus, VerifyDocument};
use super::views::{reindexed, verified};

/// How long others wait for it at a time.
const TURN: Duration = Duration::from_millis(20);

/// The chain as it is judged, and who waits for the verdict.
#[derive(Debug, Default)]
pub(super) struct Judging {
    under_way: Option<(Verification, Vec<oneshot::Sender<VerifyDocument>>)>,
}

impl Judging {
    pub(super) const fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// One more waits for the verdict; who comes while it is under way gets the same.
    pub(super) fn ask(&mut self) -> oneshot::Receiver<VerifyDocument> {
        let (answer, verdict) = oneshot::channel();
        self.under_way.get_or_insert_with(Default::default).1.push(answer);
        verdict
    }

    /// Goes on for a while.
    pub(super) fn advance(&mut self, book: &Book) {
        let Some((verification, waiting)) = &mut self.under_way else { return };
        let begin = Instant::now();
        while begin.elapsed() < TURN {
            let verdict = match book.chain.verify_some(verification, &BatchVerifier, 1) {
                Ok(None) => continue,
                Ok(Some(kept)) => Ok(kept),
                Err(error) => Err(error),
            };
            let document = verified(book.chain.height(), &verdict);
            for answer in waiting.drain(..) {
                // Who went away does not want it any more.
                let _ = answer.send(document.clone());
            }
            self.under_way = None;
            return;
        }
    }

    pub(super) fn status(&self, book: &Book) -> Option<TaskStatus> {
        let (verification, _) = self.under_way.as_ref()?;
        let of = book.chain.height().saturating_add(1);
        Some(TaskStatus { name: "verify".into(), done: verification.judged(), of })
    }
}

/// What came of it, or why it failed.
type Mended = Result<ReindexDocument, String>;

/// How far the unspent outputs were built anew, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Mending {
    under_way: Option<(Rebuilding, Vec<oneshot::Sender<Mended>>)>,
}

impl Mending {
    pub(super) const fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// One more waits for it; who comes while it is under way gets the same.
    pub(super) fn ask(&mut self) -> oneshot::Receiver<Mended> {
        let (answer, done) = oneshot::channel();
        self.under_way.get_or_insert_with(Default::default).1.push(answer);
        done
    }

    /// Goes on for a while. Holding the outputs against what is kept, at the end, is one piece.
    pub(super) fn advance(&mut self, book: &mut Book) {
        let Some((rebuilding, waiting)) = &mut self.under_way else { return };
        let begin = Instant::now();
        while begin.elapsed() < TURN {
            let done = match book.chain.rebuild_some(rebuilding, 1) {
                Ok(None) => continue,
                Ok(Some(kept)) => Ok(reindexed(&kept)),
                Err(error) => Err(LedgerError::from(error).to_string()),
            };
            for answer in waiting.drain(..) {
                // Who went away does not want it any more.
                let _ = answer.send(done.clone());
            }
            self.under_way = None;
            return;
        }
    }

    pub(super) fn status(&self, book: &Book) -> Option<TaskStatus> {
        let (rebuilding, _) = self.under_way.as_ref()?;
        let of = book.chain.height().saturating_add(1);
        Some(TaskStatus { name: "reindex".into(), done: rebuilding.done(), of })
    }
}
