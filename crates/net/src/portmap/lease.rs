//! One port that a router forwards for a while, whichever way it was asked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{InternetProtocol, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp};
use meshline_mesh::PortMapping;
use meshline_protocol::message::NatTransport;
use tokio::time::timeout;

use super::gateway::Router;
use super::hold::{Gateway, Held};
use super::is_usable;
use super::upnp::{EVERYBODY, Upnp};

/// What is asked for. Long enough that renewing wakes nobody up, short enough that a killed node's port closes the same day.
pub(super) const LEASE_SECONDS: u32 = 7_200;

/// A router in the same house answers at once: asked again after 250 and 500 ms, and given up after two seconds.
const TIMEOUTS: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: Some(Duration::from_secs(1)),
};

/// Looking for a router that speaks UPnP and asking it; and renewing.
const UPNP_LIMIT: Duration = Duration::from_secs(6);

/// A lease.
#[derive(Debug)]
pub(super) enum Lease {
    /// By PCP or NAT-PMP.
    Crab { transport: NatTransport, mapping: crab_nat::PortMapping, external: Ipv4Addr },
    /// By UPnP.
    Upnp { transport: NatTransport, router: Upnp, local: SocketAddr, external: SocketAddr },
}

impl Gateway for Router {
    type Lease = Lease;

    /// In one way after the other.
    async fn ask(&self, transport: NatTransport, port: u16) -> Option<Lease> {
        match Lease::by_crab(self, transport, NonZeroU16::new(port)?).await {
            Some(lease) => Some(lease),
            None => timeout(UPNP_LIMIT, Lease::by_upnp(self, transport, port)).await.ok().flatten(),
        }
    }
}

impl Lease {
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
        let found = Upnp::find(router.local, EVERYBODY).await?;
        let external = found.external().await?;
        let local = SocketAddr::from((router.local, port));
        let port = found.add(transport, local).await?;
        let external = is_usable(external, port)?;
        Some(Self::Upnp { transport, router: found, local, external })
    }

    /// The router need not forward it any more.
    pub(super) async fn give_back(self) {
        match self {
            Self::Crab { mapping, .. } => drop(mapping.try_drop().await),
            Self::Upnp { transport, router, external, .. } => router.remove(transport, external.port()).await,
        }
    }
}

impl Held for Lease {
    async fn renew(self) -> Option<Self> {
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
                    let is_kept = router.keep(transport, external.port(), local).await;
                    if is_kept { router.external().await } else { None }
                };
                let ip = timeout(UPNP_LIMIT, renewal).await.ok().flatten()?;
                Some(Self::Upnp { transport, router, local, external: (ip, external.port()).into() })
            }
        }
    }

    fn transport(&self) -> NatTransport {
        match self {
            Self::Crab { transport, .. } | Self::Upnp { transport, .. } => *transport,
        }
    }

    fn lifetime(&self) -> Duration {
        let seconds = match self {
            Self::Crab { mapping, .. } => mapping.lifetime(),
            Self::Upnp { .. } => LEASE_SECONDS,
        };
        Duration::from_secs(u64::from(seconds))
    }

    fn mapping(&self) -> Option<PortMapping> {
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
