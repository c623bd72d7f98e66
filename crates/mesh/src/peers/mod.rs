//! Whom to dial and when: configured addresses for ever, known members as the topology wants them.

mod ask;
mod book;
pub(crate) mod choice;
mod feeler;
mod found;
mod heard;
mod indirect;
mod listed;
mod set;
mod target;
mod targets;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use meshline_identity::Member;
use meshline_protocol::{Address, Code, NodeId};

pub(crate) use ask::Asks;
pub(crate) use book::Book;
#[cfg(test)]
pub(crate) use found::FOUND_ATTEMPTS;
pub(crate) use heard::Heard;
use heard::{FIRST_DIAL_LARGER, FIRST_DIAL_SMALLER};
use listed::Listed;
pub(crate) use set::{Admission, Around, Choice, LinkSet, Newcomer, Purposes, RedrawPlan, Redrawn, is_linkable};
pub(crate) use target::{Attempt, Key, Purpose, Target};
use targets::Targets;

use crate::event::Event;
use crate::input::{DialId, Transport};
use crate::link::Links;
use crate::now::Mono;
use crate::output::{DialTarget, Output};
use crate::shared::Shared;

/// Members remembered as places to dial. Beyond it no more are taken until others are forgotten.
pub(crate) const MAX_TARGETS: usize = 1_024;

/// Connections being opened at once: enough for a full mesh at the start, few enough for any router.
pub(crate) const MAX_DIALS: usize = 64;

/// What a direct dial gets before a proxy is asked beside it. Over a round trip of 100 ms it ends after two of them: such
/// members burden no proxy, and one behind a wall waits no longer for its first byte than people notice.
const HEAD_START: Duration = Duration::from_millis(250);

/// Before the links are counted again when all are taken.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Before a member is dialled again that said it was linked already.
const DUPLICATE_PAUSE: Duration = Duration::from_secs(1);

/// A connection being opened, or opened and not accepted yet.
#[derive(Clone, Debug)]
struct Dialling {
    key: Key,
    address: Address,
    transport: Transport,
    /// The proxy, of a relayed one.
    via: Option<NodeId>,
    /// The other side dials at the same time.
    met: bool,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) code: Code,
    pub(crate) detail: &'a str,
    /// Who answered.
    pub(crate) proved: Option<NodeId>,
}

/// All places to dial.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// Which members should be linked, where there are too many for all.
    pub(crate) set: LinkSet,
    /// The addresses known.
    pub(crate) book: Book,
    /// Requests for addresses.
    pub(crate) asks: Asks,
    /// An attempt that only shows whether somebody is where it was told to be.
    feeler: Option<(DialId, NodeId)>,
    feel_at: Mono,
    targets: Targets,
    listed: Listed,
    dialling: BTreeMap<DialId, Dialling>,
    /// The members the ring wants linked, or the set of links; `None` for all of them.
    wanted: Option<BTreeSet<NodeId>>,
    /// All links are taken: until this time, unless a connection comes or goes meanwhile.
    full: Option<(Mono, u64)>,
    /// How often what says who is reached changed.
    changes: u64,
}

impl Peers {
    /// None yet, with an empty book.
    pub(crate) fn new(book: Book) -> Self {
        Self { book, ..Self::default() }
    }

    /// Takes in an address from the configuration.
    pub(crate) fn add_address(&mut self, address: &Address, purpose: Purpose, now: Mono) {
        let target = self.targets.get_or_insert(Key::Address(address.clone()), || Target::new(purpose, now));
        target.purpose = target.purpose.max(purpose);
        target.addresses = vec![address.clone()];
    }

    /// An address is in the configuration no more.
    pub(crate) fn remove_address(&mut self, address: &Address) {
        self.targets.remove(&Key::Address(address.clone()));
    }

