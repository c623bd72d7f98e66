//! `lan`: the local segment, found and spoken to by multicast DNS. Nothing of it is on unless told.

use meshline_gateway::{Allow, ForwardConfig};
use meshline_net::limits::MAX_LAN_KINDS;
use meshline_protocol::{ServiceKind, ServiceName, Target};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::member::NodeConfig;
use super::review::Review;

/// Services of the mesh that one member offers to its segment: each listens here.
const MAX_OFFERED: usize = 16;

/// Kinds that are taken over; one more is that of nodes.
const MAX_IMPORTED_KINDS: usize = MAX_LAN_KINDS - 1;

/// What is done on the local segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LanConfig {
    /// Whether members of this network are looked for on the local segment by multicast DNS, and this one is announced
    /// there if it listens beyond loopback. Whoever is found has to prove a membership like anybody else.
    pub discover: bool,
    /// Services of the mesh that are offered to the segment, each with a listener here. Whoever is on the segment may use
    /// them.
    pub offer: Vec<LanOffer>,
    /// Services of the segment that are offered to the mesh, by kind.
    pub import: Vec<LanImport>,
}

/// A service of the mesh that is offered to the segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanOffer {
    /// Its name in the directory of services. It is announced under this name while the directory has it.
    pub service: ServiceName,
    /// Where to listen for it: tcp://host:port or udp://host:port, not loopback.
    pub listen: Target,
}

impl LanOffer {
    /// The forward that carries it.
    #[must_use]
    pub fn forward(&self) -> ForwardConfig {
        let peer = format!("service:{}", self.service);
        ForwardConfig { listen: self.listen.clone(), peer, target: None, reverse: false }
    }
}

/// Services of the segment that are offered to the mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LanImport {
    /// Which, as in DNS-SD: "_http._tcp".
    pub kind: ServiceKind,
    /// Who may use them: "*", full ids, names of a closed network, "role:…". Missing: nobody.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

impl LanConfig {
    /// Whether anything is to be done.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.discover || !self.offer.is_empty() || !self.import.is_empty()
    }

    /// What carries the services that are offered.
    pub fn forwards(&self) -> impl Iterator<Item = ForwardConfig> {
        self.offer.iter().map(LanOffer::forward)
    }
}

pub(super) fn check(config: &NodeConfig, review: &mut Review) {
    let lan = &config.lan;
    check_discover(config, review);
    for (pointer, found, most) in
        [("/lan/offer", lan.offer.len(), MAX_OFFERED), ("/lan/import", lan.import.len(), MAX_IMPORTED_KINDS)]
    {
        if found > most {
            review.fault(pointer, format!("found {found} entries, expected {most} at most"));
        }
    }
    for (index, offer) in lan.offer.iter().enumerate() {
        check_offer(index, offer, config, review);
    }
    for (index, import) in lan.import.iter().enumerate() {
        let pointer = format!("/lan/import/{index}");
        if lan.import.iter().take(index).any(|before| before.kind == import.kind) {
            review.fault(&format!("{pointer}/kind"), format!("found the kind \"{}\" a second time", import.kind));
        }
        if import.allow.is_empty() {
            review.warn(&format!("{pointer}/allow"), "is empty: nobody may use what is found");
        }
    }
}

fn check_discover(config: &NodeConfig, review: &mut Review) {
    if !config.lan.discover {
        return;
    }
    if config.plain {
        review.fault(
            "/lan/discover",
            "found true, expected false because of \"plain\": true: such links stay on loopback",
        );
    } else if config.network.is_open() && !config.open {
        let message = format!(
            "found true on the open network \"{}\", expected \"open\": true too: whoever is on the segment may get in",
            config.network
        );
        review.fault("/lan/discover", message);
    } else if !config.listen.is_empty() && config.listen.iter().all(meshline_protocol::Address::is_loopback) {
        review.warn(
            "/lan/discover",
            "finds others only: this member listens on loopback alone, where nobody else can come",
        );
    }
}

fn check_offer(index: usize, offer: &LanOffer, config: &NodeConfig, review: &mut Review) {
    let pointer = format!("/lan/offer/{index}");
    let listen = &offer.listen;
    match listen.address().filter(|_| matches!(listen, Target::Tcp(_) | Target::Udp(_))) {
        None => review.fault(
            &format!("{pointer}/listen"),
            format!("found \"{listen}\", expected tcp://host:port or udp://host:port"),
        ),
        Some(address) if address.is_loopback() => {
            review
                .fault(&format!("{pointer}/listen"), format!("found \"{listen}\", where nobody on the segment comes"));
        }
        Some(address) => {
            let is_chosen = address.port() != 0;
            let before = config.lan.offer.iter().take(index);
            let is_twice = is_chosen && before.clone().any(|before| before.listen == *listen);
            let is_forward =
                is_chosen && config.forwards.iter().any(|forward| !forward.reverse && forward.listen == *listen);
            if is_twice || is_forward {
                let other = if is_twice { "another offer" } else { "a forward" };
                review.fault(&format!("{pointer}/listen"), format!("found \"{listen}\", where {other} listens"));
            }
            if before.clone().any(|before| before.service == offer.service) {
                let service = &offer.service;
                review.fault(&format!("{pointer}/service"), format!("found the service \"{service}\" a second time"));
            }
        }
    }
}
