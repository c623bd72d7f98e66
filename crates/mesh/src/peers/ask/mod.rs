//! Asking for addresses: a request goes from link to link for a few hops, and whoever it reaches tells the asker straight
//! what it knows.
//!
//! Straight means a datagram to the address in the request, and anybody may write any address there. So at first only a
//! nonce goes there, shorter than the request itself, once; what is known follows when the nonce came back. How many
//! answer is written in the request, is no more than its length pays for, and is divided among those it is passed on to,
//! so that all nonces together are less than the asker sent. An asker that cannot be reached is answered back along the way the request came.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use meshline_protocol::frame::encode_datagram;
use meshline_protocol::message::{Peers as Message, PeersAnswer, PeersAsk, PeersKnock};
use meshline_protocol::{Bounded, Code, Message as Wire, NodeId, SignedRecord};

use crate::bucket::{Bucket, Rate};
use crate::input::SocketId;
use crate::now::Mono;
use crate::output::Output;
use crate::shared::Shared;

/// Hops a request makes at most, and answers it gets, if its record is long enough for as many nonces.
pub(crate) const MAX_HOPS: u8 = 4;
pub(crate) const MAX_ANSWERS: u8 = 8;

/// The longest knock: so many bytes of a request pay for one.
const KNOCK_BYTES: usize = 64;

/// Peers a request is passed on to.
const SPREAD: usize = 2;

/// The nonce is back by then, or the asker cannot be reached.
const ECHO_LIMIT: Duration = Duration::from_secs(1);

/// Answers are passed back for so long. A chain of hops takes a round trip and the limit above.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// Requests remembered. Each holds a few records until it is answered.
const MAX_PENDING: usize = 64;

/// Requests of others handled: each costs a signature and some frames.
const RATE: Rate = Rate { per_second: 2, burst: 16 };

/// Between own requests while links are missing, and otherwise.
const POOR_PAUSE: Duration = Duration::from_secs(10);
const QUIET_PAUSE: Duration = Duration::from_secs(600);

/// Datagrams to an asker that has proven its address.
const MAX_DATAGRAMS: u8 = 4;

/// The own request.
#[derive(Clone, Copy, Debug)]
struct Own {
    number: u32,
    until: Mono,
    /// Nonces that may still be echoed, and answers by datagram that may still come: anybody who saw the request could
    /// send more.
    echoes: u8,
    datagrams: u8,
}

/// A request of somebody else.
#[derive(Debug)]
struct Pending {
    from: NodeId,
    address: Option<SocketAddr>,
    nonce: u32,
    /// What is known here, until it is sent.
    records: Vec<SignedRecord>,
    back_at: Option<Mono>,
    until: Mono,
    /// Whom it was passed on to, and answers that may still be passed back.
    asked: Vec<NodeId>,
    left: u8,
}

/// The requests.
#[derive(Debug)]
pub(crate) struct Asks {
    own: Option<Own>,
    next_at: Mono,
    pending: BTreeMap<u32, Pending>,
    rate: Bucket,
}

impl Default for Asks {
    fn default() -> Self {
        Self { own: None, next_at: Mono::default(), pending: BTreeMap::new(), rate: Bucket::new(RATE, Mono::default()) }
    }
}

impl Asks {
    /// Whether it is time to ask.
    pub(crate) fn is_due(&mut self, is_poor: bool, now: Mono) -> bool {
        if is_poor {
            self.next_at = self.next_at.min(now.after(POOR_PAUSE));
        }
        self.next_at <= now
    }

    /// Asks over a link drawn by chance.
    pub(crate) fn ask(&mut self, is_poor: bool, address: Option<SocketAddr>, peers: &[NodeId], shared: &mut Shared) {
        let now = shared.now.mono;
        let Some(peer) = peers.get(shared.below(peers.len())) else { return };
        self.next_at = shared.jittered(if is_poor { POOR_PAUSE } else { QUIET_PAUSE });
        let number = shared.random_u32();
        let datagrams = MAX_ANSWERS.saturating_mul(MAX_DATAGRAMS);
        self.own = Some(Own { number, until: now.after(REMEMBERED_FOR), echoes: MAX_ANSWERS, datagrams });
        let ask = PeersAsk {
            asker: shared.announcement.clone(),
            number,
            address: address.map(Into::into),
            hops: MAX_HOPS,
            answers: MAX_ANSWERS,
        };
        shared.send(peer, Wire::Peers(Message::Ask(ask.into())));
    }

    /// Whether a request is one more than is handled now.
    pub(crate) fn is_too_much(&mut self, ask: &PeersAsk, now: Mono) -> bool {
        self.expire(now);
        self.pending.contains_key(&ask.number) || self.pending.len() >= MAX_PENDING || !self.rate.take(now)
    }

    /// Takes in a request whose record is good: knocks at the asker, and passes it on to some of these peers.
    pub(crate) fn handle_ask(
        &mut self,
        (from, ask): (NodeId, PeersAsk),
        records: Vec<SignedRecord>,
        mut peers: Vec<NodeId>,
        shared: &mut Shared,
    ) {
        let now = shared.now.mono;
        let (hops, answers) = (ask.hops.min(MAX_HOPS), ask.answers.min(MAX_ANSWERS).min(paid_by(&ask)).max(1));
        let address = ask.address.as_ref().and_then(|address| address.as_str().parse().ok());
        let address = address.filter(|address: &SocketAddr| may_knock(address.ip(), shared));
        let mut asked = Vec::new();
        let mut rest = if hops > 0 { answers - 1 } else { 0 };
        peers.retain(|peer| *peer != from && *peer != ask.asker.by);
        while rest > 0 && asked.len() < SPREAD && !peers.is_empty() {
            let peer = peers.swap_remove(shared.below(peers.len()));
            let share = if asked.is_empty() && !peers.is_empty() { rest.div_ceil(2) } else { rest };
            let on = PeersAsk { hops: hops - 1, answers: share, ..ask.clone() };
            shared.send(&peer, Wire::Peers(Message::Ask(on.into())));
            asked.push(peer);
            rest -= share;
        }
        let (nonce, until) = (shared.random_u32(), now.after(REMEMBERED_FOR));
        let back_at = Some(if address.is_some() { now.after(ECHO_LIMIT) } else { now });
        if let Some(to) = address {
            send(to, Message::Knock(PeersKnock { number: ask.number, nonce }), shared);
        }
        let pending = Pending { from, address, nonce, records, back_at, until, asked, left: answers };
        self.pending.insert(ask.number, pending);
        self.handle_timeout(shared);
    }