    /// Takes in addresses of a member.
    pub(crate) fn add_member(&mut self, shared: &mut Shared, id: NodeId, addresses: &[Address], heard: Heard) {
        let key = Key::Member(id);
        if id == shared.id || (self.targets.get(&key).is_none() && !self.has_place_for(&id, shared)) {
            return;
        }
        let wait = heard.wait(&shared.id, &id);
        let first = shared.jittered(wait);
        self.changes += 1;
        // Whoever dials first, this is when a direct link would be there.
        let relay_from = shared.now.mono.after(wait.min(FIRST_DIAL_SMALLER) + HEAD_START);
        let target = self.targets.get_or_insert(key, || Target::new(Purpose::Member, first));
        target.relay_from.get_or_insert(relay_from);
        target.id = Some(id);
        if target.learn(addresses) && heard == Heard::Listed {
            target.next_at = target.next_at.min(shared.now.mono);
        }
    }

    /// A member announced itself afresh: whatever kept it away may be over.
    pub(crate) fn encourage(&mut self, shared: &mut Shared, member: &Member) {
        self.add_member(shared, member.id, &member.addresses, Heard::Told);
        let soon = shared.jittered(if shared.id < member.id { FIRST_DIAL_SMALLER } else { FIRST_DIAL_LARGER });
        if let Some(target) = self.targets.get_mut(&Key::Member(member.id)) {
            target.left = false;
            (target.attempts, target.dialled) = (0, false);
            target.relay_from = Some(shared.now.mono.after(FIRST_DIAL_SMALLER + HEAD_START));
            target.next_at = target.next_at.min(soon);
        }
    }

    /// A member said goodbye: it is not dialled until it announces itself again, its addresses stay known.
    pub(crate) fn leave(&mut self, id: NodeId) {
        self.changes += 1;
        self.book.remove(&id);
        if let Some(target) = self.targets.get_mut(&Key::Member(id)) {
            target.left = true;
        }
    }

