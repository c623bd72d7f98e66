//! Static members that are not linked: asked where too few that are linked can tell.
//!
//! Anybody may announce a victim's address. So of all that is announced one address a host is asked, each once in a long
//! while unless it answered, and only so many: with what is left of the packets that a host gets which is only named
//! ([`crate::named`]), and nothing for those that are silent.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use meshline_protocol::{Address, NodeId};

use super::picture::Witness;
use super::{Nat, is_global};
use crate::now::Mono;
use crate::shared::Shared;

/// Two tell the mapping. So many are asked if fewer are linked, and so many answers are enough.
const ENOUGH: usize = 2;

/// Hosts asked that did not answer, within [`FORGOTTEN`]: with more of them silent it is this node that is cut off.
pub(crate) const MAX_SILENT: usize = 4;

/// After this a host may be asked again.
const FORGOTTEN: Duration = Duration::from_secs(1_200);

/// Members are gone through so often at most.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// Members that come into question, at most: more than [`MAX_SILENT`] and those that answer.
pub(crate) const MAX_FURTHER: usize = 16;

/// Who they are, and which hosts were asked when.
#[derive(Debug, Default)]
pub(super) struct Further {
    known: BTreeMap<NodeId, SocketAddr>,
    asked: BTreeMap<IpAddr, Mono>,
    look_at: Mono,
}

impl Nat {
    /// Whether members that are not linked should be told to [`Nat::set_further`] now.
    pub(crate) fn wants_further(&mut self, now: Mono) -> bool {
        let wants = now >= self.further.look_at && !self.has_loopback_only() && self.linked_witnesses() < ENOUGH;
        if wants {
            self.further.look_at = now.after(LOOK_PAUSE);
        }
        wants
    }

    /// Members that are not linked, with the addresses they announce.
    pub(crate) fn set_further<'a>(&mut self, members: impl Iterator<Item = (NodeId, &'a [Address])>) {
        let v4 = self.candidates.host.iter().any(SocketAddr::is_ipv4);
        let fits = |address: &SocketAddr| address.is_ipv4() == v4 && address.port() != 0 && is_global(address.ip());
        let place = |addresses: &[Address]| addresses.iter().filter_map(|one| one.as_str().parse().ok()).find(fits);
        let known = members.filter_map(|(id, addresses)| Some((id, place(addresses)?))).take(MAX_FURTHER).collect();
        if self.further.known != known {
            self.further.known = known;
            self.rounds.look_again();
        }
    }

    /// Asks as many as are missing; in a round those that have answered too.
    pub(super) fn ask_further(&mut self, all: bool, shared: &mut Shared) {
        let now = shared.now.mono;
        self.further.asked.retain(|_, at| now.since(*at) < FORGOTTEN);
        if self.linked_witnesses() >= ENOUGH {
            return;
        }
        let known: Vec<(NodeId, SocketAddr)> = self.further.known.iter().map(|(id, to)| (*id, *to)).collect();
        let mut found = 0;
        for (id, to) in known.iter().filter(|(_, to)| self.picture.has_heard(to)) {
            found += 1;
            if all {
                self.questions.ask_named(Witness::Member(*id), *to, shared);
            }
        }
        for (id, to) in known {
            let is_due = !self.further.asked.contains_key(&to.ip()) && self.silent_hosts() < MAX_SILENT;
            found += usize::from(self.questions.is_asking(&to) && !self.picture.has_heard(&to));
            if found < ENOUGH && is_due && self.questions.ask_named(Witness::Member(id), to, shared) {
                found += 1;
                self.further.asked.insert(to.ip(), now);
            }
        }
    }

    /// Hosts that were asked and are not known to have answered.
    fn silent_hosts(&self) -> usize {
        let answered = |host: &&IpAddr| self.picture.iter().any(|sighting| sighting.asked.ip() == **host);
        self.further.asked.keys().filter(|host| !answered(host)).count()
    }

    /// Those that are linked and can be asked, and servers.
    fn linked_witnesses(&self) -> usize {
        let servers = self.servers.addresses(&self.candidates.host).len();
        servers + self.linked.values().filter(|linked| linked.can_be_asked()).count()
    }
}
