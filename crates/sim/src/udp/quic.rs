//! QUIC links in the simulator: a handshake over the way that packets take, and frames that wait while it is closed.

use std::net::SocketAddr;

use meshline_mesh::{DialId, LinkId, LinkOpened, SocketId, Transport};
use meshline_protocol::{Address, Code, NodeId};

use crate::MS;
use crate::network::Content;
use crate::schedule::{Due, Run};
use crate::world::World;

/// Between packets of a handshake, and of frames that did not pass, and how many of a handshake are sent.
const RETRY: u64 = 100 * MS;
const TRIES: u32 = 40;

/// One end of a way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UdpEnd {
    pub(crate) node: usize,
    pub(crate) port: u16,
    /// Where it sends to.
    pub(crate) remote: SocketAddr,
}

/// A handshake under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuicDial {
    pub(crate) run: Run,
    pub(crate) dial: DialId,
    pub(crate) socket: SocketId,
    pub(crate) remote: SocketAddr,
    pub(crate) peer: NodeId,
    pub(crate) tries: u32,
}

impl World {
    /// Whether a packet passes now, and who gets it.
    fn pass(&mut self, from: (usize, u16), to: SocketAddr) -> Option<(usize, u16, SocketAddr)> {
        let (udp, now) = (&mut self.udp, self.now);
        let transit = udp.leave(from, (to, None), now, &mut self.rng)?;
        if self.rng.below(100) < udp.loss {
            return None;
        }
        let (node, port, from) = udp.arrive(transit, now)?;
        let powered = self.hosts.get(node).is_some_and(|host| host.powered);
        (powered && self.udp.socket_at(node, port).is_some()).then_some((node, port, from))
    }

    pub(crate) fn on_quic_dial(&mut self, dial: QuicDial) {
        if !self.is_current(dial.run) {
            return;
        }
        let Some(port) = self.udp.port_of(dial.run.node, dial.socket) else {
            return self.fail_dial(dial.run, dial.dial, "no socket");
        };
        let there = self.pass((dial.run.node, port), dial.remote);
        let back = there.and_then(|(node, at, seen)| {
            let (home, _, _) = self.pass((node, at), seen)?;
            (home == dial.run.node && self.is_running(node)).then_some((node, at, seen))
        });
        match back {
            Some((node, _, _)) if self.id(node) != dial.peer => {
                let at = self.later();
                let detail = "another key answered";
                self.schedule.enter(
                    at,
                    Due::DialFailed { run: dial.run, dial: dial.dial, code: Code::IdentityMismatch, detail },
                );
            }
            Some((node, at, seen)) => {
                let ends = [
                    UdpEnd { node: dial.run.node, port, remote: dial.remote },
                    UdpEnd { node, port: at, remote: seen },
                ];
                self.open_quic(dial, ends);
            }
            None if dial.tries >= TRIES => self.fail_dial(dial.run, dial.dial, "nothing came back"),
            None => {
                self.schedule.enter(self.now + RETRY, Due::QuicDial(QuicDial { tries: dial.tries + 1, ..dial }));
            }
        }
    }

    fn open_quic(&mut self, dial: QuicDial, ends: [UdpEnd; 2]) {
        let [client, server] = ends;
        let links = self.network.connect([dial.run, self.run_of(server.node)], None);
        self.network.bear(links[0], ends);
        // The first packet is there by now, and the answer takes as long; with the last one comes what the client says.
        let ready = self.later();
        let local = |end: UdpEnd| -> Address { self.udp_address(end.node, end.port).into() };
        let told = [
            (Some(dial.dial), local(client), client.remote, self.id(server.node)),
            (None, local(server), server.remote, self.id(client.node)),
        ];
        for (link, (dial, local, remote, proved)) in links.into_iter().zip(told) {
            let remote: Address = remote.into();
            let spent_us = ready - self.now;
            let opened = LinkOpened {
                link,
                dial,
                transport: Transport::Quic,
                local,
                remote,
                proved: Some(proved),
                through: None,
                spent_us,
            };
            self.network.post(link, ready, Content::Opened(Box::new(opened)), &mut self.schedule);
        }
    }

    /// Whether what is due on a link passes now; if not, it is sent again. Links over other things are not asked.
    pub(crate) fn quic_passes(&mut self, to: LinkId) -> bool {
        let Some([from, end]) = self.network.borne(to) else { return true };
        if self
            .pass((from.node, from.port), from.remote)
            .is_some_and(|(node, port, _)| (node, port) == (end.node, end.port))
        {
            return true;
        }
        self.schedule.enter(self.now + RETRY, Due::Parcel(to));
        false
    }
}
