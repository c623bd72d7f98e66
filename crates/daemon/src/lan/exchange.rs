//! What is offered to whom now: services of the segment to the mesh, and services of the mesh to the segment.

use std::collections::BTreeMap;
use std::slice::from_ref;

use meshline_gateway::{Expose, ForwardState};
use meshline_net::MeshHandle;
use meshline_net::lan::{LanAnnouncement, LanKind, Segment};
use meshline_protocol::message::Health;
use meshline_protocol::{Address, ServiceName, Target};
use meshline_services::discovery::{Command, Entry, Filter, Reply};
use meshline_services::imports::{Imported, Imports, MARK};

use crate::config::{LanImport, LanOffer};
use crate::gateway::{self, LocalGateway};

/// Between two attempts to connect to a service of the segment, in seconds: its announcement may outlive it by an hour.
const CHECK_S: u32 = 30;

/// Services of the segment that the mesh is told of.
#[derive(Default)]
pub(super) struct Held(BTreeMap<ServiceName, (Imported, gateway::Held)>);

impl Held {
    /// Offers what should be offered now, and nothing else.
    pub(super) async fn follow(&mut self, imports: &Imports, config: &[LanImport], gateway: &LocalGateway) {
        let wanted: BTreeMap<&ServiceName, &Imported> =
            imports.offered().map(|imported| (&imported.name, imported)).collect();
        self.0.retain(|name, (imported, _)| wanted.get(name).is_some_and(|wanted| *wanted == imported));
        for (name, imported) in wanted {
            if self.0.contains_key(name) {
                continue;
            }
            match gateway.hold(exposed(imported, config)).await {
                Ok(held) => drop(self.0.insert(name.clone(), (imported.clone(), held))),
                Err(refusal) => {
                    let (code, name) = (refusal.code.name(), name.as_str());
                    tracing::debug!(target: "meshline", code, name, "a service of the segment is not offered: {}", refusal.detail);
                }
            }
        }
    }
}

fn exposed(imported: &Imported, config: &[LanImport]) -> Expose {
    let Imported { name, kind, address, text } = imported.clone();
    let allow = config.iter().find(|import| import.kind == kind).map(|import| import.allow.clone()).unwrap_or_default();
    let is_udp = kind.as_str().ends_with("._udp");
    let address = Address::from(address);
    let target = if is_udp { Target::Udp(address) } else { Target::Tcp(address) };
    let mut expose = Expose::new(name, target, allow);
    (expose.kind, expose.text, expose.advertise) = (Some(kind), text, Some(true));
    expose.check_s = (!is_udp).then_some(CHECK_S);
    expose
}

/// Services of the mesh that the segment is told of.
#[derive(Default)]
pub(super) struct Offered(BTreeMap<ServiceName, LanAnnouncement>);

impl Offered {
    /// Announces what the directory has and a listener here leads to, and nothing else.
    pub(super) async fn follow(
        &mut self,
        config: &[LanOffer],
        (mesh, gateway): (&MeshHandle, &LocalGateway),
        segment: &mut Segment,
    ) {
        for offer in config {
            let wanted = announcement(offer, mesh, gateway).await;
            let told = self.0.get(&offer.service);
            if told == wanted.as_ref() {
                continue;
            }
            if let Some(told) = told.filter(|told| wanted.as_ref().is_none_or(|wanted| wanted.kind != told.kind)) {
                segment.withdraw(&told.kind, &told.instance);
            }
            self.0.remove(&offer.service);
            let Some(wanted) = wanted else { continue };
            match segment.announce(&wanted) {
                Ok(()) => drop(self.0.insert(offer.service.clone(), wanted)),
                Err(end) => tracing::debug!(target: "meshline", "a service is not offered to the segment: {end}"),
            }
        }
    }
}

async fn announcement(offer: &LanOffer, mesh: &MeshHandle, gateway: &LocalGateway) -> Option<LanAnnouncement> {
    let listening = listening(offer, gateway)?;
    let (port, addresses) = LanAnnouncement::place(from_ref(&listening))?;
    let filter = Filter { name: Some(offer.service.clone()), kind: None };
    let command = meshline_services::Command::Discovery(Command::List(filter));
    let meshline_services::Reply::Discovery(Reply::Listed(entries)) = mesh.command(command).await else { return None };
    let Entry { kind, text, .. } = entries.into_iter().find(|entry| is_served(entry, offer))?;
    let pairs = text.pairs().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let text = pairs.chain([(MARK.to_owned(), "1".to_owned())]).collect();
    Some(LanAnnouncement { kind: LanKind::from(kind), instance: offer.service.to_string(), addresses, port, text })
}

/// Where the listener really is.
fn listening(offer: &LanOffer, gateway: &LocalGateway) -> Option<Address> {
    let forward = offer.forward();
    let row = gateway.report().forwards.into_iter().find(|row| row.forward == forward)?;
    let ForwardState::Listening(at) = row.state else { return None };
    at.address().cloned()
}

/// Whether somebody in reach serves it as it is offered.
fn is_served(entry: &Entry, offer: &LanOffer) -> bool {
    let is_udp = entry.kind.as_str().ends_with("._udp");
    entry.cost_us.is_some() && entry.health != Health::Down && is_udp == offer.listen.is_udp()
}
