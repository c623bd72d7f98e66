//! The node: takes inputs to the area they belong to. It holds no rules of its own.

mod asking;
mod authors;
mod choosing;
mod commands;
mod explain;
mod finding;
mod frames;
mod links;
mod packets;
mod punching;
mod rebuilding;
mod relays;
mod reports;
mod revoked;
mod routes;
mod routine;
mod services;
mod store;
mod timers;
mod witnesses;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use meshline_identity::{KeyPair, Member, admit_by};
use meshline_protocol::{Address, Code, NodeId, SignedRecord, UnixMicros};

use crate::broadcast::Broadcast;
use crate::companion::Companions;
use crate::config::Config;
use crate::event::Event;
use crate::find::Find;
use crate::gossip::{Gossip, News};
use crate::input::{Input, LinkId};
use crate::lan::Lan;
use crate::link::{Echoes, Links, Probes, RoundTripCounts};
use crate::nat::Nat;
use crate::now::{Mono, Now};
use crate::output::Output;
use crate::peers::{Book, Failure, Heard, Peers, Purpose};
use crate::punch::Punch;
use crate::rebuild::Rebuild;
use crate::relay::{RelayClient, RelayServer};
use crate::ring::Ring;
use crate::routing::{Datagrams, Routing};
use crate::shared::{ANNOUNCEMENT_VALIDITY, Shared};
use crate::signal::Signal;
use punching::IDLE;
use routine::Agenda;

/// A node without links is ready after this, alone.
const ALONE_AFTER: Duration = Duration::from_secs(2);

/// A link we dialled that serves the ring no more is kept so long: rings settle in that time.
const LINGER: Duration = Duration::from_secs(5);

/// A node of a network.
#[derive(Debug)]
pub struct Node {
    shared: Shared,
    links: Links,
    peers: Peers,
    rebuild: Rebuild,
    gossip: Gossip,
    ring: Ring,
    broadcast: Broadcast,
    relay_client: RelayClient,
    relay_server: RelayServer,
    echoes: Echoes,
    probes: Probes,
    signal: Signal,
    nat: Nat,
    lan: Lan,
    companions: Companions,
    punch: Punch,
    routing: Routing,
    round_trips: RoundTripCounts,
    datagrams: Datagrams,
    find: Find,
    started: Mono,
    /// The state that was told last.
    told_state: &'static str,
    listening: BTreeSet<Address>,
    store_at: Option<Mono>,
    renew_at: Mono,
    sweep_at: Mono,
    agenda: Agenda,
}

impl Node {
    /// A node with a key and 32 secret random bytes, at the time `now`.
    #[must_use]
    pub fn new(config: Config, key: KeyPair, seed: [u8; 32], now: Now) -> Self {
        let mut shared = Shared::new(config, key, seed, now);
        let mut peers = Peers::new(Book::new(seed, &shared.config.listen));
        let configured = |peers: &mut Peers, addresses: &[Address], purpose| {
            for address in addresses {
                peers.add_address(address, purpose, now.mono);
            }
        };
        configured(&mut peers, &shared.config.peers, Purpose::Configured);
        configured(&mut peers, &shared.config.proxies, Purpose::Proxy);
        configured(&mut peers, shared.config.next.as_slice(), Purpose::Next);
        let mut node = Self {
            links: Links::default(),
            rebuild: Rebuild::restored(&shared.config.saved.rebuild),
            gossip: Gossip::new(now.mono, crate::gossip::most_kept(shared.config.max_area)),
            ring: Ring::new(&shared),
            broadcast: Broadcast::default(),
            relay_client: RelayClient::default(),
            relay_server: RelayServer::default(),
            echoes: Echoes::default(),
            probes: Probes::new(now.mono),
            signal: Signal::new(&shared.config.signal, now.mono),
            nat: Nat::default(),
            lan: Lan::new(&shared),
            punch: Punch::new(now.mono),
            companions: Companions::default(),
            routing: Routing::new(now.mono, shared.config.max_area),
            round_trips: RoundTripCounts::default(),
            datagrams: Datagrams::new(now.mono),
            find: Find::new(now.mono),
            started: now.mono,
            told_state: IDLE,
            listening: BTreeSet::new(),
            store_at: None,
            renew_at: now.mono.after(half_validity()),
            sweep_at: now.mono.after(LINGER),
            agenda: Agenda::default(),
            peers,
            shared: {
                shared.clock.set_known_members(shared.config.saved.peers.len());
                shared
            },
        };
        node.restore();
        node
    }

