//! What a tunnel tells of itself.

use meshline_mesh::Mono;
use meshline_protocol::NodeId;

use super::Connection;

/// One path of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathReport {
    /// The members on it; the last is the other end.
    pub hops: Vec<NodeId>,
    /// Smoothed round trip in microseconds, if measured.
    pub rtt_us: Option<u64>,
    /// Least round trip in microseconds, if measured.
    pub rtt_min_us: Option<u64>,
    /// Bytes of bulk that may be under way.
    pub window: u64,
    /// Bytes under way.
    pub under_way: u64,
    /// Whether it answers.
    pub is_alive: bool,
    /// Whether packets on it need no sealing.
    pub is_private: bool,
}

/// A tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelReport {
    /// Whether both ends are known.
    pub is_up: bool,
    /// Age in microseconds.
    pub age_us: u64,
    /// Streams that are open.
    pub streams: usize,
    /// Bytes in packets sent and received.
    pub sent_bytes: u64,
    /// See `sent_bytes`.
    pub received_bytes: u64,
    /// Packets sent and received.
    pub sent_packets: u64,
    /// See `sent_packets`.
    pub received_packets: u64,
    /// Frames in packets that were lost.
    pub lost: u64,
    /// Bytes of streams sent again.
    pub repeated_bytes: u64,
    /// Packets that were forged or out of place.
    pub forged: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// How often traffic moved because a path died.
    pub failovers: u64,
    /// How often the keys changed: ours, theirs.
    pub generations: (u64, u64),
    /// UDP payloads dropped: on their way out, on their way in.
    pub dropped: (u64, u64),
    /// The paths.
    pub paths: Vec<PathReport>,
}

impl Connection {
    /// What there is to tell.
    #[must_use]
    pub fn report(&self, now: Mono) -> TunnelReport {
        let counters = self.counters;
        let bulk = self.paths.used().filter(|number| number % 2 == 1);
        TunnelReport {
            is_up: self.is_up(),
            age_us: now.micros_since(self.began),
            streams: self.streams.len(),
            sent_bytes: counters.sent_bytes,
            received_bytes: counters.received_bytes,
            sent_packets: counters.sent_packets,
            received_packets: counters.received_packets,
            lost: counters.lost_packets,
            repeated_bytes: counters.repeated,
            forged: counters.forged,
            duplicates: counters.duplicates,
            failovers: counters.failovers,
            generations: self.keys.as_ref().map_or((0, 0), crate::keys::KeyRing::generations),
            dropped: self.flows.dropped,
            paths: bulk.filter_map(|number| self.path_report(number)).collect(),
        }
    }

    fn path_report(&self, bulk: usize) -> Option<PathReport> {
        let (info, bulk_channel) = (self.paths.info(bulk)?, self.paths.channel(bulk)?);
        let sparse = self.paths.channel(bulk.checked_sub(1)?)?;
        let known = if sparse.rtt.is_known() { sparse } else { bulk_channel };
        let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let is_known = known.rtt.is_known();
        Some(PathReport {
            hops: info.hops.to_vec(),
            rtt_us: is_known.then(|| micros(known.rtt.smoothed())),
            rtt_min_us: is_known.then(|| micros(known.rtt.least())),
            window: bulk_channel.window.bytes(),
            under_way: bulk_channel.under_way() + sparse.under_way(),
            is_alive: !self.paths.is_doubted(bulk),
            is_private: info.is_private,
        })
    }
}
