//! What members tell each other of themselves before an attempt: records made and read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use meshline_identity::verify;
use meshline_protocol::message::{
    PunchCandidates, PunchEnd, PunchInstant, PunchMapping, PunchOffer, PunchReason, RecordText,
};
use meshline_protocol::{Address, AttemptKey, Bounded, Code, NodeId, SignedRecord, UnixMicros};

use crate::nat::{Candidates, Mapping};
use crate::shared::Shared;

/// How long a record holds. The clocks of two members may differ by a minute before either doubts its own.
const VALIDITY: i64 = 120_000_000;

/// Addresses of one host that are tried: a forwarded one, a seen one, and one of a second router. More would let a member
/// point many packets at a host that is not its own.
const MAX_PER_HOST: usize = 3;

/// What this node brings to attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) candidates: PunchCandidates,
    pub(super) mapping: PunchMapping,
    /// The address from which TCP may meet.
    pub(super) tcp: Option<Address>,
    /// No datagram passes, as far as was tried of late.
    pub(super) silent: bool,
}

impl Own {
    /// From what is known of address translation, where this node listens, and where others saw its TCP come from: there
    /// a router that keeps ports lets TCP be met, even where UDP is blocked and nothing else tells an address.
    pub(super) fn new(known: &Candidates, listening: Option<&Address>, seen: &[IpAddr]) -> Self {
        let of_family = |v6: bool| known.host.iter().copied().filter(move |address| address.is_ipv6() == v6);
        let port = listening.map_or(0, Address::port);
        let outside = known.reflexive.iter().chain(&known.mapped).map(SocketAddr::ip).chain(seen.iter().copied());
        let hosts = outside.chain(known.host.iter().map(SocketAddr::ip));
        let mut tcp: Vec<SocketAddr> = Vec::new();
        for address in hosts.map(|ip| SocketAddr::new(ip, port)).filter(|address| address.port() != 0) {
            if !tcp.contains(&address) {
                tcp.push(address);
            }
        }
        Self {
            candidates: PunchCandidates {
                host: Bounded::from_first(of_family(false)),
                v6: Bounded::from_first(of_family(true)),
                mapped: Bounded::from_first(known.mapped.iter().copied()),
                reflexive: Bounded::from_first(known.reflexive.iter().copied()),
                tcp: Bounded::from_first(tcp),
            },
            mapping: match known.mapping {
                Mapping::Unknown => PunchMapping::Unknown,
                Mapping::Independent => PunchMapping::Independent,
                Mapping::Dependent { step } => {
                    step.and_then(|step| i16::try_from(step).ok()).map_or(PunchMapping::Random, PunchMapping::Counting)
                }
            },
            tcp: listening.cloned(),
            silent: known.silent,
        }
    }

    /// The same after so many more ports were taken by own sockets: where ports are counted, the next one is not next to
    /// the one that was seen. That one stays too, because a way that was begun before has a port there.
    pub(super) fn counted_on(mut self, taken: u32) -> Self {
        let PunchMapping::Counting(step) = self.mapping else { return self };
        let Some(seen) = self.candidates.reflexive.first().copied().filter(|_| taken > 0) else { return self };
        let port = i64::from(seen.port()) + i64::from(step) * i64::from(taken);
        if let Ok(port) = u16::try_from(port) {
            let all = [SocketAddr::new(seen.ip(), port)].into_iter().chain(self.candidates.reflexive.iter().copied());
            self.candidates.reflexive = Bounded::from_first(all.collect::<Vec<_>>());
        }
        self
    }

    /// The same with a further socket on this port, which will be seen there: as long as the router left the main one's
    /// port as it is. `None` where it does not, or where there is no router.
    pub(super) fn with_socket(&self, port: u16) -> Option<Self> {
        let lists = &self.candidates;
        let is_kept = |seen: &SocketAddr| lists.host.iter().any(|host| host.port() == seen.port());
        let is_easy = matches!(self.mapping, PunchMapping::Unknown | PunchMapping::Independent);
        let seen = lists.reflexive.first().filter(|seen| is_easy && is_kept(seen))?;
        let all = [SocketAddr::new(seen.ip(), port)].into_iter().chain(lists.reflexive.iter().copied());
        let reflexive = Bounded::from_first(all.collect::<Vec<_>>());
        Some(Self { candidates: PunchCandidates { reflexive, ..lists.clone() }, ..self.clone() })
    }

    /// Whether there is any address to be reached at by UDP.
    pub(super) fn has_udp(&self) -> bool {
        let lists = &self.candidates;
        !(lists.host.is_empty() && lists.v6.is_empty() && lists.mapped.is_empty() && lists.reflexive.is_empty())
    }

