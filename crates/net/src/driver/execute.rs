//! Doing what the core wants done.

use std::sync::Arc;

use bytes::Bytes;
use meshline_mesh::{Beside, DialId, DialTarget, Event, Input, LinkId, Output, SignalRequest};
use meshline_protocol::message::{ErrorMessage, Message};
use meshline_protocol::{Address, Code, Encoding, Frame};
use meshline_services as services;
use meshline_services::chat::{Ticket, Write};

use super::Notice;
use super::run::Driver;
use crate::companion::Around;
use crate::core::Core;
use crate::limits::MAX_RESOLVED;
use crate::link::Link;
use crate::{dial, signal};

impl<C: Core> Driver<C> {
    /// Does one thing. What it makes happen at once is returned.
    pub(super) fn execute(&mut self, output: services::Output) -> Option<services::Input> {
        match output {
            services::Output::Mesh(output) => self.execute_mesh(output).map(services::Input::Mesh),
            services::Output::Keep { ticket, write } => self.keep(ticket, write),
            services::Output::Reply { request, reply } => {
                if let Some(answer) = self.waiting.remove(&request) {
                    // Whoever asked may have given up.
                    let _ = answer.send(reply);
                }
                None
            }
            services::Output::Event(event) => {
                self.tell(event);
                None
            }
        }
    }

