//! Who is where: names, hosts and ports of a ring, judged before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;
use meshline_daemon::exit::Stop;
use meshline_daemon::files;
use meshline_daemon::ledger::read_genesis;
use meshline_protocol::{Address, Name};

use crate::cli::{RingArgs, TopologyArg};

/// The names of the seed.
const NAMES: [&str; 3] = ["bobby", "donald", "eddy"];

/// Peers a node is told of without a signal server: enough to find the others through them.
const MAX_PEERS: usize = 16;

/// Where the proxy is unless that is among the nodes.
const PROXY_PORT: u16 = 6100;

/// One node.
pub(super) struct PlannedNode {
    /// Counted from 1.
    pub(super) number: u16,
    pub(super) name: Name,
    pub(super) listen: Address,
    pub(super) http: Address,
    pub(super) next: Option<Address>,
    pub(super) peers: Vec<Address>,
}

impl PlannedNode {
    pub(super) fn config(&self) -> String {
        format!("node-{}.json", self.number)
    }

    pub(super) fn script(&self) -> String {
        format!("p{}.sh", self.number)
    }

    pub(super) fn folder(&self) -> String {
        format!("host-{}", self.number)
    }
}

/// The whole network.
pub(super) struct Plan {
    pub(super) nodes: Vec<PlannedNode>,
    pub(super) proxy_name: Name,
    pub(super) view_name: Name,
    pub(super) ring: bool,
    pub(super) open: Option<Option<String>>,
    /// Where members find the signal server, if there is one.
    pub(super) signal: Option<String>,
    pub(super) signal_listen: Address,
    pub(super) proxy_listen: Address,
    pub(super) with_proxy: bool,
    pub(super) warnings: Vec<String>,
    /// The genesis file of the ledger that all nodes have, and the view follows.
    pub(super) ledger: Option<String>,
}

impl Plan {
    pub(super) fn new(args: &RingArgs) -> Result<Self> {
        if args.nodes == 0 {
            return Err(Stop::usage("--nodes 0: a network has at least one node").into());
        }
        let names = names(args)?;
        let listen = listen_addresses(args)?;
        let next = next_addresses(args, &listen);
        let signal_host = signal_host(args, &listen);
        let mut nodes = Vec::new();
        for (index, (name, address)) in names.into_iter().zip(&listen).enumerate() {
            let offset = u16::try_from(index)?;
            nodes.push(PlannedNode {
                number: offset + 1,
                name,
                listen: address.clone(),
                http: address_of("127.0.0.1", port(args.http_base_port, offset, "--http-base-port")?)?,
                next: next.get(index).cloned().flatten(),
                peers: peers(args, &listen, address),
            });
        }
        let plan = Self {
            proxy_name: free_name("proxy", &nodes)?,
            view_name: free_name("view", &nodes)?,
            ring: args.topology == TopologyArg::Ring,
            open: args.open.then(|| args.network_name.as_ref().map(ToString::to_string)),
            signal: (!args.no_signal).then(|| signal_url(args, &signal_host)).transpose()?,
            signal_listen: address_of(&signal_host, args.signal_port)?,
            proxy_listen: address_of(&signal_host, proxy_port(args)?)?,
            with_proxy: !args.no_proxy,
            warnings: warnings(args, &listen),
            ledger: args.ledger.as_deref().map(genesis).transpose()?,
            nodes,
        };
        plan.refuse_collisions()?;
        Ok(plan)
    }

    /// Whether everything is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.nodes.iter().all(|node| node.listen.is_loopback())
    }

    pub(super) fn proxy_is_everywhere(&self) -> bool {
        is_everywhere(&self.proxy_listen)
    }

    /// Addresses of nodes one can connect to, a few of them.
    pub(super) fn reachable(&self) -> Vec<&Address> {
        let all = self.nodes.iter().map(|node| &node.listen);
        all.filter(|address| !is_everywhere(address)).take(MAX_PEERS).collect()
    }

    /// Where the signal server and the proxy go: with the first node on their host, else by themselves.
    pub(super) fn signal_folder(&self) -> String {
        let here = self.nodes.iter().find(|node| node.listen.host() == self.signal_listen.host());
        here.map_or_else(|| "host-signal".to_owned(), PlannedNode::folder)
    }

    /// Two programs on one address could not both start.
    fn refuse_collisions(&self) -> Result<(), Stop> {
        let mut taken: BTreeMap<u16, Vec<(&Address, String)>> = BTreeMap::new();
        let nodes = self.nodes.iter().flat_map(|node| {
            [(&node.listen, format!("node {}", node.number)), (&node.http, format!("the page of node {}", node.number))]
        });
        let signal = self.signal.iter().map(|_| (&self.signal_listen, "the signal server".to_owned()));
        for (address, what) in nodes.chain(signal).chain([(&self.proxy_listen, "the proxy".to_owned())]) {
            let others = taken.entry(address.port()).or_default();
            if let Some((_, other)) = others.iter().find(|(other, _)| same_host(other, address)) {
                let message = format!(
                    "{what} and {other} would both be on {address}: change --base-port, --http-base-port, --signal-port or --proxy-port"
                );
                return Err(Stop::usage(message));
            }
            others.push((address, what));
        }
        Ok(())
    }
}

/// A genesis file, judged and read.
fn genesis(path: &Path) -> Result<String> {
    read_genesis(path).map_err(|error| Stop::usage(error.to_string()))?;
    Ok(files::read(path)?)
}