    /// Somebody who was asked wants to know whether this is the asker's address.
    pub(crate) fn handle_knock(
        &mut self,
        from: SocketAddr,
        knock: PeersKnock,
        shared: &mut Shared,
    ) -> Result<(), Code> {
        let own = self.own_mut(knock.number, shared.now.mono).ok_or(Code::UnexpectedMessage)?;
        own.echoes = own.echoes.checked_sub(1).ok_or(Code::RateLimited)?;
        send(from, Message::Echo(knock), shared);
        Ok(())
    }

    /// The asker's address is proven.
    pub(crate) fn handle_echo(&mut self, echo: PeersKnock, shared: &mut Shared) -> Result<(), Code> {
        let pending = self.pending.get_mut(&echo.number).filter(|pending| pending.nonce == echo.nonce);
        let pending = pending.ok_or(Code::UnexpectedMessage)?;
        let (Some(to), Some(_)) = (pending.address, pending.back_at.take()) else { return Ok(()) };
        let mut too_long = Vec::new();
        for (sent, record) in std::mem::take(&mut pending.records).into_iter().enumerate() {
            let records = Bounded::from_first([record.clone()]);
            let answer = Message::Answer(PeersAnswer { number: echo.number, records });
            if sent >= usize::from(MAX_DATAGRAMS) {
                break;
            }
            if !send(to, answer, shared) {
                too_long.push(record);
            }
        }
        if !too_long.is_empty() {
            back(echo.number, &pending.from, too_long, shared);
        }
        Ok(())
    }

    /// An answer on a link: for us, which is said, or for whoever asked us.
    pub(crate) fn handle_answer(
        &mut self,
        from: NodeId,
        answer: PeersAnswer,
        shared: &mut Shared,
    ) -> Result<Option<PeersAnswer>, Code> {
        if self.own_mut(answer.number, shared.now.mono).is_some() {
            return Ok(Some(answer));
        }
        // Late: whoever asked is forgotten.
        let Some(pending) = self.pending.get_mut(&answer.number) else { return Ok(None) };
        if !pending.asked.contains(&from) {
            return Err(Code::UnexpectedMessage);
        }
        pending.left = pending.left.checked_sub(1).ok_or(Code::RateLimited)?;
        let to = pending.from;
        shared.send(&to, Wire::Peers(Message::Answer(answer)));
        Ok(None)
    }

    /// Whether an answer that came by datagram is one that was asked for.
    pub(crate) fn takes_packet(&mut self, number: u32, now: Mono) -> bool {
        let Some(own) = self.own_mut(number, now) else { return false };
        let left = own.datagrams.checked_sub(1);
        own.datagrams = left.unwrap_or(0);
        left.is_some()
    }

    fn own_mut(&mut self, number: u32, now: Mono) -> Option<&mut Own> {
        self.own.as_mut().filter(|own| own.number == number && own.until > now)
    }

    fn expire(&mut self, now: Mono) {
        self.pending.retain(|_, pending| pending.until > now);
    }

    /// Answers along the way where no nonce came back.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        if self.next_timeout().is_none_or(|at| at > now) {
            return;
        }
        for (number, pending) in &mut self.pending {
            if pending.back_at.is_some_and(|at| at <= now) {
                pending.back_at = None;
                back(*number, &pending.from, std::mem::take(&mut pending.records), shared);
            }
        }
        self.expire(now);
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.pending.values().map(|pending| pending.back_at.unwrap_or(pending.until)).min()
    }
}

fn back(number: u32, to: &NodeId, records: Vec<SignedRecord>, shared: &mut Shared) {
    let records = Bounded::from_first(records);
    shared.send(to, Wire::Peers(Message::Answer(PeersAnswer { number, records })));
}

/// How many knocks a request pays for. All who see it count the same, and the record alone is shorter than the line.
fn paid_by(ask: &PeersAsk) -> u8 {
    u8::try_from((ask.asker.signed.len() + ask.asker.sig.len()) / KNOCK_BYTES).unwrap_or(u8::MAX)
}

/// Sends a datagram and says whether it was short enough.
fn send(to: SocketAddr, message: Message, shared: &mut Shared) -> bool {
    let Ok(bytes) = encode_datagram(&Wire::Peers(message).into()) else { return false };
    shared.push(Output::SendPacket { socket: SocketId::MAIN, to, bytes: Bytes::from(bytes), ttl: None });
    true
}

/// Nobody is to have us knock at our own host, unless all of the network is there, nor at many at once.
fn may_knock(ip: IpAddr, shared: &Shared) -> bool {
    let ip = ip.to_canonical();
    let is_many = ip.is_multicast() || ip.is_unspecified() || ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
    !is_many && (!ip.is_loopback() || shared.config.listen.iter().all(meshline_protocol::Address::is_loopback))
}

#[cfg(test)]
mod tests;
