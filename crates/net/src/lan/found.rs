//! What somebody announces on the local segment, in bounds and with the addresses that are on it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mdns_sd::{ResolvedService, ScopedIp};
use meshline_mesh::{LanSegment, Mono};
use meshline_protocol::ServiceKind;

use crate::clock::Clock;
use crate::udp::segments;

/// Addresses of this host are asked for no more often.
const SEGMENTS_AGE: Duration = Duration::from_secs(2);

/// Bytes of a name, as DNS has them.
const MAX_INSTANCE: usize = 63;

/// Addresses of one announcement.
const MAX_ADDRESSES: usize = 8;

/// Pairs that are read of one announcement, and bytes of one: as many as a service of the mesh may have.
const MAX_PAIRS: usize = meshline_protocol::limits::MAX_SERVICE_PAIRS;
const MAX_PAIR: usize = 255;

/// A kind of services, as DNS-SD has it: `_http._tcp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LanKind(ServiceKind);

impl LanKind {
    /// Of nodes.
    ///
    /// # Panics
    /// Never: it is a constant.
    #[must_use]
    pub fn node() -> Self {
        Self("_meshline-node._tcp".parse().unwrap_or_else(|_| unreachable!("a constant kind")))
    }

    /// The kind in the mesh.
    #[must_use]
    pub fn kind(&self) -> &ServiceKind {
        &self.0
    }

    pub(super) fn domain(&self) -> String {
        format!("{}.local.", self.0)
    }

    /// The name of one of this kind, without the kind behind it.
    pub(super) fn instance<'a>(&self, full: &'a str) -> Option<&'a str> {
        let name = full.strip_suffix(&self.domain())?.strip_suffix('.')?;
        (1..=MAX_INSTANCE).contains(&name.len()).then_some(name)
    }
}

impl From<ServiceKind> for LanKind {
    fn from(kind: ServiceKind) -> Self {
        Self(kind)
    }
}

impl fmt::Display for LanKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Something that is announced on the segment. All of it may be a lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanFound {
    /// Of which kind.
    pub kind: LanKind,
    /// Under which name.
    pub instance: String,
    /// Where: addresses of the segment alone, in order; none if it names others.
    pub addresses: Vec<SocketAddr>,
    /// What else is said, as far as it is text; each key once.
    pub text: Vec<(String, String)>,
}

impl LanFound {
    /// What is said under a key.
    #[must_use]
    pub fn says(&self, key: &str) -> Option<&str> {
        self.text.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }
}

/// The segments of this host, as they were a moment ago.
#[derive(Debug)]
pub(super) struct Segments {
    clock: Clock,
    known: Vec<LanSegment>,
    asked: Option<Mono>,
}

impl Segments {
    pub(super) fn new() -> Self {
        Self { clock: Clock::start(), known: Vec::new(), asked: None }
    }

    fn now(&mut self) -> &[LanSegment] {
        let now = self.clock.mono();
        if self.asked.is_none_or(|asked| now.since(asked) >= SEGMENTS_AGE) {
            (self.known, self.asked) = (segments(), Some(now));
        }
        &self.known
    }
}

pub(super) fn found_in(service: &ResolvedService, kind: &LanKind, segments: &mut Segments) -> Option<LanFound> {
    let instance = kind.instance(&service.fullname)?.to_owned();
    let segments = segments.now();
    let is_near = |ip: &IpAddr| segments.iter().any(|segment| segment.has(*ip));
    let ips = service.addresses.iter().map(ScopedIp::to_ip_addr).filter(is_near);
    let mut addresses: Vec<SocketAddr> = ips.map(|ip| SocketAddr::new(ip, service.port)).collect();
    addresses.sort();
    addresses.truncate(MAX_ADDRESSES);
    let pair = |key: &str, value: Option<&[u8]>| {
        let value = std::str::from_utf8(value.unwrap_or_default()).ok()?;
        (key.len() + value.len() <= MAX_PAIR).then(|| (key.to_owned(), value.to_owned()))
    };
    let pairs = service.txt_properties.iter().filter_map(|said| pair(said.key(), said.val()));
    Some(LanFound { kind: kind.clone(), instance, addresses, text: pairs.take(MAX_PAIRS).collect() })
}
