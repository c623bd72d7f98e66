//! One place to dial, with its attempts and its patience.

use std::collections::VecDeque;
use std::time::Duration;

use meshline_protocol::{Address, Code, NodeId};

use crate::input::DialId;
use crate::link::Link;
use crate::now::Mono;

/// Attempts remembered a place, for `explain`.
const MAX_ATTEMPTS: usize = 16;

/// Addresses remembered a member.
const MAX_ADDRESSES: usize = 8;

/// Between fast attempts at a configured address.
const FAST: Duration = Duration::from_secs(1);

/// Between slow attempts at the configured successor of a ring. With a connect time-out of four seconds two
/// rings find each other within ten seconds of the healing of what parted them.
const NEXT_SLOW: Duration = Duration::from_secs(3);

/// Longest pause between attempts at anything else.
const SLOWEST: Duration = Duration::from_secs(20);

/// How a place is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// By an address from the configuration, whoever is there.
    Address(Address),
    /// By who it is.
    Member(NodeId),
}

/// What it is dialled for; later ones come first when there is not room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Somebody may be there; it is tried a few times.
    Found,
    /// A member like any other.
    Member,
    /// Named in the configuration.
    Configured,
    /// A proxy named in the configuration.
    Proxy,
    /// The configured successor.
    Next,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) at: Mono,
    pub(crate) transport: &'static str,
    pub(crate) address: String,
    /// `None` if it came up.
    pub(crate) outcome: Option<Code>,
    pub(crate) detail: String,
    /// How long the link was up that ended so; `None` of an attempt at one.
    pub(crate) lasted: Option<Duration>,
    /// The proxy that carried that link.
    pub(crate) via: Option<NodeId>,
}

impl Attempt {
    /// How a link ended that was up.
    pub(crate) fn ended(link: &Link, (code, detail): (Code, &str), now: Mono) -> Self {
        Self {
            at: now,
            transport: if link.dial.is_some() { link.transport.name() } else { "inbound" },
            address: link.remote.to_string(),
            outcome: Some(code),
            detail: detail.to_owned(),
            lasted: Some(now.since(link.since)),
            via: link.via,
        }
    }
}

/// One place to dial.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) purpose: Purpose,
    pub(crate) addresses: Vec<Address>,
    pub(crate) id: Option<NodeId>,
    pub(crate) is_self: bool,
    pub(crate) left: bool,
    /// Failures since the last success.
    pub(crate) attempts: u32,
    pub(crate) next_at: Mono,
    pub(crate) dialling: Option<DialId>,
    /// From then on a proxy may be asked for it.
    pub(crate) relay_from: Option<Mono>,
    /// It was dialled since it came to be known.
    pub(crate) dialled: bool,
    /// Where it was dialled and linked last.
    pub(crate) worked: Option<Address>,
    turn: usize,
    /// What was tried. Most of a thousand members are never dialled.
    history: Option<Box<History>>,
}

/// What was tried at one place.
#[derive(Debug, Default)]
struct History {
    /// How a link ended, before the attempts that are remembered.
    ended: Option<Attempt>,
    log: VecDeque<Attempt>,
}

impl Target {
    pub(crate) fn new(purpose: Purpose, next_at: Mono) -> Self {
        Self {
            purpose,
            addresses: Vec::new(),
            id: None,
            is_self: false,
            left: false,
            attempts: 0,
            next_at,
            dialling: None,
            relay_from: None,
            dialled: false,
            worked: None,
            turn: 0,
            history: None,
        }
    }

    /// Takes in addresses and says whether one was new.
    pub(crate) fn learn(&mut self, addresses: &[Address]) -> bool {
        let before = self.addresses.len();
        for address in addresses {
            if !self.addresses.contains(address) {
                // One by one: most have one.
                self.addresses.reserve_exact(1);
                self.addresses.push(address.clone());
            }
        }
        let grown = self.addresses.len() > before;
        let surplus = self.addresses.len().saturating_sub(MAX_ADDRESSES);
        // The first is the one that worked last; the oldest of the others give way.
        self.addresses.drain(1.min(self.addresses.len())..(1 + surplus).min(self.addresses.len()));
        grown
    }

    /// The addresses in turn.
    pub(crate) fn next_address(&mut self) -> Option<Address> {
        let address = self.addresses.get(self.turn.checked_rem(self.addresses.len())?).cloned();
        self.turn = self.turn.wrapping_add(1);
        address
    }

    /// It is linked: patience begins anew, and the address that worked is tried first.
    pub(crate) fn reset(&mut self, id: NodeId, direct: bool, worked: Option<&Address>) {
        self.id = Some(id);
        self.left = false;
        self.turn = 0;
        if direct {
            self.attempts = 0;
            self.relay_from = None;
            if let Some(at) = self.addresses.iter().position(|address| Some(address) == worked) {
                self.addresses.swap(0, at);
            }
        }
    }

    /// From when on a proxy may be asked for it: at once where dialling has no prospect, else when a direct dial has
    /// had a start; not while its turn to be dialled has not come.
    pub(crate) fn relay_from(&self, head_start: Duration, now: Mono) -> Option<Mono> {
        let has_tried = usize::try_from(self.attempts).is_ok_and(|attempts| attempts >= self.addresses.len());
        if has_tried {
            Some(Mono(0))
        } else if !self.dialled && self.next_at <= now {
            None
        } else {
            Some(self.relay_from.unwrap_or_else(|| self.next_at.after(head_start)))
        }
    }

    /// The pause before the next attempt.
    pub(crate) fn delay(&self, retries: u32) -> Duration {
        let slow = self.attempts.saturating_sub(retries);
        match self.purpose {
            Purpose::Next if slow > 0 => NEXT_SLOW,
            Purpose::Configured | Purpose::Proxy if slow > 0 => doubled(slow),
            Purpose::Next | Purpose::Configured | Purpose::Proxy => FAST,
            Purpose::Found | Purpose::Member => doubled(self.attempts.saturating_sub(1)),
        }
    }

    pub(crate) fn note(&mut self, attempt: Attempt) {
        self.history.get_or_insert_default().note(attempt);
    }

    pub(crate) fn attempts_made(&self) -> impl Iterator<Item = &Attempt> {
        self.history.iter().flat_map(|history| history.ended.iter().chain(&history.log))
    }
}

impl History {
    fn note(&mut self, attempt: Attempt) {
        // One by one: most places see one attempt in their life.
        self.log.reserve_exact(1);
        self.log.push_back(attempt);
        if self.log.len() > MAX_ATTEMPTS
            && let Some(oldest) = self.log.pop_front()
            && oldest.lasted.is_some()
        {
            // Attempts in vain go on for days, and none of them says that there was a link.
            self.ended = Some(oldest);
        }
    }
}

fn doubled(times: u32) -> Duration {
    FAST.saturating_mul(1 << times.min(6)).min(SLOWEST)
}
