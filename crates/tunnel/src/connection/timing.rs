//! What time alone does to a tunnel.

use meshline_mesh::Mono;
use meshline_protocol::Code;

use super::{Connection, Phase};
use crate::channel::Seen;
use crate::handshake::Handshake;
use crate::limits::{HANDSHAKE_LIMIT, IDLE_LIMIT, KEEP_ALIVE};

impl Connection {
    /// When to call [`Connection::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        match self.phase {
            Phase::Closed => return None,
            Phase::Closing { .. } => return Some(self.last_used),
            Phase::Handshake | Phase::Up => {}
        }
        // Without a path nothing can be sent, and nothing is due but the end.
        let can_send = !self.paths.is_empty();
        let channels = self.paths.used().filter_map(|number| self.paths.channel(number)?.next_timeout());
        let acks = self.seen.iter().filter(|_| can_send).filter_map(Seen::due);
        let handshake = self.handshake.as_ref().filter(|_| can_send).and_then(Handshake::next_timeout);
        let end = if self.phase == Phase::Handshake { self.began.after(HANDSHAKE_LIMIT) } else { self.end_at() };
        let keep_alive = self.keeps_alive().then(|| self.keep_alive_at()).flatten();
        channels.chain(acks).chain(handshake).chain(keep_alive).chain(self.doubted_until).chain([end]).min()
    }

    fn keeps_alive(&self) -> bool {
        self.phase == Phase::Up && self.streams.len() > 0
    }

    fn keep_alive_at(&self) -> Option<Mono> {
        let sparse = self.paths.used().filter(|number| number.is_multiple_of(2));
        sparse.filter_map(|number| self.paths.channel(number)).map(crate::channel::Channel::keep_alive_at).min()
    }

    /// When it ends if nothing happens: unused, or out of reach.
    fn end_at(&self) -> Mono {
        if self.streams.len() == 0 && self.held() == 0 {
            return self.last_used.max(self.last_heard).after(IDLE_LIMIT);
        }
        self.last_heard.after(self.patience.max(KEEP_ALIVE * 2))
    }

    fn held(&self) -> u64 {
        self.streams.held()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Mono) {
        match self.phase {
            Phase::Handshake if now >= self.began.after(HANDSHAKE_LIMIT) => {
                return self.fail(Code::TunnelLost, "the other end did not answer");
            }
            Phase::Up if now >= self.end_at() => {
                let is_idle = self.streams.len() == 0;
                let (code, reason) =
                    if is_idle { (Code::NotNeeded, "unused") } else { (Code::TunnelLost, "out of reach for too long") };
                return self.close(code, reason);
            }
            Phase::Handshake | Phase::Up | Phase::Closing { .. } | Phase::Closed => {}
        }
        if self.doubted_until.is_some_and(|at| now >= at) {
            return self.fail(Code::TunnelLost, "the other end has forgotten the tunnel");
        }
        let used: Vec<usize> = self.paths.used().collect();
        for number in used {
            self.watch(number, now);
        }
    }

    /// Looks after one channel.
    fn watch(&mut self, number: usize, now: Mono) {
        let keeps_alive = self.keeps_alive();
        let Some(channel) = self.paths.channel_mut(number) else { return };
        let lost = channel.find_lost(now);
        let is_quiet = channel.take_probe(now);
        let tries = channel.tries;
        if keeps_alive && number.is_multiple_of(2) && now >= channel.keep_alive_at() && !channel.has_under_way() {
            self.probes.push_back(number);
        }
        self.note_lost(lost, now);
        if !is_quiet {
            return;
        }
        // The first silence already moves everything to a path that answers; without one, what is oldest is repeated.
        let has_other = self.paths.doubt(number);
        let Some(channel) = self.paths.channel_mut(number) else { return };
        let lost = if has_other || tries > 2 {
            channel.restart();
            channel.abandon()
        } else {
            channel.oldest()
        };
        if has_other && tries == 1 {
            self.counters.failovers += 1;
        }
        self.note_lost(lost, now);
        self.probes.push_back(number);
    }
}
