//! UDP beside a link over TCP: where it is tried, and whether it works.
//!
//! Each side gives the other a secret over the link, which vouches for it, and asks for the time over UDP: an answer shows
//! that packets pass both ways, and measures them. What is sealed, sent and opened is not seen here. The link is the master:
//! whether it lives is its own affair, and with it this ends.

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "of all outputs a few are expected")]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use meshline_protocol::message::{Companion as Wire, CompanionOffer, TimeFrame};
use meshline_protocol::{Address, Message, NodeId, Ticket};

use crate::event::Direction;
use crate::input::{LinkId, Transport};
use crate::link::Link;
use crate::now::Mono;
use crate::output::{Beside, Output};
use crate::report::Bearer;
use crate::shared::Shared;
use crate::time::{LinkClock, StepContext};

/// Pauses after the asks of one that does not work. The first three are for packets that are lost or come before the other
/// side is ready; a firewall in between is not going to open by itself, but a router may be replaced.
const TRIES: [Duration; 3] = [Duration::from_millis(500), Duration::from_millis(1_500), Duration::from_secs(60)];

/// Asks of one that works: often enough while it is in use, and for the translation on the way to remember it at rest.
const ACTIVE_INTERVAL: Duration = Duration::from_secs(3);
const IDLE_INTERVAL: Duration = Duration::from_secs(15);

/// Whoever was dialled asks so much later, or when it is asked: a Linux router that takes in what comes to itself remembers
/// a packet that came before its host wrote there, and gives the host another port for that address and whatever follows.
const AFTER_DIALLER: Duration = Duration::from_millis(500);

/// An ask without an answer is repeated after this, and with the second one it works no more.
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_UNANSWERED: usize = 2;

/// UDP beside all links.
#[derive(Debug, Default)]
pub(crate) struct Companions {
    by_link: BTreeMap<LinkId, Companion>,
    addresses: Vec<SocketAddr>,
}

/// A link, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    link: LinkId,
    local: &'a Address,
    remote: &'a Address,
    /// It goes straight over TCP to a member that listens, and is up.
    is_fit: bool,
    /// This side made the connection: if only one stands behind a router, it is mostly this one.
    dialled: bool,
}

impl<'a> From<&'a Link> for Place<'a> {
    fn from(link: &'a Link) -> Self {
        let listens = link.member().is_some_and(|member| !member.addresses.is_empty());
        let is_fit = link.is_up() && link.transport == Transport::Tcp && listens;
        let dialled = link.direction() == Direction::Outbound;
        Self { link: link.id, local: &link.local, remote: &link.remote, is_fit, dialled }
    }
}

/// UDP beside one link.
#[derive(Debug)]
struct Companion {
    offered: CompanionOffer,
    /// Where the other side is, once it has offered too.
    remote: Option<SocketAddr>,
    clock: LinkClock,
    works: bool,
    /// Asks since the last answer.
    unanswered: usize,
    due: Mono,
}

impl Companions {
    /// The addresses at which this host receives over UDP.
    pub(crate) fn set_addresses(&mut self, addresses: &[SocketAddr]) {
        self.addresses = addresses.to_vec();
    }

    /// A link is up, or the addresses are known: offers UDP beside it if it is fit for that.
    pub(crate) fn offer(&mut self, place: Place<'_>, shared: &mut Shared) {
        if !place.is_fit || shared.config.listen.is_empty() || self.by_link.contains_key(&place.link) {
            return;
        }
        let Some(port) = self.port_for(place.local) else { return };
        let secret = data_encoding::BASE64URL_NOPAD.encode(&shared.secret());
        let Ok(secret) = Ticket::try_from(secret) else { return };
        let offered = CompanionOffer { port, id: shared.random_u32(), secret };
        let message = Message::Companion(Wire::Offer(offered.clone()));
        shared.send_on(place.link, &Arc::new(message.into()));
        let due = shared.now.mono;
        let clock = LinkClock::default();
        self.by_link.insert(place.link, Companion { offered, remote: None, clock, works: false, unanswered: 0, due });
    }

    /// The port of the socket beside the listener at `local`; else that of any.
    fn port_for(&self, local: &Address) -> Option<u16> {
        let local: Option<SocketAddr> = local.as_str().parse().ok();
        let same = self.addresses.iter().find(|address| local.is_some_and(|local| local.ip() == address.ip()));
        same.or_else(|| self.addresses.first()).map(SocketAddr::port)
    }

