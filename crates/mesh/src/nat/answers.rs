//! Answers to those who ask where they were seen. They prove no key, and their address may be somebody else's: so an
//! answer is no longer than the question, nothing is kept of it, and each source gets only so many.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use meshline_protocol::frame::encode_datagram;
use meshline_protocol::limits::{PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};
use meshline_protocol::message::{ErrorMessage, Header, TimeFrame, TimeStamps};
use meshline_protocol::stun::{StunRequest, stun_answer};
use meshline_protocol::{Address, Code, Message, Ping};

use crate::bucket::{Bucket, Rate};
use crate::input::SocketId;
use crate::now::Mono;
use crate::output::Output;
use crate::shared::Shared;

/// Answers to one source: a start asks three times, and a few nodes share a router.
pub(crate) const PER_SOURCE: Rate = Rate { per_second: 10, burst: 20 };

/// Answers to all: at 400 bytes each, 3 Mbit/s.
pub(crate) const IN_ALL: Rate = Rate { per_second: 1_000, burst: 1_000 };

/// Sources counted at once. With as many of them active at once a new one waits.
pub(crate) const MAX_SOURCES: usize = 1_024;

/// Who gets how many answers.
#[derive(Debug, Default)]
pub(super) struct Answers {
    sources: BTreeMap<IpAddr, Bucket>,
    all: Option<Bucket>,
}

impl Answers {
    /// Answers a STUN question.
    pub(super) fn stun(&mut self, (socket, from): (SocketId, SocketAddr), asked: &StunRequest, shared: &mut Shared) {
        if self.admits(from, shared) {
            send(shared, (socket, from), stun_answer(asked, from));
        }
    }

    /// Answers step 0 of a time frame that was `length` bytes long.
    pub(super) fn time(
        &mut self,
        (socket, from): (SocketId, SocketAddr),
        (asked, length): (&TimeFrame, usize),
        shared: &mut Shared,
    ) {
        if !self.admits(from, shared) {
            return;
        }
        let answers = match fault(asked, shared) {
            Some(code) => {
                shared.count(code);
                // Without the header where there is no room for it.
                vec![refusal(code, Some(header(shared))), refusal(code, None)]
            }
            None => vec![Message::Time(Box::new(answer(asked, from, shared)))],
        };
        let written = answers.into_iter().filter_map(|answer| encode_datagram(&answer.into()).ok());
        if let Some(bytes) = written.into_iter().find(|bytes| bytes.len() <= length) {
            send(shared, (socket, from), bytes);
        }
    }

    fn admits(&mut self, from: SocketAddr, shared: &mut Shared) -> bool {
        let now = shared.now.mono;
        let all = self.all.get_or_insert_with(|| Bucket::new(IN_ALL, now));
        let admitted = all.has(now) && take(&mut self.sources, source(from.ip()), now);
        if admitted {
            all.take(now);
        } else {
            shared.count(Code::RateLimited);
        }
        admitted
    }
}

/// Takes one of what a source may have.
fn take(sources: &mut BTreeMap<IpAddr, Bucket>, source: IpAddr, now: Mono) -> bool {
    if !sources.contains_key(&source) {
        if sources.len() >= MAX_SOURCES {
            sources.retain(|_, bucket| !bucket.is_full(now));
        }
        if sources.len() >= MAX_SOURCES {
            return false;
        }
    }
    sources.entry(source).or_insert_with(|| Bucket::new(PER_SOURCE, now)).take(now)
}

/// What counts as one source: whoever has an IPv6 address has a /64 of them.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Why somebody who asks for the time is not told.
fn fault(asked: &TimeFrame, shared: &Shared) -> Option<Code> {
    if asked.network != shared.config.network {
        return Some(Code::WrongNetwork);
    }
    // A newer one may still speak ours: its answer will show.
    (asked.version < PROTOCOL_VERSION_MIN).then_some(Code::WrongVersion)
}

fn refusal(code: Code, header: Option<Header>) -> Message {
    Message::Error(ErrorMessage { code, detail: String::new(), header: header.map(Box::new) })
}

fn header(shared: &Shared) -> Header {
    Header {
        network: shared.config.network.clone(),
        version: PROTOCOL_VERSION,
        id: shared.id,
        time: shared.now.wall,
        ping: Ping::UNKNOWN,
    }
}

fn answer(asked: &TimeFrame, from: SocketAddr, shared: &Shared) -> TimeFrame {
    TimeFrame {
        network: shared.config.network.clone(),
        version: PROTOCOL_VERSION,
        id: shared.id,
        time: shared.now.wall,
        ping: Ping::UNKNOWN,
        exchange: asked.exchange,
        step: 1,
        stamps: Some(TimeStamps { origin: asked.time, receive: shared.now.wall }),
        seen: written(from),
        attempt: None,
        mac: None,
    }
}

/// A socket's address as it is written on the wire.
pub(super) fn written(address: SocketAddr) -> Option<Address> {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string().parse().ok()
}

pub(super) fn send(shared: &mut Shared, (socket, to): (SocketId, SocketAddr), bytes: Vec<u8>) {
    shared.push(Output::SendPacket { socket, to, bytes: Bytes::from(bytes), ttl: None });
}
