//! Checks announcements, those that come at the same time together: each costs less then, and a crowd that comes at once is
//! listed sooner. Whoever comes alone waits for nobody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meshline_identity::RecordError;
use meshline_protocol::SignedRecord;
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::Instant;

use crate::app::now;
use crate::registry::{Candidate, Refusal};

/// Announcements that are checked together at most: with twice as many each would cost a tenth less, and the first would
/// wait a millisecond for the last.
const MAX_TOGETHER: usize = 16;

/// Announcements that wait to be checked. There are no more connections; whoever finds it full waits.
const MAX_WAITING: usize = crate::settings::MAX_CONNECTIONS;

/// After a bad signature each is checked alone for so long: with it all others of its time had to be checked again, and
/// whoever sends such ones slows nobody down for more than one time in each of these.
const ALONE_FOR: Duration = Duration::from_secs(1);

/// Somebody who waits to be told.
#[derive(Debug)]
struct Waiting {
    record: SignedRecord,
    told: oneshot::Sender<Result<Candidate, Refusal>>,
}

/// Where announcements are handed in to be checked.
#[derive(Debug)]
pub(crate) struct Checks(mpsc::Sender<Waiting>);

impl Checks {
    /// The desk, and the work behind it, which the caller runs for as long as there is anything to check.
    pub(crate) fn new() -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, waiting) = mpsc::channel(MAX_WAITING);
        (Self(sender), work(waiting))
    }

    /// Checks an announcement. `None` if the server stops before it is done.
    pub(crate) async fn check(&self, record: SignedRecord) -> Option<Result<Candidate, Refusal>> {
        let (told, verdict) = oneshot::channel();
        self.0.send(Waiting { record, told }).await.ok()?;
        verdict.await.ok()
    }
}

async fn work(mut waiting: mpsc::Receiver<Waiting>) {
    let pace = Arc::new(Pace::default());
    while let Some(first) = waiting.recv().await {
        // Whoever is read in the same turn as the first one comes along.
        yield_now().await;
        let mut together = vec![first];
        let more = pace.together(Instant::now()) - 1;
        together.extend(std::iter::from_fn(|| waiting.try_recv().ok()).take(more));
        // On another core, if there is one.
        let pace = Arc::clone(&pace);
        tokio::spawn(async move { tell(together, &pace) });
    }
}

fn tell(together: Vec<Waiting>, pace: &Pace) {
    let records: Vec<&SignedRecord> = together.iter().map(|one| &one.record).collect();
    let verdicts = Candidate::check_all(&records, now());
    if verdicts.iter().any(|verdict| matches!(verdict, Err(Refusal::Record(RecordError::BadSignature)))) {
        pace.note_bad(Instant::now());
    }
    for (one, verdict) in together.into_iter().zip(verdicts) {
        // Whoever is gone is not told.
        let _ = one.told.send(verdict);
    }
}

/// How many are checked together.
#[derive(Debug, Default)]
struct Pace(Mutex<Option<Instant>>);

impl Pace {
    fn together(&self, now: Instant) -> usize {
        let bad_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bad_at.is_some_and(|at| now.duration_since(at) < ALONE_FOR) { 1 } else { MAX_TOGETHER }
    }

    fn note_bad(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use meshline_identity::{KeyPair, sign};
    use meshline_protocol::Bounded;
    use meshline_protocol::message::{Announcement, RecordText};

    use super::*;

    /// The announcement of a member, signed by another if it is forged.
    fn record(n: u8, is_forged: bool) -> SignedRecord {
        let text = Announcement {
            kind: Announcement::TYPE.to_owned(),
            network: "lab".parse().expect("a name"),
            seq: now(),
            expires: now().offset(3_600_000_000),
            name: format!("member-{n}").parse().expect("a name"),
            roles: Bounded::default(),
            addresses: Bounded::default(),
            next: None,
            membership: None,
        };
        let sign = |n: u8| sign(&text, &KeyPair::from_secret([n; 32])).expect("plain data");
        if is_forged { SignedRecord { sig: sign(100).sig, ..sign(n) } } else { sign(n) }
    }

    fn waiting(records: Vec<SignedRecord>) -> (Vec<Waiting>, Vec<oneshot::Receiver<Result<Candidate, Refusal>>>) {
        let wait = |record| {
            let (told, verdict) = oneshot::channel();
            (Waiting { record, told }, verdict)
        };
        records.into_iter().map(wait).unzip()
    }

    #[tokio::test]
    async fn after_a_bad_signature_each_is_checked_alone_for_a_while() {
        let (pace, begin) = (Pace::default(), Instant::now());
        let (together, verdicts) = waiting((1..=4).map(|n| record(n, false)).collect());
        tell(together, &pace);
        for (n, verdict) in (1..=4).zip(verdicts) {
            let name = verdict.await.expect("told").expect("it holds").member.name;
            assert_eq!(name.as_str(), format!("member-{n}"), "each its own");
        }
        assert_eq!(pace.together(begin), MAX_TOGETHER);
        let (together, verdicts) = waiting(vec![record(1, false), record(2, true), record(3, false)]);
        tell(together, &pace);
        let mut are_good = Vec::new();
        for verdict in verdicts {
            are_good.push(verdict.await.expect("told").is_ok());
        }
        assert_eq!(are_good, [true, false, true]);
        assert_eq!(pace.together(Instant::now()), 1);
        assert_eq!(pace.together(Instant::now() + ALONE_FOR), MAX_TOGETHER);
    }

    #[tokio::test]
    async fn many_wait_and_all_are_told_unless_the_server_stops() {
        let (checks, work) = Checks::new();
        let (checks, count) = (Arc::new(checks), u8::try_from(3 * MAX_TOGETHER).expect("few"));
        let ask = |n| {
            let (checks, record) = (Arc::clone(&checks), record(n, false));
            tokio::spawn(async move { checks.check(record).await })
        };
        let asked: Vec<_> = (0..count).map(ask).collect();
        let work = tokio::spawn(work);
        for verdict in asked {
            assert!(verdict.await.expect("no panic").expect("told").is_ok());
        }
        work.abort();
        assert!(work.await.is_err_and(|error| error.is_cancelled()));
        assert!(checks.check(record(1, false)).await.is_none());
    }
}
