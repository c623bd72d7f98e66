//! The state of the directory on one member: what it offers itself, what it takes in, and what it tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshline_mesh::{Event as MeshEvent, Mono, Node, RequestId, SignedText};
use meshline_protocol::limits::{MAX_SERVICES, MAX_TEXT};
use meshline_protocol::message::{Health, OfferedService, ServiceList, ServicesLists, SignedBroadcast};
use meshline_protocol::{Bounded, Code, Fault, Frame, Message as Wire, NodeId, ServiceName, UnixMicros};

use super::directory::{Change, Directory, List, Room};
use super::flaps::Flaps;
use super::sync::{Heard, Sync};
use super::{Cause, Command, Entry, Event, Filter, Reply, Report, Settings, service};
use crate::chat::Context;
use crate::registry;
use crate::stack::Output;

/// The shortest time for which a list may hold: below it renewals would be most of what a quiet network says.
pub const MIN_TTL: u32 = 10;

/// The longest, as long as a broadcast is under way.
pub const MAX_TTL: u32 = 3_600;

/// Lists hold so much longer for each that is kept that all members together renew ten a second at most.
const LISTS_PER_TTL_SECOND: usize = 5;

/// How far ahead a list may have been written by network time as it is known here, in microseconds.
pub const MAX_CLOCK_ERROR: i64 = 10_000_000;

/// Between two lists of this member: several changes at once are one, and a broken program is no flood.
const MIN_GAP: Duration = Duration::from_millis(500);

/// After the mesh had no room for a list.
const RETRY: Duration = Duration::from_secs(2);

/// The state of the directory.
#[derive(Debug)]
pub(crate) struct Discovery {
    own: NodeId,
    settings: Settings,
    directory: Directory,
    flaps: Flaps,
    sync: Sync,
    /// What somebody here wants offered.
    offered: BTreeMap<ServiceName, OfferedService>,
    /// What was told to all last.
    told: BTreeMap<ServiceName, OfferedService>,
    /// When the next list goes out.
    publish_at: Option<Mono>,
    published_at: Option<Mono>,
    /// What network time was then thought to be.
    published_time: UnixMicros,
    published: u64,
    /// Others keep a list of an earlier run.
    owed: bool,
    refused: BTreeMap<&'static str, u64>,
}

impl Discovery {
    pub(crate) fn new(own: NodeId, settings: Settings) -> Self {
        Self {
            own,
            settings,
            directory: Directory::default(),
            flaps: Flaps::default(),
            sync: Sync::default(),
            offered: BTreeMap::new(),
            told: BTreeMap::new(),
            publish_at: None,
            published_at: None,
            published_time: UnixMicros::new(0),
            published: 0,
            owed: false,
            refused: BTreeMap::new(),
        }
    }

    pub(crate) fn handle_command(&mut self, request: RequestId, command: Command, context: &mut Context<'_>) {
        let reply = match command {
            Command::Offer(services) => self.offer(services, context.now.mono),
            Command::List(filter) => Reply::Listed(self.list(&filter, context)),
            Command::Report => Reply::Report(self.report()),
        };
        context.out.push_back(Output::Reply { request, reply: registry::Reply::Discovery(reply) });
        self.publish_when_due(context);
    }

    fn offer(&mut self, services: Vec<OfferedService>, now: Mono) -> Reply {
        if services.len() > MAX_SERVICES {
            let detail = format!("a member offers {MAX_SERVICES} services at most");
            return Reply::Refused { code: Code::TooManyServices, detail };
        }
        let mut offered = BTreeMap::new();
        for service in services {
            let name = service.name.clone();
            if offered.insert(name.clone(), service).is_some() {
                let detail = format!("the service {name} is offered twice");
                return Reply::Refused { code: Code::InvalidMessage, detail };
            }
        }
        if text_of(&offered, UnixMicros::new(0), MAX_TTL).len() > MAX_TEXT {
            let detail = format!("what is said of all services is longer than {MAX_TEXT} bytes");
            return Reply::Refused { code: Code::BodyTooLong, detail };
        }
        let own = self.own;
        for (name, service) in &offered {
            let before = self.offered.get(name).map(|before| before.health);
            if before.is_some_and(|before| before != service.health) {
                self.flaps.note(&(own, name.clone()), now);
            }
        }
        self.offered = offered;
        self.look_at_own(now);
        Reply::Offered
    }

