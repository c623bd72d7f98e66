//! The command line. Every flag has an environment variable, `MESHLINE_` and its name in capitals.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use meshline_daemon::config::{PeerRef, Program, SignalUrl, Topology};
use meshline_protocol::message::Role;
use meshline_protocol::{Address, Name, NetworkId, ServiceName};

use crate::at::At;

/// Writes, signs, checks and explains the files of a meshline network.
#[derive(Debug, Parser)]
#[command(name = "config-tool", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print one JSON object instead of text
    #[arg(long, global = true, env = "MESHLINE_JSON", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "Examples:
  config-tool ring --nodes 3 --dir ring
  config-tool invite request.json --out membership.json
  config-tool check ring/*.json
  config-tool show ring/node-1.json";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write everything for a network of N nodes, with a script to start each
    Ring(Box<RingArgs>),
    /// Make a network: its id, its key, and the list of its members
    Network(NetworkArgs),
    /// Write the configuration of a signal server
    SignalServer(SignalServerArgs),
    /// Write the configuration of a proxy
    Proxy(ProxyArgs),
    /// Write the configuration of a node
    Node(NodeArgs),
    /// Write the configuration of a view
    View(ViewArgs),
    /// Answer a request to join, as `node join` writes it, with a membership file
    Invite(InviteArgs),
    /// End the membership of a node
    Revoke(RevokeArgs),
    /// Sign a record at whose instant all members choose their links anew, or the end of one
    Rebuild(Box<RebuildArgs>),
    /// Check configurations, memberships and other files of meshline
    Check(CheckArgs),
    /// Print the JSON Schema of a configuration
    Schema(SchemaArgs),
    /// Show the effective values of a configuration and where each came from
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RingArgs {
    /// Number of nodes
    #[arg(long, env = "MESHLINE_NODES", default_value_t = 3)]
    pub(crate) nodes: u16,
    /// Folder to write; made if it is not there
    #[arg(long, env = "MESHLINE_DIR", default_value = "ring")]
    pub(crate) dir: PathBuf,
    /// Names of the nodes, with commas between [default: bobby,donald,eddy,peer-4,…]
    #[arg(long, env = "MESHLINE_NAMES", value_delimiter = ',')]
    pub(crate) names: Vec<Name>,
    /// Host of all nodes; 0.0.0.0 for all interfaces
    #[arg(long, env = "MESHLINE_HOST", default_value = "127.0.0.1", conflicts_with = "hosts")]
    pub(crate) host: String,
    /// Host of each node, with commas between
    #[arg(long, env = "MESHLINE_HOSTS", value_delimiter = ',')]
    pub(crate) hosts: Vec<String>,
    /// Host of the signal server and the proxy [default: the host of the first node]
    #[arg(long, env = "MESHLINE_SIGNAL_HOST")]
    pub(crate) signal_host: Option<String>,
    /// Port of the signal server
    #[arg(long, env = "MESHLINE_SIGNAL_PORT", default_value_t = 6000, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) signal_port: u16,
    /// Port of the proxy [default: 6100, or the first above all nodes if that is higher]
    #[arg(long, env = "MESHLINE_PROXY_PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) proxy_port: Option<u16>,
    /// Port of the first node; the others follow
    #[arg(long, env = "MESHLINE_BASE_PORT", default_value_t = 6001, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) base_port: u16,
    /// Port of the first node's page on 127.0.0.1; the others follow
    #[arg(long, env = "MESHLINE_HTTP_BASE_PORT", default_value_t = 7001, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) http_base_port: u16,
    /// mesh: all link to all; ring: each to the next, the last to the first
    #[arg(long, env = "MESHLINE_TOPOLOGY", default_value = "mesh")]
    pub(crate) topology: TopologyArg,
    /// An open network: whoever knows its name may join
    #[arg(long, env = "MESHLINE_OPEN", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) open: bool,
    /// Name of the open network [default: ring- and eight random characters]
    #[arg(long, env = "MESHLINE_NETWORK_NAME", requires = "open")]
    pub(crate) network_name: Option<ServiceName>,
    /// Without a signal server: the nodes know each other's addresses
    #[arg(long, env = "MESHLINE_NO_SIGNAL", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) no_signal: bool,
    /// The nodes are not told of the proxy: for a network where all can reach each other
    #[arg(long, env = "MESHLINE_NO_PROXY", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) no_proxy: bool,
    /// Genesis file of a ledger, as `node ledger create` writes it: every node gets it, and the view follows it
    #[arg(long, env = "MESHLINE_LEDGER")]
    pub(crate) ledger: Option<PathBuf>,
    /// Write into a folder that is not empty, over files of the same names
    #[arg(long, env = "MESHLINE_FORCE", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) force: bool,
}

/// Where a file goes.
#[derive(Debug, Args)]
pub(crate) struct OutArgs {
    /// File to write
    #[arg(long, env = "MESHLINE_OUT")]
    pub(crate) out: PathBuf,
    /// Write over files that are there
    #[arg(long, env = "MESHLINE_FORCE", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    #[command(flatten)]
    pub(crate) out: OutArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SignalServerArgs {
    #[command(flatten)]
    pub(crate) out: OutArgs,
    /// Address to serve on; may be repeated
    #[arg(long, env = "MESHLINE_LISTEN", value_delimiter = ',', default_value = "127.0.0.1:6000")]
    pub(crate) listen: Vec<Address>,
    /// Network to serve; may be repeated [default: all]
    #[arg(long = "network", env = "MESHLINE_NETWORKS", value_delimiter = ',')]
    pub(crate) networks: Vec<NetworkId>,
}

/// What the configurations of node, view and proxy have in common.
#[derive(Debug, Args)]
pub(crate) struct MemberArgs {
    #[command(flatten)]
    pub(crate) out: OutArgs,
    /// Name of the member
    #[arg(long, env = "MESHLINE_NAME")]
    pub(crate) name: Name,
    /// Id of a closed network or name of an open one; not needed with --network-key
    #[arg(long, env = "MESHLINE_NETWORK", required_unless_present = "network_key", conflicts_with = "network_key")]
    pub(crate) network: Option<NetworkId>,
    /// Key of the network: the member's key and its membership are made here too. Without it the member asks with `node join`
    #[arg(long, env = "MESHLINE_NETWORK_KEY")]
    pub(crate) network_key: Option<PathBuf>,
    /// URL of a member list, such as a signal server; may be repeated
    #[arg(long, env = "MESHLINE_SIGNAL", value_delimiter = ',')]
    pub(crate) signal: Vec<SignalUrl>,
    /// Address of a proxy; may be repeated
    #[arg(long = "proxy", env = "MESHLINE_PROXIES", value_delimiter = ',')]
    pub(crate) proxies: Vec<Address>,
    /// Address or id of a member to link to; may be repeated
    #[arg(long = "peer", env = "MESHLINE_PEERS", value_delimiter = ',')]
    pub(crate) peers: Vec<PeerRef>,
    /// mesh or ring
    #[arg(long, env = "MESHLINE_TOPOLOGY", default_value = "mesh")]
    pub(crate) topology: TopologyArg,
    /// Permit an open network beyond loopback
    #[arg(long, env = "MESHLINE_OPEN", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) open: bool,
    /// Days until the membership ends
    #[arg(long, env = "MESHLINE_DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) days: u16,
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(crate) member: MemberArgs,
    /// Address to listen on; may be repeated
    #[arg(long, env = "MESHLINE_LISTEN", value_delimiter = ',', default_value = "127.0.0.1:6001")]
    pub(crate) listen: Vec<Address>,
    /// Ring: address of the next member
    #[arg(long, env = "MESHLINE_NEXT")]
    pub(crate) next: Option<Address>,
    /// Address of the local API and page
    #[arg(long, env = "MESHLINE_HTTP", default_value = "127.0.0.1:7001")]
    pub(crate) http: Address,
    /// Genesis file of a ledger, as `node ledger create` writes it
    #[arg(long, env = "MESHLINE_LEDGER")]
    pub(crate) ledger: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    #[command(flatten)]
    pub(crate) member: MemberArgs,
    /// Address to listen on; may be repeated
    #[arg(long, env = "MESHLINE_LISTEN", value_delimiter = ',', default_value = "127.0.0.1:6100")]
    pub(crate) listen: Vec<Address>,
}

#[derive(Debug, Args)]
pub(crate) struct ViewArgs {
    #[command(flatten)]
    pub(crate) member: MemberArgs,
    /// Genesis file of a ledger that the view follows, as `node ledger create` writes it
    #[arg(long, env = "MESHLINE_LEDGER")]
    pub(crate) ledger: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// Request to join
    pub(crate) request: PathBuf,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    /// Key of the network
    #[arg(long, env = "MESHLINE_NETWORK_KEY", default_value = "network.key")]
    pub(crate) network_key: PathBuf,
    /// Name of the member [default: the one asked for]
    #[arg(long, env = "MESHLINE_NAME")]
    pub(crate) name: Option<Name>,
    /// Roles of the member [default: those asked for]
    #[arg(long, env = "MESHLINE_ROLES", value_delimiter = ',')]
    pub(crate) roles: Vec<RoleArg>,
    /// Days until the membership ends
    #[arg(long, env = "MESHLINE_DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub(crate) days: u16,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Id of the member, its first 8 characters or more, or its name
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) out: OutArgs,
    /// Key of the network
    #[arg(long, env = "MESHLINE_NETWORK_KEY", default_value = "network.key")]
    pub(crate) network_key: PathBuf,
}

/// Signs a record at whose instant, in network time, all members choose their links anew.
#[derive(Debug, Args)]
#[command(after_help = REBUILD_HELP)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    pub(crate) out: OutArgs,
    /// When: now+30s (s, m or h), a date such as 2026-11-21T22:00:00Z, or seconds since 1970; 5 s to 24 h from now
    #[arg(long, env = "MESHLINE_AT", required_unless_present = "abort", conflicts_with = "abort")]
    pub(crate) at: Option<At>,
    /// Key of the network
    #[arg(long, visible_alias = "key", env = "MESHLINE_NETWORK_KEY", default_value = "network.key")]
    pub(crate) network_key: PathBuf,
    /// Key of a member that signs in place of the network; its membership must grant the role rebuild
    #[arg(long, env = "MESHLINE_MEMBER_KEY", requires = "membership")]
    pub(crate) member_key: Option<PathBuf>,
    /// The membership of that member
    #[arg(long, env = "MESHLINE_MEMBERSHIP", requires = "member_key")]
    pub(crate) membership: Option<PathBuf>,
    /// Every member tells what it would change (`node status`), and changes nothing
    #[arg(long, env = "MESHLINE_DRY_RUN", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,
    /// Why, for people
    #[arg(long, env = "MESHLINE_REASON")]
    pub(crate) reason: Option<String>,
    /// Minutes after its instant for which members that were away do it late; later ones do not
    #[arg(long, env = "MESHLINE_LATE_MINUTES", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=crate::rebuild::MAX_LATE_MINUTES))]
    pub(crate) late_minutes: u16,
    /// End this one, which is to come, instead of signing another
    #[arg(long, env = "MESHLINE_ABORT")]
    pub(crate) abort: Option<PathBuf>,
}

/// What is done with it.
const REBUILD_HELP: &str = "\
Example:
  config-tool rebuild --at now+30s --network-key net/network.key --out rebuild.json
  node apply rebuild.json --config net/node-1.json      on any member: it spreads
  node status --config net/node-2.json                  who has it, when it is due, what came of it
  config-tool rebuild --abort rebuild.json --network-key net/network.key --out off.json      and node apply off.json";

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files to check
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Whose configurations they are [default: by file name, then by keys]
    #[arg(long, env = "MESHLINE_ROLE", value_parser = program)]
    pub(crate) role: Option<Program>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// node, view, proxy or signal-server
    #[arg(value_parser = program)]
    pub(crate) role: Program,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Configuration to show
    pub(crate) file: PathBuf,
    /// Whose configuration it is [default: by file name, then by keys]
    #[arg(long, env = "MESHLINE_ROLE", value_parser = program)]
    pub(crate) role: Option<Program>,
}

fn program(text: &str) -> Result<Program, String> {
    text.parse()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopologyArg {
    Mesh,
    Ring,
}

impl From<TopologyArg> for Topology {
    fn from(topology: TopologyArg) -> Self {
        match topology {
            TopologyArg::Mesh => Self::Mesh,
            TopologyArg::Ring => Self::Ring,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    Node,
    View,
    Proxy,
    Exit,
    Rebuild,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Node => Self::Node,
            RoleArg::View => Self::View,
            RoleArg::Proxy => Self::Proxy,
            RoleArg::Exit => Self::Exit,
            RoleArg::Rebuild => Self::Rebuild,
        }
    }
}
