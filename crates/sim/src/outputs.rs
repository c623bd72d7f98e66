//! What nodes want done, done by the simulated world.

use std::sync::Arc;

use meshline_mesh::{
    DialId, DialTarget, Event as MeshEvent, Input as Mesh, LinkId, LinkOpened, Output, RebuildStep, Transport,
};
use meshline_protocol::message::ErrorMessage;
use meshline_protocol::{Address, Code, Frame, Message, NodeId};
use meshline_services::chat::{self, Ticket, Write};
use meshline_services::{Event, Input, Output as StackOutput};

use crate::config::Reach;
use crate::host::Logged;
use crate::network::{Content, PUPPET};
use crate::schedule::{Due, Run};
use crate::udp::QuicDial;
use crate::watch::{LINK_DOWN, LINK_UP, OPENED, Told};
use crate::wire::{Cargo, Codec};
use crate::world::World;

/// How long an attempt waits for an answer that does not come.
const CONNECT_TIMEOUT: u64 = 4 * crate::SECOND;

/// A connection attempt that reached a listener.
#[derive(Debug)]
struct Attempt {
    run: Run,
    dial: DialId,
    address: Address,
    expected: Option<NodeId>,
    plain: bool,
}

impl World {
    pub(crate) fn output(&mut self, node: usize, output: StackOutput) {
        match output {
            StackOutput::Mesh(output) => self.mesh_output(node, output),
            StackOutput::Reply { request, reply } => {
                self.host_mut(node).replies.insert(request.0, reply);
            }
            StackOutput::Keep { ticket, write } => self.keep(node, ticket, write),
            StackOutput::Event(event) => self.on_event(node, event),
        }
    }

    fn mesh_output(&mut self, node: usize, output: Output) {
        let run = self.run_of(node);
        if !matches!(output, Output::Send { .. } | Output::Store(_) | Output::Accepted { .. }) {
            self.trace(|| format!("node {node} wants: {:.160}", format!("{output:?}")));
        }
        match output {
            Output::Send { link, frame } => self.send_frame(node, link, &frame),
            Output::Accepted { link, encoding, .. } => self.network.accept(link, encoding),
            Output::Close { link, error } => self.close_link(node, link, error),
            Output::Dial { dial, target } => self.dial(run, dial, target),
            // The core withdraws no attempt; an outcome that nobody wants is ignored by it.
            Output::CancelDial { .. } => {}
            // Names lead nowhere in this world.
            Output::Resolve { .. } => {}
            // Without addresses no node here offers it.
            Output::OpenCompanion { .. } | Output::UseCompanion { .. } | Output::SendBeside { .. } => {}
            Output::SendPacket { socket, to, bytes, ttl } => self.send_packet((node, socket), to, ttl, bytes),
            Output::OpenSocket { socket, port } => self.udp.open(node, socket, port),
            Output::CloseSocket { socket } => self.close_socket(node, socket),
            // Connections take no time of their own here.
            Output::ApproachProxy { .. } => {}
            Output::RelayJoin { first, second, .. } => self.join_relay(run, first, second),
            Output::RelayDrop { connection, code } => self.drop_relay(connection, code),
            Output::Signal { url, request } => {
                let at = self.later();
                self.schedule.enter(at, Due::Signal { run, url, request });
            }
            Output::Store(_) if !self.keeps_disks => {}
            Output::Store(saved) => self.store(node, *saved),
            Output::Datagram { datagram, body } => self.host_mut(node).datagrams.push((*datagram, body)),
            Output::Routes(table) => self.host_mut(node).table = table,
            // No ledger runs here.
            Output::Service { .. } => {}
            Output::Reply { .. } | Output::Event(_) => {
                panic!("the stack must translate these")
            }
        }
    }

    fn store(&mut self, node: usize, saved: meshline_mesh::Saved) {
        match self.hosts.get_mut(node) {
            Some(host) if !self.keeps_log => self.shelf.put(host, saved),
            Some(host) => host.saved = saved,
            None => {}
        }
    }

    fn keep(&mut self, node: usize, ticket: Option<Ticket>, write: Write) {
        let now = self.now;
        let disk = &mut self.host_mut(node).disk;
        disk.put(ticket, write);
        let delay = disk.delay;
        let Some(ticket) = ticket else { return };
        let run = self.run_of(node);
        if delay == 0 {
            self.on_kept(run, ticket);
        } else {
            self.schedule.enter(now + delay, Due::Kept { run, ticket });
        }
    }