    /// What is told to all: the health of a service that flaps stays as it was told last.
    fn wanted(&self) -> BTreeMap<ServiceName, OfferedService> {
        let mut wanted = self.offered.clone();
        for (name, service) in &mut wanted {
            if let Some(told) = self.told.get(name).filter(|_| self.flaps.is_damped(&(self.own, name.clone()))) {
                service.health = told.health;
            }
        }
        wanted
    }

    /// Has a list sent soon if what was told is not what is offered.
    fn look_at_own(&mut self, now: Mono) {
        if self.wanted() != self.told {
            let soonest = self.published_at.map_or(now, |at| at.after(MIN_GAP)).max(now);
            self.publish_at = Some(self.publish_at.map_or(soonest, |at| at.min(soonest)));
        }
    }

    /// A list that was written by a clock of which more is known now says the wrong time: others would not take it, or
    /// not for long.
    fn look_at_time(&mut self, context: &Context<'_>) {
        let (Some(at), false) = (self.published_at, self.told.is_empty()) else { return };
        let passed = i64::try_from(context.now.mono.micros_since(at)).unwrap_or(i64::MAX);
        let off = context.node.network_time().since(self.published_time.offset(passed));
        if off.abs() > MAX_CLOCK_ERROR / 2 {
            let soonest = at.after(MIN_GAP).max(context.now.mono);
            self.publish_at = Some(self.publish_at.map_or(soonest, |at| at.min(soonest)));
        }
    }

    fn publish_when_due(&mut self, context: &mut Context<'_>) {
        if self.publish_at.is_some_and(|at| at <= context.now.mono) {
            self.publish(context);
        }
    }

    fn publish(&mut self, context: &mut Context<'_>) {
        let (wanted, now) = (self.wanted(), context.now);
        if wanted.is_empty() && self.told.is_empty() && !self.owed {
            self.publish_at = None;
            return;
        }
        let ttl = self.ttl();
        let time = context.node.network_time();
        let text = text_of(&wanted, time, ttl);
        let Ok(signed) = context.node.publish_for(i64::from(ttl) * 1_000_000, service(), text, now) else {
            self.publish_at = Some(now.mono.after(RETRY));
            return;
        };
        let until = now.mono.after(Duration::from_secs(u64::from(ttl)));
        let list = List { signed: Arc::new(signed), until, services: wanted.clone() };
        // Nothing is renewed once nothing is offered: the empty list ends with the one it ended.
        self.publish_at = (!wanted.is_empty()).then(|| context.node.jittered(renewal(ttl)));
        self.told = wanted;
        self.owed = false;
        (self.published_at, self.published_time) = (Some(now.mono), time);
        self.published = self.published.saturating_add(1);
        let changes = self.directory.put(list);
        self.tell(changes, Cause::Withdrawn, context);
    }

    /// How long a list of this member holds, in seconds.
    fn ttl(&self) -> u32 {
        let crowded = u32::try_from(self.directory.lists() / LISTS_PER_TTL_SECOND).unwrap_or(MAX_TTL);
        self.settings.ttl_s.max(crowded).clamp(MIN_TTL, MAX_TTL)
    }

    /// This member says goodbye: what it offers ends now and not by itself.
    pub(crate) fn leave(&mut self, context: &mut Context<'_>) {
        self.offered.clear();
        if !self.told.is_empty() {
            self.publish(context);
        }
        self.publish_at = None;
    }

