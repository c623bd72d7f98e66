//! What leaves when: the volleys of an attempt, and the search for ports if those were in vain.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use meshline_protocol::message::PunchMapping;

use crate::input::SocketId;

/// Addresses without translation in between are tried this long before the instant: a way inside the house is found before
/// a packet goes outside.
pub(super) const HEAD_START: Duration = Duration::from_millis(50);

/// The search begins this long after the instant, when the told addresses have been tried.
const SEARCH_AT: Duration = Duration::from_secs(2);

/// Sockets are opened this long before the search.
const OPENING: Duration = Duration::from_millis(500);

/// Without a search an attempt is over this long after the instant; with one, this long.
pub(super) const PLAIN_END: Duration = Duration::from_millis(3_500);
pub(super) const SEARCH_END: Duration = Duration::from_secs(6);

/// TCP connections are tried for so long.
pub(super) const MEETING: Duration = Duration::from_secs(3);

/// A search sends a batch so often.
pub(super) const BATCH_EVERY: Duration = Duration::from_millis(20);

/// Packets in a batch: a thousand a second.
pub(super) const BATCH: usize = 20;

/// Packets that one attempt sends of its own accord. Home routers have been seen to die of three times as many.
pub(super) const MAX_PROBES: u32 = 2_000;

/// Sockets of a search among random ports: with as many, 580 ports tried find one in nine of ten cases, a thousand in
/// 49 of 50. An attempt may have 256, and a second one has one of its own already.
pub(super) const SEARCH_SOCKETS: u32 = 255;

/// Ports tried in an attempt: enough for 99 of 100 searches. Routers remember each of them for half a minute, and two searches
/// follow each other sooner: 2,500 flows are as many as a home router is to bear.
pub(super) const SEARCH_PORTS: usize = 1_150;

/// Ports above the last one seen, where they are counted: as many as a busy home opens in a few seconds. None is left out: the
/// step seen may have been of several ports, if the witness of one in between was not heard. From the second attempt on as many
/// below it too: the port for us was given at the first, and others may have been counted since.
const AIMED: i32 = 20;

/// Sockets where both sides count, and how many ports above the last one seen each aims: all steps up to 4 lead there, even
/// if others took some ports meanwhile.
const COUNTED_SOCKETS: u32 = 25;
const COUNTED_AIM: i32 = 24;

/// Such a step is taken for counting; larger ones are chance.
const MAX_STEP: i16 = 4;

/// A packet with this lifetime leaves the own router and dies before the other's. Which lifetime does depends on how many
/// routers there are, so attempts take them in turn.
const OPENERS: [u8; 3] = [2, 3, 4];

/// Between openers and what is to arrive: what both think the instant is may be so far apart,
const OPENING_LEAD: u64 = 60;

/// and in an attempt with care so far: on a busy machine an opener leaves late, and where the other's packet finds the
/// router closed is what made the attempt before it fail.
const CAREFUL_LEAD: u64 = 500;

/// Ports of sockets for one attempt: a range that routers leave as they are and systems give away as well.
const OWN_PORTS: std::ops::Range<u16> = 32_768..60_999;

/// A group of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volley {
    /// To addresses without translation in between.
    Near,
    /// To all others, too short-lived to arrive: they open the own router first, because one that sees the other's packet
    /// before keeps another port for ours.
    Openers,
    /// To all others.
    Far,
    /// To those that were heard.
    Heard,
    /// TCP connections set out.
    Meet,
    /// Sockets of the search are opened.
    Open,
    /// A batch of the search.
    Search,
    /// The way that was found is kept open until there is a link.
    Keep,
}

/// Each of the few ports that are foreseen gets so many packets: where every tenth is lost, one would miss a fifth of all
/// holes, because its answer may be lost as well.
const AIMED_ROUNDS: usize = 3;

