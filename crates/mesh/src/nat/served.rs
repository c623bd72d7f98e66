//! Calls we make for others. A member may name an address that is not its own: so what goes there comes out of what a host
//! that is only named may get ([`crate::named`]), connections go only to the host its link comes from, and all of it is
//! held to a rate.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshline_protocol::message::{Nat as NatMessage, NatBack, NatCall, NatCalled, NatTransport, TimeFrame};
use meshline_protocol::{Code, Message, NodeId, UnixMicros};

use super::answers::{send, written};
use super::questions::time_question;
use crate::bucket::{Bucket, Rate};
use crate::input::{DialId, LinkId, SocketId, Transport};
use crate::now::Mono;
use crate::output::{DialTarget, Output};
use crate::shared::Shared;

/// Calls for one member. A start asks for about eight.
pub(crate) const PER_MEMBER: Rate = Rate { per_second: 1, burst: 12 };

/// Calls to hosts other than the asker's, for all members together, however many hosts they name.
pub(super) const TO_THIRD: Rate = Rate { per_second: 1, burst: 4 };

/// Calls under way at once.
pub(crate) const MAX_SERVED: usize = 32;

/// Datagrams of a call: the first, and again after 200 ms and 400 ms more.
const RETRIES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(400)];
const DATAGRAMS: u32 = 3;

/// From the last datagram on.
const PATIENCE: Duration = Duration::from_millis(900);

/// A connection that is not there by then never will be.
const TCP_PATIENCE: Duration = Duration::from_secs(6);

/// The second socket is closed when nobody has asked for it for so long.
const SOCKET_KEPT: Duration = Duration::from_secs(30);

#[derive(Debug)]
enum Way {
    Udp(Udp),
    Tcp { dial: DialId },
}

/// A call by datagrams.
#[derive(Debug)]
struct Udp {
    socket: SocketId,
    to: SocketAddr,
    /// When they left by this node's calendar, which is what they say.
    sent: Vec<UnixMicros>,
    /// How many may leave,
    most: u32,
    /// and of those how many are counted as sent to a host that is only named.
    named: u32,
}

impl Udp {
    fn is_over(&self) -> bool {
        self.sent.len() >= usize::try_from(self.most).unwrap_or(usize::MAX)
    }

    /// Whether an answer is from somebody who got a datagram at that host. The asker chose the nonce, and anybody can
    /// write any source: what it cannot know is the microsecond at which one left.
    fn is_answered(&self, from: SocketAddr, answer: &TimeFrame) -> bool {
        let echoes = |stamps: &meshline_protocol::message::TimeStamps| self.sent.contains(&stamps.origin);
        from.ip().to_canonical() == self.to.ip().to_canonical() && answer.stamps.as_ref().is_some_and(echoes)
    }
}

/// A call under way.
#[derive(Debug)]
struct Served {
    asker: NodeId,
    nonce: u32,
    way: Way,
    next_at: Mono,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) id: NodeId,
    /// The host at the other end of its link, if nothing stands in between.
    pub(crate) host: Option<IpAddr>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct ServedCalls {
    pending: Vec<Served>,
    rates: BTreeMap<NodeId, Bucket>,
    third: Option<Bucket>,
    /// The socket on another port, and until when it stays.
    another: Option<(SocketId, Mono)>,
}

impl ServedCalls {
    /// A member asks to be called.
    pub(super) fn handle(&mut self, asker: Asker, call: &NatCall, shared: &mut Shared) {
        if let Err(code) = self.begin(asker, call, shared) {
            shared.count(code);
            tell(asker.id, call.nonce, Some(code), shared);
        }
    }

    fn begin(&mut self, asker: Asker, call: &NatCall, shared: &mut Shared) -> Result<(), Code> {
        let now = shared.now.mono;
        let to = call.address.as_str().parse().map_err(|_| Code::Forbidden)?;
        if !may_call(to, asker.host) {
            return Err(Code::Forbidden);
        }
        let is_third = asker.host != Some(to.ip().to_canonical());
        let third = self.third.get_or_insert_with(|| Bucket::new(TO_THIRD, now));
        let spares_third = !is_third || (third.has(now) && shared.named.left(to.ip(), now) > 0);
        if self.pending.len() >= MAX_SERVED || !spares_third || !self.take(asker.id, now) {
            return Err(Code::RateLimited);
        }
        let way = match call.transport {
            NatTransport::Udp => {
                self.third.as_mut().filter(|_| is_third).map(|third| third.take(now));
                let named = if is_third { shared.named.take(to.ip(), DATAGRAMS, now) } else { 0 };
                let most = if is_third { named } else { DATAGRAMS };
                Way::Udp(Udp { socket: self.socket(call.another_port, shared), to, sent: Vec::new(), most, named })
            }
            NatTransport::Tcp if !is_third && !shared.config.plain => self.dial(to, asker.id, shared)?,
            NatTransport::Tcp | NatTransport::Other => return Err(Code::Forbidden),
        };
        let patience = if matches!(way, Way::Tcp { .. }) { TCP_PATIENCE } else { Duration::ZERO };
        self.pending.push(Served { asker: asker.id, nonce: call.nonce, way, next_at: now.after(patience) });
        self.handle_timeout(shared);
        Ok(())
    }

    fn take(&mut self, id: NodeId, now: Mono) -> bool {
        self.rates.retain(|_, bucket| !bucket.is_full(now));
        self.rates.entry(id).or_insert_with(|| Bucket::new(PER_MEMBER, now)).take(now)
    }

