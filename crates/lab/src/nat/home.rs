//! Hosts behind a router, and carriers that have homes behind theirs.

use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use super::Nat;
use super::router::{Router, Upstream, try_rules};
use crate::cable::LaidCable;
use crate::lab::{Lab, Namespace, Site};
use crate::programs::has_tool;
use crate::skipped;

/// What routers are made with.
const TOOLS: &[&str] = &["nft", "conntrack"];

/// How homes are told apart inside, unless a test says otherwise.
static HOMES: AtomicU8 = AtomicU8::new(0);

impl Lab {
    /// A lab in which [`Self::behind`] works; `None`, said in a line, where the system lacks something for it.
    #[must_use]
    pub fn with_nats() -> Option<Self> {
        let lab = Self::with_cables()?;
        let missing = TOOLS.iter().find(|tool| !has_tool(tool)).map(|tool| format!("there is no program {tool}"));
        static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
        let tried = TRIED.get_or_init(|| missing.map_or_else(|| try_rules(&lab), Err));
        if let Err(why) = tried {
            skipped(&format!("no NATs here: {why}"));
            return None;
        }
        let core = Upstream::core(&lab);
        core.prepare();
        core.swallow_the_rest();
        Some(lab)
    }

    /// A host behind such a NAT, with a leg to the core that carries everything at once.
    ///
    /// # Panics
    /// If the system refuses it.
    #[must_use]
    pub fn behind(&self, nat: Nat) -> Home {
        if nat == Nat::Carrier {
            return self.carrier(Nat::Port).behind(Nat::Port);
        }
        Home::new(Upstream::core(self), nat, &lan())
    }

    /// As [`Self::behind`], with private addresses that begin with these three numbers: `192.168.1`.
    ///
    /// # Panics
    /// If the system refuses it.
    #[must_use]
    pub fn behind_with(&self, nat: Nat, lan: &str) -> Home {
        Home::new(Upstream::core(self), nat, lan)
    }

    /// A carrier that gives homes private addresses behind a NAT of its own.
    ///
    /// # Panics
    /// If the system refuses it.
    #[must_use]
    pub fn carrier(&self, nat: Nat) -> Carrier {
        let router = Arc::new(Router::new(Upstream::core(self), nat, "100.64.0"));
        Carrier { upstream: Upstream::carrier(Arc::clone(&router)), router }
    }
}

/// Another network for each home.
pub(super) fn lan() -> String {
    format!("192.168.{}", HOMES.fetch_add(1, Ordering::Relaxed) % 250 + 2)
}

/// A host behind a router; it can do what each [`Site`] can, and its router some more. The router goes with its last host.
#[derive(Clone, Debug)]
pub struct Home {
    site: Site,
    router: Arc<Router>,
    pub(super) ipv6: Option<String>,
}

impl Deref for Home {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Home {
    pub(super) fn new(upstream: Upstream, nat: Nat, lan: &str) -> Self {
        let router = Arc::new(Router::new(upstream, nat, lan));
        Self { site: router.host(None), router, ipv6: None }
    }

    /// That of the host.
    pub(super) fn namespace(&self) -> &Namespace {
        self.site.namespace().expect("a home is a host of a lab")
    }

    pub(super) fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// From now on a packet takes so many milliseconds one way over the leg, up and down.
    #[must_use]
    pub fn delay_ms(self, delay_ms: u64) -> Self {
        self.router.change(|cable| cable.delay_ms(delay_ms));
        self
    }

    /// From now on the leg loses so many of a hundred packets, up and down.
    #[must_use]
    pub fn loss(self, percent: f64) -> Self {
        self.router.change(|cable| cable.loss_percent(percent));
        self
    }

    /// From now on the losses go by this seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.router.change(|cable| cable.seed(seed));
        self
    }

    /// From now on the router forgets an idle UDP mapping after so many seconds; it forgets all there are.
    #[must_use]
    pub fn forget_after_s(self, seconds: u64) -> Self {
        self.router.forget_after_s(seconds);
        self
    }