    /// A member was expelled.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.changes += 1;
        self.book.remove(&id);
        self.targets.remove(&Key::Member(id));
    }

    /// Says which members should be linked, and dials newly wanted ones at once.
    pub(crate) fn want(&mut self, wanted: BTreeSet<NodeId>, now: Mono) {
        if self.wanted.as_ref() == Some(&wanted) {
            return;
        }
        match &self.wanted {
            Some(before) => self.targets.mark(before.symmetric_difference(&wanted).copied()),
            None => self.targets.mark_all(),
        }
        self.changes += 1;
        let before = self.wanted.replace(wanted).unwrap_or_default();
        for id in self.wanted.iter().flatten().filter(|id| !before.contains(id)) {
            if let Some(target) = self.targets.get_mut(&Key::Member(*id)) {
                target.next_at = target.next_at.min(now);
            }
        }
    }

    /// Dials what is due, as far as there is room; the rest keeps its turn.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared, links: &Links) {
        if shared.leaving {
            return;
        }
        self.feel(shared, links);
        self.settle(links, shared.now.mono);
        while let Some(key) = self.targets.first_due().cloned() {
            if !self.has_room(shared, links) {
                return;
            }
            self.dial(shared, &key);
            self.settle(links, shared.now.mono);
        }
    }

    /// Gives places that changed their turn.
    pub(crate) fn settle(&mut self, links: &Links, now: Mono) {
        let wanted = self.wanted.as_ref();
        self.targets.settle(links, |id| wanted.is_none_or(|wanted| wanted.contains(id)), now);
    }

    fn has_room(&mut self, shared: &Shared, links: &Links) -> bool {
        if self.is_full(shared.now.mono, links) {
            return false;
        }
        // A bounded set is small, and makes room for what it wants.
        if !self.set.is_bounded() && links.accepted() + self.dialling.len() >= shared.config.max_links {
            self.full = Some((shared.now.mono.after(FULL_PAUSE), links.changes()));
            return false;
        }
        true
    }

    /// Whether no more can be dialled, as far as is known without counting links.
    fn is_full(&self, now: Mono, links: &Links) -> bool {
        let links_taken = self.full.is_some_and(|(until, changes)| until > now && changes == links.changes());
        self.dialling.len() >= MAX_DIALS || links_taken
    }

    fn dial(&mut self, shared: &mut Shared, key: &Key) {
        let Some(target) = self.targets.get_mut(key) else { return };
        let Some(address) = target.next_address() else { return };
        let plain = shared.config.plain;
        let expected = match key {
            Key::Member(id) if !plain => Some(*id),
            Key::Member(_) | Key::Address(_) => None,
        };
        let transport = if plain { Transport::Plain } else { Transport::Tcp };
        let dial = shared.next_dial();
        target.dialling = Some(dial);
        if !target.dialled {
            (target.dialled, target.relay_from) = (true, Some(shared.now.mono.after(HEAD_START)));
        }
        self.changes += 1;
        let dialling = Dialling { key: key.clone(), address: address.clone(), transport, via: None, met: false };
        self.dialling.insert(dial, dialling);
        shared.push(Output::Dial { dial, target: DialTarget::Direct { address, expected, plain } });
    }

    /// How often anything changed that says who is reached.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// An attempt is wanted no more. Says whether it was under way.
    pub(crate) fn cancel(&mut self, dial: DialId) -> bool {
        self.dialling.remove(&dial).is_some()
    }

    /// Whether any attempt is under way.
    pub(crate) fn is_dialling(&self) -> bool {
        !self.dialling.is_empty()
    }

    /// Whether a link with a member would serve the topology.
    pub(crate) fn is_wanted(&self, id: &NodeId) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(id))
    }

    /// The link of an attempt is up.
    pub(crate) fn succeed(&mut self, dial: Option<DialId>, id: NodeId, over: (Transport, &Address), shared: &Shared) {
        let (transport, remote) = over;
        let now = shared.now.mono;
        let dialled = dial.and_then(|dial| self.dialling.remove(&dial));
        let key = dialled.as_ref().map_or(Key::Member(id), |dialled| dialled.key.clone());
        let key = self.known_by(key, id, now);
        // Whoever was dialled at an address is there; whoever came in may be anywhere.
        let is_direct = |dialled: &&Dialling| dialled.via.is_none() && !dialled.met && transport != Transport::Quic;
        if let Some(dialled) = dialled.as_ref().filter(is_direct) {
            self.note_found(id, &dialled.address, shared);
        }
        let name = if dialled.is_some() { transport.name() } else { "inbound" };
        let attempt = Attempt {
            at: now,
            transport: name,
            address: remote.to_string(),
            outcome: None,
            detail: String::new(),
            lasted: None,
            via: None,
        };
        self.targets.links_changed();
        self.full = None;
        self.changes += 1;
        let keys: BTreeSet<Key> = self.targets.keys_of(id).into_iter().chain([key.clone()]).collect();
        for key in keys {
            let Some(target) = self.targets.get_mut(&key) else { continue };
            target.note(attempt.clone());
            target.reset(id, transport != Transport::Relay, dialled.as_ref().map(|dialled| &dialled.address));
            if let Some(dialled) = dialled.as_ref().filter(is_direct) {
                target.worked = Some(dialled.address.clone());
            }
        }
        if let Some(target) = self.targets.get_mut(&key) {
            target.id = Some(id);
            target.dialling = None;
        }
    }

    /// An attempt failed, in whatever stage. A duplicate is no failure: the member is linked.
    pub(crate) fn fail(&mut self, shared: &mut Shared, dial: DialId, failure: Failure<'_>) {
        let Failure { code, detail, proved } = failure;
        let Some(dialled) = self.dialling.remove(&dial) else { return };
        self.full = None;
        self.changes += 1;
        if self.feeler_failed(dial, code) || self.give_up_found(&dialled.key, code) {
            return;
        }
        let Some(target) = self.targets.get_mut(&dialled.key) else { return };
        if target.dialling == Some(dial) {
            target.dialling = None;
        }
        target.note(Attempt {
            at: shared.now.mono,
            transport: dialled.transport.name(),
            address: dialled.address.to_string(),
            outcome: Some(code),
            detail: detail.to_owned(),
            lasted: None,
            via: dialled.via,
        });
        // What was agreed on with the other side has its own pauses.
        if matches!(dialled.transport, Transport::Relay | Transport::Quic) || dialled.met {
            return;
        }
        if code == Code::DuplicateLink {
            // Who is behind an address is believed only with proof, never on somebody's word.
            target.id = proved.or(target.id);
            // The link that stayed may be one that is lost and not yet known to be.
            target.next_at = shared.jittered(DUPLICATE_PAUSE);
            return;
        }
        target.is_self = code == Code::SelfConnection && proved == Some(shared.id);
        target.attempts = target.attempts.saturating_add(1);
        let delay = target.delay(shared.config.retries);
        target.next_at = shared.jittered_or_exact(delay, target.attempts <= shared.config.retries);
        if let Key::Member(id) = dialled.key {
            self.set.failed(id, code, shared.now.mono);
            self.note_missed(&id, code);
        }
        if choice::is_full_there(code) {
            self.rest(shared, &dialled.key);
        }
        let Some(target) = self.targets.get(&dialled.key) else { return };
        if target.purpose > Purpose::Member && !target.is_self {
            let event = Event::ConnectFailed {
                address: dialled.address,
                attempt: target.attempts,
                retries: shared.config.retries,
                code,
                detail: detail.to_owned(),
            };
            shared.event(event);
        }
    }

    /// A link that was up ended: back to it soon, the smaller id first.
    pub(crate) fn lost(&mut self, shared: &mut Shared, id: NodeId) {
        let soon = shared.jittered(if shared.id < id { FIRST_DIAL_SMALLER } else { FIRST_DIAL_LARGER });
        let now = shared.now.mono;
        self.changes += 1;
        for key in self.targets.keys_of(id) {
            let Some(target) = self.targets.get_mut(&key) else { continue };
            (target.dialled, target.relay_from) = (true, Some(now));
            target.next_at = if matches!(key, Key::Address(_)) { now.after(FIRST_DIAL_SMALLER) } else { soon };
        }
    }

    /// The attempts to reach a member, oldest first, and when the next is due.
    pub(crate) fn history(&self, id: NodeId) -> (VecDeque<Attempt>, Option<Mono>) {
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut next: Option<Mono> = None;
        for target in self.targets.keys_of(id).iter().filter_map(|key| self.targets.get(key)) {
            attempts.extend(target.attempts_made().cloned());
            // Whoever has no address is not dialled, whenever it would be its turn.
            if target.dialling.is_none() && !target.left && !target.addresses.is_empty() {
                next = Some(next.map_or(target.next_at, |next| next.min(target.next_at)));
            }
        }
        attempts.sort_by_key(|attempt| attempt.at);
        attempts.dedup();
        (attempts.into(), next)
    }

    /// The address that worked last for a member first, then the others.
    pub(crate) fn addresses(&self, id: NodeId) -> Vec<Address> {
        self.targets.get(&Key::Member(id)).map(|target| target.addresses.clone()).unwrap_or_default()
    }

    pub(crate) fn next_timeout(&self, now: Mono, links: &Links) -> Option<Mono> {
        let is_waiting = self.targets.first_due().is_some() && !self.is_full(now, links);
        if is_waiting || !self.targets.is_settled(links) {
            return Some(now);
        }
        let full = self.full.filter(|_| self.targets.first_due().is_some() && self.dialling.len() < MAX_DIALS);
        self.targets.next_at().into_iter().chain(full.map(|(until, _)| until)).min()
    }
}
