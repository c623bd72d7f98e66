//! A router, its leg to the core or to a carrier, and what can be done to both while they are in use.

use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::rules::{self, Place};
use super::{Nat, Soft};
use crate::cable::{Cable, Direction, LaidCable};
use crate::lab::{Host, Lab, Namespace, Site};

/// Addresses outside: from those kept for documentation, which no rule of anybody takes for private ones.
const CORE: &str = "203.0.113";

/// Such addresses are no public ones to `miniupnpd`, which forwards nothing behind them. These are somebody's, and never
/// leave the namespaces.
const ROUTABLE: &str = "11.0.0";

/// Addresses of homes at a carrier, kept for that; each carrier has the same.
const CARRIER: &str = "100.64.0";

/// The last number of the address of whoever is at the upper end of a leg.
const GATEWAY: u8 = 254;

/// After how many idle seconds a mapping of [`Nat::Full`] and the like is forgotten, unless said otherwise: as long as
/// Linux keeps a flow that was answered.
const FORGETS_S: u64 = 120;

/// Where legs begin: the core or the router of a carrier.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    lab: Lab,
    namespace: Arc<Namespace>,
    pool: &'static str,
    legs: Arc<AtomicU8>,
    /// None above the core.
    carrier: Option<Arc<Router>>,
}

impl Upstream {
    pub(super) fn core(lab: &Lab) -> Self {
        let (namespace, legs) = (Arc::clone(&lab.switch), Arc::clone(&lab.legs));
        Self { lab: lab.clone(), namespace, pool: CORE, legs, carrier: None }
    }

    /// The core, with addresses that are public to everybody.
    pub(super) fn routable(lab: &Lab) -> Self {
        Self { pool: ROUTABLE, ..Self::core(lab) }
    }

    pub(super) fn carrier(router: Arc<Router>) -> Self {
        let upstream = Self {
            lab: router.upstream.lab.clone(),
            namespace: Arc::clone(&router.namespace),
            pool: CARRIER,
            legs: Arc::default(),
            carrier: Some(router),
        };
        upstream.prepare();
        upstream
    }

    /// Makes it somebody who routes.
    pub(super) fn prepare(&self) {
        let Self { pool, .. } = self;
        self.namespace
            .shell(&format!("echo 1 > /proc/sys/net/ipv4/ip_forward\nip addr replace {pool}.{GATEWAY}/32 dev lo"));
    }

    /// Packets to nobody vanish without a word, as those to private addresses do at a provider.
    pub(super) fn swallow_the_rest(&self) {
        self.namespace.ip("route add blackhole default");
    }

