//! Ways out of the network through this member, and listeners it has for others.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use meshline_protocol::Target;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Allow, allow};
use crate::directory::Member;

/// Who may reach what from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExitRule {
    /// Who: "*", full ids, names of a closed network, "role:…". Missing: nobody.
    #[serde(default)]
    pub allow: Vec<Allow>,
    /// Networks as address/bits, or single addresses. Missing: all, but never loopback, link-local or multicast.
    #[serde(default = "everything")]
    pub networks: Vec<Network>,
    /// Ports and ranges of ports, such as "443" and "8000-8999". Missing: all.
    #[serde(default = "all_ports")]
    pub ports: Vec<Ports>,
}

impl ExitRule {
    pub(super) fn permits(&self, ip: IpAddr, port: u16, member: &Member) -> bool {
        allow::permits(&self.allow, member)
            && self.networks.iter().any(|network| network.contains(ip))
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
}

impl ListenRule {
    pub(super) fn permits(&self, listen: &Target, member: &Member) -> bool {
        let (Target::Tcp(address) | Target::Udp(address)) = listen else { return false };
        let Ok(ip) = address.host().parse() else { return false };
        allow::permits(&self.allow, member)
            && self.networks.iter().any(|network| network.contains(ip))
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
