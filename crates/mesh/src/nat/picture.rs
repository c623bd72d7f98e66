//! What the answers say together.
//!
//! One answer is a claim, and whoever is asked may lie. So the host is the one that most witnesses name, the mapping what
//! all but one of them agree on, and each witness has one voice, however many ports it answers from.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshline_protocol::NodeId;

use super::{Candidates, Mapping};
use crate::now::Mono;
use crate::time::Reading;

/// Sightings older than the newest by more than this belong to another time: several rounds have passed without them.
const SAME_TIME: Duration = Duration::from_secs(60);

/// Addresses offered to peers as seen by others. Each costs every peer a few packets.
pub(crate) const MAX_REFLEXIVE: usize = 4;

/// Sightings kept, one for each address that was asked.
pub(crate) const MAX_SIGHTINGS: usize = 16;

/// The largest step between ports that counts as counting: others behind the same router take ports in between.
const MAX_STEP: i32 = 16;

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Witness {
    /// A member, linked now or then.
    Member(NodeId),
    /// A STUN server of the configuration.
    Server(IpAddr),
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) by: Witness,
    /// Where the question went.
    pub(crate) asked: SocketAddr,
    /// From where it came, they say.
    pub(crate) seen: SocketAddr,
    pub(crate) at: Mono,
    /// Questions in the order in which their destinations were first asked: ports are taken in that order.
    pub(crate) order: u64,
    /// The witness's clock.
    pub(crate) clock: Option<Reading>,
}

/// All answers of late.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    sightings: Vec<Sighting>,
}

impl Picture {
    /// Takes in an answer; says whether the same witness saw us somewhere else before.
    pub(crate) fn add(&mut self, sighting: Sighting) -> bool {
        let before = self.sightings.iter().position(|old| old.asked == sighting.asked);
        let old = before.map(|at| self.sightings.remove(at));
        self.sightings.push(sighting);
        if self.sightings.len() > MAX_SIGHTINGS {
            self.sightings.remove(0);
        }
        old.is_some_and(|old| old.seen != sighting.seen)
    }

    /// Nothing of what was seen holds any more.
    pub(super) fn clear(&mut self) {
        self.sightings.clear();
    }

    /// All, the latest last.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Sighting> {
        self.sightings.iter()
    }

    /// Those of the same time as the newest of their family, the latest last.
    fn current(&self, v4: bool) -> Vec<&Sighting> {
        let of_family = |sighting: &&Sighting| sighting.seen.is_ipv4() == v4;
        let newest = self.sightings.iter().filter(of_family).map(|sighting| sighting.at).max().unwrap_or_default();
        let is_current = |sighting: &&Sighting| newest.since(sighting.at) <= SAME_TIME;
        self.sightings.iter().filter(of_family).filter(is_current).collect()
    }

    /// Whether the witnesses do not tell the same, so that more of them should be heard.
    pub(super) fn is_disputed(&self) -> bool {
        [true, false].into_iter().any(|v4| {
            let seen: BTreeSet<SocketAddr> = self.current(v4).iter().map(|sighting| sighting.seen).collect();
            seen.len() > 1
        })
    }

    /// Witnesses heard of late.
    pub(super) fn voices(&self) -> usize {
        let heard = [true, false].into_iter().flat_map(|v4| self.current(v4));
        heard.map(|sighting| sighting.by).collect::<BTreeSet<_>>().len()
    }

    /// Whether a witness was heard of late.
    pub(super) fn has_heard(&self, asked: &SocketAddr) -> bool {
        [true, false].into_iter().flat_map(|v4| self.current(v4)).any(|sighting| sighting.asked == *asked)
    }

    /// Where others see this node, the latest first, and how its ports are chosen.
    pub(super) fn draw(&self, candidates: &mut Candidates) {
        let views = [true, false].map(|v4| view(&self.current(v4)));
        let mapping = views.iter().map(|(_, mapping)| *mapping).find(|mapping| *mapping != Mapping::Unknown);
        candidates.mapping = mapping.unwrap_or_default();
        candidates.reflexive = views.into_iter().flat_map(|(seen, _)| seen).collect();
    }
}

/// What the sightings of one family say.
fn view(sightings: &[&Sighting]) -> (Vec<SocketAddr>, Mapping) {
    let hosts = leading(sightings, |sighting| sighting.seen.ip());
    let mut believed: Vec<&Sighting> =
        sightings.iter().filter(|sighting| hosts.contains(&sighting.seen.ip())).copied().collect();
    // Two hosts with as many voices each: no telling which ports belong together.
    let mapping = if hosts.len() == 1 { mapping(&believed) } else { Mapping::Unknown };
    if let Mapping::Dependent { step: Some(step) } = mapping {
        // The port counted last is the nearest to the next one, whoever answered last.
        let neighbours = neighbours(&believed);
        let counted = |sighting: &Sighting| i32::from(sighting.seen.port()) * step.signum();
        believed.sort_by_key(|sighting| (neighbours.contains(&sighting.seen.port()), counted(sighting)));
    }
    let ports = leading(&believed, |sighting| sighting.seen);
    let mut seen = Vec::new();
    for sighting in believed.iter().rev() {
        let stands = mapping != Mapping::Independent || ports.contains(&sighting.seen);
        if stands && !seen.contains(&sighting.seen) {
            seen.push(sighting.seen);
        }
    }
    seen.truncate(MAX_REFLEXIVE);
    (seen, mapping)
}

