//! Which socket reaches which remote address. Only connections over sockets of their own need an entry.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use meshline_mesh::SocketId;

use super::Hub;
use super::bound::Bound;
use crate::limits::MAX_UDP_ROUTES;

/// The way to remote addresses, and the sockets that end with their last one.
#[derive(Debug, Default)]
pub(super) struct Routes {
    by_remote: BTreeMap<SocketAddr, Entry>,
    closing: BTreeSet<SocketId>,
}

#[derive(Debug)]
struct Entry {
    socket: Arc<Bound>,
    /// Connections that use it; without any, a handshake may be on its way.
    uses: usize,
}

/// Keeps an entry for as long as a connection lives.
#[derive(Debug)]
pub(crate) struct Route {
    hub: Arc<Hub>,
    remote: SocketAddr,
}

impl Route {
    pub(super) fn new(hub: Arc<Hub>, remote: SocketAddr) -> Self {
        Self { hub, remote }
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.hub.unpin(self.remote);
    }
}

impl Routes {
    pub(super) fn find(&self, remote: SocketAddr) -> Option<Arc<Bound>> {
        self.by_remote.get(&remote).map(|entry| Arc::clone(&entry.socket))
    }

    /// A handshake came in over a socket that is not the main one: its answers leave there too. One that is in use is
    /// not moved: whoever writes another's address into a packet must not redirect that one's connection.
    pub(super) fn note(&mut self, remote: SocketAddr, socket: &Arc<Bound>) {
        if self.by_remote.contains_key(&remote) {
            return;
        }
        if self.by_remote.len() >= MAX_UDP_ROUTES {
            self.by_remote.retain(|_, entry| entry.uses > 0);
        }
        if self.by_remote.len() < MAX_UDP_ROUTES {
            self.by_remote.insert(remote, Entry { socket: Arc::clone(socket), uses: 0 });
        }
    }

    /// A connection uses it. One from another socket to the same address takes it over only if nobody does yet.
    pub(super) fn pin(&mut self, remote: SocketAddr, socket: &Arc<Bound>) {
        let entry = self.by_remote.entry(remote).or_insert_with(|| Entry { socket: Arc::clone(socket), uses: 0 });
        if entry.uses == 0 {
            entry.socket = Arc::clone(socket);
        }
        entry.uses += 1;
    }

    /// A connection has ended. Returns the socket that is to be closed with it.
    pub(super) fn unpin(&mut self, remote: SocketAddr) -> Option<SocketId> {
        let entry = self.by_remote.get_mut(&remote)?;
        entry.uses = entry.uses.saturating_sub(1);
        if entry.uses > 0 {
            return None;
        }
        let id = entry.socket.id;
        self.by_remote.remove(&remote);
        (self.closing.contains(&id) && !self.is_used(id)).then(|| {
            self.closing.remove(&id);
            id
        })
    }

    /// Nobody wants a socket any more. Returns whether it can be closed at once.
    pub(super) fn close(&mut self, id: SocketId) -> bool {
        self.by_remote.retain(|_, entry| entry.uses > 0 || entry.socket.id != id);
        let is_free = !self.is_used(id);
        if !is_free {
            self.closing.insert(id);
        }
        is_free
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_remote.len()
    }

    fn is_used(&self, id: SocketId) -> bool {
        self.by_remote.values().any(|entry| entry.uses > 0 && entry.socket.id == id)
    }
}