    fn execute_mesh(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Send { link, frame } => return self.send(link, &frame),
            Output::Accepted { link, encoding, peer } => {
                tracing::trace!(link = link.0, peer = %peer, "hello accepted");
                if let Some(entry) = self.links.get_mut(&link) {
                    entry.accept(encoding);
                    self.tap.linked(link, peer, |link| self.links.contains_key(link));
                }
            }
            Output::Close { link, error } => self.close(link, error),
            Output::Dial { dial, target } => self.dial(dial, target),
            Output::CancelDial { dial } => {
                if let Some(task) = self.dials.remove(&dial) {
                    task.abort();
                }
            }
            Output::SendPacket { socket, to, bytes, ttl } => {
                self.hub.send(socket, to, &bytes, ttl);
            }
            Output::OpenSocket { socket, port } => {
                let failed = self.hub.open(socket, port).err();
                return failed.map(|error| Input::SocketFailed { socket, detail: error.to_string() });
            }
            Output::CloseSocket { socket } => self.hub.close(socket),
            Output::OpenCompanion { link, beside } => self.open_companion(link, &beside),
            Output::UseCompanion { link, works } => {
                if let Some(companion) = self.links.get(&link).and_then(|link| link.companion()) {
                    companion.set_works(works);
                }
            }
            Output::SendBeside { link, frame } => {
                if let Some(companion) = self.links.get(&link).and_then(|link| link.companion()) {
                    companion.send(&frame);
                }
            }
            Output::Resolve { name } => self.resolve(name),
            Output::ApproachProxy { proxy } => self.approaches.begin(proxy, self.detours.clone()),
            Output::RelayJoin { first, second, members } => {
                let joined = self.relays.join(first, second, members);
                return (!joined).then_some(Input::RelayEnded { connection: first });
            }
            Output::RelayDrop { connection, code } => self.relays.drop_connection(connection, code),
            Output::Signal { url, request } => self.signal(url, request),
            Output::Store(saved) => {
                if let Some(store) = &self.store {
                    store.put(saved);
                }
            }
            Output::Datagram { datagram, body } => {
                // Without a subscriber there is nobody to take it.
                let _ = self.datagrams.send(Arc::new((*datagram, body)));
            }
            Output::Routes(table) => self.forwarder.publish(table),
            Output::Service { peer, frame: Frame { message: Message::Ledger(message), body } } => {
                self.ledger.push_frame(peer, message, body);
            }
            // The stack takes these out; without services there is nobody to take them.
            Output::Reply { .. } | Output::Service { .. } => {}
            Output::Event(event) => self.tell(services::Event::Mesh(event)),
        }
        None
    }

    /// Without a disk everything counts as kept.
    fn keep(&mut self, ticket: Option<Ticket>, write: Write) -> Option<services::Input> {
        let result = self.keeper.as_ref().map(|keeper| keeper.put(ticket, write));
        match (ticket, result) {
            (Some(ticket), None) => Some(services::Input::Kept { ticket, result: Ok(()) }),
            (Some(ticket), Some(Err(error))) => Some(services::Input::Kept { ticket, result: Err(error) }),
            (_, _) => None,
        }
    }

    fn send(&mut self, link: LinkId, frame: &Arc<Frame>) -> Option<Input> {
        let entry = self.links.get(&link)?;
        tracing::trace!(link = link.0, kind = frame.message.kind(), "frame sent");
        self.tap.sent(link, frame);
        if let Message::Datagram(line) = &frame.message {
            self.has_carried = true;
            self.forwarder.queue(&entry.outlet(), line, frame.body.clone().unwrap_or_default());
            return None;
        }
        let bytes = self.encoder.encode(frame, entry.encoding())?;
        if entry.send(bytes, frame.body.is_some()) {
            return None;
        }
        if frame.body.is_some() {
            // Others' messages that come faster than this peer reads are no fault of the peer: they are dropped, and
            // a peer that reads nothing at all is found by its writer.
            self.refusals.count(Code::SlowReader);
            return None;
        }
        self.take_link(link)?.abort();
        let (code, detail) = (Code::SlowReader, "too much waits to be read".to_owned());
        tracing::trace!(link = link.0, code = code.name(), "connection ended: {detail}");
        Some(Input::LinkClosed { link, code, detail })
    }

    fn close(&mut self, link: LinkId, error: Option<ErrorMessage>) {
        let Some(entry) = self.take_link(link) else { return };
        if let Some(error) = error {
            tracing::trace!(link = link.0, code = error.code.name(), "closing: {}", error.detail.escape_debug());
            let bytes = self.encode_last(error, entry.encoding());
            // A queue that is full already has its own reason to end.
            let _ = bytes.map(|bytes| entry.send(bytes, false));
        }
        entry.close();
    }

    /// Readers forward to a link as soon as the core calls it up; what else an event means for those around.
    fn note(&mut self, event: &Event) {
        if let Event::AddressesChanged { seen, .. } = event {
            self.port_maps.iter_mut().for_each(|maps| maps.seen_at(seen));
        }
        if let Event::LinkUp { link, peer, .. } = event
            && let Some(entry) = self.links.get(link)
        {
            self.forwarder.link_up(peer.id, entry.outlet());
            self.ledger.link_up(peer.id, *link);
        }
        if let Event::LinkDown { link, peer, .. } = event {
            self.ledger.link_down(peer.id, *link);
        }
        // Nothing is sent on it yet, but the other side may do so any moment.
        if let Event::StandsBy { link, peer, .. } = event
            && let Some(entry) = self.links.get(link)
        {
            entry.outlet().introduce(peer.id);
        }
    }

    /// Puts UDP beside a link whose peer is known.
    fn open_companion(&mut self, link: LinkId, beside: &Beside) {
        let Some((entry, peer)) = self.links.get(&link).and_then(|entry| Some((entry, entry.peer()?))) else { return };
        let (notices, forwarder) = (self.context.notices.clone(), Arc::clone(&self.forwarder));
        let around = Around { hub: Arc::clone(&self.hub), notices, forwarder };
        if let Some(companion) = self.hub.companions().open((link, peer), beside, around) {
            entry.accompany(companion);
        }
    }

    /// A link is gone: what waits for it goes another way at the end of this step, when the core has said which.
    pub(super) fn take_link(&mut self, link: LinkId) -> Option<Link> {
        let entry = *self.links.remove(&link)?;
        self.forwarder.link_down(link);
        self.hub.companions().close(link);
        self.diverted.extend(entry.divert());
        Some(entry)
    }

    pub(super) fn encode_last(&mut self, error: ErrorMessage, encoding: Encoding) -> Option<Bytes> {
        self.encoder.encode(&Arc::new(Frame::from(Message::Error(error))), encoding)
    }

    fn dial(&mut self, dial: DialId, target: DialTarget) {
        let notices = self.context.notices.clone();
        let hands = dial::Hands { tls: self.tls.clone(), detours: self.detours.clone() };
        let approach = match &target {
            DialTarget::Relay { proxy, .. } => self.approaches.find(proxy),
            DialTarget::Direct { .. } | DialTarget::Quic { .. } | DialTarget::Meet { .. } => None,
        };
        let (quic, meetings) = (Arc::clone(&self.quic), Arc::clone(&self.meetings));
        let dialler = dial::Dialler { hands, clock: self.context.clock, quic, meetings, approach };
        let attempt = tokio::spawn(async move {
            let notice = match dialler.dial(target).await {
                Ok(connection) => Notice::Opened { connection: Box::new(connection), dial: Some(dial) },
                Err(error) => Notice::DialFailed { dial, code: error.code, detail: error.detail },
            };
            let _ = notices.send(notice).await;
        });
        self.dials.insert(dial, attempt.abort_handle());
    }

    fn resolve(&self, name: Address) {
        let notices = self.context.notices.clone();
        drop(tokio::spawn(async move {
            let found = tokio::net::lookup_host(name.as_str()).await;
            let addresses = found.into_iter().flatten().take(MAX_RESOLVED).collect();
            let _ = notices.send(Notice::Resolved { name, addresses }).await;
        }));
    }

    fn signal(&mut self, url: String, request: SignalRequest) {
        let (notices, alive) = (self.context.notices.clone(), self.context.alive.clone());
        let detours = self.detours.clone();
        drop(tokio::spawn(async move {
            if let Some(result) = signal::ask(&url, request, &detours).await {
                let _ = notices.send(Notice::SignalAnswer { url, result }).await;
            }
            drop(alive);
        }));
    }

    /// Shows an event to everybody who wants to know.
    pub(super) fn tell(&mut self, event: services::Event) {
        if let services::Event::Mesh(event) = &event {
            self.note(event);
        }
        if let Some(sink) = &mut self.on_event {
            sink(&event);
        }
        // Without a subscriber there is nobody to tell.
        let _ = self.events.send(Arc::new(event));
    }
}