    fn next_address(&self) -> String {
        format!("{}.{}", self.pool, self.legs.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Lays a leg to a namespace, where it is the device `wan` with the only way out. Both ends have one hardware address and
    /// ask nobody for the other's: a question that the cable loses would cost a second.
    fn lay(&self, edge: &Namespace) -> (String, LaidCable) {
        let ([upper, lower], joint) = self.lab.joint();
        let (edge_pid, own_pid) = (edge.pid(), self.namespace.pid());
        self.lab.switch.shell(&format!("ip link set {lower} netns {edge_pid}\nip link set {upper} netns {own_pid}"));
        self.namespace.shell(&up(&upper));
        edge.shell(&format!("ip link set {lower} name wan\n{}\nip route add default dev wan", up("wan")));
        (upper, LaidCable::new(joint, Cable::new()))
    }
}

/// Brings up an end of a leg. IPv6 is off there unless a home is to have it.
fn up(device: &str) -> String {
    format!(
        "ip link set {device} address 02:77:00:00:00:01 arp off
         if [ -e /proc/sys/net/ipv6/conf/{device} ]; then echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6; fi
         ip link set {device} up"
    )
}

/// What stands at the lower end of a leg: a router with its hosts, or one host alone.
#[derive(Debug)]
pub(crate) struct Router {
    nat: Nat,
    namespace: Arc<Namespace>,
    upstream: Upstream,
    /// First three numbers of the addresses inside.
    lan: String,
    hosts: AtomicU8,
    /// First half of the addresses of IPv6 inside, once there are any.
    pub(super) ipv6: OnceLock<String>,
    /// The upper end of its leg.
    leg: String,
    cable: Mutex<LaidCable>,
    now: Mutex<Now>,
}

/// What changes.
#[derive(Debug)]
struct Now {
    address: String,
    forgets_s: Option<u64>,
    /// What somebody else's rules forward gets in.
    forwards: bool,
}

impl Router {
    /// Makes one with its leg. Inside it has addresses that begin with `lan`.
    pub(super) fn new(upstream: Upstream, nat: Nat, lan: &str) -> Self {
        let namespace = Arc::new(Namespace::within(&upstream.namespace).expect("one can be made, so can another"));
        let (leg, cable) = upstream.lay(&namespace);
        let now = Mutex::new(Now { address: String::new(), forgets_s: nat.forgets_s(), forwards: false });
        let (lan, hosts, cable) = (lan.to_owned(), AtomicU8::new(0), Mutex::new(cable));
        let router = Self { nat, namespace, upstream, lan, hosts, ipv6: OnceLock::new(), leg, cable, now };
        router.renumber();
        if matches!(nat, Nat::NoUdp | Nat::RstNoUdp) {
            router.block_udp(true);
        }
        router
    }

    /// A host behind it; the host itself, if there is no router.
    pub(super) fn host(self: &Arc<Self>, number: Option<u8>) -> Site {
        let lab = self.upstream.lab.clone();
        let site = |namespace, address| {
            Site::of(Host { namespace, lab, cable: String::new(), address, _router: Some(Arc::clone(self)) })
        };
        if self.nat == Nat::None {
            return site(Arc::clone(&self.namespace), self.address());
        }
        let namespace = Namespace::within(&self.namespace).expect("one can be made, so can another");
        let address = if self.nat == Nat::Firewall {
            self.connect_public(&namespace)
        } else {
            self.connect_private(&namespace, number)
        };
        site(Arc::new(namespace), address)
    }

    /// Hosts inside are on one switch.
    fn connect_private(&self, host: &Namespace, number: Option<u8>) -> String {
        let count = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        let Self { lan, .. } = self;
        if count == 1 {
            self.namespace.shell(&format!(
                "echo 1 > /proc/sys/net/ipv4/ip_forward
                 ip link add inner type bridge
                 ip addr add {lan}.{GATEWAY}/24 dev inner
                 ip link set inner up"
            ));
        }
        let address = format!("{lan}.{}", number.unwrap_or(count));
        self.plug(host, count, "master inner");
        host.shell(&format!("ip addr add {address}/24 dev eth0\nip route add default via {lan}.{GATEWAY}"));
        address
    }

    /// Behind a mere firewall hosts have public addresses of their own.
    fn connect_public(&self, host: &Namespace) -> String {
        let count = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        let address = self.upstream.next_address();
        self.upstream.namespace.ip(&format!("route add {address}/32 dev {}", self.leg));
        self.plug(host, count, "");
        self.namespace
            .shell(&format!("echo 1 > /proc/sys/net/ipv4/ip_forward\nip route add {address}/32 dev inner{count}"));
        let gateway = format!("{}.{GATEWAY}", self.upstream.pool);
        self.namespace.shell(&format!("ip addr replace {gateway}/32 dev inner{count}"));
        host.shell(&format!("ip addr add {address}/32 dev eth0\nip route add default via {gateway} dev eth0 onlink"));
        address
    }

    fn plug(&self, host: &Namespace, count: u8, how: &str) {
        let inner = format!("inner{count}");
        self.namespace.shell(&format!(
            "ip link add {inner} type veth peer name eth0 netns {}\nip link set {inner} {how} up",
            host.pid()
        ));
        host.ip("link set eth0 up");
    }

    pub(super) fn nat(&self) -> Nat {
        self.nat
    }

    /// That of the carrier it is at.
    pub(super) fn carrier(&self) -> Option<&Self> {
        self.upstream.carrier.as_deref()
    }

    /// Its address outside.
    pub(super) fn address(&self) -> String {
        self.now().address.clone()
    }

    /// Its address as the core sees it: that of its carrier, if it has one.
    pub(super) fn public_address(&self) -> String {
        self.upstream.carrier.as_ref().map_or_else(|| self.address(), |carrier| carrier.address())
    }

    /// Gives it another address outside; what it remembered is of no use any more and goes.
    pub(super) fn renumber(&self) {
        let (old, new) = (self.address(), self.upstream.next_address());
        let Self { leg, upstream, .. } = self;
        if !old.is_empty() {
            upstream.namespace.ip(&format!("route del {old}/32 dev {leg}"));
        }
        upstream.namespace.ip(&format!("route add {new}/32 dev {leg}"));
        // One in the cable has the address itself: what is sent there from inside must get that far.
        if !matches!(self.nat, Nat::Soft(_)) {
            self.namespace.shell(&format!(
                "ip addr flush dev wan
                 ip addr add {new}/32 dev wan
                 ip route replace default dev wan src {new}"
            ));
        }
        self.now().address = new;
        self.flush();
    }

    /// Has it forget all mappings, as one that starts anew.
    pub(super) fn flush(&self) {
        if self.nat == Nat::None {
            return;
        }
        let Now { address, forgets_s, forwards } = &*self.now();
        if let Nat::Soft(soft) = self.nat {
            let soft = Soft { forgets_s: forgets_s.unwrap_or(soft.forgets_s), ..soft };
            self.cable().translate(soft, address.parse().expect("an address"));
        }
        let place = Place {
            address: address.clone(),
            lan: format!("{}.0/24", self.lan),
            forgets_s: forgets_s.unwrap_or(FORGETS_S),
            forwards: *forwards,
        };
        self.nft(&rules::table(self.nat, &place));
        if let Some(seconds) = forgets_s {
            let known = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout";
            self.namespace.shell(&format!("echo {seconds} > {known}\necho {seconds} > {known}_stream"));
        }
        self.namespace.feed("conntrack", "--flush", "").expect("it was there when the lab was made");
    }

    /// Has it forget an idle UDP mapping after so many seconds.
    pub(super) fn forget_after_s(&self, seconds: u64) {
        self.now().forgets_s = Some(seconds);
        self.flush();
    }

    /// From now on what another table forwards gets in.
    pub(super) fn let_forwarded_in(&self) {
        self.now().forwards = true;
        self.flush();
    }

    /// Lets no UDP pass any more, or lets it again.
    pub(super) fn block_udp(&self, is_blocked: bool) {
        self.nft(if is_blocked { rules::NO_UDP } else { rules::UDP_AGAIN });
    }

    /// How many packets that came unasked it has refused.
    pub(super) fn refused(&self) -> u64 {
        self.count("router refused")
    }

    /// Counts the packets to an address from now on.
    pub(super) fn watch(&self, address: &str) {
        self.nft(&rules::watch(address));
    }

    /// How many of those there were.
    pub(super) fn watched(&self) -> u64 {
        self.count("watch seen")
    }

    #[track_caller]
    fn count(&self, counter: &str) -> u64 {
        packets_in(&self.namespace, &format!("ip {counter}"))
    }

    /// How many flows it remembers.
    pub(super) fn flow_count(&self) -> usize {
        let text = self.namespace.feed("conntrack", "--count", "").expect("it was there when the lab was made");
        text.trim().parse().unwrap_or_else(|_| panic!("no count: {text}"))
    }

    /// The flows of UDP and TCP it remembers, a line each, as `conntrack` lists them.
    pub(super) fn flows(&self) -> Vec<String> {
        let text = self.namespace.feed("conntrack", "--dump", "").expect("it was there when the lab was made");
        text.lines().filter(|line| line.starts_with("udp") || line.starts_with("tcp")).map(str::to_owned).collect()
    }

    /// Changes its leg, up and down.
    pub(super) fn change(&self, change: impl Fn(Cable) -> Cable) {
        self.cable().change(Direction::Both, change);
    }

    /// Its leg: `Forth` is towards it.
    pub(super) fn cable(&self) -> MutexGuard<'_, LaidCable> {
        self.cable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Who is above it, and the device of its leg there.
    pub(super) fn upstream(&self) -> (&Namespace, &str) {
        assert!(self.upstream.carrier.is_none(), "carriers have no IPv6 here");
        (&self.upstream.namespace, &self.leg)
    }

    /// How many hosts it has.
    pub(super) fn hosts(&self) -> u8 {
        self.hosts.load(Ordering::Relaxed)
    }

    /// First three numbers of the addresses inside.
    pub(super) fn lan(&self) -> &str {
        &self.lan
    }

    /// A command there that is killed with the thread that starts it.
    pub(super) fn bound(&self, program: &str) -> Command {
        self.namespace.enter_bound(program)
    }

    /// Rules, as `nft` lists them.
    #[track_caller]
    pub(super) fn list(&self, what: &str) -> String {
        self.namespace.feed("nft", &format!("list {what}"), "").unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    pub(super) fn nft(&self, rules: &str) {
        self.namespace.feed("nft", "-f -", rules).unwrap_or_else(|error| panic!("{error}\nin\n{rules}"));
    }
}

/// How many packets a counter has counted, named by its family, its table and itself.
#[track_caller]
pub(super) fn packets_in(namespace: &Namespace, counter: &str) -> u64 {
    let text = namespace.feed("nft", &format!("list counter {counter}"), "").expect("there is one");
    let count = text.split_once("packets ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    count.unwrap_or_else(|| panic!("no count: {text}"))
}

/// Whether the kernel has all that the rules of every kind want; what is missing, in words.
pub(super) fn try_rules(lab: &Lab) -> Result<(), String> {
    let trial = Namespace::within(&lab.switch)?;
    let place =
        Place { address: "203.0.113.1".to_owned(), lan: "192.168.1.0/24".to_owned(), forgets_s: 1, forwards: true };
    for nat in Nat::ALL {
        trial
            .feed("nft", "-f -", &rules::table(nat, &place))
            .map_err(|error| format!("no rules for {nat}: {error}"))?;
    }
    trial.feed("nft", "-f -", rules::NO_UDP)?;
    trial.feed("conntrack", "--flush", "")?;
    let known = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream";
    trial.feed("sh", "-e", &format!("echo 10 > {known}")).map(|_| ())
}
