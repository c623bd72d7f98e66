//! What those who hold a thread of the ledger share, be it a node's or a view's: work that is answered, and the end.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::LedgerError;

/// Between two tries to tell a thread that has much to do that it is to end.
const INTERVAL: Duration = Duration::from_millis(5);

/// Work for the thread that has `W`.
pub(super) type Work<W> = Box<dyn FnOnce(&mut W) + Send>;

/// Work, and where its answer will be.
pub(super) fn answered<W, R: Send + 'static>(
    work: impl FnOnce(&mut W) -> R + Send + 'static,
) -> (Work<W>, oneshot::Receiver<R>) {
    let (sender, answer) = oneshot::channel();
    let work = move |whose: &mut W| {
        // Who went away does not want it any more.
        let _ = sender.send(work(whose));
    };
    (Box::new(work), answer)
}

/// Has work done and waits for it: from threads that may wait, never from a task.
pub(super) fn wait_for<M: From<Work<W>>, W, R: Send + 'static>(
    sender: &SyncSender<M>,
    work: impl FnOnce(&mut W) -> R + Send + 'static,
) -> Result<R, LedgerError> {
    let (work, answer) = answered(work);
    sender.send(work.into()).map_err(|_| LedgerError::Silent("it is ending"))?;
    answer.blocking_recv().map_err(|_| LedgerError::Silent("it is ending"))
}

/// Ends the thread, when it has kept what has to be kept. Whoever is in front has to be done first.
pub(super) async fn end<M>(sender: &SyncSender<M>, message: impl FnOnce(oneshot::Sender<()>) -> M) {
    let (done, ended) = oneshot::channel();
    let mut message = message(done);
    loop {
        match sender.try_send(message) {
            Ok(()) => break,
            Err(TrySendError::Full(back)) => message = back,
            Err(TrySendError::Disconnected(_)) => return,
        }
        tokio::time::sleep(INTERVAL).await;
    }
    let _ = ended.await;
}
