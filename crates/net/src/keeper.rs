//! Keeping what services want kept, on a thread of its own: whatever came while the last transaction was written goes
//! into the next one, so one flush of the disk serves many messages.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use meshline_services::chat::{Ticket, Write};
use tokio::sync::{mpsc, oneshot};

use crate::driver::Notice;

/// Makes changes in one transaction that is on disk when it returns. It is called on a thread of its own.
pub type KeepSink = Box<dyn FnMut(Vec<Write>) -> io::Result<()> + Send>;

/// Changes that wait for a disk that stands still. Beyond it those that may be lost are, such as how far a message has
/// come. Those with a ticket are bounded by whoever waits for them (`chat::MAX_WAITING`).
const MAX_WAITING: usize = 4_096;

/// Changes in one transaction: what comes in a flood is told in pieces.
const MAX_TRANSACTION: usize = 1_024;

/// One change, and who wants to know.
type Change = (Option<Ticket>, Write);

/// The thread that writes.
pub(crate) struct Keeper {
    changes: Sender<Change>,
    waiting: Arc<AtomicUsize>,
    ended: oneshot::Receiver<()>,
}

impl Keeper {
    /// Starts the thread.
    pub(crate) fn new(mut sink: KeepSink, notices: mpsc::Sender<Notice>) -> io::Result<Self> {
        let (changes, received) = channel();
        let (end, ended) = oneshot::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            while let Some((ticket, writes)) = next(&received) {
                left.fetch_sub(writes.len(), Ordering::Relaxed);
                let result = sink(writes).map_err(|error| error.to_string());
                if let Err(error) = &result {
                    tracing::warn!("messages cannot be kept: {error}");
                }
                // Without a driver nobody wants to know.
                if let Some(ticket) = ticket {
                    let _ = notices.blocking_send(Notice::Kept { ticket, result });
                }
            }
            let _ = end.send(());
        })?;
        Ok(Self { changes, waiting, ended })
    }

    /// Has a change made. It fails only if nothing can be kept any more.
    pub(crate) fn put(&self, ticket: Option<Ticket>, write: Write) -> Result<(), String> {
        if ticket.is_none() && self.waiting.load(Ordering::Relaxed) >= MAX_WAITING {
            return Ok(());
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.changes.send((ticket, write)).map_err(|_| "the thread that writes has ended".to_owned())
    }

    /// The end: what waits is written, and the returned receiver is told.
    pub(crate) fn finish(self) -> oneshot::Receiver<()> {
        self.ended
    }
}

/// Everything that waits, and the last ticket in it.
fn next(received: &Receiver<Change>) -> Option<(Option<Ticket>, Vec<Write>)> {
    let first = received.recv().ok()?;
    let (tickets, writes): (Vec<_>, Vec<_>) =
        std::iter::once(first).chain(received.try_iter()).take(MAX_TRANSACTION).unzip();
    Some((tickets.into_iter().flatten().last(), writes))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use meshline_services::chat::{Delivery, State};

    use super::*;

    fn write(cursor: u64) -> Write {
        Write::Delivery { cursor, delivery: Delivery { state: State::Sent, delivered_to: 0, delivered_of: 0 } }
    }

    #[tokio::test]
    async fn what_comes_while_the_disk_is_busy_is_one_transaction() {
        let (begin, begun) = channel();
        let (notices, mut told) = mpsc::channel(16);
        let transactions = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let transactions = Arc::clone(&transactions);
            Box::new(move |writes: Vec<Write>| {
                transactions.lock().unwrap().push(writes.len());
                begun.recv().unwrap();
                Ok(())
            })
        };
        let keeper = Keeper::new(sink, notices).unwrap();
        for cursor in 1..=100 {
            keeper.put(Some(Ticket(cursor)), write(cursor)).unwrap();
        }
        for _ in 0..3 {
            begin.send(()).unwrap();
        }
        let mut last = Ticket(0);
        while last < Ticket(100) {
            let Some(Notice::Kept { ticket, result: Ok(()) }) = told.recv().await else { panic!("not kept") };
            assert!(ticket > last);
            last = ticket;
        }
        assert!(transactions.lock().unwrap().len() <= 2, "one flush serves many");
        let _ = keeper.finish().await;
    }

    #[tokio::test]
    async fn what_may_be_lost_is_while_the_disk_stands_still_and_messages_are_not() {
        let (begin, begun) = channel::<()>();
        let (notices, mut told) = mpsc::channel(16);
        let sink = Box::new(move |_: Vec<Write>| begun.recv().map_err(io::Error::other));
        let keeper = Keeper::new(sink, notices).unwrap();
        for n in 0..2 * MAX_WAITING as u64 {
            keeper.put(None, write(n)).unwrap();
        }
        assert!(keeper.waiting.load(Ordering::Relaxed) <= MAX_WAITING);
        keeper.put(Some(Ticket(1)), write(1)).unwrap();
        drop(begin);
        let Some(Notice::Kept { ticket, result }) = told.recv().await else { panic!("nothing told") };
        assert_eq!(ticket, Ticket(1));
        assert!(result.is_err(), "the disk failed, and it is said");
    }
}
