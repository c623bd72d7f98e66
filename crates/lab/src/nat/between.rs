//! What goes from one home to another on the wire between them, seen and if need be stopped where all of it passes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Home;
use super::router::packets_in;
use crate::lab::{Lab, Namespace};

/// Tables are told apart by it.
static WATCHED: AtomicU8 = AtomicU8::new(0);

/// Counts in the core, from when it was made, the packets from each of two homes to the other: those that bear an address
/// of the home's host or of its router, public or private, as source and one of the other's as destination.
#[derive(Debug)]
pub struct Between {
    core: Arc<Namespace>,
    table: String,
}

impl Lab {
    /// Counts what goes between two homes on the wire.
    ///
    /// # Panics
    /// If the system refuses it.
    #[must_use]
    pub fn between(&self, one: &Home, other: &Home) -> Between {
        Between::new(self, (one, other), "")
    }

    /// As [`Self::between`], and no UDP of it passes from now on.
    ///
    /// # Panics
    /// If the system refuses it.
    #[must_use]
    pub fn without_udp_between(&self, one: &Home, other: &Home) -> Between {
        Between::new(self, (one, other), "meta l4proto udp drop")
    }
}

impl Between {
    fn new(lab: &Lab, (one, other): (&Home, &Home), fate: &str) -> Self {
        let table = format!("between{}", WATCHED.fetch_add(1, Ordering::Relaxed));
        let rules: BTreeSet<String> = [(one, other), (other, one)]
            .map(|(from, to)| {
                let pair = format!("ip saddr {{ {} }} ip daddr {{ {} }}", addresses(from), addresses(to));
                format!("{pair} counter name seen\n{pair} {fate}\n")
            })
            .into();
        let rules = rules.into_iter().collect::<String>();
        // Before anything is routed: what leads nowhere has left its home all the same.
        let chain = format!("chain passing {{\ntype filter hook prerouting priority raw;\n{rules}}}\n");
        let core = Arc::clone(&lab.switch);
        core.feed("nft", "-f -", &format!("table ip {table} {{\ncounter seen {{}}\n{chain}}}\n"))
            .unwrap_or_else(|error| panic!("{error}\nin\n{chain}"));
        Self { core, table }
    }

    /// How many packets there were.
    ///
    /// # Panics
    /// If the system does not tell.
    #[must_use]
    pub fn packets(&self) -> u64 {
        packets_in(&self.core, &format!("ip {} seen", self.table))
    }
}

/// Those a packet of a home may bear, as `nft` lists them.
fn addresses(home: &Home) -> String {
    let all: BTreeSet<String> = [home.address().to_owned(), home.public_address()].into();
    all.into_iter().collect::<Vec<_>>().join(", ")
}