    fn report(&self) -> Report {
        Report {
            services: self.directory.services(),
            owners: self.directory.owners(),
            own: self.offered.len(),
            damped: self.flaps.damped(),
            bytes: self.directory.bytes(),
            published: self.published,
            refused: self.refused.clone(),
        }
    }

    fn list(&self, filter: &Filter, context: &Context<'_>) -> Vec<Entry> {
        let mut members = BTreeMap::new();
        let found = self.directory.find(filter.name.as_ref(), filter.kind.as_ref());
        let mut entries: Vec<Entry> = found
            .map(|(list, service)| {
                let owner = list.signed.by;
                let node = &context.node;
                let known = members.entry(owner).or_insert_with(|| known(owner, node)).clone();
                self.entry(owner, service, (list.until, context.now.mono), known)
            })
            .collect();
        entries.sort_by(|a, b| (&a.name, rank(a)).cmp(&(&b.name, rank(b))));
        entries
    }

    fn entry(
        &self,
        member: NodeId,
        service: &OfferedService,
        (until, now): (Mono, Mono),
        (member_name, cost_us): (String, Option<u64>),
    ) -> Entry {
        let OfferedService { name, kind, port, text, health } = service.clone();
        let (penalty, damped) = self.flaps.of(&(member, name.clone()), now);
        let expires_us = until.micros_since(now);
        Entry { name, kind, member, member_name, port, text, health, expires_us, cost_us, damped, penalty }
    }

    fn entry_now(&self, owner: NodeId, service: &OfferedService, until: Mono, context: &Context<'_>) -> Entry {
        self.entry(owner, service, (until, context.now.mono), known(owner, context.node))
    }

    /// Notes what changed, and tells it unless it changes all the time.
    fn tell(&mut self, changes: Vec<Change>, cause: Cause, context: &mut Context<'_>) {
        let now = context.now.mono;
        for change in changes {
            let event = match change {
                Change::Added(owner, service) => {
                    let is_told = !self.flaps.is_damped(&(owner, service.name.clone()));
                    let until = self.directory.get(&owner).map_or(now, |list| list.until);
                    is_told.then(|| Event::Added(self.entry_now(owner, &service, until, context)))
                }
                Change::Changed { owner, before, after } => {
                    let key = (owner, after.name.clone());
                    // What this member offers itself was counted when it was offered.
                    let counts = owner != self.own && before.health != after.health;
                    let is_told = if counts { self.flaps.note(&key, now) } else { !self.flaps.is_damped(&key) };
                    let until = self.directory.get(&owner).map_or(now, |list| list.until);
                    is_told.then(|| Event::Changed(self.entry_now(owner, &after, until, context)))
                }
                Change::Removed(owner, service, until) => {
                    let is_told = self.flaps.note(&(owner, service.name.clone()), now);
                    is_told.then(|| Event::Removed { entry: self.entry_now(owner, &service, until, context), cause })
                }
            };
            context.out.extend(event.map(|event| Output::Event(registry::Event::Discovery(event))));
        }
    }

    /// Looks for what is the directory's among the node's events.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other events, later ones too, are not the directory's")]
    pub(crate) fn handle_event(&mut self, event: &MeshEvent, context: &mut Context<'_>) {
        match event {
            MeshEvent::Broadcast { message, signed, .. } if message.service == service() => {
                if let Err(code) = self.take_in(Arc::clone(signed), message, context) {
                    self.refuse(code);
                }
            }
            MeshEvent::LinkUp { peer, .. } => {
                self.sync.link_up(peer.id, &self.directory, context.node, context.now.mono);
            }
            MeshEvent::LinkDown { peer, .. } => {
                self.sync.link_down(&peer.id, &self.directory, context.node, context.now.mono);
            }
            MeshEvent::MemberLeft { peer } => self.end(&peer.id, context),
            MeshEvent::MemberRevoked { id, .. } => self.end(id, context),
            _ => {}
        }
    }

