//! Readers of a topic: each asks with one line for how much it wants, and is sent lines.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use super::topic::Topic;

/// Readers of one topic at once: each is a tunnel's stream.
const MAX_READERS: usize = 64;

/// How long a reader may take to say what it wants.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Longest line that says so.
const MAX_ASK: u64 = 512;

/// Bytes that are written at once: a packet of a tunnel.
const PIECE: usize = 32 * 1024;

/// The pause after the system could not accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An empty line so often finds readers that went away while nothing was said, and tells them that the topic is there: a
/// tunnel waits for a member that is away, because it may come back.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Longest pause between two readings that a reader may ask for: a day.
const MAX_EVERY_MS: u64 = 86_400_000;

/// What a reader wants.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ask {
    /// Whether what comes later is sent too.
    follow: bool,
    /// So many readings of those before; at least the last.
    history: usize,
    /// One reading in so many milliseconds at most, the newest each time; all if 0.
    every_ms: u64,
    /// The run of the topic that it has read before, or an empty text: then it is told which this is.
    run: Option<String>,
    /// The last reading it has seen of that run.
    after: Option<u64>,
}

impl Ask {
    /// Where it goes on that has read this run before; what came since is for it as for whoever stayed.
    fn resumes(&self, topic: &Topic) -> Option<u64> {
        let after = self.after?;
        (self.run.as_ref() == Some(&topic.run)).then(|| topic.after(after))
    }
}

/// Serves readers until it is aborted.
pub(super) async fn serve(listener: UnixListener, topic: Arc<Topic>, history: usize) {
    let room = Arc::new(Semaphore::new(MAX_READERS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // One reader too many is closed at once.
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let topic = Arc::clone(&topic);
        drop(tokio::spawn(async move {
            topic.counts.readers.fetch_add(1, Ordering::Relaxed);
            // Whoever broke off needs no answer.
            let _ = one(stream, &topic, history).await;
            topic.counts.readers.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        }));
    }
}

async fn one(stream: UnixStream, topic: &Topic, history: usize) -> std::io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    // The other half stays open: a reader may end what it says and still hear.
    let mut reading = BufReader::new(reading.take(MAX_ASK));
    let mut line = String::new();
    timeout(ASK_LIMIT, reading.read_line(&mut line)).await??;
    let Ok(ask) = serde_json::from_str::<Ask>(&line) else {
        return writing.write_all(b"{\"error\":\"expected one line of JSON\"}\n").await;
    };
    if ask.run.is_some() {
        writing.write_all(format!("{{\"run\":\"{}\"}}\n", topic.run).as_bytes()).await?;
    }
    let resumed = ask.resumes(topic);
    let mut place = resumed.unwrap_or_else(|| topic.begin(ask.history.min(history)));
    let every = Duration::from_millis(ask.every_ms.min(MAX_EVERY_MS));
    // The first piece has what came before, unless somebody who wants few comes back.
    let mut is_first = resumed.is_none();
    loop {
        let sampled = !is_first && !every.is_zero();
        let piece = if sampled { topic.newest(place) } else { topic.take(place, PIECE) };
        is_first = false;
        match piece {
            Some(piece) => {
                place = piece.place;
                if piece.missed > 0 {
                    writing.write_all(format!("{{\"missed\":{}}}\n", piece.missed).as_bytes()).await?;
                }
                writing.write_all(piece.text.as_bytes()).await?;
            }
            None if !ask.follow => return writing.shutdown().await,
            None => {}
        }
        if ask.follow {
            let next = Instant::now() + every;
            if timeout(KEEP_ALIVE, topic.wait(place)).await.is_err() {
                writing.write_all(b"\n").await?;
            } else {
                while Instant::now() < next {
                    sleep_until(next.min(Instant::now() + KEEP_ALIVE)).await;
                    writing.write_all(b"\n").await?;
                }
            }
        }
    }
}

/// Takes the socket of a topic. A leftover of a member that was killed makes room: the folder is locked.
pub(super) fn listen(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use meshline_protocol::UnixMicros;
    use tokio::io::Lines;
    use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

    use super::*;

    /// A reader that asked for what is there and for what comes.
    async fn follower(path: &Path) -> (Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf) {
        let (reading, mut writing) = UnixStream::connect(path).await.expect("it listens").into_split();
        // One that finds no room may be closed before it has said anything.
        let _ = writing.write_all(b"{\"follow\":true}\n").await;
        (BufReader::new(reading).lines(), writing)
    }

    #[tokio::test]
    async fn so_many_read_at_once_one_more_is_closed_and_who_leaves_makes_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("topic");
        let topic = Arc::new(Topic::new("temp".parse().expect("a name"), "run".to_owned()));
        topic.push("21.5", UnixMicros::new(0));
        let serving = tokio::spawn(serve(listen(&path).expect("free"), Arc::clone(&topic), 1));
        let mut readers = Vec::new();
        for number in 0..MAX_READERS {
            let mut reader = follower(&path).await;
            let line = reader.0.next_line().await.expect("readable");
            assert!(line.is_some_and(|line| line.contains("21.5")), "reader {number}");
            readers.push(reader);
        }
        let mut more = follower(&path).await;
        assert!(!matches!(more.0.next_line().await, Ok(Some(_))), "there is no room");
        assert_eq!(topic.counts.readers.load(Ordering::Relaxed), MAX_READERS as u64);
        readers.pop();
        // It is noticed with the next reading.
        topic.push("22", UnixMicros::new(1));
        while topic.counts.readers.load(Ordering::Relaxed) == MAX_READERS as u64 {
            topic.push("23", UnixMicros::new(2));
            tokio::task::yield_now().await;
        }
        let mut next = None;
        while next.is_none() {
            let mut reader = follower(&path).await;
            next = reader.0.next_line().await.ok().flatten();
        }
        serving.abort();
    }
}