    fn dial(&self, to: SocketAddr, asker: NodeId, shared: &mut Shared) -> Result<Way, Code> {
        let address = written(to).ok_or(Code::Forbidden)?;
        let dial = shared.next_dial();
        let target = DialTarget::Direct { address, expected: Some(asker), plain: false };
        shared.push(Output::Dial { dial, target });
        Ok(Way::Tcp { dial })
    }

    fn socket(&mut self, another_port: bool, shared: &mut Shared) -> SocketId {
        if !another_port {
            return SocketId::MAIN;
        }
        let until = shared.now.mono.after(SOCKET_KEPT);
        let socket = match self.another {
            Some((socket, _)) => socket,
            None => {
                let socket = shared.next_socket();
                shared.push(Output::OpenSocket { socket, port: None });
                socket
            }
        };
        self.another = Some((socket, until));
        socket
    }

    /// The socket on another port could not be opened, or broke: calls from it end in vain.
    pub(super) fn socket_failed(&mut self, socket: SocketId) {
        self.another = self.another.filter(|(another, _)| *another != socket);
    }

    /// Sends what is due, and ends what is over.
    pub(super) fn handle_timeout(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        let mut over = Vec::new();
        for call in self.pending.iter_mut().filter(|call| call.next_at <= now) {
            match &mut call.way {
                Way::Udp(udp) if !udp.is_over() => {
                    let question = time_question(call.nonce, shared);
                    send(shared, (udp.socket, udp.to), question);
                    let pause = RETRIES.get(udp.sent.len()).copied();
                    udp.sent.push(shared.now.wall);
                    call.next_at = now.after(pause.filter(|_| !udp.is_over()).unwrap_or(PATIENCE));
                }
                Way::Udp(_) => over.push((call.asker, call.nonce)),
                Way::Tcp { dial } => {
                    shared.push(Output::CancelDial { dial: *dial });
                    over.push((call.asker, call.nonce));
                }
            }
        }
        for (asker, nonce) in over {
            self.end((asker, nonce), Some(Code::Unreachable), shared);
        }
        if let Some((socket, _)) = self.another.filter(|(_, until)| *until <= now) {
            self.another = None;
            shared.push(Output::CloseSocket { socket });
        }
    }

    /// Step 1 of a time frame: whether it answers a call. Whoever asked knows the nonce, and could fool nobody but itself.
    pub(super) fn answered(&mut self, from: SocketAddr, answer: &TimeFrame, shared: &mut Shared) -> bool {
        let (id, nonce) = (answer.id, answer.exchange);
        let found = self.pending.iter().find_map(|call| match &call.way {
            Way::Udp(udp) if call.asker == id && call.nonce == nonce => Some(udp),
            Way::Udp(_) | Way::Tcp { .. } => None,
        });
        let Some(udp) = found else { return false };
        if udp.is_answered(from, answer) {
            shared.named.answered(udp.to.ip(), udp.named);
        }
        self.end((id, nonce), None, shared);
        true
    }

    /// A connection is there: whether it was made for a call. It bears the nonce and ends.
    pub(super) fn connected(&mut self, dial: DialId, link: LinkId, shared: &mut Shared) -> bool {
        let Some((asker, nonce)) = self.by_dial(dial) else { return false };
        let back = Message::Nat(NatMessage::Back(NatBack { nonce }));
        shared.send_on(link, &std::sync::Arc::new(back.into()));
        shared.push(Output::Close { link, error: None });
        self.end((asker, nonce), None, shared);
        true
    }

    /// A connection did not come about: whether it was meant for a call.
    pub(super) fn not_connected(&mut self, dial: DialId, shared: &mut Shared) -> bool {
        let Some(key) = self.by_dial(dial) else { return false };
        self.end(key, Some(Code::Unreachable), shared);
        true
    }

    fn by_dial(&self, dial: DialId) -> Option<(NodeId, u32)> {
        let is_it = |call: &&Served| matches!(call.way, Way::Tcp { dial: made } if made == dial);
        self.pending.iter().find(is_it).map(|call| (call.asker, call.nonce))
    }

    fn end(&mut self, (asker, nonce): (NodeId, u32), code: Option<Code>, shared: &mut Shared) {
        self.pending.retain(|call| (call.asker, call.nonce) != (asker, nonce));
        tell(asker, nonce, code, shared);
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        let calls = self.pending.iter().map(|call| call.next_at);
        calls.chain(self.another.map(|(_, until)| until)).min()
    }
}

fn tell(asker: NodeId, nonce: u32, code: Option<Code>, shared: &mut Shared) {
    shared.send(&asker, Message::Nat(NatMessage::Called(NatCalled { nonce, code })));
}

/// Where a member may have itself called: to the host its link comes from, and to addresses of the open Internet.
fn may_call(to: SocketAddr, host: Option<IpAddr>) -> bool {
    let ip = to.ip().to_canonical();
    let is_nobody = ip.is_unspecified() || ip.is_multicast() || to.port() == 0;
    !is_nobody && (host == Some(ip) || is_global(ip))
}

/// Addresses that mean the same host everywhere. (`IpAddr::is_global` is not stable.)
pub(crate) fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_reserved = a == 0 || a >= 240;
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || is_shared
                || is_reserved)
        }
        IpAddr::V6(ip) => {
            let is_local = ip.is_unique_local() || ip.is_unicast_link_local();
            !(is_local || ip.is_loopback())
        }
    }
}

/// The host at the other end of a link, if nothing stands in between.
pub(crate) fn host_of(transport: Transport, remote: &meshline_protocol::Address) -> Option<IpAddr> {
    let address = remote.as_str().parse::<SocketAddr>().ok();
    address.filter(|_| transport != Transport::Relay).map(|address| address.ip().to_canonical())
}
