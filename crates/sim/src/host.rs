//! One node with what stays of it between its runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use meshline_identity::KeyPair;
use meshline_mesh::{Config, LinkId, Mono, Now, Saved, Table};
use meshline_protocol::message::Datagram;
use meshline_protocol::{NodeId, SignedRecord, UnixMicros};
use meshline_services::chat::Bounds;
use meshline_services::{Event, Reply, Stack};

use crate::EPOCH;
use crate::disk::Disk;
use crate::schedule::Place;
use crate::windows::Errand;

/// The calendar clock of a host against the right one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// How far it is ahead.
    pub offset_us: i64,
    /// How many microseconds it gains a second.
    pub drift_ppm: i64,
}

impl WallClock {
    pub(crate) fn at(self, now: u64) -> UnixMicros {
        EPOCH.offset(i64::try_from(now).unwrap_or(i64::MAX).saturating_add(self.ahead(now)))
    }

    /// How far it is ahead at a virtual time, in microseconds.
    #[must_use]
    pub fn ahead(self, now: u64) -> i64 {
        let passed = i64::try_from(now).unwrap_or(i64::MAX);
        let gained = passed / 1_000_000 * self.drift_ppm + passed % 1_000_000 * self.drift_ppm / 1_000_000;
        gained.saturating_add(self.offset_us)
    }
}

/// An event with when it happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// When, in virtual microseconds.
    pub at: u64,
    /// In which run of the node, counted from 1.
    pub boot: u64,
    /// What.
    pub event: Event,
}

/// A host and its node.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) key: KeyPair,
    pub(crate) saved: Saved,
    /// The announcements in it, where they are kept once for the whole world.
    pub(crate) shelved: Vec<Option<Arc<SignedRecord>>>,
    /// The messages it kept on disk.
    pub(crate) disk: Disk,
    /// How many messages it keeps.
    pub(crate) bounds: Bounds,
    pub(crate) clock: WallClock,
    pub(crate) stack: Option<Stack>,
    /// Off: it does not even refuse connections.
    pub(crate) powered: bool,
    pub(crate) boot: u64,
    pub(crate) booted_at: u64,
    pub(crate) timer: Option<Place>,
    pub(crate) log: Vec<Logged>,
    pub(crate) replies: BTreeMap<u64, Reply>,
    /// Links that are up in this run, by peer, as events told.
    pub(crate) up: BTreeMap<NodeId, LinkId>,
    /// Broadcasts delivered in this run.
    pub(crate) delivered: BTreeSet<(NodeId, UnixMicros)>,
    /// When it last chose all links anew, in virtual microseconds.
    pub(crate) rebuilt_at: Option<u64>,
    /// Frames sent, by kind.
    pub(crate) sent: BTreeMap<&'static str, u64>,
    /// Their bytes, if the world weighs them.
    pub(crate) sent_bytes: BTreeMap<&'static str, u64>,
    /// Datagrams that arrived, of services that are not the node's own.
    pub(crate) datagrams: Vec<(Datagram, Bytes)>,
    /// The ways as the node told them last.
    pub(crate) table: Arc<Table>,
    /// What it is to handle in this window of time.
    pub(crate) errands: Vec<Errand>,
    pub(crate) spins: u32,
    pub(crate) spun_at: u64,
}

impl Host {
    pub(crate) fn new(config: Config, key: KeyPair) -> Self {
        Self {
            config,
            key,
            saved: Saved::default(),
            shelved: Vec::new(),
            disk: Disk::default(),
            bounds: Bounds::default(),
            clock: WallClock::default(),
            stack: None,
            powered: true,
            boot: 0,
            booted_at: 0,
            timer: None,
            log: Vec::new(),
            replies: BTreeMap::new(),
            up: BTreeMap::new(),
            delivered: BTreeSet::new(),
            rebuilt_at: None,
            sent: BTreeMap::new(),
            sent_bytes: BTreeMap::new(),
            datagrams: Vec::new(),
            table: Arc::default(),
            errands: Vec::new(),
            spins: 0,
            spun_at: 0,
        }
    }

    pub(crate) fn now(&self, now: u64) -> Now {
        Now { mono: Mono(now.saturating_sub(self.booted_at)), wall: self.clock.at(now) }
    }

    pub(crate) fn is_running(&self, boot: u64) -> bool {
        self.stack.is_some() && self.boot == boot
    }
}
