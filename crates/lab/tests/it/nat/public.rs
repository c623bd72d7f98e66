//! Two public hosts with two sockets each, who see and answer what others send.

use std::net::SocketAddrV4;

use meshline_lab::{Home, Lab, Nat, Probe, Socket};

/// Sockets are counted from 0: two of the first host, two of the second.
pub(super) struct Public {
    hosts: [Probe; 2],
    sockets: [Socket; 4],
    listens: [u16; 4],
    _homes: [Home; 2],
}

impl Public {
    pub(super) fn new(lab: &Lab) -> Self {
        let homes = [lab.behind(Nat::None), lab.behind(Nat::None)];
        let mut hosts = homes.each_ref().map(|home| Probe::start(home));
        let sockets = [0, 1, 2, 3].map(|number| hosts[number / 2].udp(0));
        let listens = [0, 1, 2, 3].map(|number| hosts[number / 2].listen(0));
        Self { hosts, sockets, listens, _homes: homes }
    }

    /// The host of a socket.
    pub(super) fn host(&mut self, number: usize) -> &mut Probe {
        &mut self.hosts[number / 2]
    }

    /// Where a socket is.
    pub(super) fn address(&self, number: usize) -> SocketAddrV4 {
        self.hosts[number / 2].local(self.sockets[number])
    }

    /// Where the same host listens for TCP.
    pub(super) fn listens(&self, number: usize) -> SocketAddrV4 {
        SocketAddrV4::new(*self.address(number).ip(), self.listens[number])
    }

    /// Sends from a socket; the word.
    pub(super) fn send(&mut self, number: usize, to: SocketAddrV4) -> String {
        self.send_far(number, to, 64)
    }

    /// As [`Self::send`], with a time to live.
    pub(super) fn send_far(&mut self, number: usize, to: SocketAddrV4, ttl: u32) -> String {
        let socket = self.sockets[number];
        self.host(number).send_far(socket, to, ttl)
    }

    /// Where a socket sees one of somebody else.
    pub(super) fn sees(&mut self, number: usize, other: &mut Probe, socket: Socket) -> SocketAddrV4 {
        let word = other.send(socket, self.address(number));
        self.host(number).hears(&word)
    }

    /// Whether what a socket sends to `to` arrives at a host inside. `open` is a socket of that host: what is sent to it
    /// later in answer, and arrives, has overtaken nothing.
    pub(super) fn arrives(&mut self, number: usize, to: SocketAddrV4, inside: &mut Probe, open: Socket) -> bool {
        let back = self.sees(number, inside, open);
        let asked = self.send(number, to);
        let later = self.send(number, back);
        inside.hears(&later);
        inside.has_heard(&asked).is_some()
    }
}