    fn end(&mut self, owner: &NodeId, context: &mut Context<'_>) {
        let changes = self.directory.withdraw(owner);
        self.tell(changes, Cause::Left, context);
    }

    /// Takes in a list, whatever way it came. Its signature has been checked, and that its author is a member.
    fn take_in(
        &mut self,
        signed: Arc<SignedText>,
        message: &SignedBroadcast,
        context: &mut Context<'_>,
    ) -> Result<(), Code> {
        let owner = signed.by;
        if owner == self.own {
            self.look_at_echo(signed.seq, context.now.mono);
            return Ok(());
        }
        match self.directory.seq_of(&owner) {
            Some(known) if known == signed.seq => return Ok(()),
            Some(known) if known > signed.seq => return Err(Code::RecordOutdated),
            Some(_) | None => {}
        }
        let list: ServiceList = serde_json::from_str(&message.text).map_err(|_| Code::InvalidMessage)?;
        let until = self.until(&list, context)?;
        let mut services = by_name(list)?;
        match self.directory.room(&owner, services.len(), signed.body.len()) {
            Room::All => {}
            // A member that adds something stays with what it had.
            Room::Listed => {
                self.refuse(Code::TooManyServices);
                services
                    .retain(|name, _| self.directory.get(&owner).is_some_and(|list| list.services.contains_key(name)));
            }
            Room::None => return Err(Code::TooManyServices),
        }
        let changes = self.directory.put(List { signed, until, services });
        self.tell(changes, Cause::Withdrawn, context);
        Ok(())
    }

    /// Until when a list is kept: for its time from when it was written, never for longer than that from now.
    fn until(&mut self, list: &ServiceList, context: &Context<'_>) -> Result<Mono, Code> {
        if !(MIN_TTL..=MAX_TTL).contains(&list.ttl_s) {
            return Err(Code::InvalidMessage);
        }
        let age = context.node.network_time().since(list.at);
        let ttl = i64::from(list.ttl_s) * 1_000_000;
        let fault = if age < -MAX_CLOCK_ERROR {
            Code::RecordEarly
        } else if age >= ttl {
            Code::RecordExpired
        } else {
            let left = u64::try_from((ttl - age).min(ttl)).unwrap_or(0);
            return Ok(context.now.mono.after(Duration::from_micros(left)));
        };
        self.sync.look_soon(context.now.mono);
        Err(fault)
    }

    /// Others keep a list that an earlier run of this member sent: it is replaced.
    fn look_at_echo(&mut self, seq: UnixMicros, now: Mono) {
        if self.directory.seq_of(&self.own).is_none_or(|own| own < seq) {
            self.owed = true;
            self.publish_at = Some(self.published_at.map_or(now, |at| at.after(MIN_GAP)).max(now));
        }
    }

    fn refuse(&mut self, code: Code) {
        let count = self.refused.entry(code.name()).or_default();
        *count = count.saturating_add(1);
    }

    /// A linked member compares its copy with ours, or answers.
    pub(crate) fn handle_frame(&mut self, peer: NodeId, frame: Frame, context: &mut Context<'_>) {
        let Frame { message: Wire::Services(message), body } = frame else { return };
        let now = context.now.mono;
        let heard = self.sync.handle(peer, message, (&self.directory, context.node), now);
        let done = heard.and_then(|heard| match heard {
            Heard::Done => Ok(()),
            Heard::Lists(lists) => {
                self.take_all(&lists, body.unwrap_or_default(), context)?;
                self.sync.go_on(peer, &self.directory, context.node, now);
                Ok(())
            }
        });
        if let Err(fault) = done {
            self.sync.give_up(&peer);
            context.node.blame(&peer, &fault);
        }
    }

