//! What a host and port mean to the proxy.

use std::net::Ipv6Addr;

use meshline_protocol::opening::OpenStream;
use meshline_protocol::{Address, Code, Target};

use super::Proxy;
use crate::connector::Via;
use crate::directory::find;
use crate::refusal::{Refusal, refuse};

/// Names that end so are members.
const MESH: &str = ".mesh";

impl Proxy {
    /// `NAME.mesh` is that member's own exposed port; everything else is a target for the exit, which resolves names.
    pub(super) fn wish(&self, host: &str, port: u16, udp: bool) -> Result<(Via, OpenStream), Refusal> {
        let connector = &self.shared.connector;
        if let Some(name) = mesh_name(host) {
            let member = find(&connector.directory().members(), name)?;
            let member = member.ok_or_else(|| refuse(Code::NoSuchPeer, format!("no member is called {name}")))?;
            return Ok((Via::Member(member), OpenStream { port: Some(port), udp, ..OpenStream::default() }));
        }
        let address = address(host, port)?;
        let target = if udp { Target::Udp(address) } else { Target::Tcp(address) };
        let via = match connector.resolve(&self.config.exit, true)? {
            Via::Service(word) => {
                return Err(refuse(Code::NoSuchPeer, format!("the exit {} is no known member", word.name)));
            }
            via @ (Via::Member(_) | Via::Auto) => via,
        };
        Ok((via, OpenStream { target: Some(target), ..OpenStream::default() }))
    }
}

fn mesh_name(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let at = host.len().checked_sub(MESH.len())?;
    let is_mesh = host.get(at..)?.eq_ignore_ascii_case(MESH);
    host.get(..at).filter(|name| is_mesh && !name.is_empty())
}

fn address(host: &str, port: u16) -> Result<Address, Refusal> {
    let plain = host.trim_matches(['[', ']']);
    let text = if plain.parse::<Ipv6Addr>().is_ok() { format!("[{plain}]:{port}") } else { format!("{host}:{port}") };
    text.parse().map_err(|_| refuse(Code::InvalidMessage, "not a host and port"))
}
