//! A few hosts behind modelled routers, linked with each other, and time that is only counted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use meshline_identity::KeyPair;
use meshline_protocol::frame::{decode_datagram, encode_datagram};
use meshline_protocol::message::Nat as NatMessage;
use meshline_protocol::{Address, Decoded, Frame, Message, NodeId, UnixMicros};

use crate::config::Config;
use crate::event::Direction;
use crate::input::{LinkId, SocketId, Transport};
use crate::nat::{Asker, Linked, Nat, STUN_BELOW, host_of};
use crate::now::{Mono, Now};
use crate::output::{DialTarget, Output};
use crate::shared::{Shared, UpPeer};

/// One way between any two hosts.
pub(super) const DELAY: u64 = 20_000;

pub(super) const SECOND: u64 = 1_000_000;

/// How a router chooses ports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ports {
    Same,
    Random,
    Counted,
}

/// Whom a router lets in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lets {
    Everybody,
    Hosts,
    Ports,
}

/// A router in front of one host.
#[derive(Clone, Debug)]
pub(super) struct Router {
    pub(super) public: IpAddr,
    pub(super) ports: Ports,
    pub(super) lets: Lets,
    pub(super) hairpin: bool,
    /// Ports that are forwarded whatever comes.
    pub(super) forwarded: BTreeMap<u16, SocketAddr>,
    table: BTreeMap<(SocketAddr, Option<SocketAddr>), u16>,
    sent: BTreeSet<(u16, SocketAddr)>,
    last: u16,
}

impl Router {
    pub(super) fn new(public: &str, ports: Ports, lets: Lets) -> Self {
        let (table, sent, forwarded) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let public = public.parse().expect("an address");
        Self { public, ports, lets, hairpin: false, forwarded, table, sent, last: 40_000 }
    }

    fn out(&mut self, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let key = (from, (self.ports != Ports::Same).then_some(to));
        let next = match self.ports {
            Ports::Same | Ports::Counted => self.last + 1,
            Ports::Random => self.last.wrapping_mul(31).wrapping_add(7_919) | 0x8000,
        };
        let port = *self.table.entry(key).or_insert_with(|| {
            self.last = next;
            next
        });
        self.sent.insert((port, to));
        SocketAddr::new(self.public, port)
    }

    fn inside(&self, port: u16, from: SocketAddr) -> Option<SocketAddr> {
        if let Some(inside) = self.forwarded.get(&port) {
            return Some(*inside);
        }
        let (inside, _) = self.table.iter().find(|(_, mapped)| **mapped == port)?.0;
        let known = self.sent.iter().filter(|(sent, _)| *sent == port);
        let admitted = match self.lets {
            Lets::Everybody => true,
            Lets::Hosts => known.clone().any(|(_, to)| to.ip() == from.ip()),
            Lets::Ports => known.clone().any(|(_, to)| *to == from),
        };
        admitted.then_some(*inside)
    }
}

/// A host.
pub(super) struct Host {
    pub(super) nat: Nat,
    pub(super) shared: Shared,
    pub(super) router: Option<Router>,
    /// Says this instead of where it saw others.
    pub(super) lie: Option<SocketAddr>,
    /// Answers nothing that comes as a datagram.
    pub(super) deaf: bool,
    /// What this clock is ahead.
    pub(super) ahead_us: i64,
    /// Takes TCP there.
    pub(super) tcp: Vec<SocketAddr>,
    sockets: BTreeMap<SocketId, SocketAddr>,
    next_port: u16,
}

#[derive(Debug)]
enum Due {
    Packet { from: SocketAddr, to: SocketAddr, bytes: Bytes },
    Message { from: usize, to: usize, message: NatMessage },
}

/// All of it.
pub(super) struct World {
    pub(super) hosts: Vec<Host>,
    pub(super) now: u64,
    /// Packets that left, by where they went (beyond the router), with their lengths.
    pub(super) sent: Vec<(SocketAddr, SocketAddr, usize)>,
    /// Of packets that go to an address so many are still lost.
    pub(super) lost: BTreeMap<SocketAddr, usize>,
    queue: BTreeMap<(u64, u64), Due>,
    count: u64,
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn at(micros: u64, ahead_us: i64) -> Now {
    Now { mono: Mono(micros), wall: UnixMicros::new(1_800_000_000_000_000 + micros).offset(ahead_us) }
}

impl World {
    pub(super) fn new() -> Self {
        let (sent, queue, lost) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { hosts: Vec::new(), now: SECOND, sent, lost, queue, count: 0 }
    }

