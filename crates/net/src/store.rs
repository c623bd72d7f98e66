//! Keeping the core's memory on disk without making anybody wait: the latest state wins, one write at a time.

use std::io;

use meshline_mesh::Saved;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Writes the state of a node. It is called off the runtime's threads, never twice at once, and must replace the
/// file as a whole.
pub type StoreSink = Box<dyn FnMut(&Saved) -> io::Result<()> + Send>;

/// The task that writes.
pub(crate) struct Store {
    latest: watch::Sender<Option<Box<Saved>>>,
    writer: JoinHandle<()>,
}

impl Store {
    pub(crate) fn new(sink: StoreSink) -> Self {
        let (latest, changes) = watch::channel(None);
        Self { latest, writer: tokio::spawn(write_all(sink, changes)) }
    }

    /// Has `saved` written, in place of anything that still waits.
    pub(crate) fn put(&self, saved: Box<Saved>) {
        self.latest.send_replace(Some(saved));
    }

    /// The end: what waits is written, and the returned task ends.
    pub(crate) fn finish(self) -> JoinHandle<()> {
        self.writer
    }
}

async fn write_all(mut sink: StoreSink, mut changes: watch::Receiver<Option<Box<Saved>>>) {
    while changes.changed().await.is_ok() {
        let Some(saved) = changes.borrow_and_update().clone() else { continue };
        let written = tokio::task::spawn_blocking(move || {
            let result = sink(&saved);
            (sink, result)
        });
        let Ok((returned, result)) = written.await else {
            tracing::error!("writing the state panicked; it is not kept any more");
            return;
        };
        sink = returned;
        if let Err(error) = result {
            tracing::warn!("the state cannot be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn the_last_state_is_written_before_the_end() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = {
            let written = Arc::clone(&written);
            Box::new(move |saved: &Saved| {
                written.lock().unwrap().push(saved.clone());
                Ok(())
            })
        };
        let store = Store::new(sink);
        for seq in 1..=100 {
            let seq = meshline_protocol::UnixMicros::new(seq);
            store.put(Box::new(Saved { announcement_seq: seq, ..Saved::default() }));
        }
        store.finish().await.unwrap();
        let written = written.lock().unwrap();
        assert_eq!(written.last().unwrap().announcement_seq.get(), 100);
        assert!(written.len() < 100, "states in between need not be written");
    }
}