/// When the volleys leave, in milliseconds after the instant, the head start included. At addresses that were not heard
/// the first three of each kind count, the rest wait for something heard: some of it only comes of the search.
pub(super) fn volleys(careful: bool) -> impl Iterator<Item = (Duration, Volley)> {
    const HEARD: [u64; 11] = [100, 200, 700, 1_000, 1_500, 1_900, 2_200, 2_500, 3_000, 4_000, 5_000];
    let near = [0, 150, 450].map(|at| (at, Volley::Near));
    let lead = 50 + if careful { CAREFUL_LEAD } else { OPENING_LEAD };
    let far = [(50, Volley::Openers), (50, Volley::Meet), (lead, Volley::Far), (lead + 340, Volley::Far)];
    let heard = HEARD.map(|at| (at + 50, Volley::Heard));
    let search = millis(HEAD_START) + millis(SEARCH_AT);
    let search = [(search - millis(OPENING), Volley::Open), (search, Volley::Search)];
    near.into_iter().chain(far).chain(heard).chain(search).map(|(at, volley)| (Duration::from_millis(at), volley))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(0)
}

/// A port for a socket of one attempt, from a random number.
pub(super) fn own_port(random: u32) -> u16 {
    let span = u32::from(OWN_PORTS.end - OWN_PORTS.start);
    OWN_PORTS.start.saturating_add(u16::try_from(random % span).unwrap_or(0))
}

/// How an attempt goes about it, after so many in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// The lifetime of openers.
    pub(super) ttl: u8,
    /// From a socket of its own, and with more time between openers and what is to arrive: what earlier packets left in a
    /// router stands in the way of the usual socket for half a minute.
    pub(super) careful: bool,
}

impl Manner {
    /// Every other attempt is made with care, unless ports are searched for: with fresh sockets that is no easier.
    pub(super) fn choose((ours, theirs): (PunchMapping, PunchMapping), earlier: u32) -> Self {
        let is_searched = Search::is_made(ours, theirs, earlier);
        let careful = !is_searched && earlier % 2 == 1;
        Self { ttl: opener_ttl(if is_searched { earlier } else { earlier / 2 }), careful }
    }
}

fn opener_ttl(turn: u32) -> u8 {
    let turn = usize::try_from(turn).unwrap_or(0) % OPENERS.len();
    OPENERS.get(turn).copied().unwrap_or(2)
}

/// How ports are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// There is nothing to search for, or no hope.
    None,
    /// The other side counts its ports: those next to the last one seen are tried. Nothing else need be open.
    Aim(i16),
    /// Both count: many sockets, all aimed at the same one of the other's.
    Counted(i16),
    /// Ours are random: many sockets wait for the other side to find one of them.
    Sockets,
    /// The other's are random: many ports are tried.
    Ports,
}

impl Search {
    /// What fits two kinds of translation, after so many attempts in vain. Whoever does not know its own kind yet mostly
    /// does before the second, and needs no search if it is the usual one.
    pub(super) fn choose(ours: PunchMapping, theirs: PunchMapping, earlier: u32) -> Self {
        if earlier == 0 && [ours, theirs].contains(&PunchMapping::Unknown) {
            return Self::None;
        }
        match (kind(ours), kind(theirs)) {
            (Kind::Easy, Kind::Counting(step)) => Self::Aim(step),
            (Kind::Counting(_), Kind::Counting(step)) => Self::Counted(step),
            (Kind::Random, Kind::Easy) => Self::Sockets,
            (Kind::Easy, Kind::Random) => Self::Ports,
            (Kind::Easy | Kind::Counting(_) | Kind::Random, _) => Self::None,
        }
    }

    /// Sockets it needs.
    pub(super) fn sockets(self) -> u32 {
        match self {
            Self::Sockets => SEARCH_SOCKETS,
            Self::Counted(_) => COUNTED_SOCKETS,
            Self::None | Self::Aim(_) | Self::Ports => 0,
        }
    }

    /// Whether it is the dear kind, of which a host makes one at a time and seldom.
    pub(super) fn is_birthday(self) -> bool {
        matches!(self, Self::Sockets | Self::Ports)
    }

    /// What both sides wait for: those who have nothing to send must stay for what the other sends.
    pub(super) fn end(ours: PunchMapping, theirs: PunchMapping, earlier: u32) -> Duration {
        if Self::is_made(ours, theirs, earlier) { SEARCH_END } else { PLAIN_END }
    }

    /// Whether either side searches.
    fn is_made(ours: PunchMapping, theirs: PunchMapping, earlier: u32) -> bool {
        let is_searched = |(ours, theirs)| Self::choose(ours, theirs, earlier) != Self::None;
        [(ours, theirs), (theirs, ours)].into_iter().any(is_searched)
    }
}

enum Kind {
    Easy,
    Counting(i16),
    Random,
}

