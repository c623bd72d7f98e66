//! Echoes asked for on this machine, until they are back or nobody waits any more.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::limits::MAX_ECHO;
use meshline_protocol::message::Echo;
use meshline_protocol::{Code, Message, NodeId};

use crate::now::Mono;
use crate::output::{Output, Reply, RequestId};
use crate::shared::Shared;

/// Echoes waited for at once; each is a request of this machine's own.
pub(crate) const MAX_ECHOES: usize = 1_024;

/// Nobody waits longer for an echo.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Waiting {
    request: RequestId,
    peer: NodeId,
    since: Mono,
}

/// Echoes under way.
#[derive(Debug, Default)]
pub(crate) struct Echoes {
    last: u32,
    waiting: BTreeMap<u32, Waiting>,
}

impl Echoes {
    /// Asks a member, or refuses at once.
    pub(crate) fn ask(&mut self, request: RequestId, peer: NodeId, text: String, shared: &mut Shared) {
        let refusal = if text.len() > MAX_ECHO {
            Some((Code::BodyTooLong, "an echo is at most 1,024 bytes"))
        } else if self.waiting.len() >= MAX_ECHOES {
            Some((Code::RateLimited, "too many echoes are waited for"))
        } else if !shared.up.contains_key(&peer) {
            Some((Code::NoSuchPeer, "no link to this member"))
        } else {
            None
        };
        if let Some((code, detail)) = refusal {
            shared.push(Output::Reply { request, reply: Reply::Refused { code, detail: detail.to_owned() } });
            return;
        }
        self.last = self.last.wrapping_add(1);
        self.waiting.insert(self.last, Waiting { request, peer, since: shared.now.mono });
        shared.send(&peer, Message::Ping(Echo { nonce: self.last, text }));
    }

    /// An echo is back. One that nobody waits for, or from somebody else, is nothing.
    pub(crate) fn handle(&mut self, from: NodeId, echo: &Echo, shared: &mut Shared) {
        let Some(waiting) = self.waiting.get(&echo.nonce).filter(|waiting| waiting.peer == from) else { return };
        let (request, micros) = (waiting.request, shared.now.mono.micros_since(waiting.since));
        self.waiting.remove(&echo.nonce);
        shared.push(Output::Reply { request, reply: Reply::Pong { micros } });
    }

    /// Tells those who waited in vain.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        for (_, waiting) in self.waiting.extract_if(.., |_, waiting| now >= waiting.since.after(PATIENCE)) {
            let reply = Reply::Refused { code: Code::LinkTimeout, detail: "no answer within 5 s".to_owned() };
            shared.push(Output::Reply { request: waiting.request, reply });
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.waiting.values().map(|waiting| waiting.since.after(PATIENCE)).min()
    }
}
