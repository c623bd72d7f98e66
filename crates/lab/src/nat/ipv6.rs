//! IPv6 beside a home's translation of IPv4: public addresses, and a firewall that lets only answers in, as most routers
//! at home do it.

use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use super::Home;
use super::router::{Router, packets_in};
use crate::lab::{Lab, Namespace};
use crate::skipped;

/// Each router has the next /64 of those kept for documentation.
static PREFIXES: AtomicU16 = AtomicU16::new(1);

/// What comes unasked ends at the router without a word, whether it is for a host or for the router itself.
const FIREWALL: &str = "
table ip6 router {
    counter refused {}
    chain forwarded {
        type filter hook forward priority filter;
        ct state established,related accept
        iifname \"wan\" counter name refused drop
    }
    chain own {
        type filter hook input priority filter;
        ct state established,related accept
        iifname \"wan\" counter name refused drop
    }
}
";

impl Lab {
    /// A lab in which [`Home::with_ipv6`] works beside all else that [`Self::with_nats`] allows; `None`, said in a line, where
    /// the system lacks something for it.
    #[must_use]
    pub fn with_ipv6() -> Option<Self> {
        let lab = Self::with_nats()?;
        if !Path::new("/proc/sys/net/ipv6").exists() {
            skipped("no IPv6 here");
            return None;
        }
        lab.switch.shell("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\nip -6 route replace blackhole default");
        Some(lab)
    }
}

impl Home {
    /// Gives the host a public IPv6 address as well, behind a firewall that lets only answers in.
    ///
    /// # Panics
    /// If there is no translation of IPv4 to begin with, or the system refuses it.
    #[must_use]
    pub fn with_ipv6(mut self) -> Self {
        self.ipv6 = Some(self.router().give_ipv6(self.namespace()));
        self
    }

    /// The address it was given.
    #[must_use]
    pub fn ipv6_address(&self) -> Option<&str> {
        self.ipv6.as_deref()
    }

    /// How many packets of IPv6 that came unasked its router has refused.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn refused_ipv6(&self) -> u64 {
        packets_in(self.router().namespace(), "ip6 router refused")
    }
}

impl Router {
    /// Gives a host of its own an address.
    fn give_ipv6(&self, host: &Namespace) -> String {
        let prefix = self.ipv6.get_or_init(|| self.begin_ipv6());
        let address = format!("{prefix}::{}", self.hosts());
        host.shell(&format!(
            "{}
             ip -6 addr add {address}/64 dev eth0 nodad
             ip -6 route replace default via {prefix}::fe dev eth0",
            on("eth0")
        ));
        address
    }

    /// Has it route IPv6 to a network of its own; the first half of its addresses.
    fn begin_ipv6(&self) -> String {
        let prefix = format!("2001:db8:77:{:x}", PREFIXES.fetch_add(1, Ordering::Relaxed));
        let (upstream, leg) = self.upstream();
        // No addresses of the link itself: both ends of a leg have one hardware address, and nobody is asked for it.
        upstream.shell(&format!(
            "ip link set {leg} addrgenmode none\n{}\nip -6 route replace {prefix}::/64 dev {leg}",
            on(leg)
        ));
        self.namespace().shell(&format!(
            "ip link set wan addrgenmode none
             {}
             {}
             echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
             ip -6 route replace default dev wan
             ip -6 addr add {prefix}::fe/64 dev inner nodad",
            on("wan"),
            on("inner")
        ));
        self.nft(FIREWALL);
        prefix
    }
}

fn on(device: &str) -> String {
    format!("echo 0 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6")
}
