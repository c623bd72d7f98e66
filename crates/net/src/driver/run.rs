//! The loop, and what happens becoming inputs of the core.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use meshline_mesh::{Command, DialId, Event, Input, LinkId, LinkOpened, Mono, RequestId};
use meshline_protocol::message::ErrorMessage;
use meshline_protocol::{Address, Code, Decoded, Fault, Message};
use meshline_services as services;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Sleep, sleep_until, timeout};

use super::handle::Order;
use super::{EventSink, Notice};
use crate::approach::Approaches;
use crate::connection::Connection;
use crate::core::Core;
use crate::detour::Detours;
use crate::driver::Incoming;
use crate::forwarder::Forwarder;
use crate::keeper::Keeper;
use crate::ledger::LedgerInbox;
use crate::limits::{CLOSE_LIMIT, LINGER_LIMIT};
use crate::link::{Encoder, Link, LinkContext, Waiting};
use crate::meet::Meetings;
use crate::portmap::PortMaps;
use crate::quic::Quic;
use crate::relay::Relays;
use crate::store::Store;
use crate::tap::Hook;
use crate::tcp_info::Asker;
use crate::tls::TlsIdentity;
use crate::udp::{Hub, Packet};

/// Notices handled before the timer and the commands are looked at again.
const BATCH: usize = 64;

/// The task that owns the core.
pub(super) struct Driver<C> {
    pub(super) core: C,
    pub(super) tls: TlsIdentity,
    pub(super) detours: Detours,
    pub(super) context: LinkContext,
    pub(super) channels: Channels,
    pub(super) accepting: Vec<AbortHandle>,
    pub(super) port_maps: Option<PortMaps>,
    pub(super) hub: Arc<Hub>,
    pub(super) quic: Arc<Quic>,
    pub(super) meetings: Arc<Meetings>,
    /// In boxes: numbers ascend, which leaves the nodes of the tree half empty.
    pub(super) links: BTreeMap<LinkId, Box<Link>>,
    pub(super) dials: BTreeMap<DialId, AbortHandle>,
    pub(super) waiting: BTreeMap<RequestId, oneshot::Sender<services::Reply>>,
    pub(super) relays: Relays,
    pub(super) approaches: Approaches,
    pub(super) encoder: Encoder,
    pub(super) events: broadcast::Sender<Arc<services::Event>>,
    pub(super) on_event: Option<EventSink>,
    pub(super) store: Option<Store>,
    pub(super) keeper: Option<Keeper>,
    pub(super) forwarder: Arc<Forwarder>,
    /// Datagrams that waited for links that are gone.
    pub(super) diverted: Vec<Waiting>,
    /// What waits for the ledger.
    pub(super) ledger: Arc<LedgerInbox>,
    pub(super) asker: Asker,
    /// A datagram went or came: its link is looked at soon.
    pub(super) has_carried: bool,
    pub(super) datagrams: broadcast::Sender<Arc<Incoming>>,
    pub(super) tap: Hook,
    pub(super) refusals: Arc<crate::refusals::Refusals>,
    pub(super) next_link: u64,
    pub(super) next_request: u64,
}

/// Where the driver hears from the others.
pub(super) struct Channels {
    pub(super) notices: mpsc::Receiver<Notice>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) packets: mpsc::Receiver<Packet>,
    /// Ends when the last closed link is quite gone.
    pub(super) gone: mpsc::Receiver<()>,
}

/// What woke the driver.
enum Wake {
    Timeout,
    Look,
    Order(Option<Order>),
    Notices,
    Packet(Packet),
}

/// The core's timer, moved only when it wants another time, and the one for the next look at the links.
struct Timer {
    sleep: Pin<Box<Sleep>>,
    at: Option<Mono>,
    look: Pin<Box<Sleep>>,
}

