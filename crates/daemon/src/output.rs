//! Results on standard output.

use std::future::{Future, pending};
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;

/// Why a command that goes on has nothing to write to any more. Told apart from what is wrong with its source: asking that
/// again mends nothing here.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// The reader went away (`… | head -1`): it has what it wanted.
    #[error("nobody reads standard output")]
    Left,
    /// A full disk, for one.
    #[error("cannot write to standard output: {0}")]
    Failed(io::Error),
}

/// Writes a text and an LF to standard output. A reader that went away (`… | head -1`) is no error:
/// it has what it wanted, and the program goes on to its end in silence. What has no end is printed with [`print_next`].
///
/// # Errors
/// Any other failure to write, a full disk for one.
pub fn print(text: &str) -> io::Result<()> {
    match print_to(&mut io::stdout().lock(), text) {
        Ok(()) | Err(Unwritten::Left) => Ok(()),
        Err(Unwritten::Failed(error)) => Err(error),
    }
}

/// Writes one of many texts, as `print` does.
///
/// # Errors
/// Why no other need be written; [`while_read`] knows what to make of it.
pub fn print_next(text: &str) -> Result<(), Unwritten> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(out: &mut impl Write, text: &str) -> Result<(), Unwritten> {
    let result = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    let is_left = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    result.map_err(|error| if is_left(&error) { Unwritten::Left } else { Unwritten::Failed(error) })
}

/// Does what goes on until it is interrupted, or until nobody reads standard output any more: that is no error, and noticed
/// even if nothing is written for long.
///
/// # Errors
/// Those of `following`.
pub async fn while_read(following: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    while_read_from(io::stdout(), following).await
}

async fn while_read_from(
    out: impl AsFd + Send + 'static,
    following: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        result = following => well_if_left(result),
        () = left(out) => Ok(()),
    }
}

/// Whoever left has what it wanted.
///
/// # Errors
/// Any other.
pub fn well_if_left(result: anyhow::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if matches!(error.downcast_ref(), Some(Unwritten::Left)) => Ok(()),
        other => other,
    }
}

/// Ends when the reader of a pipe has gone; never for a file, which has none. A thread waits for it, which ends with the
/// process: the runtime can only wait for what does not block, and the pipe may be that of others, too.
async fn left(out: impl AsFd + Send + 'static) {
    let (tell, told) = oneshot::channel();
    let waiting = std::thread::Builder::new().spawn(move || {
        // Without events to wait for, only the end of the other side is told.
        let mut place = [PollFd::new(&out, PollFlags::empty())];
        while poll(&mut place, None) == Err(Errno::INTR) {}
        // Who does not wait any more needs no answer.
        let _ = tell.send(());
    });
    // What cannot be waited for shows when it is written to.
    if waiting.is_err() || told.await.is_err() {
        pending().await
    }
}

/// Writes a line to standard error; if that fails there is nobody left to tell.
pub fn print_error(text: &str) {
    let mut line = text.to_owned();
    line.push('\n');
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::time::Duration;

    use super::{Unwritten, print_to, while_read_from};

    /// Longer than it may take to hear of a reader that left.
    const PATIENCE: Duration = Duration::from_secs(30);

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_told_apart_from_a_full_disk() {
        let printed = |kind| print_to(&mut Failing(kind), "text").expect_err("it fails");
        assert!(matches!(printed(io::ErrorKind::BrokenPipe), Unwritten::Left));
        let full = printed(io::ErrorKind::StorageFull);
        assert!(matches!(&full, Unwritten::Failed(_)), "{full}");
        assert!(full.to_string().starts_with("cannot write to standard output: "), "{full}");
    }

    #[tokio::test]
    async fn what_follows_ends_well_when_its_reader_leaves_though_there_is_nothing_to_write() {
        let (reader, out) = io::pipe().expect("a pipe");
        let leaving = async {
            drop(reader);
            std::future::pending().await
        };
        let ended = tokio::time::timeout(PATIENCE, while_read_from(out, leaving)).await;
        assert!(ended.expect("it ends").is_ok());
    }

    #[tokio::test]
    async fn what_follows_ends_well_when_it_finds_its_reader_gone_and_ill_when_the_disk_is_full() {
        // Nothing can be waited for here: there is no reader that could leave.
        let file = || tempfile::tempfile().expect("a file");
        assert!(while_read_from(file(), async { Err(Unwritten::Left.into()) }).await.is_ok());
        let full = || Unwritten::Failed(io::ErrorKind::StorageFull.into());
        assert!(while_read_from(file(), async { Err(full().into()) }).await.is_err());
        assert!(while_read_from(file(), async { Ok(()) }).await.is_ok());
    }
}