    /// What tells two networks apart, as addresses with port 0: with address translation that gives every destination
    /// another port, the ports change all the time and mean nothing. Those that a router forwards stay, and each is a way
    /// in that was not there before.
    pub(super) fn places(&self) -> BTreeSet<SocketAddr> {
        let lists = &self.candidates;
        let hosts = lists.host.iter().chain(lists.v6.iter()).chain(lists.reflexive.iter());
        hosts.map(|address| SocketAddr::new(address.ip(), 0)).chain(lists.mapped.iter().copied()).collect()
    }
}

/// How likely and how near a told address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Without translation in between: an own address of the peer, if it is private, or of IPv6.
    Near,
    /// Any other.
    Far,
}

/// The told addresses that are tried, each once, without those that lead nowhere or to this node itself.
pub(super) fn targets(told: &PunchCandidates, own: &PunchCandidates) -> Vec<(SocketAddr, Told)> {
    let (near, far) = (told.host.iter().chain(told.v6.iter()), told.mapped.iter().chain(told.reflexive.iter()));
    let near = near.map(|address| (*address, if is_near(*address) { Told::Near } else { Told::Far }));
    let is_own = |address: &SocketAddr| own.host.iter().chain(own.v6.iter()).any(|host| host == address);
    let own_is_loopback = own.host.iter().chain(own.v6.iter()).any(|host| host.ip().is_loopback());
    let mut found: Vec<(SocketAddr, Told)> = Vec::new();
    let mut per_host: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for (address, told) in near.chain(far.map(|address| (*address, Told::Far))) {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let leads = is_unicast(address) && (!address.ip().is_loopback() || own_is_loopback);
        let known = found.iter().any(|(other, _)| *other == address);
        let count = per_host.entry(address.ip()).or_default();
        if leads && !known && !is_own(&address) && *count < MAX_PER_HOST {
            *count += 1;
            found.push((address, told));
        }
    }
    found
}

/// Where TCP may meet, likewise.
pub(super) fn meeting_places(told: &PunchCandidates, own: &PunchCandidates) -> Vec<SocketAddr> {
    let own_is_loopback = own.host.iter().any(|host| host.ip().is_loopback());
    let leads = |address: &&SocketAddr| {
        is_unicast(**address)
            && !own.tcp.contains(address)
            && (!address.ip().to_canonical().is_loopback() || own_is_loopback)
    };
    told.tcp.iter().filter(leads).copied().collect()
}

pub(super) fn is_near(address: SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(_) => true,
    }
}

/// An address of one host, with a port, that means the same at both ends.
fn is_unicast(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    let one_host = match ip {
        IpAddr::V4(ip) => !ip.is_broadcast() && !ip.is_multicast() && ip.octets().first() != Some(&0),
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    };
    one_host && address.port() != 0
}

/// What is the same in all records of this node for one member and attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heading {
    pub(super) seq: UnixMicros,
    pub(super) to: NodeId,
    pub(super) attempt: u32,
}

/// The record of a call or an answer.
pub(super) fn write_offer(
    shared: &Shared,
    heading: Heading,
    own: &Own,
    key: AttemptKey,
    answer: Option<PunchInstant>,
) -> SignedRecord {
    shared.sign(&PunchOffer {
        kind: PunchOffer::TYPE.to_owned(),
        network: shared.config.network.clone(),
        seq: heading.seq,
        expires: shared.latest().max(heading.seq).offset(VALIDITY),
        to: heading.to,
        attempt: heading.attempt,
        time: shared.now.wall,
        key,
        candidates: own.candidates.clone(),
        mapping: own.mapping,
        answer,
    })
}

/// The record that ends an attempt.
pub(super) fn write_end(shared: &Shared, heading: Heading, reason: PunchReason) -> SignedRecord {
    shared.sign(&PunchEnd {
        kind: PunchEnd::TYPE.to_owned(),
        network: shared.config.network.clone(),
        seq: heading.seq,
        expires: shared.latest().max(heading.seq).offset(VALIDITY),
        to: heading.to,
        attempt: heading.attempt,
        reason,
    })
}

/// Checks a record that says it is from `peer` for this node.
pub(super) fn read<T: RecordText>(
    record: &SignedRecord,
    peer: NodeId,
    to: impl Fn(&T) -> NodeId,
    shared: &Shared,
) -> Result<T, Code> {
    if record.by != peer {
        return Err(Code::RecordForeign);
    }
    let text: T =
        verify(record, &shared.config.network, shared.judged()).map_err(meshline_identity::RecordError::code)?;
    if to(&text) != shared.id {
        return Err(Code::RecordForeign);
    }
    Ok(text)
}
