//! Connections that show a relay ticket, and their joining by a proxy.

use std::collections::BTreeMap;
use std::sync::Arc;

use meshline_mesh::{DialId, DialTarget, Input as Mesh, LinkOpened, RelayConnection, Transport};
use meshline_protocol::message::{Nat, NatThere, Relay, RelayTicket};
use meshline_protocol::{Address, Code, Frame, Message, NodeId};

use crate::network::Content;
use crate::schedule::{Due, Run};
use crate::world::World;

/// One end that waits at a proxy.
#[derive(Debug)]
struct Leg {
    run: Run,
    dial: DialId,
    address: Address,
    /// Who must be at the other end.
    peer: NodeId,
    /// Whether this end speaks first in TLS.
    client: bool,
}

/// What a proxy does wrong, or a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misdeed {
    /// It offers, and grants nothing.
    NeverGrants,
    /// Its grants name somebody who was not asked for.
    GrantsForAnother,
    /// It joins members with others than they asked for.
    JoinsOthers,
    /// What it passes on is not what it got: the two ends' TLS breaks.
    Garbles,
    /// It says that it sees every member wherever that is said to be.
    Vouches,
    /// No proxy's: of the datagrams that it should carry for others it sends none on.
    Swallows,
}

/// All ends that wait at proxies.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    misdeeds: BTreeMap<usize, Misdeed>,
    /// What a proxy adds to the latency of what it relays.
    delays: BTreeMap<usize, u64>,
    last: u64,
    waiting: BTreeMap<RelayConnection, (Run, Leg)>,
}

impl World {
    /// From now on a proxy does something wrong.
    pub fn misuse(&mut self, node: usize, misdeed: Misdeed) {
        self.relays.misdeeds.insert(node, misdeed);
    }

    /// From now on a proxy holds up what it relays for so many microseconds.
    pub fn set_relay_delay(&mut self, node: usize, micros: u64) {
        self.relays.delays.insert(node, micros);
    }

    /// What a proxy relays breaks now, as TLS does when anything of it is lost, doubled, changed or out of order. It relays on.
    pub fn break_relayed(&mut self, node: usize) {
        let (_, carried) = self.network.links_of(self.run_of(node));
        for link in carried {
            self.break_end(link);
        }
    }

    /// Of what a proxy relays now nothing arrives any more, and nobody is told. It relays on.
    pub fn swallow_relayed(&mut self, node: usize) {
        let run = self.run_of(node);
        self.network.cut_carried(run);
    }

    /// How long a proxy holds up what it relays.
    pub(crate) fn relay_delay(&self, node: usize) -> u64 {
        self.relays.delays.get(&node).copied().unwrap_or(0)
    }

    /// What a node really sends when it wants to send this.
    pub(crate) fn as_misused(&self, node: usize, frame: &Arc<Frame>) -> Option<Arc<Frame>> {
        let misdeed = self.relays.misdeeds.get(&node);
        if let (Message::Datagram(datagram), Some(Misdeed::Swallows)) = (&frame.message, misdeed) {
            return (datagram.src == self.id(node)).then(|| Arc::clone(frame));
        }
        match (misdeed, &frame.message) {
            (Some(Misdeed::NeverGrants), Message::Relay(Relay::Grant(_))) => None,
            (Some(Misdeed::GrantsForAnother), Message::Relay(Relay::Grant(grant))) => {
                let grant = RelayTicket { peer: self.id(node), ..grant.clone() };
                Some(Arc::new(Message::Relay(Relay::Grant(grant)).into()))
            }
            (Some(Misdeed::Vouches), Message::Nat(Nat::There(there))) => {
                let there = NatThere { seen: Some(true), ..*there };
                Some(Arc::new(Message::Nat(Nat::There(there)).into()))
            }
            (Some(_) | None, _) => Some(Arc::clone(frame)),
        }
    }

