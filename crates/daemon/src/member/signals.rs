//! SIGTERM and SIGINT end a program in good order; SIGHUP has it read its configuration again, or ends it if it says that
//! the terminal is gone on which it was started.

use std::io::{IsTerminal, stderr, stdin, stdout};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM or SIGINT. Where the system lets neither be watched it waits for ever, and the default
/// action of the signal ends the program.
pub(super) async fn terminated(mut reload: impl AsyncFnMut()) {
    let (mut term, mut int, mut hup) =
        (watch(SignalKind::terminate()), watch(SignalKind::interrupt()), watch(SignalKind::hangup()));
    let begun_on = terminals();
    loop {
        tokio::select! {
            () = next(&mut term) => return,
            () = next(&mut int) => return,
            () = next(&mut hup) => {
                if is_gone(begun_on, terminals()) {
                    return;
                }
                reload().await;
            }
        }
    }
}

/// Which of the three standard streams are a terminal. One that was closed is none any more.
fn terminals() -> [bool; 3] {
    [stdin().is_terminal(), stdout().is_terminal(), stderr().is_terminal()]
}

/// Whether there was a terminal and there is none. Who was started without one has SIGHUP for reloading alone.
fn is_gone(before: [bool; 3], now: [bool; 3]) -> bool {
    before.contains(&true) && !before.iter().zip(now).any(|(before, now)| *before && now)
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

#[cfg(test)]
mod tests {
    use super::is_gone;

    #[test]
    fn only_a_terminal_that_was_there_can_be_gone() {
        let (none, all, out) = ([false; 3], [true; 3], [false, true, false]);
        assert!(is_gone(all, none) && is_gone(out, none));
        assert!(!is_gone(none, none) && !is_gone(none, all), "a service has none");
        assert!(!is_gone(all, all) && !is_gone(out, out) && !is_gone(all, out));
    }
}
