//! What goes to hosts that members merely name. Anybody may name a victim's, and in several ways: as where it is to be
//! punched, as where it listens, as where it wants to be called. So a host gets three packets in a while from this node,
//! for whatever reason and whoever names it, until an answer shows that it takes part.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::now::Mono;

/// Packets to a host that is only named, for all reasons, members, addresses and attempts together,
pub(crate) const NAMED_PACKETS: u32 = 3;

/// and when it gets three more: members that cannot be confirmed are tried every 450 s or more in the long run.
const NAMED_PAUSE: Duration = Duration::from_secs(420);

/// Such hosts that are counted. A member names twenty at most; with as many counted a new one gets nothing.
pub(crate) const MAX_NAMED: usize = 4_096;

/// Allowances that come back some time after they were last used.
#[derive(Debug)]
pub(crate) struct Ledger<K> {
    spent: BTreeMap<K, (u32, Mono)>,
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self { spent: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Ledger<K> {
    pub(crate) fn spent(&self, key: K, now: Mono) -> u32 {
        self.spent.get(&key).filter(|(_, until)| *until > now).map_or(0, |(spent, _)| *spent)
    }

    pub(crate) fn has_room(&mut self, key: K, most: usize, now: Mono) -> bool {
        if self.spent.len() >= most && !self.spent.contains_key(&key) {
            self.spent.retain(|_, (_, until)| *until > now);
        }
        self.spent.len() < most || self.spent.contains_key(&key)
    }

    pub(crate) fn spend(&mut self, key: K, units: u32, (now, pause): (Mono, Duration)) {
        let spent = self.spent(key, now);
        self.spent.insert(key, (spent.saturating_add(units), now.after(pause)));
    }

    pub(crate) fn give_back(&mut self, key: K, units: u32) {
        if let Some((spent, _)) = self.spent.get_mut(&key) {
            *spent = spent.saturating_sub(units);
        }
    }

    pub(crate) fn forget(&mut self, key: K) {
        self.spent.remove(&key);
    }
}

/// Hosts that members named, and what they got.
#[derive(Debug, Default)]
pub(crate) struct Named {
    packets: Ledger<IpAddr>,
}

impl Named {
    /// How many packets a host may get now.
    pub(crate) fn left(&self, host: IpAddr, now: Mono) -> u32 {
        NAMED_PACKETS.saturating_sub(self.packets.spent(host.to_canonical(), now))
    }

    /// Takes up to so many of the packets that a host may get; how many may be sent.
    pub(crate) fn take(&mut self, host: IpAddr, wanted: u32, now: Mono) -> u32 {
        let host = host.to_canonical();
        let taken = if self.packets.has_room(host, MAX_NAMED, now) { wanted.min(self.left(host, now)) } else { 0 };
        if taken > 0 {
            self.packets.spend(host, taken, (now, NAMED_PAUSE));
        }
        taken
    }

    /// The host answered these, as only somebody can who got them.
    pub(crate) fn answered(&mut self, host: IpAddr, packets: u32) {
        self.packets.give_back(host.to_canonical(), packets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(nth: usize) -> IpAddr {
        IpAddr::from((0xC633_0000 + u32::try_from(nth).expect("few")).to_be_bytes())
    }

    #[test]
    fn a_host_that_is_only_named_gets_three_packets_in_seven_minutes() {
        let mut named = Named::default();
        let mut takes = |nth, now| (0..5).map(|_| named.take(host(nth), 1, now)).sum::<u32>();
        assert_eq!(takes(0, Mono(0)), 3);
        assert_eq!(takes(0, Mono(419_999_999)), 0);
        assert_eq!(takes(0, Mono(420_000_000)), 3);
        for nth in 1..MAX_NAMED {
            assert_eq!(takes(nth, Mono(420_000_000)), 3);
        }
        assert_eq!(takes(MAX_NAMED, Mono(420_000_001)), 0, "no room");
        assert_eq!(takes(MAX_NAMED, Mono(840_000_000)), 3, "after a while");
    }

    #[test]
    fn what_was_answered_may_be_sent_again_and_no_more() {
        let (mut named, now) = (Named::default(), Mono(7));
        assert_eq!(named.take(host(0), 2, now), 2);
        assert_eq!(named.take(host(0), 3, now), 1, "what is left");
        named.answered(host(0), 2);
        assert_eq!((named.left(host(0), now), named.left(host(1), now)), (2, 3));
        assert_eq!(named.take(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc633, 0]), 9, now), 2, "the same in IPv6");
        named.answered(host(0), 9);
        assert_eq!(named.take(host(0), 9, now), 3);
    }
}