    /// The other side offers UDP. One that comes again, or where there is nothing to offer in return, is passed over.
    pub(crate) fn handle_offer(&mut self, place: Place<'_>, offer: &CompanionOffer, shared: &mut Shared) {
        self.offer(place, shared);
        let Some(companion) = self.by_link.get_mut(&place.link).filter(|companion| companion.remote.is_none()) else {
            return;
        };
        let Ok(host) = place.remote.as_str().parse::<SocketAddr>() else { return };
        if offer.port == 0 {
            return;
        }
        // Its host is where the link goes, whatever it says.
        let remote = SocketAddr::new(host.ip(), offer.port);
        companion.remote = Some(remote);
        let wait = if place.dialled { Duration::ZERO } else { AFTER_DIALLER };
        companion.due = shared.now.mono.after(wait);
        let beside = Beside { ours: companion.offered.clone(), theirs: offer.clone(), remote };
        shared.push(Output::OpenCompanion { link: place.link, beside: Box::new(beside) });
    }

    /// A time frame came over UDP, sealed by the other end.
    pub(crate) fn handle_time(&mut self, link: LinkId, peer: NodeId, step: &TimeFrame, shared: &mut Shared) {
        let Some(companion) = self.by_link.get_mut(&link) else { return };
        if step.id != peer || step.network != shared.config.network {
            return;
        }
        let context = StepContext { network: &shared.config.network, id: shared.id, now: shared.now };
        let Some(answer) = companion.clock.handle(step, context) else { return };
        if let Some(reading) = companion.clock.latest().filter(|_| matches!(step.step, 1 | 2)) {
            shared.network_time.read(peer, reading, shared.now.mono);
        }
        if step.step == 0 && !companion.works && companion.unanswered == 0 {
            companion.due = shared.now.mono;
        }
        if step.step == 1 {
            // Ours came back: packets pass both ways.
            companion.unanswered = 0;
            companion.due = shared.now.mono.after(IDLE_INTERVAL);
            if !companion.works {
                companion.works = true;
                shared.push(Output::UseCompanion { link, works: true });
            }
        }
        let frame = Arc::new(Message::Time(Box::new(answer)).into());
        shared.push(Output::SendBeside { link, frame });
    }

    /// A link is gone, and this with it: whoever bears it knows.
    pub(crate) fn remove(&mut self, link: LinkId) {
        self.by_link.remove(&link);
    }

    /// Asks where it is due. `is_active` says which links are in use.
    pub(crate) fn handle_timeout(&mut self, is_active: impl Fn(LinkId) -> bool, shared: &mut Shared) {
        let now = shared.now.mono;
        for (link, companion) in &mut self.by_link {
            // One that works is looked at more often than it is asked.
            let is_early = companion.works && companion.unanswered == 0 && is_active(*link);
            let due = if is_early { companion.active_due() } else { companion.due };
            if companion.remote.is_some() && due <= now {
                companion.ask(*link, shared);
            }
        }
    }

    pub(crate) fn next_timeout(&self, is_active: impl Fn(LinkId) -> bool) -> Option<Mono> {
        let asked = self.by_link.iter().filter(|(_, companion)| companion.remote.is_some());
        let due = |(link, companion): (&LinkId, &Companion)| {
            let is_early = companion.works && companion.unanswered == 0 && is_active(*link);
            if is_early { companion.active_due() } else { companion.due }
        };
        asked.map(due).min()
    }

    /// What there is beside a link, for people.
    pub(crate) fn bearer(&self, link: LinkId) -> Option<Bearer> {
        let companion = self.by_link.get(&link)?;
        Some(Bearer {
            transport: "udp",
            address: companion.remote?.into(),
            works: companion.works,
            rtt_us: companion.clock.rtt_us(),
        })
    }
}

impl Companion {
    /// When one that works is asked while its link is in use.
    fn active_due(&self) -> Mono {
        let earlier = IDLE_INTERVAL.saturating_sub(ACTIVE_INTERVAL);
        Mono(self.due.0.saturating_sub(u64::try_from(earlier.as_micros()).unwrap_or(0)))
    }

    fn ask(&mut self, link: LinkId, shared: &mut Shared) {
        if self.works && self.unanswered >= MAX_UNANSWERED {
            (self.works, self.unanswered) = (false, 0);
            shared.push(Output::UseCompanion { link, works: false });
        }
        let exchange = shared.random_u32();
        let context = StepContext { network: &shared.config.network, id: shared.id, now: shared.now };
        let step = self.clock.ask(exchange, context);
        let frame = Arc::new(Message::Time(Box::new(step)).into());
        shared.push(Output::SendBeside { link, frame });
        let pause = TRIES.get(self.unanswered).or_else(|| TRIES.last()).copied().unwrap_or(IDLE_INTERVAL);
        self.due = shared.now.mono.after(if self.works { PATIENCE } else { pause });
        self.unanswered = self.unanswered.saturating_add(1);
    }
}