    /// Adds a host with one socket; `listen` tells whether it announces that address.
    pub(super) fn host(&mut self, socket: &str, listen: bool, router: Option<Router>) -> usize {
        let n = u8::try_from(self.hosts.len() + 1).expect("few");
        let mut config = Config::new("lab".parse().expect("a name"), "n".parse().expect("a name"));
        if listen {
            config.listen = vec![socket.parse().expect("an address")];
        }
        let shared = Shared::new(config, KeyPair::from_secret([n; 32]), [n; 32], at(self.now, 0));
        let main = address(socket);
        self.hosts.push(Host {
            nat: Nat::default(),
            shared,
            router,
            lie: None,
            deaf: false,
            ahead_us: 0,
            tcp: vec![main],
            sockets: BTreeMap::from([(SocketId::MAIN, main)]),
            next_port: 50_000,
        });
        self.hosts.len() - 1
    }

    pub(super) fn id(&self, host: usize) -> NodeId {
        self.hosts[host].shared.id
    }

    pub(super) fn main(&self, host: usize) -> SocketAddr {
        self.hosts[host].sockets[&SocketId::MAIN]
    }

    /// Where others see a host's TCP connections come from.
    fn seen(&self, host: usize) -> Address {
        let main = self.main(host);
        let ip = self.hosts[host].router.as_ref().map_or_else(|| main.ip(), |router| router.public);
        SocketAddr::new(ip, if ip == main.ip() { main.port() } else { 33_333 }).to_string().parse().expect("valid")
    }

    /// The first dials the second.
    pub(super) fn link(&mut self, dialler: usize, listener: usize) {
        self.link_over(dialler, listener, Transport::Tcp);
    }

    pub(super) fn link_over(&mut self, dialler: usize, listener: usize, transport: Transport) {
        let ends = [(dialler, listener, Direction::Outbound), (listener, dialler, Direction::Inbound)];
        for (here, there, direction) in ends {
            let link = LinkId(u64::try_from(there).expect("few"));
            let (id, remote) = (self.id(there), self.seen(there));
            let announced = self.hosts[there].shared.config.listen.clone();
            let now = at(self.now, self.hosts[here].ahead_us);
            let host = &mut self.hosts[here];
            host.shared.now = now;
            host.shared.up.insert(id, UpPeer { link, transport, is_view: false, is_proxy: false });
            host.nat.link_up(id, Linked::new(transport, direction, &remote, &announced), &mut host.shared);
        }
        self.flush(dialler);
        self.flush(listener);
    }

    /// The host learns its addresses, and so begins to ask.
    pub(super) fn start(&mut self, host: usize) {
        let main = self.main(host);
        self.act(host, |nat, shared| nat.set_addresses(vec![main], shared));
    }

    /// Something happens to a host.
    pub(super) fn act(&mut self, host: usize, what: impl FnOnce(&mut Nat, &mut Shared)) {
        let now = at(self.now, self.hosts[host].ahead_us);
        let Host { nat, shared, .. } = &mut self.hosts[host];
        shared.now = now;
        what(nat, shared);
        nat.handle_timeout(shared);
        self.flush(host);
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, micros: u64) {
        let end = self.now + micros;
        for _ in 0..1_000_000 {
            let timer =
                (0..self.hosts.len()).filter_map(|host| Some((self.hosts[host].nat.next_timeout()?.0, host))).min();
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let next = timer.map(|(at, _)| at).into_iter().chain(queued).min().unwrap_or(u64::MAX);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            match (queued.filter(|at| *at <= next), timer) {
                (Some(_), _) => self.arrive(),
                (None, Some((_, host))) => self.act(host, |_, _| {}),
                (None, None) => {}
            }
        }
        panic!("something is due again and again at {}", self.now);
    }

    fn arrive(&mut self) {
        let Some((_, due)) = self.queue.pop_first() else { return };
        match due {
            Due::Packet { from, to, bytes } => self.deliver(from, to, &bytes),
            Due::Message { from, to, message } => {
                let asker = Asker { id: self.id(from), host: host_of(Transport::Tcp, &self.seen(from)) };
                self.act(to, |nat, shared| match &message {
                    NatMessage::Back(back) => assert!(nat.handle_back(asker.id, back.nonce), "nobody asked for it"),
                    NatMessage::Where(_) | NatMessage::There(_) => panic!("not asked for here"),
                    NatMessage::Call(_) | NatMessage::Called(_) => {
                        nat.handle_message(asker, &message, shared).expect("in its place");
                    }
                });
            }
        }
    }