/// The values that most witnesses name.
fn leading<T: Ord + Copy>(sightings: &[&Sighting], value: impl Fn(&Sighting) -> T) -> BTreeSet<T> {
    let mut voices: BTreeMap<T, BTreeSet<Witness>> = BTreeMap::new();
    for sighting in sightings {
        voices.entry(value(sighting)).or_default().insert(sighting.by);
    }
    let most = voices.values().map(BTreeSet::len).max().unwrap_or(0);
    voices.into_iter().filter(|(_, who)| who.len() == most).map(|(value, _)| value).collect()
}

/// How ports are chosen, from at least two answers of different addresses. Of three witnesses two are believed, of more
/// all but one: a single liar can neither make nor break what so many say.
fn mapping(sightings: &[&Sighting]) -> Mapping {
    let witnesses: BTreeSet<Witness> = sightings.iter().map(|sighting| sighting.by).collect();
    if sightings.len() < 2 {
        return Mapping::Unknown;
    }
    let ports: BTreeSet<u16> = sightings.iter().map(|sighting| sighting.seen.port()).collect();
    let agreeing = ports.iter().map(|port| voices(sightings, *port)).max().unwrap_or(0);
    if ports.len() == 1 || (witnesses.len() > 2 && agreeing >= witnesses.len() - 1) {
        return Mapping::Independent;
    }
    Mapping::Dependent { step: step(sightings) }
}

fn voices(sightings: &[&Sighting], port: u16) -> usize {
    let naming = sightings.iter().filter(|sighting| sighting.seen.port() == port);
    naming.map(|sighting| sighting.by).collect::<BTreeSet<_>>().len()
}

/// From one port to the next, if they were counted: at least two small steps, and half of all, since one witness may lie and
/// others take ports in between. Where two were asked there is one step; that small it comes about by chance once in two
/// thousand times, and to try the next few ports costs little.
fn step(sightings: &[&Sighting]) -> Option<i32> {
    // By number: of two questions that leave at once the later may take the lower port.
    let ports: BTreeSet<i32> = sightings.iter().map(|sighting| i32::from(sighting.seen.port())).collect();
    let steps = steps(&ports.into_iter().collect::<Vec<_>>());
    let small: Vec<i32> = steps.iter().copied().filter(|step| *step <= MAX_STEP).collect();
    if small.len() < steps.len().min(2) || 2 * small.len() < steps.len() {
        return None;
    }
    // Ports taken in between leave out steps, never parts of one.
    small.into_iter().reduce(common_divisor).map(|step| if counts_down(sightings) { -step } else { step })
}

/// From each to the next.
fn steps(ports: &[i32]) -> Vec<i32> {
    ports.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect()
}

/// Whether most of what was asked later has a lower port next to the one before.
fn counts_down(sightings: &[&Sighting]) -> bool {
    let mut ordered = sightings.to_vec();
    ordered.sort_by_key(|sighting| sighting.order);
    let ports: Vec<i32> = ordered.iter().map(|sighting| i32::from(sighting.seen.port())).collect();
    let signs = steps(&ports).into_iter().filter(|step| step.abs() <= 2 * MAX_STEP).map(i32::signum);
    signs.sum::<i32>() < 0
}

/// The ports that have another one near.
fn neighbours(sightings: &[&Sighting]) -> BTreeSet<u16> {
    let ports: BTreeSet<u16> = sightings.iter().map(|sighting| sighting.seen.port()).collect();
    let is_near = |port: &u16| ports.iter().any(|other| other != port && i32::from(other.abs_diff(*port)) <= MAX_STEP);
    ports.iter().copied().filter(is_near).collect()
}

/// The largest number that divides both, with the sign of the first.
fn common_divisor(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn seen_at(ports: &[u16]) -> Vec<Sighting> {
        let at = Mono::default();
        let host = |n: u8| IpAddr::V4(Ipv4Addr::new(198, 51, 100, n));
        let one = |(n, port): (u8, &u16)| Sighting {
            by: Witness::Server(host(n)),
            asked: SocketAddr::new(host(n), 3478),
            seen: SocketAddr::new(host(200), *port),
            at,
            order: u64::from(n),
            clock: None,
        };
        (1..).zip(ports).map(one).collect()
    }

    #[test]
    fn ports_are_counted_though_two_questions_left_in_another_order() {
        // What is seen, the step, and the port that is nearest to the next one.
        for (ports, step, nearest) in [
            (&[30_003, 30_007, 30_004][..], Some(1), 30_007),
            (&[30_007, 30_006, 30_003], Some(-1), 30_003),
            (&[30_003, 30_005, 30_007], Some(2), 30_007),
            (&[30_003, 61_000, 30_004, 30_005], Some(1), 30_005),
            (&[30_003, 41_000, 52_000], None, 52_000),
        ] {
            let sightings = seen_at(ports);
            let (seen, mapping) = view(&sightings.iter().collect::<Vec<_>>());
            assert_eq!(mapping, Mapping::Dependent { step }, "{ports:?}");
            assert_eq!(seen.first().map(SocketAddr::port), Some(nearest), "{ports:?}");
        }
    }
}