    /// A write is on disk, unless the host was killed meanwhile.
    pub(crate) fn on_kept(&mut self, run: Run, ticket: Ticket) {
        if self.hosts.get(run.node).is_some_and(|host| host.is_running(run.boot)) {
            let result = self.host_mut(run.node).disk.flush(ticket);
            self.stack_input(run.node, Input::Kept { ticket, result });
        }
    }

    /// A moment later, by one latency.
    pub(crate) fn later(&mut self) -> u64 {
        self.now + self.network.delay(&mut self.rng)
    }

    fn send_frame(&mut self, node: usize, link: LinkId, frame: &Arc<Frame>) {
        let Some(frame) = self.as_misused(node, frame) else { return };
        let frame = &frame;
        if self.passes(node, link, frame) {
            self.put_on_link(node, link, frame);
        }
    }

    /// A frame that a node held is sent, if it lives.
    pub(crate) fn send_late(&mut self, run: Run, link: LinkId, frame: &Arc<Frame>) {
        if self.is_current(run) {
            self.put_on_link(run.node, link, frame);
        }
    }

    fn put_on_link(&mut self, node: usize, link: LinkId, frame: &Arc<Frame>) {
        self.trace(|| format!("node {node} sends on {}: {:.160}", link.0, format!("{:?}", frame.message)));
        *self.host_mut(node).sent.entry(frame.message.kind()).or_default() += 1;
        self.watch.digest.add_text(frame.message.kind());
        self.watch.sent(frame);
        if self.weighed && node.checked_rem(self.weighs_one_of) == Some(0) {
            let bytes = Codec::new().write(frame).len();
            *self.host_mut(node).sent_bytes.entry(frame.message.kind()).or_default() += bytes;
        }
        if let Message::Datagram(datagram) = &frame.message {
            self.cross(node, datagram.src, datagram.flow, datagram.dst);
        }
        let at = self.arrival(link) + self.network.lost(&mut self.rng);
        self.network.send(link, frame, at, &mut self.schedule);
    }

    /// No datagram may leave a node more than twice. Tests give each a flow of its own.
    fn cross(&mut self, node: usize, src: NodeId, flow: u32, dst: NodeId) {
        let crossings = self.crossings.entry((src, dst, flow)).or_default().entry(node).or_default();
        *crossings += 1;
        assert!(*crossings <= 2, "a datagram of flow {flow} left node {node} {crossings} times");
    }

    /// When something sent now on a link arrives: a proxy's pipe takes twice as long.
    fn arrival(&mut self, link: LinkId) -> u64 {
        let relayed = match self.network.via(link) {
            Some((proxy, _)) => self.network.delay(&mut self.rng) + self.relay_delay(proxy.node),
            None => 0,
        };
        self.later() + relayed + self.network.distance(link)
    }

    fn close_link(&mut self, node: usize, link: LinkId, error: Option<ErrorMessage>) {
        if let Some(error) = error {
            self.send_frame(node, link, &Arc::new(Message::Error(error).into()));
        }
        self.close_end(link);
    }

    /// Closes one end; a proxy that carries the connection learns of it.
    pub(crate) fn close_end(&mut self, link: LinkId) {
        if let Some((run, [connection, _])) = self.network.via(link) {
            let at = self.later();
            self.schedule.enter(at, Due::RelayEnded { run, connection });
        }
        let at = self.arrival(link);
        self.network.close(link, at, &mut self.schedule);
    }

    fn dial(&mut self, run: Run, dial: DialId, target: DialTarget) {
        let at = self.later();
        self.schedule.enter(at, Due::Dial { run, dial, target });
    }

