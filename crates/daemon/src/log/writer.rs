//! The thread that writes, and the bounded queue to it.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::Level;

use super::limiter::{Shared, lock};
use super::line::{Form, Line};

/// Lines waiting for a terminal or disk that does not keep up; with the longest lines 20 MiB.
const MAX_WAITING: usize = 1_024;

/// How long lines are collected before their number is reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// How long the end of the program waits for lines to be written.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);

pub(super) enum Order {
    Line(Vec<u8>),
    /// Lines were suppressed; see to the report.
    Report,
    /// Everything before this is to be written; then say so.
    Flush(SyncSender<()>),
}

/// Starts the thread. It ends when the last queue is dropped.
pub(super) fn start(
    sink: Box<dyn Write + Send>,
    limiter: Shared,
    form: Form,
) -> io::Result<(SyncSender<Order>, Flush)> {
    let (queue, orders) = sync_channel(MAX_WAITING);
    let mut writer = Writer { sink, limiter, form, report_at: None };
    thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(&orders))?;
    Ok((queue.clone(), Flush(queue)))
}

struct Writer {
    sink: Box<dyn Write + Send>,
    limiter: Shared,
    form: Form,
    report_at: Option<Instant>,
}

impl Writer {
    fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            match self.next(orders) {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => self.report(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn next(&self, orders: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        match self.report_at {
            Some(at) => orders.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Line(line) => self.write(&line),
            Order::Report => {}
            Order::Flush(done) => {
                self.report();
                let _ = done.try_send(());
            }
        }
        self.schedule_report();
    }

    fn schedule_report(&mut self) {
        let now = Instant::now();
        match self.report_at {
            Some(at) if at <= now => self.report(),
            None if lock(&self.limiter).has_suppressed() => self.report_at = Some(now + REPORT_AFTER),
            _ => {}
        }
    }

    fn report(&mut self) {
        self.report_at = None;
        let count = lock(&self.limiter).take_suppressed();
        if count == 0 {
            return;
        }
        self.write(&self.form.write(&suppressed(count)));
    }

    /// A log that cannot be written is no reason to stop, and there is nowhere to say so.
    fn write(&mut self, line: &[u8]) {
        let _ = self.sink.write_all(line).and_then(|()| self.sink.flush());
    }
}

/// The line that tells how many lines there are not.
pub(super) fn suppressed(count: u64) -> Line {
    Line {
        time: Timestamp::now(),
        level: Level::WARN,
        target: module_path!().to_owned(),
        message: format!("{count} lines suppressed"),
        fields: Vec::new(),
    }
}

/// Waits at its end until everything logged before is written.
#[derive(Debug)]
pub(super) struct Flush(SyncSender<Order>);

impl Drop for Flush {
    fn drop(&mut self) {
        let deadline = Instant::now() + FLUSH_WITHIN;
        let (done, wait) = sync_channel(1);
        let mut order = Order::Flush(done);
        while let Err(TrySendError::Full(back)) = self.0.try_send(order) {
            if Instant::now() >= deadline {
                return;
            }
            order = back;
            thread::sleep(Duration::from_millis(1));
        }
        let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}