fn same_host(a: &Address, b: &Address) -> bool {
    a.host() == b.host() || is_everywhere(a) || is_everywhere(b)
}

/// All interfaces: an address to listen on that nobody can connect to.
fn is_everywhere(address: &Address) -> bool {
    address.host().parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

fn names(args: &RingArgs) -> Result<Vec<Name>> {
    let count = usize::from(args.nodes);
    if args.names.is_empty() {
        let defaults = (1..=count).map(|number| match NAMES.get(number - 1) {
            Some(name) => (*name).to_owned(),
            None => format!("peer-{number}"),
        });
        return Ok(defaults.map(|name| name.parse()).collect::<Result<_, _>>()?);
    }
    if args.names.len() != count {
        let message = format!("--names: found {} names, expected {count}, one for each node", args.names.len());
        return Err(Stop::usage(message).into());
    }
    let mut seen = BTreeSet::new();
    match args.names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => {
            Err(Stop::usage(format!("--names: found \"{name}\" twice, expected a name for each node")).into())
        }
        None => Ok(args.names.clone()),
    }
}

fn free_name(wish: &str, nodes: &[PlannedNode]) -> Result<Name> {
    let is_free = |name: &String| nodes.iter().all(|node| node.name.as_str() != name);
    let wishes = std::iter::once(wish.to_owned()).chain((2..).map(|number| format!("{wish}-{number}")));
    // There are only so many nodes to take a name.
    let free = wishes.take(nodes.len() + 1).find(is_free).unwrap_or_default();
    Ok(free.parse()?)
}

fn listen_addresses(args: &RingArgs) -> Result<Vec<Address>> {
    let hosts: Vec<&String> = match args.hosts.as_slice() {
        [] => vec![&args.host; usize::from(args.nodes)],
        [one] => vec![one; usize::from(args.nodes)],
        many => many.iter().collect(),
    };
    if hosts.len() != usize::from(args.nodes) {
        let message = format!("--hosts: found {} hosts, expected {}, one for each node", hosts.len(), args.nodes);
        return Err(Stop::usage(message).into());
    }
    let address = |(offset, host): (u16, &String)| address_of(host, port(args.base_port, offset, "--base-port")?);
    (0..args.nodes).zip(hosts).map(address).collect()
}

fn port(base: u16, offset: u16, flag: &str) -> Result<u16> {
    let port = base.checked_add(offset);
    port.ok_or_else(|| Stop::usage(format!("{flag} {base}: the ports of the last nodes would be above 65535")).into())
}

/// IPv6 addresses are put in brackets if they are not yet.
fn address_of(host: &str, port: u16) -> Result<Address> {
    let host = host.trim();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let text = if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{host}:{port}") };
    text.parse().map_err(|_| Stop::usage(format!("found \"{host}\", expected a host name or address")).into())
}

/// The host of the first node, unless it has none that one could connect to.
fn signal_host(args: &RingArgs, listen: &[Address]) -> String {
    let first = listen.first().map(Address::host).unwrap_or_default();
    args.signal_host.clone().unwrap_or_else(|| first.to_owned())
}

fn signal_url(args: &RingArgs, host: &str) -> Result<String> {
    let listen = address_of(host, args.signal_port)?;
    let reached = if is_everywhere(&listen) { address_of("127.0.0.1", args.signal_port)? } else { listen };
    Ok(format!("http://{reached}"))
}

fn proxy_port(args: &RingArgs) -> Result<u16> {
    match args.proxy_port {
        Some(port) => Ok(port),
        None if (args.base_port..=PROXY_PORT).len() > usize::from(args.nodes) => Ok(PROXY_PORT),
        None if args.base_port > PROXY_PORT => Ok(PROXY_PORT),
        None => port(args.base_port, args.nodes, "--base-port"),
    }
}

/// Each node's next; the last one's is the first. Nobody can connect to "all interfaces".
fn next_addresses(args: &RingArgs, listen: &[Address]) -> Vec<Option<Address>> {
    if args.topology == TopologyArg::Mesh {
        return vec![None; listen.len()];
    }
    let next = listen.iter().cycle().skip(1).take(listen.len());
    next.map(|address| (!is_everywhere(address)).then(|| address.clone())).collect()
}

/// A mesh without a signal server knows each other from the start.
fn peers(args: &RingArgs, listen: &[Address], own: &Address) -> Vec<Address> {
    if !args.no_signal || args.topology == TopologyArg::Ring {
        return Vec::new();
    }
    let others = listen.iter().filter(|address| *address != own && !is_everywhere(address));
    others.take(MAX_PEERS).cloned().collect()
}

fn warnings(args: &RingArgs, listen: &[Address]) -> Vec<String> {
    let everywhere = listen.iter().filter(|address| is_everywhere(address)).count();
    if everywhere == 0 {
        return Vec::new();
    }
    let mut warnings = vec![format!(
        "{everywhere} of {} nodes listen on all interfaces: by which address others reach them is not known here, \
         so no next or peers are written for them",
        listen.len()
    )];
    if !args.no_signal && args.signal_host.is_none() && listen.first().is_some_and(is_everywhere) {
        warnings.push("the signal server is looked for on 127.0.0.1: for other hosts give --signal-host".to_owned());
    }
    warnings
}
