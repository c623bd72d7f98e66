//! How attempts begin and end.

use std::time::Duration;

use meshline_protocol::{Address, Code, NodeId};

use super::pursuit::Pursuit;
use super::run::Run;
use super::{LINGER, Punch, SHAKY, Wish};
use crate::event::Event;
use crate::input::{DialId, SocketId, Transport};
use crate::now::Mono;
use crate::output::Output;
use crate::shared::Shared;

impl Punch {
    /// The wished connection is being opened.
    pub(crate) fn dialled(&mut self, peer: &NodeId, dial: DialId, by: Transport) {
        if let Some(run) = self.pursuits.get_mut(peer).and_then(|pursuit| pursuit.run.as_mut()) {
            run.dials.push(dial);
            if by == Transport::Quic {
                run.quic = Some(dial);
            }
        }
    }

    /// A link with a member is up. If it is direct, the attempt has reached its end.
    pub(crate) fn linked(&mut self, peer: NodeId, over: (Transport, &Address), shared: &mut Shared) {
        let (transport, remote) = over;
        let Some(pursuit) = self.pursuits.get_mut(&peer).filter(|_| transport != Transport::Relay) else { return };
        let now = shared.now.mono;
        pursuit.drop_call(shared);
        pursuit.held = None;
        let Some(run) = pursuit.run.as_mut().filter(|run| !run.over) else {
            pursuit.failures = 0;
            return;
        };
        run.over = true;
        if let (Transport::Quic, Some(way)) = (transport, run.way()) {
            self.hosts.found(peer, way.remote.ip());
        }
        let kind = if transport == Transport::Quic { run.way().map_or("seen", |way| way.kind) } else { "tcp" };
        let outcome = if transport == Transport::Quic || !run.dials.is_empty() { kind } else { "linked" };
        let row = pursuit.row(outcome, now).at(remote);
        let took_ms = now.micros_since(pursuit.begun_at()) / 1_000;
        pursuit.ends_at = now.after(LINGER);
        let dials = pursuit.run.iter_mut().flat_map(|run| std::mem::take(&mut run.dials));
        // Of connections met by TCP several may be on their way; the one that bears the link is ours already.
        self.wishes.extend(dials.map(Wish::Cancel));
        pursuit.succeed(row);
        *self.counts.attempts.entry(outcome).or_default() += 1;
        let peer = shared.shown(&peer, "");
        shared.event(Event::PunchSucceeded { peer, kind: outcome, address: remote.clone(), took_ms });
    }

    /// A link over a hole is gone: a new one is wanted at once, unless this one did not last either.
    pub(crate) fn lost(&mut self, peer: &NodeId, lived: Duration, shared: &mut Shared) {
        let Some(pursuit) = self.pursuits.get_mut(peer) else { return };
        if lived >= SHAKY {
            pursuit.shaky = 0;
            pursuit.hurry(shared.id > *peer, shared);
        } else {
            pursuit.rest(shared.id > *peer, shared);
        }
    }

    /// A connection that was wished for did not come about. Where one was found, there is no other to wait for.
    pub(crate) fn dial_failed(&mut self, dial: DialId, shared: &mut Shared) {
        let holds = |pursuit: &Pursuit| pursuit.run.as_ref().is_some_and(|run| run.dials.contains(&dial));
        let Some(peer) = self.pursuits.iter().find(|(_, pursuit)| holds(pursuit)).map(|(peer, _)| *peer) else {
            return;
        };
        let Some(run) = self.pursuits.get_mut(&peer).and_then(|pursuit| pursuit.run.as_mut()) else { return };
        run.dials.retain(|other| *other != dial);
        run.quic = run.quic.filter(|other| *other != dial);
        if run.best.is_some() && run.dials.is_empty() && !run.over {
            self.end(peer, "no_link", None, shared);
        }
    }

    /// An attempt has taken as long as it may.
    pub(super) fn on_late(&mut self, peer: NodeId, shared: &mut Shared) {
        let Some(pursuit) = self.pursuits.get(&peer) else { return };
        match &pursuit.run {
            Some(run) if run.over => self.close_run(&peer, shared),
            Some(run) => {
                let reason = match run.best {
                    Some(_) => "no_link",
                    None if run.unconfirmed => "unconfirmed",
                    None => "no_way",
                };
                self.end(peer, reason, None, shared);
            }
            None => self.end(peer, "no_answer", None, shared),
        }
    }

    /// An attempt has failed.
    pub(super) fn end(&mut self, peer: NodeId, reason: &'static str, pause: Option<Duration>, shared: &mut Shared) {
        let now = shared.now.mono;
        let Some(pursuit) = self.pursuits.get_mut(&peer) else { return };
        let row = pursuit.row(reason, now);
        pursuit.drop_call(shared);
        pursuit.fail(row, pause, shared.id > peer, shared);
        *self.counts.attempts.entry(reason).or_default() += 1;
        self.close_run(&peer, shared);
        let peer = shared.shown(&peer, "");
        shared.event(Event::PunchFailed { peer, reason });
    }

    /// Nothing of an attempt is left open.
    pub(super) fn close_run(&mut self, peer: &NodeId, shared: &mut Shared) {
        if self.searching == Some(*peer) {
            self.searching = None;
        }
        self.numbers.retain(|_, other| other != peer);
        let Some(run) = self.pursuits.get_mut(peer).and_then(|pursuit| pursuit.run.take()) else { return };
        self.taken = self.taken.saturating_add(u32::try_from(run.sockets.len()).unwrap_or(0));
        let own = (run.start.socket != SocketId::MAIN).then_some(run.start.socket);
        for socket in run.sockets.iter().copied().chain(own) {
            shared.push(Output::CloseSocket { socket });
        }
        self.wishes.extend(run.dials.iter().map(|dial| Wish::Cancel(*dial)));
    }

    /// All attempts end: this node leaves, or its operator wants none any more.
    pub(crate) fn stop(&mut self, shared: &mut Shared) {
        for peer in self.pursuits.keys().copied().collect::<Vec<_>>() {
            self.close_run(&peer, shared);
            if let Some(pursuit) = self.pursuits.get_mut(&peer) {
                pursuit.drop_call(shared);
                pursuit.held = None;
            }
        }
    }

    pub(super) fn begin(&mut self, peer: NodeId, run: Run, ends_at: Mono, shared: &mut Shared) {
        self.close_run(&peer, shared);
        let Some(pursuit) = self.pursuits.get_mut(&peer) else { return };
        self.numbers.insert(run.start.number, peer);
        pursuit.drop_call(shared);
        pursuit.ends_at = ends_at;
        pursuit.run = Some(Box::new(run));
        let peer = shared.shown(&peer, "");
        shared.event(Event::PunchStarted { peer });
    }

    pub(super) fn refuse(&mut self, code: Code) -> Code {
        *self.counts.refused.entry(code.name()).or_default() += 1;
        code
    }
}