impl<C: Core> Driver<C> {
    pub(super) async fn run(mut self, listening: Arc<[Address]>) {
        for address in listening.iter() {
            self.step(Input::Listening { address: address.clone() });
        }
        let start = self.context.clock.instant(Mono(0));
        let mut timer = Timer { sleep: Box::pin(sleep_until(start)), at: None, look: Box::pin(sleep_until(start)) };
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            match self.wake(&mut timer, &mut batch).await {
                Wake::Timeout => self.step(Input::Timeout),
                Wake::Look => {
                    let next = self.look();
                    timer.look.as_mut().reset(self.context.clock.instant(next));
                }
                Wake::Notices => batch.drain(..).for_each(|notice| self.handle_notice(notice)),
                Wake::Packet(Packet { socket, from, bytes }) => self.step(Input::Packet { socket, from, bytes }),
                Wake::Order(Some(Order::Command(command, answer))) => self.handle_command(command, Some(answer)),
                Wake::Order(Some(Order::Lan(input))) => self.step(input),
                Wake::Order(Some(Order::Shutdown(done))) => {
                    self.finish().await;
                    let _ = done.send(());
                    return;
                }
                Wake::Order(None) => return self.finish().await,
            }
            if std::mem::take(&mut self.has_carried) {
                let soon = self.context.clock.instant(self.next_busy_look());
                if timer.look.deadline() > soon {
                    timer.look.as_mut().reset(soon);
                }
            }
        }
    }

    async fn wake(&mut self, timer: &mut Timer, batch: &mut Vec<Notice>) -> Wake {
        let at = self.core.poll_timeout();
        if let Some(at) = at.filter(|at| timer.at != Some(*at)) {
            timer.sleep.as_mut().reset(self.context.clock.instant(at));
        }
        timer.at = at;
        let channels = &mut self.channels;
        poll_fn(|context| channels.poll(timer, batch, context)).await
    }

    /// Hands the core one input and does what comes of it.
    pub(super) fn step(&mut self, input: Input) {
        self.handle(services::Input::Mesh(input));
    }

    fn handle(&mut self, input: services::Input) {
        self.core.handle_input(input, self.context.clock.now());
        while let Some(output) = self.core.poll_output() {
            if let Some(input) = self.execute(output) {
                self.core.handle_input(input, self.context.clock.now());
            }
        }
        self.encoder.forget();
        if !self.diverted.is_empty() {
            self.forwarder.reroute(std::mem::take(&mut self.diverted));
        }
    }

    fn handle_command(&mut self, command: services::Command, answer: Option<oneshot::Sender<services::Reply>>) {
        if matches!(command, services::Command::Mesh(Command::Status)) {
            self.report_counters();
        }
        let request = RequestId(self.next_request);
        self.next_request += 1;
        if let Some(answer) = answer {
            self.waiting.insert(request, answer);
        }
        self.handle(services::Input::Command { request, command });
    }

    fn report_counters(&mut self) {
        let counters: Vec<_> = self.links.iter().map(|(link, entry)| (*link, entry.counters())).collect();
        for (link, (sent_bytes, received_bytes)) in counters {
            self.step(Input::LinkCounters { link, sent_bytes, received_bytes });
        }
        for (member, bytes) in self.relays.bytes() {
            self.step(Input::RelayCounters { member, bytes });
        }
    }

    fn handle_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Opened { connection, dial } => self.on_opened(*connection, dial),
            Notice::DialFailed { dial, code, detail } => {
                if self.dials.remove(&dial).is_some() {
                    self.step(Input::DialFailed { dial, code, detail });
                }
            }
            Notice::Frame { link, decoded, waits } => self.on_frame(link, decoded, waits),
            Notice::FrameBeside { link, frame } => self.step(Input::FrameBeside { link, frame }),
            Notice::Fault { link, fault } => self.on_fault(link, fault),
            Notice::Drained { link } => self.ledger.drained(link),
            Notice::Ended { link, code, detail } => self.on_ended(link, code, detail),
            Notice::RelayArrived { ticket, half } => {
                let connection = self.relays.keep(half);
                self.step(Input::RelayArrived { connection, ticket });
            }
            Notice::RelayEnded(connection) => {
                if self.relays.end(connection) {
                    self.step(Input::RelayEnded { connection });
                }
            }
            Notice::Kept { ticket, result } => self.handle(services::Input::Kept { ticket, result }),
            Notice::SignalAnswer { url, result } => self.step(Input::SignalAnswer { url, result }),
            Notice::Resolved { name, addresses } => self.step(Input::Resolved { name, addresses }),
            Notice::PortsMapped(mapped) => self.step(Input::PortsMapped { mapped }),
            Notice::UdpAddresses(addresses) => {
                self.port_maps.iter_mut().for_each(|maps| maps.host_is(&addresses));
                self.step(Input::UdpAddresses { addresses });
            }
            Notice::DestinationUsed(to) => self.step(Input::DestinationUsed(to)),
            Notice::Refused { remote, code, detail } => {
                let refused = Event::Refused { remote, peer: None, code, detail, by_them: false };
                self.tell(services::Event::Mesh(refused));
            }
        }
    }

    fn on_opened(&mut self, connection: Connection, dial: Option<DialId>) {
        if dial.is_some_and(|dial| self.dials.remove(&dial).is_none()) {
            // Cancelled while the news was on its way.
            return;
        }
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let opened = LinkOpened {
            link,
            dial,
            transport: connection.transport,
            local: connection.local.clone(),
            remote: connection.remote.clone(),
            proved: connection.proved,
            through: connection.through,
            spent_us: connection.spent_us,
        };
        let address = opened.remote.as_str();
        tracing::trace!(link = link.0, address, transport = opened.transport.name(), "connection ready");
        let proved = connection.proved;
        self.links.insert(link, Box::new(Link::open(link, connection, self.context.clone())));
        proved.inspect(|peer| self.tap.linked(link, *peer, |link| self.links.contains_key(link)));
        self.step(Input::LinkOpened(opened));
        // The system has seen a round trip already: what is advertised first then is no guess.
        self.look_at(link);
    }

    fn on_frame(&mut self, link: LinkId, decoded: Decoded, waits: bool) {
        if !self.links.contains_key(&link) {
            return;
        }
        self.tap.received(link, &decoded);
        let message = if let Decoded::Frame(frame) = &decoded { Some(&frame.message) } else { None };
        self.has_carried |= matches!(message, Some(Message::Datagram(_)));
        self.step(match decoded {
            Decoded::Frame(frame) => {
                tracing::trace!(link = link.0, kind = frame.message.kind(), "frame received");
                Input::Frame { link, frame }
            }
            Decoded::Unknown { tag } => Input::UnknownMessage { link, tag },
            Decoded::Invalid(fault) => Input::InvalidMessage { link, fault },
        });
        if waits && let Some(entry) = self.links.get(&link) {
            entry.release();
        }
    }

    fn on_fault(&mut self, link: LinkId, Fault { code, detail }: Fault) {
        let Some(entry) = self.take_link(link) else { return };
        tracing::debug!(link = link.0, code = code.name(), "framing fault: {}", detail.escape_debug());
        let error = ErrorMessage::new(code, detail.clone());
        let bytes = self.encode_last(error, entry.encoding());
        // A queue that is full already has its own reason to end.
        let _ = bytes.map(|bytes| entry.send(bytes, false));
        entry.close();
        self.step(Input::LinkClosed { link, code, detail });
    }

    fn on_ended(&mut self, link: LinkId, code: Code, detail: String) {
        let Some(entry) = self.take_link(link) else { return };
        tracing::trace!(link = link.0, code = code.name(), "connection ended: {}", detail.escape_debug());
        if code == Code::SlowReader {
            entry.abort();
        } else {
            entry.close();
        }
        self.step(Input::LinkClosed { link, code, detail });
    }

    /// Says goodbye, lets what is queued go out, and ends everything.
    async fn finish(mut self) {
        self.accepting.iter().for_each(AbortHandle::abort);
        self.handle_command(services::Command::Mesh(Command::Leave), None);
        self.dials.values().for_each(AbortHandle::abort);
        self.relays.clear();
        let port_maps = self.port_maps.take();
        let giving_back = async {
            if let Some(port_maps) = port_maps {
                port_maps.finish().await
            }
        };
        let giving_back = tokio::spawn(giving_back);
        std::mem::take(&mut self.links).into_values().for_each(|link| link.close());
        let Self { channels: Channels { notices, mut gone, .. }, context, store, keeper, .. } = self;
        drop((notices, context));
        let _ = timeout(CLOSE_LIMIT + LINGER_LIMIT, gone.recv()).await;
        let _ = giving_back.await;
        if let Some(store) = store {
            let _ = timeout(CLOSE_LIMIT, store.finish()).await;
        }
        if let Some(keeper) = keeper {
            let _ = timeout(CLOSE_LIMIT, keeper.finish()).await;
        }
    }
}

impl Channels {
    /// What was seen of the links first, because the timer may end one; then the timer, then commands of this machine,
    /// then what peers send: no peer can starve the others.
    fn poll(&mut self, timer: &mut Timer, batch: &mut Vec<Notice>, context: &mut Context<'_>) -> Poll<Wake> {
        if timer.look.as_mut().poll(context).is_ready() {
            return Poll::Ready(Wake::Look);
        }
        if timer.at.is_some() && timer.sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(Wake::Timeout);
        }
        if let Poll::Ready(order) = self.orders.poll_recv(context) {
            return Poll::Ready(Wake::Order(order));
        }
        if self.notices.poll_recv_many(context, batch, BATCH).is_ready() {
            return Poll::Ready(Wake::Notices);
        }
        // Last: anybody can send one.
        match self.packets.poll_recv(context) {
            Poll::Ready(Some(packet)) => Poll::Ready(Wake::Packet(packet)),
            // The sockets are there as long as the driver is.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
