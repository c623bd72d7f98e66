//! What somebody on this machine wants.

use meshline_protocol::message::{
    Goodbye, Membership, PunchReason, RebuildAbort, RebuildOrder, RebuildProposal, RecordText,
};
use meshline_protocol::{Address, Code, Message, NodeId, SignedRecord};

use super::Node;
use crate::input::{Command, LinkId, Reconfiguration};
use crate::output::{Output, Reply, RequestId};
use crate::peers::Purpose;

impl Node {
    pub(super) fn on_command(&mut self, request: RequestId, command: Command) {
        let reply = match command {
            Command::Status => Reply::Status(Box::new(self.status())),
            Command::Peers => Reply::Peers(self.peer_rows()),
            Command::Explain(id) => Reply::Explanation(self.explain(&id).map(Box::new)),
            Command::Ping { peer, text } => {
                self.echoes.ask(request, peer, text, &mut self.shared);
                return;
            }
            Command::Probe { to, path } => {
                self.routing.note_use(to, &self.shared);
                self.datagrams.probe(request, to, path, (self.routing.table(), &mut self.shared));
                return;
            }
            Command::SendDatagram { to, service, flow, over, body } => {
                self.send_datagram(to, (service, flow, over), body)
            }
            Command::Find(sought) => {
                self.find(request, &sought);
                return;
            }
            Command::Routes => Reply::Routes(self.route_rows()),
            Command::Apply(record) => match self.apply(&record) {
                Ok(done) => Reply::Applied(done),
                Err((code, detail)) => Reply::Refused { code, detail },
            },
            Command::Reconfigure(new) => {
                self.reconfigure(*new);
                Reply::Reconfigured
            }
            Command::Leave => {
                self.leave();
                Reply::Left
            }
        };
        self.shared.push(Output::Reply { request, reply });
    }

    /// Takes in a record by its type: a membership of this node or a revocation.
    fn apply(&mut self, record: &SignedRecord) -> Result<String, (Code, String)> {
        match kind_of(record).as_deref() {
            Some("membership") => self.apply_membership(record),
            Some("revocation") => match self.revoke(record, None) {
                Ok(news) => {
                    self.signal.revoke(record, &mut self.shared);
                    let done = if news { "revocation taken in and passed on" } else { "revocation was known already" };
                    Ok(done.to_owned())
                }
                Err(code) => Err((code, "the revocation was refused".to_owned())),
            },
            Some(RebuildOrder::TYPE | RebuildAbort::TYPE | RebuildProposal::TYPE) => self.apply_rebuild(record),
            Some(other) => Err((Code::InvalidMessage, format!("records of type {other} cannot be applied"))),
            None => Err((Code::InvalidMessage, "not a signed record".to_owned())),
        }
    }

    fn apply_membership(&mut self, record: &SignedRecord) -> Result<String, (Code, String)> {
        let shared = &mut self.shared;
        if shared.config.network.key() != Some(record.by) {
            return Err((Code::RecordForeign, "the membership is of another network".to_owned()));
        }
        let membership: Membership = meshline_identity::verify(record, &shared.config.network, shared.judged())
            .map_err(|error| (error.code(), error.to_string()))?;
        if membership.node != shared.id {
            return Err((Code::RecordForeign, "the membership is another node's".to_owned()));
        }
        shared.clock.signed(membership.seq);
        shared.config.membership = Some(record.clone());
        shared.config.name = membership.name;
        self.announce_anew();
        Ok("membership taken in".to_owned())
    }

    fn reconfigure(&mut self, new: Reconfiguration) {
        let (config, now) = (&mut self.shared.config, self.shared.now.mono);
        let kept: Vec<&Address> = new.peers.iter().chain(&new.proxies).chain(&config.next).collect();
        for old in config.peers.iter().chain(&config.proxies).filter(|old| !kept.contains(old)) {
            self.peers.remove_address(old);
        }
        for (addresses, purpose) in [(&new.peers, Purpose::Configured), (&new.proxies, Purpose::Proxy)] {
            for address in addresses {
                self.peers.add_address(address, purpose, now);
            }
        }
        self.signal.reconfigure(&new.signal, now);
        if config.punch && !new.punch {
            self.punch.leave(PunchReason::Off, &mut self.shared);
        }
        self.peers.set.changed(now);
        let config = &mut self.shared.config;
        if config.routing != new.routing {
            self.routing.policy_changed(now);
        }
        Reconfiguration {
            peers: config.peers,
            peer_ids: config.peer_ids,
            proxies: config.proxies,
            signal: config.signal,
            stun: config.stun,
            max_links: config.max_links,
            retries: config.retries,
            punch: config.punch,
            routing: config.routing,
        } = new;
    }

    /// Says goodbye to all and to the signal servers.
    fn leave(&mut self) {
        if self.shared.leaving {
            return;
        }
        self.punch.leave(PunchReason::Leaving, &mut self.shared);
        self.punch();
        let departure = self.shared.departure();
        self.shared.leaving = true;
        let frame = std::sync::Arc::new(Message::Goodbye(Goodbye { departure: departure.clone() }).into());
        let peers: Vec<NodeId> = self.shared.up.keys().copied().collect();
        for peer in peers {
            self.shared.send_frame(&peer, &frame);
        }
        self.peers.set.hold_anchors(&self.links, &self.shared);
        let links: Vec<LinkId> = self.links.iter().map(|link| link.id).collect();
        for link in links {
            self.links.remove(link);
            self.shared.push(Output::Close { link, error: None });
        }
        self.shared.up.clear();
        self.signal.leave(&departure, &mut self.shared);
    }
}

/// The `type` a record claims; nothing else of it is believed yet.
fn kind_of(record: &SignedRecord) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    serde_json::from_str::<Kind>(&record.signed)
        .ok()
        .map(|text| text.kind)
        .filter(|kind| kind.len() <= Membership::TYPE.len().max(32))
}
