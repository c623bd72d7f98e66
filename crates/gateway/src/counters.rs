//! What went through a forward, a proxy or this exit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use meshline_protocol::Code;
use schemars::JsonSchema;
use serde::Serialize;

use crate::refusal::{Refusal, refuse};

/// Counted while it happens.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    connections: AtomicU64,
    open: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    refused: Mutex<Refused>,
}

#[derive(Debug, Default)]
struct Refused {
    by_code: BTreeMap<Code, u64>,
    last: Option<Refusal>,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Traffic {
    /// Connections, or UDP addresses, that were served.
    pub connections: u64,
    /// Of them those that are open.
    pub open: u64,
    /// Bytes sent into the tunnel.
    pub sent_bytes: u64,
    /// Bytes that came out of it.
    pub received_bytes: u64,
    /// What was refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// The last refusal in words.
    pub last_error: Option<String>,
}

/// The place of one open connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Counters>);

impl Counters {
    /// Takes a place for a connection if fewer than `most` are open.
    pub(crate) fn enter(self: &Arc<Self>, most: usize) -> Result<Place, Refusal> {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let next = |open: u64| (open < most).then_some(open + 1);
        if self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_err() {
            return Err(self.refused(refuse(Code::TooManyStreams, format!("{most} connections are open"))));
        }
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(Place(Arc::clone(self)))
    }

    /// Counts a refusal and hands it back.
    pub(crate) fn refused(&self, refusal: Refusal) -> Refusal {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.by_code.entry(refusal.code).or_default() += 1;
        refused.last = Some(refusal.clone());
        refusal
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let last = refused.last.as_ref();
        Traffic {
            connections: self.connections.load(Ordering::Relaxed),
            open: self.open.load(Ordering::Relaxed),
            sent_bytes: self.sent.load(Ordering::Relaxed),
            received_bytes: self.received.load(Ordering::Relaxed),
            refused: refused.by_code.iter().map(|(code, count)| (code.name().to_owned(), *count)).collect(),
            last_error: last.map(|refusal| format!("{}: {}", refusal.code.name(), refusal.detail)),
        }
    }
}

impl Place {
    pub(crate) fn counters(&self) -> &Counters {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
