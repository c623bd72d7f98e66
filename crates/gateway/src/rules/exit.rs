//! Ways out of the network through this member, and listeners it has for others.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use meshline_protocol::{Address, Target};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Allow, allow, guard};
use crate::directory::Member;

/// Who may reach what from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExitRule {
    /// Who: "*", full ids, names of a closed network, "role:…". Missing: nobody.
    #[serde(default)]
    pub allow: Vec<Allow>,
    /// Networks as address/bits, or single addresses. An address that holds an IPv4 one (NAT64, 6to4) is judged by that
    /// one. Missing: all, but never loopback, link-local or multicast.
    #[serde(default = "everything")]
    pub networks: Vec<Network>,
    /// Ports and ranges of ports, such as "443" and "8000-8999". Missing: all.
    #[serde(default = "all_ports")]
    pub ports: Vec<Ports>,
}

impl ExitRule {
    pub(super) fn permits(&self, ip: IpAddr, port: u16, member: &Member) -> bool {
        let is_within = |ip: IpAddr| self.networks.iter().any(|network| network.contains(ip));
        allow::permits(&self.allow, member)
            && guard::meant(ip).into_iter().all(is_within)
            && self.ports.iter().any(|ports| ports.contains(port))
    }
}

/// Who may have this member listen where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenRule {
    /// Who: "*", full ids, names of a closed network, "role:…". Missing: nobody.
    #[serde(default)]
    pub allow: Vec<Allow>,
    /// Addresses to listen on. Missing: those of loopback.
    #[serde(default = "loopback")]
    pub networks: Vec<Network>,
    /// Ports and ranges of ports. Missing: all from 1024.
    #[serde(default = "high_ports")]
    pub ports: Vec<Ports>,
    /// Unix sockets it may make: full paths, or folders with a slash at their end. Missing: none.
    #[serde(default)]
    pub paths: Vec<SocketPath>,
}

impl ListenRule {
    pub(super) fn permits(&self, listen: &Target, member: &Member) -> bool {
        allow::permits(&self.allow, member)
            && match listen {
                Target::Tcp(address) | Target::Udp(address) => self.permits_address(address),
                Target::Unix(path) => self.paths.iter().any(|one| one.contains(path)),
                Target::Serial(..) => false,
            }
    }

    fn permits_address(&self, address: &Address) -> bool {
        let Ok(ip) = address.host().parse() else { return false };
        self.networks.iter().any(|network| network.contains(ip))
            && self.ports.iter().any(|ports| ports.contains(address.port()))
    }
}

fn everything() -> Vec<Network> {
    vec![Network { base: IpAddr::from([0; 4]), bits: 0 }, Network { base: IpAddr::from([0; 16]), bits: 0 }]
}

fn loopback() -> Vec<Network> {
    vec![
        Network { base: IpAddr::from([127, 0, 0, 0]), bits: 8 },
        Network { base: IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), bits: 128 },
    ]
}

fn all_ports() -> Vec<Ports> {
    vec![Ports { first: 1, last: u16::MAX }]
}

fn high_ports() -> Vec<Ports> {
    vec![Ports { first: 1024, last: u16::MAX }]
}

/// Where Unix sockets may be made: `/run/app.sock` alone, or with `/run/mesh/` whatever is named in that folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SocketPath(Box<str>);

impl SocketPath {
    /// Whether `path` is meant. A folder means what stands right in it: no way leads out of it or further down.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        match path.strip_prefix(&*self.0) {
            Some("") => !self.is_folder(),
            Some(name) => self.is_folder() && !name.contains('/') && !matches!(name, "." | ".."),
            None => false,
        }
    }

    fn is_folder(&self) -> bool {
        self.0.ends_with('/')
    }
}

impl TryFrom<String> for SocketPath {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_plain = text.split('/').all(|part| !matches!(part, "." | ".."));
        if text.starts_with('/') && is_plain && !text.contains("//") {
            Ok(Self(text.into()))
        } else {
            Err(
                "not a path for sockets: expected a full path without \".\" and \"..\", a folder with a slash at its end",
            )
        }
    }
}

impl From<SocketPath> for String {
    fn from(path: SocketPath) -> Self {
        path.0.into()
    }
}

impl JsonSchema for SocketPath {
    fn schema_name() -> Cow<'static, str> {
        "SocketPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^/" })
    }
}

/// Addresses that begin with the same bits: `10.0.0.0/8`, `fd00::/8`, `192.0.2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `ip` is one of them.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let width = |ip: IpAddr| if ip.is_ipv4() { 32 } else { 128 };
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.base.is_ipv4() && {
            let different = number(ip) ^ number(self.base);
            different.checked_shr(width(ip) - u32::from(self.bits)).unwrap_or(0) == 0
        }
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

impl TryFrom<String> for Network {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "not a network: expected address/bits or an address";
        let (base, bits) = text.split_once('/').map_or((text.as_str(), None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| WRONG)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| WRONG))?;
        let network = Self { base, bits };
        let rest = u32::from(most).saturating_sub(u32::from(bits));
        let has_rest = number(base) & !u128::MAX.checked_shl(rest).unwrap_or(0) != 0;
        match bits <= most {
            true if has_rest => Err("not a network: there are ones behind its bits"),
            true => Ok(network),
            false => Err(WRONG),
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.base, self.bits)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "description": "address/bits, or one address" })
    }
}

/// A port or a range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// Whether `port` is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl TryFrom<String> for Ports {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err("not ports: expected a number such as \"443\" or a range such as \"8000-8999\""),
        }
    }
}

impl From<Ports> for String {
    fn from(ports: Ports) -> Self {
        if ports.first == ports.last { ports.first.to_string() } else { format!("{}-{}", ports.first, ports.last) }
    }
}

impl JsonSchema for Ports {
    fn schema_name() -> Cow<'static, str> {
        "Ports".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$" })
    }
}