    /// Takes in what happened.
    pub fn handle_input(&mut self, input: Input, now: Now) {
        self.shared.advance(now);
        match input {
            Input::Listening { address } => self.on_listening(address),
            Input::LinkOpened(opened) => self.on_link_opened(opened),
            Input::LinkClosed { link, code, detail } => self.on_link_closed(link, code, &detail),
            Input::DialFailed { dial, code, detail } => {
                self.blame_proxy(dial, code);
                if !self.nat.not_connected(dial, &mut self.shared) {
                    let failure = Failure { code, detail: &detail, proved: None };
                    self.peers.fail(&mut self.shared, dial, failure);
                    self.punch.dial_failed(dial, &mut self.shared);
                }
            }
            Input::Frame { link, frame } => {
                let routine = self.routine_of(link, &frame.message);
                self.on_frame(link, frame);
                if let Some(routine) = routine {
                    return self.follow_up(link, routine);
                }
            }
            Input::FrameBeside { link, frame } => self.on_frame_beside(link, &frame),
            Input::UnknownMessage { link, .. } => self.on_unknown(link),
            Input::InvalidMessage { link, fault } => self.on_invalid(link, &fault),
            Input::LinkCounters { link, sent_bytes, received_bytes } => {
                self.on_counters(link, sent_bytes, received_bytes)
            }
            Input::RelayCounters { member, bytes } => self.relay_server.count_bytes(member, bytes, now.mono),
            Input::LinkMeasured { link, measured } => self.on_measured(link, measured),
            Input::RelayArrived { connection, ticket } => {
                self.relay_server.handle_arrival(connection, &ticket, &mut self.shared);
            }
            Input::RelayEnded { connection } => self.relay_server.handle_end(connection),
            Input::SignalAnswer { url, result } => self.on_signal_answer(&url, result),
            Input::Command { request, command } => self.on_command(request, command),
            Input::UdpAddresses { addresses } => self.on_udp_addresses(addresses),
            Input::PortsMapped { mapped } => self.nat.set_mapped(mapped, &mut self.shared),
            Input::Resolved { name, addresses } => self.nat.resolved(&name, &addresses),
            Input::LanSeen(sighting) => self.lan.see(&sighting, &self.shared),
            Input::LanGone(instance) => self.lan.forget(&instance, &mut self.peers),
            Input::Packet { socket, from, bytes } => {
                self.nat.note_length(bytes.len());
                self.on_packet(socket, from, &bytes);
            }
            Input::SocketFailed { socket, detail } => {
                self.nat.socket_failed(socket);
                self.punch.socket_failed(socket, &detail);
            }
            Input::Timeout => {}
            Input::DestinationUsed(to) => self.routing.note_use(to, &self.shared),
        }
        self.handle_timeout();
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.pop()
    }

    /// Takes in what was kept on disk: revocations first, so that nobody revoked is dialled.
    fn restore(&mut self) {
        let saved = std::mem::take(&mut self.shared.config.saved);
        for record in &saved.revocations {
            // A record that does not pass any more is simply not taken in again.
            let _ = self.shared.revoked.insert(record, &self.shared.config.network, self.shared.judged());
        }
        for record in &saved.rebuild.records {
            if let Ok(judged) = crate::rebuild::judged(record, &self.shared) {
                self.shared.words.put(judged, record);
            }
        }
        self.rebuild.review(&mut self.shared);
        for peer in &saved.peers {
            let heard = if peer.anchor { Heard::Listed } else { Heard::Kept };
            self.peers.add_member(&mut self.shared, peer.id, &peer.addresses, heard);
            if let Some(record) = &peer.record {
                let (config, never) = (&self.shared.config, UnixMicros::new(0));
                let member = admit_by(&config.verifier, record, &config.network, &self.shared.revoked, never);
                if let Ok(member) = member.map_err(|error| self.shared.count(error.code())) {
                    self.peers.book.note_heard(&member, None);
                    // What was kept has the address first at which it was found.
                    if let (Some(found), Some(address)) = (peer.found, peer.addresses.first()) {
                        self.peers.book.note_found(peer.id, address, found);
                    }
                    self.gossip.members.insert(member);
                }
            }
            self.peers.note_kept(peer.id, &self.gossip.members, &self.shared);
        }
        self.peers.set.restore(saved.peers.iter().filter(|peer| peer.anchor).map(|peer| peer.id));
        self.peers.set.changed(self.shared.now.mono);
        self.reorder_ring();
    }

    fn on_listening(&mut self, address: Address) {
        self.listening.insert(address.clone());
        self.shared.event(Event::Listening { address });
    }

    fn on_signal_answer(&mut self, url: &str, result: Result<Box<meshline_protocol::signal::NodeList>, String>) {
        self.signal.handle_answer(url, &result, &mut self.shared);
        let Ok(list) = result else { return };
        for record in list.revocations.iter() {
            // A lying server is no reason to stop reading what else it has.
            let _ = self.revoke(record, None);
        }
        for row in list.nodes.iter().chain(list.proxies.iter()) {
            if let Some(member) = row.record.as_ref().and_then(|record| self.admit(record)) {
                self.peers.add_member(&mut self.shared, member.id, &row.addresses, Heard::Listed);
                let news = self.gossip.learn(None, member, (&mut self.shared, &self.routing));
                self.on_news(news.into_iter().collect());
            } else if let Some(id) = row.id {
                self.peers.add_listed(&mut self.shared, id, &row.addresses, &self.gossip.members);
            } else {
                for address in row.addresses.iter() {
                    self.peers.add_address(address, Purpose::Member, self.shared.now.mono);
                }
            }
        }
    }