    /// Who would answer at an address: `Err` holds what the dialler sees otherwise.
    pub(crate) fn listener(&mut self, from: usize, address: &Address) -> Result<usize, &'static str> {
        const SILENCE: &str = "timed out";
        const REFUSED: &str = "connection refused";
        if self.listeners.is_empty() {
            for (node, host) in self.hosts.iter().enumerate().rev() {
                self.listeners.extend(host.config.listen.iter().map(|address| (address.clone(), node)));
            }
        }
        let node = match self.placed_listener(from, address) {
            Some(placed) => placed.ok_or(SILENCE)?,
            None => self.listeners.get(address).copied().ok_or(REFUSED)?,
        };
        let powered = self.hosts.get(node).is_some_and(|host| host.powered);
        let blocked = self.network.is_blocked(from, node) || self.network.is_blocked(node, from);
        match self.network.reach.get(address).copied().unwrap_or_default() {
            _ if !powered || blocked => Err(SILENCE),
            Reach::Silent => Err(SILENCE),
            Reach::Closed => Err(REFUSED),
            Reach::Open if self.is_running(node) => Ok(node),
            Reach::Open => Err(REFUSED),
        }
    }

    pub(crate) fn fail_dial(&mut self, run: Run, dial: DialId, detail: &'static str) {
        let wait = if detail == "timed out" { CONNECT_TIMEOUT } else { 0 };
        let at = self.later() + wait;
        self.schedule.enter(at, Due::DialFailed { run, dial, code: Code::Unreachable, detail });
    }

    /// An attempt reaches where it goes.
    pub(crate) fn on_dial(&mut self, run: Run, dial: DialId, target: DialTarget) {
        match target {
            DialTarget::Direct { address, expected, plain } => match self.listener(run.node, &address) {
                Ok(node) => self.shake_hands(Attempt { run, dial, address, expected, plain }, node),
                Err(detail) => self.fail_dial(run, dial, detail),
            },
            DialTarget::Relay { .. } => self.on_relay_dial(run, dial, target),
            DialTarget::Quic { socket, remote, peer, .. } => {
                self.on_quic_dial(QuicDial { run, dial, socket, remote, peer, tries: 0 });
            }
            // Routers of this world translate UDP only.
            DialTarget::Meet { .. } => self.fail_dial(run, dial, "timed out"),
        }
    }

    fn shake_hands(&mut self, attempt: Attempt, node: usize) {
        let Attempt { run, dial, address, expected, plain } = attempt;
        let at = self.later();
        if let Some((code, detail)) = self.handshake_fault(node, expected, plain) {
            self.schedule.enter(at, Due::DialFailed { run, dial, code, detail });
            return;
        }
        let links = self.network.connect([run, self.run_of(node)], None);
        self.watch.tell(Told { at: self.now, node: run.node, what: OPENED, other: Some(node), code: None });
        let transport = if plain { Transport::Plain } else { Transport::Tcp };
        let proved = |node: usize| (!plain).then(|| self.id(node));
        let (dialler, listener) = (proved(run.node), proved(node));
        // A round trip of TCP and one of TLS; the listener is ready half a round trip after the dialler.
        let ready = at + 2 * self.network.delay(&mut self.rng);
        let from = self.ephemeral((run.node, node), links[0]).unwrap_or_else(|| address.clone());
        let ends = [(Some(dial), from.clone(), address.clone(), listener), (None, address.clone(), from, dialler)];
        for (link, (dial, local, remote, proved)) in links.into_iter().zip(ends) {
            let spent_us = ready - self.now;
            let opened = LinkOpened { link, dial, transport, local, remote, proved, through: None, spent_us };
            let at = if dial.is_some() { ready } else { ready + self.network.delay(&mut self.rng) };
            self.network.post(link, at, Content::Opened(Box::new(opened)), &mut self.schedule);
        }
    }

    /// The address from which `from` dials `to`: what the routers between them make of it, if it has a place.
    fn ephemeral(&self, (from, to): (usize, usize), link: LinkId) -> Option<Address> {
        let source = self.tcp_source(from, to).map(|ip| ip.to_string());
        let has_place = self.udp.places.contains_key(&from);
        let listens = self.hosts.get(from)?.config.listen.first().filter(|_| !has_place);
        let host = source.or_else(|| listens.map(|address| address.host().to_owned()));
        let host = host.unwrap_or_else(|| format!("h{from}"));
        format!("{host}:{}", 20_000 + link.0 % 40_000).parse().ok()
    }

    fn handshake_fault(&self, listener: usize, expected: Option<NodeId>, plain: bool) -> Option<(Code, &'static str)> {
        let listens_plain = self.hosts.get(listener).is_some_and(|host| host.config.plain);
        match (plain, listens_plain) {
            (true, false) => Some((Code::TlsRequired, "the listener wants TLS")),
            (false, true) => Some((Code::TlsFailed, "the listener does not speak TLS")),
            (true, true) => None,
            (false, false) if expected.is_some_and(|id| id != self.id(listener)) => {
                Some((Code::IdentityMismatch, "another key answered"))
            }
            (false, false) => None,
        }
    }

    /// The oldest parcel for an end of a connection arrives.
    pub(crate) fn on_parcel(&mut self, link: LinkId) {
        let Some(run) = self.network.end(link).map(|end| end.run) else { return };
        if !self.quic_passes(link) {
            return;
        }
        let Some(content) = self.network.arrive(link, &mut self.schedule) else { return };
        if run.node == PUPPET {
            self.puppet_parcel(link, content);
        } else if self.is_current(run) {
            self.node_parcel(run.node, link, content);
        } else if self.hosts.get(run.node).is_some_and(|host| host.powered) {
            // The host is there and the process is not: a reset goes back.
            self.close_end(link);
        }
    }

    fn node_parcel(&mut self, node: usize, link: LinkId, content: Content) {
        match content {
            Content::Opened(opened) => self.input(node, Mesh::LinkOpened(*opened)),
            Content::Frame(Cargo::Frame(frame)) => {
                if let Some(from) = self.network.other_end(link) {
                    self.watch.arrived(from, node, &frame);
                }
                if let Some(frame) = self.put_frame_down(node, link, frame) {
                    self.input(node, Mesh::Frame { link, frame });
                }
            }
            Content::Frame(Cargo::Bytes(bytes)) => {
                let codec = self.network.end(link).and_then(|end| end.codec.as_mut());
                let Some(input) = codec.and_then(|codec| codec.read(link, &bytes)) else { return };
                if let Mesh::LinkClosed { code, detail, .. } = &input {
                    let error = ErrorMessage::new(*code, detail.clone());
                    self.close_link(node, link, Some(error));
                }
                self.input(node, input);
            }
            Content::Closed(code) => {
                if let Some(end) = self.network.end(link) {
                    end.open = false;
                }
                self.network.forget_if_over(link);
                self.input(node, Mesh::LinkClosed { link, code, detail: "the peer closed the connection".to_owned() });
            }
        }
    }

    pub(crate) fn on_signal(&mut self, run: Run, url: String, request: meshline_mesh::SignalRequest) {
        let unanswered =
            matches!(request, meshline_mesh::SignalRequest::Leave(_) | meshline_mesh::SignalRequest::Revoke(_));
        let result = self.signals.at(&url).answer(request, self.now);
        if !unanswered {
            let at = self.later();
            self.schedule.enter(at, Due::SignalAnswer { run, url, result });
        }
    }

    fn on_event(&mut self, node: usize, event: Event) {
        self.trace(|| format!("node {node} tells: {event:?}"));
        let now = self.now;
        self.watch_event(node, &event);
        let is_kept = self.keeps_log || (self.keeps_service_news && matches!(event, Event::Discovery(_)));
        let host = self.host_mut(node);
        match &event {
            Event::Mesh(MeshEvent::LinkUp { link, peer, .. }) => {
                assert!(peer.id != host.key.id(), "node {node} is linked with itself");
                host.up.insert(peer.id, *link);
            }
            Event::Mesh(MeshEvent::LinkDown { peer, .. }) => {
                assert!(host.up.remove(&peer.id).is_some(), "node {node} lost a link it did not have");
            }
            Event::Mesh(MeshEvent::Broadcast { author, message, .. }) => {
                let new = host.delivered.insert((author.id, message.seq));
                assert!(new, "node {node} was given {:?} of {} twice", message.text, author.name);
                assert!(author.id != host.key.id(), "node {node} was given its own message");
            }
            Event::Mesh(MeshEvent::Rebuild { step: RebuildStep::Started { .. }, .. }) => {
                host.rebuilt_at = Some(now);
            }
            Event::Mesh(_) | Event::Chat(_) | Event::Discovery(_) => {}
        }
        let boot = host.boot;
        if is_kept {
            host.log.push(Logged { at: now, boot, event });
        }
    }

    /// What is worth a line of a journal, and the shown texts that are followed.
    fn watch_event(&mut self, node: usize, event: &Event) {
        let at = self.now;
        let (what, other, code) = match event {
            Event::Mesh(MeshEvent::LinkUp { peer, .. }) => (LINK_UP, self.index(peer.id), None),
            Event::Mesh(MeshEvent::LinkDown { peer, code, .. }) => (LINK_DOWN, self.index(peer.id), Some(*code)),
            Event::Mesh(MeshEvent::Misbehaved { peer, .. }) => ("misbehaved", self.index(peer.id), None),
            Event::Mesh(_) => return,
            Event::Chat(chat::Event::Message { message, own: false }) => {
                let boot = self.host(node).boot;
                self.watch.shown(node, boot, &message.text, at);
                ("shown", self.index(message.author), None)
            }
            Event::Chat(_) | Event::Discovery(_) => return,
        };
        self.watch.tell(Told { at, node, what, other, code });
    }
}
