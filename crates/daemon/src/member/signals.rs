//! SIGTERM and SIGINT end a program in good order; SIGHUP has it read its configuration again.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT. Where the system lets neither be watched it waits for ever, and the default
/// action of the signal ends the program.
pub(super) async fn terminated(mut reload: impl AsyncFnMut()) {
    let (mut term, mut int, mut hup) =
        (watch(SignalKind::terminate()), watch(SignalKind::interrupt()), watch(SignalKind::hangup()));
    loop {
        tokio::select! {
            () = next(&mut term) => return,
            () = next(&mut int) => return,
            () = next(&mut hup) => reload().await,
        }
    }
}

fn watch(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

async fn next(watched: &mut Option<Signal>) {
    match watched {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
