//! Where the ledger's thread meets the mesh: what peers say goes into the synchronisation, what it wants said goes out,
//! and it is shown the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use meshline_ledger::sync::Input;
use meshline_net::{LedgerNews, LedgerPort};
use meshline_protocol::NodeId;
use meshline_protocol::message::Ledger;

use super::Book;
use super::engine::Message;

/// How long peers are listened to before others have their turn: a question of this machine waits for no more than this
/// and one block.
const SLICE: Duration = Duration::from_millis(10);

/// Between two looks at the time, however often they are asked for.
const LEAST_TICK: Duration = Duration::from_millis(2);

/// A frame for a peer.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) peer: NodeId,
    pub(super) message: Ledger,
    pub(super) body: Option<Bytes>,
}

/// The mesh, once the ledger has joined it.
#[derive(Debug)]
pub(super) struct Exchange {
    sender: SyncSender<Message>,
    port: Option<LedgerPort>,
    /// Whether the thread was told that something came, and has not looked since.
    woken: Arc<AtomicBool>,
    ticked: Instant,
    /// More has come than there was time for.
    has_more: bool,
}

impl Exchange {
    pub(super) fn new(sender: SyncSender<Message>) -> Self {
        Self { sender, port: None, woken: Arc::default(), ticked: Instant::now(), has_more: false }
    }

    /// From now on peers are listened to and talked to.
    pub(super) fn join(&mut self, port: LedgerPort) {
        let (sender, woken) = (self.sender.clone(), Arc::clone(&self.woken));
        port.listen(move || {
            if !woken.swap(true, Ordering::SeqCst) {
                // Where there is no room the thread is busy, and looks at the port after each piece of work.
                let _ = sender.try_send(Message::News);
            }
        });
        self.port = Some(port);
    }

    /// What the links dropped, by reason; `None` while it has not joined.
    pub(super) fn dropped(&self) -> Option<std::collections::BTreeMap<&'static str, u64>> {
        self.port.as_ref().map(LedgerPort::dropped)
    }

    /// How long nothing needs to be done unless something comes.
    pub(super) fn pause(&self, book: &Book) -> Duration {
        if self.port.is_none() {
            return Duration::MAX;
        }
        if self.has_more { Duration::ZERO } else { Duration::from_micros(book.idle_us()).max(LEAST_TICK) }
    }

    /// Takes in what has come, for a while, and sends what follows from it and from what was done here.
    pub(super) fn advance(&mut self, book: &mut Book) {
        let Some(port) = &self.port else { return };
        self.woken.store(false, Ordering::SeqCst);
        let begin = Instant::now();
        send_all(port, book);
        self.has_more = true;
        while begin.elapsed() < SLICE {
            let Some(news) = port.take() else {
                self.has_more = false;
                break;
            };
            let peer = *news.peer();
            book.handle(input(news));
            port.charge(&peer, book.take_effort());
            send_all(port, book);
        }
        if book.idle_us() == 0 && self.ticked.elapsed() >= LEAST_TICK {
            self.ticked = Instant::now();
            book.handle(Input::Tick);
            send_all(port, book);
        }
    }
}

fn send_all(port: &LedgerPort, book: &mut Book) {
    while let Some(Letter { peer, message, body }) = book.take_letter() {
        // To one whose link is gone, or is full: what is not answered is asked of another peer.
        let _ = port.send(&peer, message, body);
    }
}

/// What the links tell, as the ledger wants it.
pub(super) fn input(news: LedgerNews) -> Input {
    match news {
        LedgerNews::LinkUp { peer } => Input::LinkUp { peer },
        LedgerNews::LinkDown { peer } => Input::LinkDown { peer },
        LedgerNews::Frame { peer, message, body } => Input::Frame { peer, message, body },
        LedgerNews::Drained { peer } => Input::Drained { peer },
    }
}