    fn enter(&mut self, due: Due) {
        self.count += 1;
        self.queue.insert((self.now + DELAY, self.count), due);
    }

    /// A packet reaches the host that has the address, or the router that has it lets it in.
    pub(super) fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes) {
        for host in 0..self.hosts.len() {
            let inside = match &self.hosts[host].router {
                Some(router) if router.public == to.ip() => router.inside(to.port(), from),
                Some(_) => None,
                None => Some(to),
            };
            let sockets = &self.hosts[host].sockets;
            let socket = sockets.iter().find(|(_, address)| Some(**address) == inside).map(|(socket, _)| *socket);
            if let Some(socket) = socket.filter(|_| !self.hosts[host].deaf) {
                self.act(host, |nat, shared| packet(nat, shared, (socket, from), bytes));
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else concerns these tests")]
    fn flush(&mut self, host: usize) {
        while let Some(output) = self.hosts[host].shared.pop() {
            match output {
                Output::SendPacket { socket, to, bytes, .. } => self.send(host, socket, to, bytes),
                Output::OpenSocket { socket, .. } => {
                    let port = self.hosts[host].next_port;
                    let address = SocketAddr::new(self.main(host).ip(), port);
                    self.hosts[host].next_port += 1;
                    self.hosts[host].sockets.insert(socket, address);
                }
                Output::CloseSocket { socket } => {
                    self.hosts[host].sockets.remove(&socket);
                }
                Output::Send { link, frame } => self.say(host, link, &frame),
                Output::Dial { dial, target: DialTarget::Direct { address, expected, .. } } => {
                    let to = (0..self.hosts.len()).find(|other| {
                        let takes = |tcp: &SocketAddr| tcp.to_string() == address.as_str();
                        Some(self.id(*other)) == expected && self.hosts[*other].tcp.iter().any(takes)
                    });
                    self.act(host, |nat, shared| match to {
                        Some(to) => {
                            let link = LinkId(1_000 + u64::try_from(to).expect("few"));
                            assert!(nat.connected(dial, link, shared));
                        }
                        None => assert!(nat.not_connected(dial, shared)),
                    });
                }
                _ => {}
            }
        }
    }

    /// Links made for a call have numbers from 1,000 on.
    fn say(&mut self, from: usize, link: LinkId, frame: &Frame) {
        if let Message::Nat(message) = &frame.message {
            let to = usize::try_from(link.0 % 1_000).expect("few");
            self.enter(Due::Message { from, to, message: message.clone() });
        }
    }

    fn send(&mut self, host: usize, socket: SocketId, to: SocketAddr, bytes: Bytes) {
        let bytes = self.hosts[host].lie.and_then(|lie| lied(&bytes, lie)).unwrap_or(bytes);
        let from = self.hosts[host].sockets.get(&socket).copied().expect("an open socket");
        let public = self.hosts[host].router.as_ref().map(|router| router.public);
        let outside = self.hosts[host].router.as_mut().map_or(from, |router| router.out(from, to));
        self.sent.push((outside, to, bytes.len()));
        if let Some(left) = self.lost.get_mut(&to).filter(|left| **left > 0) {
            *left -= 1;
            return;
        }
        let hairpins = self.hosts[host].router.as_ref().is_some_and(|router| router.hairpin);
        if public != Some(to.ip()) || hairpins {
            self.enter(Due::Packet { from: outside, to, bytes });
        }
    }
}

/// What the dispatcher does with a datagram.
fn packet(nat: &mut Nat, shared: &mut Shared, (socket, from): (SocketId, SocketAddr), bytes: &Bytes) {
    nat.note_length(bytes.len());
    if bytes[0] < STUN_BELOW {
        nat.handle_stun(socket, from, bytes, shared);
        return;
    }
    match decode_datagram(bytes) {
        Ok(Decoded::Frame(Frame { message: Message::Time(time), .. })) => nat.handle_time(socket, from, &time, shared),
        Ok(Decoded::Frame(Frame { message: Message::Error(error), .. })) => nat.handle_refusal(from, &error, shared),
        other => panic!("sent was {other:?}"),
    }
}

/// The same answer with another address in it.
fn lied(bytes: &Bytes, lie: SocketAddr) -> Option<Bytes> {
    let Ok(Decoded::Frame(mut frame)) = decode_datagram(bytes) else { return None };
    let Message::Time(time) = &mut frame.message else { return None };
    time.seen.as_ref()?;
    time.seen = Some(lie.to_string().parse().expect("valid"));
    Some(encode_datagram(&frame).expect("short").into())
}
