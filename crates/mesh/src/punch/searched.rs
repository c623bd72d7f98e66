//! Hosts among whose ports was searched. Where a member is said to be may be a victim's address, and many members may name
//! the same one: so each host is searched as seldom as if one member had.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::pursuit::{SEARCH_PAUSE, SEARCHES_AT_ONCE};
use crate::now::Mono;

/// Hosts remembered. With as many searched of late, a new one waits: searches are made one after the other and take six
/// seconds, so no more than a hundred begin within a pause.
pub(super) const MAX_HOSTS: usize = 128;

/// How often each was searched, and until when that counts.
#[derive(Debug, Default)]
pub(super) struct Searched {
    hosts: BTreeMap<IpAddr, (u32, Mono)>,
}

impl Searched {
    /// Whether a host may be searched now; then it is counted.
    pub(super) fn take(&mut self, host: IpAddr, now: Mono) -> bool {
        self.hosts.retain(|_, (_, until)| *until > now);
        if !self.hosts.contains_key(&host) && self.hosts.len() >= MAX_HOSTS {
            return false;
        }
        let (count, until) = self.hosts.entry(host).or_insert((0, now));
        if *count >= SEARCHES_AT_ONCE {
            return false;
        }
        (*count, *until) = (*count + 1, now.after(SEARCH_PAUSE));
        true
    }

    /// A member was found there: it is no victim's.
    pub(super) fn forget(&mut self, host: IpAddr) {
        self.hosts.remove(&host);
    }
}
