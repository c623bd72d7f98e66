//! The configurations of the three programs that are members: node, view and proxy.
//!
//! They share most of their keys, which stand here once. (`serde` cannot both flatten a struct and refuse
//! unknown keys, so the sharing is done by a macro.)

use std::path::PathBuf;

use meshline_gateway::{ExitRules, Expose, ForwardConfig, ProxyConfig as Socks5Config};
use meshline_protocol::message::Role;
use meshline_protocol::{Address, Name, NetworkId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gateway;
use super::lan::{self, LanConfig};
use super::ledger::{self, LedgerConfig, LightLedgerConfig};
use super::program::{Program, Settings};
use super::review::Review;
use super::routing::{RoutingConfig, ViewRoutingConfig};
use super::topics::{self, TopicConfig};
use super::values::{ChatConfig, Console, LinkEncoding, LogConfig, PeerRef, RebuildMode, SignalUrl, Topology};
use super::via::ViaConfig;

/// Links of a full mesh; beyond them a bounded, mixed set.
const MAX_LINKS: u32 = 64;

/// As many as the seed's.
const RETRIES: u32 = 10;

/// Where the page of the first node is; further ones on the same machine need their own port.
const HTTP: &str = "127.0.0.1:7001";

/// Relays of one proxy, two connections each: well below the usual limit of 1,024 open files.
const MAX_RELAYS: u32 = 256;

/// A member that needs more relays than this at once should be given its own proxy.
const MAX_RELAYS_PER_MEMBER: u32 = 32;

macro_rules! member_config {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Name of this member: the one in its membership; on an open network only claimed.
            pub name: Name,
            /// Private key of this member (PEM). Made at the first start if it is not there. Default: node.key in data_dir.
            #[serde(default)]
            pub key_file: PathBuf,
            /// Id of a closed network (52 characters), or the name of an open one.
            pub network: NetworkId,
            /// Membership file of a closed network, as `config-tool invite` writes it.
            #[serde(default)]
            pub membership: Option<PathBuf>,
            /// "mesh": link to every member that can be reached. "ring": link to the next one.
            #[serde(default)]
            pub topology: Topology,
            /// URLs that serve the list of members: signal servers (http, https), or static files (file: too).
            #[serde(default)]
            pub signal: Vec<SignalUrl>,
            /// STUN servers (host:port) that are asked, beside members, at which address this member is seen. The first four.
            #[serde(default)]
            pub stun: Vec<Address>,
            /// Whether routers are asked to forward the ports this member listens on (PCP, NAT-PMP, UPnP). Never if it
            /// listens on loopback only.
            #[serde(default = "yes")]
            pub port_mapping: bool,
            /// Proxies (host:port) that relay where no direct link is possible.
            #[serde(default)]
            pub proxies: Vec<Address>,
            /// Members to link to without asking a signal server, as host:port or id.
            #[serde(default)]
            pub peers: Vec<PeerRef>,
            /// Folder for what is kept over restarts. Default: beside this file, its name with .data instead of .json.
            #[serde(default)]
            pub data_dir: PathBuf,
            /// Most links held at once.
            #[serde(default = "max_links")]
            #[schemars(range(min = 1, max = 4096))]
            pub max_links: u32,
            /// Attempts to connect, one a second, before it is tried more slowly, but for ever.
            #[serde(default = "retries")]
            #[schemars(range(max = 1_000_000))]
            pub retries: u32,
            /// When enough members find the mesh badly shaped: "manual": it is shown. "auto": this member, if its
            /// membership grants the role rebuild, has all choose their links anew; once an hour at most.
            #[serde(default)]
            pub rebuild: RebuildMode,
            /// Whether direct ways through routers and firewalls are opened, and granted to those who ask.
            #[serde(default = "punch")]
            pub punch: bool,
            /// How messages are written on the links this member dials: "json" or "bson".
            #[serde(default)]
            pub encoding: LinkEncoding,
            /// Links without TLS, which prove no key: for labs, on an open network and loopback only.
            #[serde(default)]
            pub plain: bool,
            /// Permits an open network, which everybody may join, on addresses beyond loopback.
            #[serde(default)]
            pub open: bool,
            /// How much of the chat is kept.
            #[serde(default)]
            pub chat: ChatConfig,
            /// Listeners here whose connections reach something at another member, or with "reverse" the other way round.
            #[serde(default)]
            pub forwards: Vec<ForwardConfig>,
            /// The local proxy, SOCKS5 and HTTP on one port; null for none.
            #[serde(default)]
            pub socks5: Option<Socks5Config>,
            /// Through whom this member's own connections go: a member or "auto" for all, or an object with "peers",
            /// "signal" and "proxies". While no way leads there they go straight.
            #[serde(default)]
            pub via: Option<ViaConfig>,
            /// Readings of this member that others may ask for: from a command, a file or standard input.
            #[serde(default)]
            pub topics: Vec<TopicConfig>,
            /// The local segment: members found there, services offered to it and taken from it. Nothing unless told.
            #[serde(default)]
            pub lan: LanConfig,
            /// The log.
            #[serde(default)]
            pub log: LogConfig,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

fn yes() -> bool {
    true
}

fn max_links() -> u32 {
    MAX_LINKS
}

fn punch() -> bool {
    true
}

fn retries() -> u32 {
    RETRIES
}

fn http() -> Option<Address> {
    HTTP.parse().ok()
}

fn max_relays() -> u32 {
    MAX_RELAYS
}

fn max_relays_per_member() -> u32 {
    MAX_RELAYS_PER_MEMBER
}

member_config!(
    /// Configuration of `node`.
    NodeConfig {
        /// Which ways are taken, and whether others may send through this node.
        #[serde(default)]
        routing: RoutingConfig,
        /// Addresses (host:port) to listen on, TCP and UDP alike. None: this node only connects out.
        #[serde(default)]
        listen: Vec<Address>,
        /// Ring topology: address (host:port) of the next member. It need not be running yet.
        #[serde(default)]
        next: Option<Address>,
        /// Address (host:port) of the local API and page; null for none.
        #[serde(default = "http")]
        http: Option<Address>,
        /// What other members may use here by name.
        #[serde(default)]
        expose: Vec<Expose>,
        /// What other members may reach through this one, beside what is exposed. Nothing unless told.
        #[serde(default)]
        exit: ExitRules,
        /// Whether 'm' and 'q' are read from standard input: "auto" (on a terminal), "always" or "never".
        #[serde(default)]
        console: Console,
        /// The ledger: its chain, and for whom blocks are searched.
        #[serde(default)]
        ledger: LedgerConfig,
    }
);

member_config!(
    /// Configuration of `view`, a member that only connects out and carries nothing for others.
    ViewConfig {
        /// Which ways are taken.
        #[serde(default)]
        routing: ViewRoutingConfig,
        /// Address (host:port) of the local API and page; null for none.
        #[serde(default)]
        http: Option<Address>,
        /// Whether 'm' and 'q' are read from standard input: "auto" (on a terminal), "always" or "never".
        #[serde(default)]
        console: Console,
        /// The ledger that is followed for the wallet.
        #[serde(default)]
        ledger: LightLedgerConfig,
    }
);

member_config!(
    /// Configuration of `proxy`, a member that relays links for those who cannot reach each other.
    ProxyConfig {
        /// Which ways are taken, and whether others may send through this proxy.
        #[serde(default)]
        routing: RoutingConfig,
        /// Addresses (host:port) to listen on, TCP and UDP alike.
        #[serde(default)]
        listen: Vec<Address>,
        /// Ring topology: address (host:port) of the next member. It need not be running yet.
        #[serde(default)]
        next: Option<Address>,
        /// Address (host:port) of the local API and page; null for none.
        #[serde(default)]
        http: Option<Address>,
        /// What other members may use here by name.
        #[serde(default)]
        expose: Vec<Expose>,
        /// What other members may reach through this one, beside what is exposed. Nothing unless told.
        #[serde(default)]
        exit: ExitRules,
        /// Most links relayed at once.
        #[serde(default = "max_relays")]
        #[schemars(range(min = 1, max = 65536))]
        max_relays: u32,
        /// Most links relayed at once for one member.
        #[serde(default = "max_relays_per_member")]
        #[schemars(range(min = 1, max = 65536))]
        max_relays_per_member: u32,
        /// Thousands of bits a second relayed for one member, both ways together; null for as many as go.
        #[serde(default)]
        #[schemars(range(min = 1))]
        max_relay_kbps_per_member: Option<u32>,
    }
);

/// The keys of §12 that come with later versions: known words, so not "unknown keys".
const LATER: &[&str] = &["ledger"];

/// What must be given, with a stand-in for it while the rest is judged.
const REQUIRED: &[(&str, &str)] = &[("name", "unnamed"), ("network", "unnamed")];

/// A configuration of a member, whichever program it is.
pub trait MemberConfig: Settings {
    /// The role this program needs in its membership.
    const ROLE: Role;

    /// The same as the configuration of a node: what is missing is empty.
    #[must_use]
    fn into_node(self) -> NodeConfig;
}

macro_rules! settings {
    ($name:ident, $program:expr, $role:expr, $later:expr) => {
        impl Settings for $name {
            const PROGRAM: Program = $program;
            const REQUIRED: &'static [(&'static str, &'static str)] = REQUIRED;
            const LATER: &'static [&'static str] = $later;

            fn check(&self, review: &mut Review) {
                check_member(&self.clone().into_node(), review);
                self.check_own(review);
            }

            fn check_files(&self, review: &mut Review) {
                super::files_check::check(&self.clone().into_node(), Self::ROLE, review);
            }
        }

        impl MemberConfig for $name {
            const ROLE: Role = $role;

            fn into_node(self) -> NodeConfig {
                self.node()
            }
        }
    };
}

settings!(NodeConfig, Program::Node, Role::Node, &[]);
settings!(ViewConfig, Program::View, Role::View, &[]);
settings!(ProxyConfig, Program::Proxy, Role::Proxy, LATER);

/// A [`NodeConfig`] of the shared keys of `$from` and the others as given.
macro_rules! node_of {
    ($from:ident, $($field:ident: $value:expr),*) => {
        NodeConfig {
            name: $from.name,
            key_file: $from.key_file,
            network: $from.network,
            membership: $from.membership,
            topology: $from.topology,
            signal: $from.signal,
            stun: $from.stun,
            port_mapping: $from.port_mapping,
            proxies: $from.proxies,
            peers: $from.peers,
            data_dir: $from.data_dir,
            max_links: $from.max_links,
            retries: $from.retries,
            rebuild: $from.rebuild,
            punch: $from.punch,
            encoding: $from.encoding,
            plain: $from.plain,
            open: $from.open,
            chat: $from.chat,
            forwards: $from.forwards,
            socks5: $from.socks5,
            via: $from.via,
            topics: $from.topics,
            lan: $from.lan,
            log: $from.log,
            http: $from.http,
            $($field: $value),*
        }
    };
}

impl NodeConfig {
    fn node(self) -> Self {
        self
    }

    fn check_own(&self, _: &mut Review) {}
}

impl ViewConfig {
    fn node(self) -> NodeConfig {
        let (expose, exit) = (Vec::new(), ExitRules::default());
        let (listen, next, routing) = (Vec::new(), None, self.routing.into());
        let ledger = self.ledger.into();
        node_of!(self, listen: listen, next: next, console: self.console, routing: routing, expose: expose, exit: exit,
            ledger: ledger)
    }

    fn check_own(&self, review: &mut Review) {
        if self.routing.carry {
            review.fault("/routing/carry", "found true, expected false: a view carries nothing for others");
        }
    }
}

impl ProxyConfig {
    fn node(self) -> NodeConfig {
        node_of!(self, listen: self.listen, next: self.next, console: Console::Never, routing: self.routing,
            expose: self.expose, exit: self.exit, ledger: LedgerConfig::default())
    }

    fn check_own(&self, review: &mut Review) {
        if self.listen.is_empty() {
            review.fault("/listen", "found no address, expected at least one: nobody could reach this proxy");
        }
        review.range("/max_relays", self.max_relays, 1..=65_536);
        review.range("/max_relays_per_member", self.max_relays_per_member, 1..=65_536);
        if let Some(rate) = self.max_relay_kbps_per_member {
            review.range("/max_relay_kbps_per_member", rate, 1..=u32::MAX);
        }
    }
}

fn check_member(config: &NodeConfig, review: &mut Review) {
    review.range("/max_links", config.max_links, 1..=4_096);
    review.range("/chat/max_messages", config.chat.max_messages, 1..=1_000_000);
    review.range("/chat/max_bytes", config.chat.max_bytes, 65_536..=1_073_741_824);
    review.range("/retries", config.retries, 0..=1_000_000);
    config.routing.check(config.network.is_open(), review);
    gateway::check(config, review);
    ledger::check(config, review);
    topics::check(&config.topics, review);
    lan::check(config, review);
    if let Some(via) = &config.via {
        via.check((config.name.as_str(), config.network.is_open()), review);
    }
    check_open(config, review);
    if config.plain {
        check_plain(config, review);
    }
    if config.next.is_some() && config.topology == Topology::Mesh {
        review.warn("/next", "is used with \"topology\": \"ring\" only");
    }
    if !config.network.is_open() && config.membership.is_none() {
        let message = format!(
            "found the closed network {}, expected a membership file too (config-tool invite writes one)",
            config.network
        );
        review.fault("/network", message);
    }
}

/// An open network listens beyond loopback only where somebody said so.
fn check_open(config: &NodeConfig, review: &mut Review) {
    if !config.network.is_open() || config.open {
        return;
    }
    for (index, address) in config.listen.iter().enumerate().filter(|(_, address)| !address.is_loopback()) {
        let message = format!(
            "found \"{address}\" on the open network \"{}\", expected a loopback address, or \"open\": true to let everybody in",
            config.network
        );
        review.fault(&format!("/listen/{index}"), message);
    }
}

/// Plain links prove no key, so nobody from beyond this machine may be able to make one.
fn check_plain(config: &NodeConfig, review: &mut Review) {
    if !config.network.is_open() {
        review.fault("/plain", "found true on a closed network, expected false: plain links prove no key");
    }
    let listen = config.listen.iter().enumerate().map(|(index, address)| (format!("/listen/{index}"), address));
    let next = config.next.iter().map(|address| ("/next".to_owned(), address));
    let peers = config.peers.iter().enumerate().filter_map(|(index, peer)| match peer {
        PeerRef::Address(address) => Some((format!("/peers/{index}"), address)),
        PeerRef::Id(_) => None,
    });
    for (pointer, address) in listen.chain(next).chain(peers).filter(|(_, address)| !address.is_loopback()) {
        review.fault(&pointer, format!("found \"{address}\", expected a loopback address because of \"plain\": true"));
    }
}