    /// Another host behind the same router, on the same switch.
    ///
    /// # Panics
    /// If there is no router.
    #[must_use]
    pub fn twin(&self) -> Self {
        self.another(None)
    }

    /// As [`Self::twin`], with the last number of its private address chosen.
    ///
    /// # Panics
    /// If there is no router.
    #[must_use]
    pub fn twin_at(&self, number: u8) -> Self {
        self.another(Some(number))
    }

    fn another(&self, number: Option<u8>) -> Self {
        assert_ne!(self.router.nat(), Nat::None, "a host alone has no twin");
        Self { site: self.router.host(number), router: Arc::clone(&self.router), ipv6: None }
    }

    /// The address that others see: the router's, its carrier's, or its own.
    #[must_use]
    pub fn public_address(&self) -> String {
        if self.router.nat() == Nat::Firewall {
            return self.site.address().to_owned();
        }
        self.router.public_address()
    }

    /// Where others meet it: its own place on the wire, or its carrier's.
    #[must_use]
    pub fn outer(&self) -> Edge<'_> {
        Edge(self.router.carrier().unwrap_or(&self.router))
    }

    /// The home's place on the wire, for what happens to it while it is in use.
    #[must_use]
    pub fn edge(&self) -> Edge<'_> {
        Edge(&self.router)
    }
}

/// A carrier. It is there as long as one of its homes.
#[derive(Clone, Debug)]
pub struct Carrier {
    upstream: Upstream,
    router: Arc<Router>,
}

impl Carrier {
    /// A home at this carrier.
    ///
    /// # Panics
    /// If the system refuses it.
    #[must_use]
    pub fn behind(&self, nat: Nat) -> Home {
        Home::new(self.upstream.clone(), nat, &lan())
    }

    /// The carrier's own place on the wire.
    #[must_use]
    pub fn edge(&self) -> Edge<'_> {
        Edge(&self.router)
    }
}

/// Where a home or a carrier meets what is above it.
#[derive(Clone, Copy, Debug)]
pub struct Edge<'a>(&'a Router);

impl Edge<'_> {
    /// Has the router forget all mappings, as one that starts anew.
    pub fn flush(&self) {
        self.0.flush();
    }

    /// Gives the router another address outside; it forgets all mappings.
    pub fn renumber(&self) {
        self.0.renumber();
    }

    /// Lets no UDP pass any more, or lets it again.
    pub fn block_udp(&self, is_blocked: bool) {
        self.0.block_udp(is_blocked);
    }

    /// How many packets that came unasked the router has refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused()
    }

    /// Counts the packets that leave for an address, from now on.
    pub fn watch_to(&self, address: &str) {
        self.0.watch(address);
    }

    /// How many of those there were.
    #[must_use]
    pub fn watched(&self) -> u64 {
        self.0.watched()
    }

    /// The flows of UDP and TCP that the router remembers, a line each, as `conntrack` lists them.
    #[must_use]
    pub fn flows(&self) -> Vec<String> {
        self.0.flows()
    }

    /// How many flows of any kind the router remembers.
    #[must_use]
    pub fn flow_count(&self) -> usize {
        self.0.flow_count()
    }

    /// Lets everything vanish on the leg without a word, or no more.
    pub fn cut(&self, is_cut: bool) {
        self.0.change(|cable| cable.cut(is_cut));
    }

    /// Works with the leg itself: [`Direction::Forth`](crate::Direction::Forth) is towards the router.
    pub fn leg<T>(&self, work: impl FnOnce(&mut LaidCable) -> T) -> T {
        work(&mut self.0.cable())
    }

    /// Packets that have passed the leg since it was laid: towards the router, and from it.
    #[must_use]
    pub fn packets(&self) -> [u64; 2] {
        self.leg(|cable| cable.carried().map(|carried| carried.frames))
    }
}