fn kind(mapping: PunchMapping) -> Kind {
    match mapping {
        PunchMapping::Unknown | PunchMapping::Independent => Kind::Easy,
        PunchMapping::Counting(step) if step != 0 && step.unsigned_abs() <= MAX_STEP.unsigned_abs() => {
            Kind::Counting(step)
        }
        PunchMapping::Counting(_) | PunchMapping::Random => Kind::Random,
    }
}

/// One packet of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shot {
    pub(super) socket: SocketId,
    pub(super) to: SocketAddr,
    pub(super) ttl: Option<u8>,
}

/// What a search needs to know.
#[derive(Debug)]
pub(super) struct Aim<'a> {
    /// Where the other side was seen last.
    pub(super) seen: SocketAddr,
    /// And the time before that.
    pub(super) before: Option<SocketAddr>,
    /// From which the attempt sends: the other side lets in what comes from its port alone.
    pub(super) own: SocketId,
    /// The sockets opened for it.
    pub(super) sockets: &'a [SocketId],
    /// The lifetime of openers.
    pub(super) ttl: u8,
    /// How many attempts came before.
    pub(super) earlier: u32,
}

/// The packets of a search, in order.
pub(super) fn shots(search: Search, aim: &Aim<'_>, ports: &mut Ports) -> VecDeque<Shot> {
    let from_own = |port: u16| Shot { socket: aim.own, to: with_port(aim.seen, port), ttl: None };
    match search {
        Search::None => VecDeque::new(),
        Search::Aim(step) => {
            let (far, below) = if aim.earlier == 0 { (Some(step), 0) } else { (None, AIMED) };
            let around = |seen| (-below..=AIMED).filter_map(move |nth| stepped(seen, step.signum(), nth));
            let far = far.into_iter().flat_map(|step| (0..=AIMED).filter_map(move |nth| stepped(aim.seen, step, nth)));
            let again = aim.before.filter(|before| aim.earlier > 0 && before.ip() == aim.seen.ip());
            let ports: BTreeSet<u16> = around(aim.seen).chain(far).chain(again.into_iter().flat_map(around)).collect();
            (0..AIMED_ROUNDS).flat_map(|_| ports.iter().copied()).map(from_own).collect()
        }
        Search::Counted(step) => {
            let Some(port) = stepped(aim.seen, step.signum(), COUNTED_AIM) else { return VecDeque::new() };
            let to = with_port(aim.seen, port);
            let round = aim.sockets.iter().map(|socket| Shot { socket: *socket, to, ttl: None });
            // The later rounds are for what crossed with the other side's first.
            round.clone().chain(round.clone()).chain(round).collect()
        }
        Search::Sockets => {
            let opener = |socket: &SocketId| Shot { socket: *socket, to: aim.seen, ttl: Some(aim.ttl) };
            aim.sockets.iter().map(opener).collect()
        }
        Search::Ports => ports.by_ref().take(SEARCH_PORTS).map(from_own).collect(),
    }
}

fn with_port(address: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address.ip(), port)
}

fn stepped(seen: SocketAddr, step: i16, nth: i32) -> Option<u16> {
    let port = i32::from(seen.port()) + i32::from(step) * nth;
    u16::try_from(port).ok().filter(|port| *port >= FIRST_PORT)
}

/// Ports below are given to services, never to connections.
const FIRST_PORT: u16 = 1_024;

/// How many there are from it on.
const PORT_COUNT: u32 = 65_536 - FIRST_PORT as u32;

/// All ports in an order of chance, none twice before all were there. Attempts go on where the last one stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    next: u32,
    stride: u32,
}

impl Ports {
    /// An order that follows from a random number.
    pub(super) fn new(random: u32) -> Self {
        // Odd and no multiple of 3 or 7, so without a common divisor with 64,512 = 2^10 · 3^2 · 7.
        let stride = ((random >> 8) % PORT_COUNT) | 1;
        let stride = (stride..).step_by(2).find(|stride| stride % 3 != 0 && stride % 7 != 0).unwrap_or(1);
        Self { next: random % PORT_COUNT, stride: stride % PORT_COUNT }
    }
}

impl Iterator for Ports {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let port = self.next;
        self.next = (self.next + self.stride) % PORT_COUNT;
        u16::try_from(port).ok()?.checked_add(FIRST_PORT)
    }
}