    /// Judges a record; a refusal is counted.
    fn admit(&mut self, record: &SignedRecord) -> Option<Arc<Member>> {
        self.admitted(record).map_err(|code| self.shared.count(code)).ok()
    }

    /// Judges a record.
    fn admitted(&self, record: &SignedRecord) -> Result<Arc<Member>, Code> {
        let (shared, judged) = (&self.shared, self.shared.judged());
        if let Some(member) = self.gossip.members.judged_before(record).filter(|member| member.expires > judged) {
            return Ok(member);
        }
        let config = &shared.config;
        admit_by(&config.verifier, record, &config.network, &shared.revoked, judged).map_err(|error| error.code())
    }

    /// What changes when members come and go.
    fn on_news(&mut self, news: Vec<News>) {
        if news.is_empty() {
            return;
        }
        self.disturb();
        for item in news {
            match item {
                News::Member { member, arrived, from } => {
                    let teller = from.and_then(|from| self.links.get(self.shared.up.get(&from)?.link));
                    self.peers.book.note_heard(&member, teller.map(|link| &link.remote));
                    if let Some(from) = from.filter(|from| *from != member.id) {
                        self.peers.book.note_brought(&member.id, from);
                    }
                    self.peers.encourage(&mut self.shared, &member);
                    if arrived {
                        let peer = self.shared.shown(&member.id, member.name.as_str());
                        self.shared.event(Event::MemberJoined { peer });
                    }
                    self.release_parked(member.id);
                }
                News::Left(id) => {
                    self.find.pointers.forget(&id);
                    self.peers.leave(id);
                    self.routing.purge(&id);
                    let peer = self.peer_name(&id);
                    self.shared.event(Event::MemberLeft { peer });
                }
            }
        }
        self.gossip.trim(&self.shared, &self.routing);
        // A name of the configuration may be known only now.
        if !self.shared.config.routing.via.is_empty() {
            self.routing.look_again(self.shared.now.mono);
        }
        self.peers.set.changed(self.shared.now.mono);
        self.reorder_ring();
    }

    fn reorder_ring(&mut self) {
        if self.ring.is_enabled() {
            self.ring.reorder(&self.shared, &self.gossip.members);
            self.reselect_ring();
        }
    }

    fn reselect_ring(&mut self) {
        if self.ring.is_enabled() {
            let change = self.ring.reselect(&mut self.shared, &self.gossip.members);
            let wanted = change.wanted.into_iter().chain(self.relay_client.wanted_proxies()).collect();
            self.peers.want(wanted, self.shared.now.mono);
        }
    }

    /// Signs a fresh announcement at half of the old one's validity.
    fn renew(&mut self) {
        if self.shared.now.mono >= self.renew_at && !self.shared.leaving {
            self.announce_anew();
        }
    }

    fn announce_anew(&mut self) {
        self.renew_at = self.shared.now.mono.after(half_validity());
        self.shared.announce();
        self.signal.hurry(self.shared.now.mono);
        let record = meshline_protocol::message::Records {
            records: meshline_protocol::Bounded::from_first([self.shared.announcement.clone()]),
        };
        let message = meshline_protocol::Message::Gossip(meshline_protocol::message::Gossip::Records(record));
        let frame = Arc::new(message.into());
        for peer in self.shared.up.keys().copied().collect::<Vec<_>>() {
            self.shared.send_frame(&peer, &frame);
        }
    }

    /// Ring: ends links that we dialled and that serve nothing any more.
    fn sweep(&mut self) {
        let now = self.shared.now.mono;
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now.after(LINGER);
        self.shared.revoked.expire(self.shared.clock.judged(self.shared.now.wall));
        self.rebuild.review(&mut self.shared);
        if !self.ring.is_enabled() {
            return;
        }
        // Announcements end without a message.
        self.reorder_ring();
        let mut configured: BTreeSet<NodeId> = self.configured_ids();
        configured.extend(self.relay_client.wanted_proxies());
        let idle = |link: &&crate::link::Link| {
            let peer = link.member().map(|member| member.id);
            link.is_up()
                && link.dial.is_some()
                && now.since(link.since) >= LINGER
                && peer.is_some_and(|peer| !self.ring.needs(&peer) && !configured.contains(&peer))
        };
        let idle: Vec<LinkId> = self.links.iter().filter(idle).map(|link| link.id).collect();
        for link in idle {
            self.end_link(link, Code::NotNeeded, "the ring goes another way");
        }
    }

    pub(super) fn configured_ids(&self) -> BTreeSet<NodeId> {
        let config = &self.shared.config;
        let addresses = config.peers.iter().chain(&config.proxies).chain(&config.next);
        addresses.filter_map(|address| self.peers.id_at(address)).chain(config.peer_ids.iter().copied()).collect()
    }
}

fn half_validity() -> Duration {
    Duration::from_micros(ANNOUNCEMENT_VALIDITY.unsigned_abs() / 2)
}
