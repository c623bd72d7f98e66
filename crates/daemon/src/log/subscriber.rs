//! Takes events from `tracing` and hands them on as lines.

use std::fmt::Debug;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::limiter::{Shared, lock};
use super::line::{Form, Line};
use super::writer::Order;

/// The fields that name a source, the first that is there.
const SOURCES: [&str; 2] = ["peer", "address"];

pub(super) struct Lines {
    form: Form,
    limiter: Shared,
    queue: SyncSender<Order>,
}

impl Lines {
    pub(super) fn new(form: Form, limiter: Shared, queue: SyncSender<Order>) -> Self {
        Self { form, limiter, queue }
    }

    fn admit(&self, source: &str) -> bool {
        let mut limiter = lock(&self.limiter);
        let admitted = limiter.admit(Instant::now(), source);
        if !admitted && limiter.is_first_suppressed() {
            // The writer must report it even if nothing else is ever logged. If the queue is full it is awake anyway.
            let _ = self.queue.try_send(Order::Report);
        }
        admitted
    }

    fn take(&self, metadata: &Metadata<'_>, fields: Fields) {
        if !self.admit(&source(metadata, &fields)) {
            return;
        }
        let line = fields.into_line(metadata);
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Order::Line(self.form.write(&line))) {
            lock(&self.limiter).count_lost();
        }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.take(event.metadata(), Fields::of(event));
    }
}

/// Who or what the lines of an event are counted for.
pub(super) fn source(metadata: &Metadata<'_>, fields: &Fields) -> String {
    let named = SOURCES.iter().find_map(|name| fields.others.iter().find(|(field, _)| field == name));
    match named {
        Some((name, value)) => format!("{name}={value}"),
        None => format!("{} {}", metadata.target(), metadata.level()),
    }
}

/// What an event says.
#[derive(Default)]
pub(super) struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }

    pub(super) fn into_line(self, metadata: &Metadata<'_>) -> Line {
        Line {
            time: Timestamp::now(),
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: self.message,
            fields: self.others,
        }
    }

    fn push(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, format!("{value:?}").into());
    }
}
