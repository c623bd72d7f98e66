//! What the system's signals mean to this program.

use tokio::signal::unix::Signal;

/// Until somebody wants it to end.
pub(crate) async fn told_to_stop(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
}

/// Says to whoever asks for it that nothing is read again.
pub(crate) async fn note_hangups(mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        tracing::warn!("nothing is reloaded: a changed configuration needs a restart");
    }
}
