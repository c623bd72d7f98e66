//! `connect`: standard input and output, connected with something at another member.

use std::io::{self, Read, Write};

use clap::Args;
use meshline_protocol::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::client::{Client, in_path};
use crate::api::CONNECT;
use crate::chunks::MAX_PIECE;
use crate::exit::{Exit, Stop};

/// Pieces that wait between a thread and the connection, in each direction.
const MAX_WAITING: usize = 4;

/// What to connect to.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Through whom: name, id or the first 8 or more characters of the id; `auto`, or the name of a service
    peer: String,
    /// To what: host:port as the peer sees it, unix:/path or serial:/device,baud. A service needs none
    target: Option<String>,
}

impl ConnectArgs {
    fn path(&self) -> anyhow::Result<String> {
        let peer = format!("/api/v1/connect?peer={}", in_path(&self.peer));
        let Some(text) = &self.target else { return Ok(peer) };
        let schemes = ["tcp://", "udp://", "unix:", "serial:"];
        let has_scheme = schemes.iter().any(|scheme| text.starts_with(scheme));
        let target = if has_scheme { text.parse::<Target>() } else { format!("tcp://{text}").parse() };
        let target = target.map_err(|error| Stop::usage(format!("{text:?}: {error}")))?;
        Ok(format!("{peer}&target={}", in_path(&target.to_string())))
    }
}

pub(super) async fn run(client: &Client, args: &ConnectArgs) -> anyhow::Result<()> {
    let (mut hearing, mut saying) = split(client.upgrade(&args.path()?, CONNECT).await?);
    let (typed, (shown, printed)) = (typed(), shown());
    let both = async { tokio::try_join!(say(typed, &mut saying), hear(&mut hearing, shown)) };
    let outcome = both.await;
    match (outcome, printed.await) {
        // Whoever closed the output has what it wanted.
        (_, Ok(Err(error))) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        (_, Ok(Err(error))) => Err(error.into()),
        (Ok(_), Ok(Ok(()))) => Ok(()),
        (Err(error), _) => Err(Stop::new(Exit::Failed, broken(&error)).into()),
        (_, Err(_)) => Err(Stop::new(Exit::Failed, "what came was not written whole").into()),
    }
}

/// Why it ended before its end, and what to do about it.
fn broken(error: &io::Error) -> String {
    let is_cut = [io::ErrorKind::UnexpectedEof, io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
    if !is_cut.contains(&error.kind()) {
        return format!("the connection broke: {error}");
    }
    "the connection broke off before its end: what it led to reset it, or its member is gone; connect anew, a service then \
     goes to whoever else offers it"
        .to_owned()
}

/// Says what is typed, and its end; as [`crate::chunks::cut`] does.
async fn say(mut typed: Receiver<io::Result<Vec<u8>>>, to: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
    while let Some(piece) = typed.recv().await {
        let piece = piece?;
        to.write_u32(u32::try_from(piece.len()).unwrap_or(0)).await?;
        to.write_all(&piece).await?;
        to.flush().await?;
    }
    to.write_u32(0).await?;
    to.flush().await
}

/// Shows what is heard, up to its end; as [`crate::chunks::join`] does.
async fn hear(from: &mut (impl AsyncReadExt + Unpin), shown: Sender<Vec<u8>>) -> io::Result<()> {
    loop {
        let count = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
        if count == 0 {
            return Ok(());
        }
        if count > MAX_PIECE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut piece = vec![0; count];
        from.read_exact(&mut piece).await?;
        shown.send(piece).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
    }
}

/// Standard input in pieces. Reading it blocks, so it has a thread of its own, which ends with the process.
fn typed() -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = channel(MAX_WAITING);
    std::thread::spawn(move || {
        let mut piece = vec![0; MAX_PIECE];
        loop {
            let read = match io::stdin().lock().read(&mut piece) {
                Ok(0) => return,
                Ok(count) => Ok(piece.get(..count).unwrap_or_default().to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            if sender.blocking_send(read).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Standard output for pieces, and what became of it once there are no more.
fn shown() -> (Sender<Vec<u8>>, oneshot::Receiver<io::Result<()>>) {
    let (sender, mut receiver) = channel::<Vec<u8>>(MAX_WAITING);
    let (done, printed) = oneshot::channel();
    std::thread::spawn(move || {
        let mut write = || {
            while let Some(piece) = receiver.blocking_recv() {
                let mut out = io::stdout().lock();
                out.write_all(&piece)?;
                out.flush()?;
            }
            end_of_output()
        };
        let written = write();
        // What cannot be written is told by the end of the queue.
        drop(receiver);
        let _ = done.send(written);
    });
    (sender, printed)
}

/// Whoever reads the output learns its end, even while there is still something to say.
fn end_of_output() -> io::Result<()> {
    let nothing = std::fs::File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nothing)?)
}

#[cfg(test)]
mod tests {
    use super::ConnectArgs;

    #[test]
    fn a_host_and_port_is_one_of_tcp_and_everything_is_escaped() {
        let path = |peer: &str, target: Option<&str>| {
            let args = ConnectArgs { peer: peer.to_owned(), target: target.map(ToOwned::to_owned) };
            args.path().ok()
        };
        let target = |text: &str| Some(format!("/api/v1/connect?peer=a%20b&target={text}"));
        assert_eq!(path("a b", Some("127.0.0.1:22")), target("tcp%3A%2F%2F127.0.0.1%3A22"));
        assert_eq!(path("a b", Some("tcp://host:22")), target("tcp%3A%2F%2Fhost%3A22"));
        assert_eq!(path("a b", Some("unix:/run/x")), target("unix%3A%2Frun%2Fx"));
        assert_eq!(path("web", None).as_deref(), Some("/api/v1/connect?peer=web"));
        for wrong in ["22", "host", "unix:x", "host:99999"] {
            assert_eq!(path("a b", Some(wrong)), None, "{wrong}");
        }
    }
}