    pub(crate) fn on_relay_dial(&mut self, run: Run, dial: DialId, target: DialTarget) {
        let DialTarget::Relay { proxy, ticket, peer, client } = target else { return };
        let node = match self.listener(run.node, &proxy) {
            Ok(node) => node,
            Err(detail) => return self.fail_dial(run, dial, detail),
        };
        self.relays.last += 1;
        let connection = RelayConnection(self.relays.last);
        let leg = Leg { run, dial, address: proxy, peer, client };
        self.relays.waiting.insert(connection, (self.run_of(node), leg));
        self.input(node, Mesh::RelayArrived { connection, ticket });
    }

    pub(crate) fn join_relay(&mut self, proxy: Run, first: RelayConnection, second: RelayConnection) {
        let legs = [first, second].map(|leg| self.relays.waiting.remove(&leg));
        let [Some((_, first_leg)), Some((_, second_leg))] = legs else { return };
        let ids = [self.id(first_leg.run.node), self.id(second_leg.run.node)];
        let misdeed = match self.relays.misdeeds.get(&proxy.node) {
            Some(Misdeed::JoinsOthers) => Some(Code::IdentityMismatch),
            Some(Misdeed::Garbles) => Some(Code::TlsFailed),
            Some(Misdeed::NeverGrants | Misdeed::GrantsForAnother | Misdeed::Vouches | Misdeed::Swallows) | None => {
                None
            }
        };
        let fault = if misdeed.is_some() {
            misdeed
        } else if first_leg.client == second_leg.client {
            Some(Code::TlsFailed)
        } else {
            (first_leg.peer != ids[1] || second_leg.peer != ids[0]).then_some(Code::IdentityMismatch)
        };
        if let Some(code) = fault {
            self.fail_leg(&first_leg, code);
            self.fail_leg(&second_leg, code);
            let at = self.later();
            self.schedule.enter(at, Due::RelayEnded { run: proxy, connection: first });
            return;
        }
        let via = Some((proxy, [first, second]));
        let links = self.network.connect([first_leg.run, second_leg.run], via);
        let ready = self.later() + 2 * self.network.delay(&mut self.rng);
        for ((link, leg), proved) in links.into_iter().zip([first_leg, second_leg]).zip([ids[1], ids[0]]) {
            let opened = LinkOpened {
                link,
                dial: Some(leg.dial),
                transport: Transport::Relay,
                local: crate::address(leg.run.node),
                remote: leg.address,
                proved: Some(proved),
                through: None,
                spent_us: ready - self.now,
            };
            self.network.post(link, ready, Content::Opened(Box::new(opened)), &mut self.schedule);
        }
    }

    /// The proxy refuses or ends a relay connection.
    pub(crate) fn drop_relay(&mut self, connection: RelayConnection, code: Code) {
        if let Some((_, leg)) = self.relays.waiting.remove(&connection) {
            self.fail_leg(&leg, code);
        }
        for link in self.network.joined_from(connection) {
            self.break_end(link);
        }
    }

    fn fail_leg(&mut self, leg: &Leg, code: Code) {
        let at = self.later();
        let due = Due::DialFailed { run: leg.run, dial: leg.dial, code, detail: "the proxy dropped the connection" };
        self.schedule.enter(at, due);
    }

    /// An end of a pipe is told that its connection ended.
    pub(crate) fn break_end(&mut self, link: meshline_mesh::LinkId) {
        let at = self.later();
        self.network.post(link, at, Content::Closed(Code::ConnectionLost), &mut self.schedule);
    }

    /// A run ended: proxies lose the connections that waited for a partner, and those that waited at it fail.
    pub(crate) fn forget_relays(&mut self, run: Run) {
        let waiting = std::mem::take(&mut self.relays.waiting);
        for (connection, (proxy, leg)) in waiting {
            if leg.run == run {
                let at = self.later();
                self.schedule.enter(at, Due::RelayEnded { run: proxy, connection });
            } else if proxy == run {
                self.fail_leg(&leg, Code::ConnectionLost);
            } else {
                self.relays.waiting.insert(connection, (proxy, leg));
            }
        }
    }
}
