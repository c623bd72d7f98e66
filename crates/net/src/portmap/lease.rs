//! One port that a router forwards for a while, whichever way it was asked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{InternetProtocol, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{PortMappingProtocol, SearchOptions};
use meshline_mesh::PortMapping;
use meshline_protocol::message::NatTransport;
use tokio::time::timeout;

use super::gateway::Router;
use super::is_usable;

/// What is asked for. Long enough that renewing wakes nobody up, short enough that a killed node's port closes the same day.
const LEASE_SECONDS: u32 = 7_200;

/// A router in the same house answers at once: asked again after 250 and 500 ms, and given up after two seconds.
const TIMEOUTS: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: Some(Duration::from_secs(1)),
};

/// Looking for a router that speaks UPnP, and each thing asked of it.
const UPNP_LIMIT: Duration = Duration::from_secs(3);

/// Shown in the lists of routers.
const DESCRIPTION: &str = "meshline";

/// A lease.
#[derive(Debug)]
pub(super) enum Lease {
    /// By PCP or NAT-PMP.
    Crab { transport: NatTransport, mapping: crab_nat::PortMapping, external: Ipv4Addr },
    /// By UPnP.
    Upnp { transport: NatTransport, router: Gateway<Tokio>, local: SocketAddr, external: SocketAddr },
}

impl Lease {
    /// Asks a router in one way after the other.
    pub(super) async fn ask(router: &Router, transport: NatTransport, port: u16) -> Option<Self> {
        match Self::by_crab(router, transport, NonZeroU16::new(port)?).await {
            Some(lease) => Some(lease),
            None => timeout(2 * UPNP_LIMIT, Self::by_upnp(router, transport, port)).await.ok().flatten(),
        }
    }

    async fn by_crab(router: &Router, transport: NatTransport, port: NonZeroU16) -> Option<Self> {
        let protocol = match transport {
            NatTransport::Udp => InternetProtocol::Udp,
            NatTransport::Tcp => InternetProtocol::Tcp,
            NatTransport::Other => return None,
        };
        let options = PortMappingOptions {
            external_port: Some(port),
            lifetime_seconds: Some(LEASE_SECONDS),
            timeout_config: Some(TIMEOUTS),
        };
        let (gateway, local) = (router.address.into(), router.local.into());
        let mapping = crab_nat::PortMapping::new(gateway, local, protocol, port, options).await.ok()?;
        let external = match mapping.mapping_type() {
            PortMappingType::Pcp { external_ip, .. } => external_ip,
            PortMappingType::NatPmp => natpmp::external_address(gateway, Some(TIMEOUTS)).await.ok()?.into(),
        };
        match external {
            IpAddr::V4(external) => Some(Self::Crab { transport, mapping, external }),
            IpAddr::V6(_) => None,
        }
    }

    async fn by_upnp(router: &Router, transport: NatTransport, port: u16) -> Option<Self> {
        let mut options = SearchOptions::default();
        options.bind_addr = (router.local, 0).into();
        (options.timeout, options.single_search_timeout) = (Some(UPNP_LIMIT), Some(UPNP_LIMIT));
        let gateway = search_gateway(options).await.ok()?;
        let IpAddr::V4(external) = gateway.get_external_ip().await.ok()? else { return None };
        let (protocol, local) = (upnp_protocol(transport)?, SocketAddr::from((router.local, port)));
        let added = gateway.add_port(protocol, port, local, LEASE_SECONDS, DESCRIPTION).await;
        let port = match added {
            Ok(()) => port,
            // Somebody else in the house has it.
            Err(_) => gateway.add_any_port(protocol, local, LEASE_SECONDS, DESCRIPTION).await.ok()?,
        };
        let external = SocketAddr::from((external, port));
        Some(Self::Upnp { transport, router: gateway, local, external })
    }

    /// The same for another while, unless the router has forgotten it.
    pub(super) async fn renew(self) -> Option<Self> {
        match self {
            Self::Crab { transport, mut mapping, external } => {
                mapping.renew().await.ok()?;
                let external = match mapping.mapping_type() {
                    PortMappingType::Pcp { external_ip: IpAddr::V4(now), .. } => now,
                    PortMappingType::Pcp { .. } => external,
                    PortMappingType::NatPmp => {
                        natpmp::external_address(mapping.gateway(), Some(TIMEOUTS)).await.ok()?
                    }
                };
                Some(Self::Crab { transport, mapping, external })
            }
            Self::Upnp { transport, router, local, external } => {
                let renewal = async {
                    let protocol = upnp_protocol(transport)?;
                    router.add_port(protocol, external.port(), local, LEASE_SECONDS, DESCRIPTION).await.ok()?;
                    router.get_external_ip().await.ok()
                };
                let ip = timeout(UPNP_LIMIT, renewal).await.ok().flatten()?;
                Some(Self::Upnp { transport, router, local, external: SocketAddr::new(ip, external.port()) })
            }
        }
    }

    /// The router need not forward it any more.
    pub(super) async fn give_back(self) {
        match self {
            Self::Crab { mapping, .. } => drop(mapping.try_drop().await),
            Self::Upnp { transport, router, external, .. } => {
                if let Some(protocol) = upnp_protocol(transport) {
                    let _ = router.remove_port(protocol, external.port()).await;
                }
            }
        }
    }

    pub(super) fn transport(&self) -> NatTransport {
        match self {
            Self::Crab { transport, .. } | Self::Upnp { transport, .. } => *transport,
        }
    }

    /// For how long the router promised it.
    pub(super) fn lifetime(&self) -> Duration {
        let seconds = match self {
            Self::Crab { mapping, .. } => mapping.lifetime(),
            Self::Upnp { .. } => LEASE_SECONDS,
        };
        Duration::from_secs(u64::from(seconds))
    }

    /// As the core is told.
    pub(super) fn mapping(&self) -> Option<PortMapping> {
        let (external, by) = match self {
            Self::Crab { mapping, external, .. } => {
                let by = match mapping.mapping_type() {
                    PortMappingType::NatPmp => "nat_pmp",
                    PortMappingType::Pcp { .. } => "pcp",
                };
                (is_usable(*external, mapping.external_port().get())?, by)
            }
            Self::Upnp { external, .. } => (*external, "upnp"),
        };
        Some(PortMapping { transport: self.transport(), external, by })
    }
}

fn upnp_protocol(transport: NatTransport) -> Option<PortMappingProtocol> {
    match transport {
        NatTransport::Udp => Some(PortMappingProtocol::UDP),
        NatTransport::Tcp => Some(PortMappingProtocol::TCP),
        NatTransport::Other => None,
    }
}