    /// Lists out of another member's copy.
    fn take_all(&mut self, lists: &ServicesLists, mut body: Bytes, context: &mut Context<'_>) -> Result<(), Fault> {
        for entry in lists.lists.iter() {
            let len = usize::try_from(entry.len).unwrap_or(usize::MAX);
            if len > body.len() {
                return Err(Fault::new(Code::InvalidMessage, "less text than announced"));
            }
            let signed = SignedText { by: entry.by, seq: entry.seq, sig: entry.sig.clone(), body: body.split_to(len) };
            let brought = lists.owners.iter().find(|record| record.by == entry.by);
            let record = context.node.record_of(&entry.by).or_else(|| brought.cloned());
            // Nobody can say who that is, or it was expelled: no fault of the member that kept it.
            if record.is_none_or(|record| context.node.vouch(&record).is_err()) {
                self.refuse(Code::NotMember);
                continue;
            }
            let text = context.node.read_signed(&signed).map_err(|code| {
                self.refuse(code);
                Fault::new(code, "a list of services")
            })?;
            if text.service != service() {
                return Err(Fault::new(Code::InvalidMessage, "not a list of services"));
            }
            let is_early = !context.node.is_plausible(text.seq);
            let taken = if is_early { Err(Code::RecordEarly) } else { self.take_in(signed.into(), &text, context) };
            if let Err(code) = taken {
                self.refuse(code);
            }
        }
        Ok(())
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now.mono;
        let gone = self.directory.expire(now);
        self.tell(gone, Cause::Expired, context);
        self.expire_flaps(context);
        self.look_at_time(context);
        self.publish_when_due(context);
        self.sync.handle_timeout(&self.directory, context.node, now);
    }

    /// Services that are calm again are told as they are now.
    fn expire_flaps(&mut self, context: &mut Context<'_>) {
        let calm = self.flaps.expire(context.now.mono);
        if calm.is_empty() {
            return;
        }
        for (owner, name) in calm {
            let Some(list) = self.directory.get(&owner) else { continue };
            let Some(service) = list.services.get(&name) else { continue };
            let entry = self.entry_now(owner, service, list.until, context);
            context.out.push_back(Output::Event(registry::Event::Discovery(Event::Changed(entry))));
        }
        self.look_at_own(context.now.mono);
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        [self.directory.next_end(), self.flaps.next_timeout(), self.publish_at, self.sync.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// How a member is shown, and what it costs to reach it.
fn known(owner: NodeId, node: &Node) -> (String, Option<u64>) {
    let own = node.own_name();
    if owner == own.id { (own.name, Some(0)) } else { (node.shown(&owner).name, node.cost_to(&owner)) }
}

/// In which order services of one name are tried: those that may answer, the calm before the others, the nearest first.
fn rank(entry: &Entry) -> (u8, u64, NodeId) {
    let class = match (entry.cost_us, entry.health) {
        (None, _) => 3,
        (Some(_), Health::Down) => 2,
        (Some(_), Health::Up | Health::Unknown) => u8::from(entry.damped),
    };
    (class, entry.cost_us.unwrap_or(u64::MAX), entry.member)
}

/// A list as it is signed.
fn text_of(services: &BTreeMap<ServiceName, OfferedService>, at: UnixMicros, ttl_s: u32) -> String {
    let services = Bounded::from_first(services.values().cloned());
    // Checked strings and numbers can always be written.
    serde_json::to_string(&ServiceList { at, ttl_s, services }).unwrap_or_default()
}

/// The services of a list, each name once.
fn by_name(list: ServiceList) -> Result<BTreeMap<ServiceName, OfferedService>, Code> {
    let mut services = BTreeMap::new();
    for service in list.services.into_vec() {
        if services.insert(service.name.clone(), service).is_some() {
            return Err(Code::InvalidMessage);
        }
    }
    Ok(services)
}

/// A list is renewed about half-way through its time.
fn renewal(ttl_s: u32) -> Duration {
    Duration::from_secs(u64::from(ttl_s)) / 2
}
