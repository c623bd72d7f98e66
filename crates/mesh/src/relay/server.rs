//! Being the proxy: tickets for two members that want to be joined, and the joining of their connections.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::message::{Gossip, Records, Relay as Message, RelayRefusal, RelayTicket};
use meshline_protocol::{Bounded, Code, Message as Wire, NodeId, SignedRecord, Ticket};

use crate::bucket::{Bucket, Rate};
use crate::event::Event;
use crate::input::RelayConnection;
use crate::now::Mono;
use crate::output::Output;
use crate::report::{RelayMemberRow, RelayReport};
use crate::shared::Shared;

/// How long a ticket may be shown.
const TICKET_VALIDITY: Duration = Duration::from_secs(10);

/// Errands between request and joining.
pub(crate) const MAX_ERRANDS: usize = 1_024;

/// Requests of one member: a start asks for many at once, and what goes on asking gets nothing by it.
const REQUESTS: Rate = Rate { per_second: 8, burst: 64 };

/// Members whose relayed bytes and refusals are counted. Above it those without a relayed link are forgotten.
pub(crate) const MAX_COUNTED: usize = 4_096;

/// What is known of one member.
#[derive(Debug)]
struct Counted {
    bytes: u64,
    refused: BTreeMap<&'static str, u64>,
    requests: Bucket,
}

/// One end of an errand.
#[derive(Debug)]
struct End {
    member: NodeId,
    ticket: Ticket,
    /// Tickets count once: the connection that showed it.
    connection: Option<RelayConnection>,
}

/// Two members to be joined.
#[derive(Debug)]
struct Errand {
    asker: End,
    other: End,
    granted: bool,
    expires: Mono,
}

/// Two members that are joined.
#[derive(Debug)]
struct Pipe {
    members: [NodeId; 2],
    connections: [RelayConnection; 2],
}

/// The errands and pipes of a proxy.
#[derive(Debug, Default)]
pub(crate) struct RelayServer {
    errands: Vec<Errand>,
    pipes: Vec<Pipe>,
    counted: BTreeMap<NodeId, Counted>,
}

impl RelayServer {
    /// A member asks to be joined with another. Its record goes before the offer: nobody agrees to be joined with
    /// somebody unknown, and what gossip knows may take a while to get there.
    pub(crate) fn handle_request(
        &mut self,
        (from, record): (NodeId, Option<SignedRecord>),
        peer: NodeId,
        shared: &mut Shared,
    ) {
        let now = shared.now.mono;
        let is_let = self.counted(from, now).requests.take(now);
        let too_often = || Err((Code::RateLimited, "the member asks too often"));
        let judged = if is_let { self.check(from, peer, shared) } else { too_often() };
        if let Err((code, detail)) = judged {
            shared.count(code);
            let count = self.counted(from, now).refused.entry(code.name()).or_default();
            *count = count.saturating_add(1);
            let refusal = RelayRefusal { peer, code, detail: detail.to_owned() };
            shared.send(&from, Wire::Relay(Message::Refuse(refusal)));
            return;
        }
        self.void(from, peer, shared);
        let asker = End { member: from, ticket: new_ticket(shared), connection: None };
        let other = End { member: peer, ticket: new_ticket(shared), connection: None };
        let offer = RelayTicket { ticket: other.ticket.clone(), peer: from };
        if let Some(record) = record {
            shared.send(&peer, Wire::Gossip(Gossip::Records(Records { records: Bounded::from_first([record]) })));
        }
        shared.send(&peer, Wire::Relay(Message::Offer(offer)));
        let expires = shared.now.mono.after(TICKET_VALIDITY);
        self.errands.push(Errand { asker, other, granted: false, expires });
    }

    fn counted(&mut self, member: NodeId, now: Mono) -> &mut Counted {
        if self.counted.len() >= MAX_COUNTED && !self.counted.contains_key(&member) {
            let pipes = &self.pipes;
            self.counted.retain(|id, _| pipes.iter().any(|pipe| pipe.members.contains(id)));
            // As many members with relayed links as that have come through more than one connection each.
            if self.counted.len() >= MAX_COUNTED {
                self.counted.clear();
            }
        }
        let fresh = || Counted { bytes: 0, refused: BTreeMap::new(), requests: Bucket::new(REQUESTS, now) };
        self.counted.entry(member).or_insert_with(fresh)
    }

    /// So many bytes were relayed for a member so far.
    pub(crate) fn count_bytes(&mut self, member: NodeId, bytes: u64, now: Mono) {
        self.counted(member, now).bytes = bytes;
    }

    /// What this proxy does, for its operator.
    pub(crate) fn report(&self, name_of: impl Fn(&NodeId) -> String) -> RelayReport {
        let mut pairs: BTreeMap<NodeId, usize> = BTreeMap::new();
        for member in self.pipes.iter().flat_map(|pipe| pipe.members) {
            *pairs.entry(member).or_default() += 1;
        }
        let row = |(id, counted): (&NodeId, &Counted)| RelayMemberRow {
            member: *id,
            name: name_of(id),
            pairs: pairs.get(id).copied().unwrap_or(0),
            bytes: counted.bytes,
            refused: counted.refused.clone(),
        };
        let members = self.counted.iter().map(row).collect();
        RelayReport { pairs: self.pipes.len(), waiting: self.errands.len(), members }
    }

    /// Asked again, the former errand of the same two is over.
    fn void(&mut self, from: NodeId, peer: NodeId, shared: &mut Shared) {
        let former = |errand: &mut Errand| errand.asker.member == from && errand.other.member == peer;
        for errand in self.errands.extract_if(.., former) {
            for connection in [errand.asker.connection, errand.other.connection].into_iter().flatten() {
                shared.push(Output::RelayDrop { connection, code: Code::BadTicket });
            }
        }
    }

    fn check(&self, from: NodeId, peer: NodeId, shared: &Shared) -> Result<(), (Code, &'static str)> {
        let pipes = |id: NodeId| self.pipes.iter().filter(|pipe| pipe.members.contains(&id)).count();
        // What is only asked for is the asker's own affair: it must not use up the places of the member asked for.
        let asked = self.errands.iter().filter(|errand| errand.asker.member == from).count();
        let config = &shared.config;
        if !config.is_proxy() {
            Err((Code::Forbidden, "this member is no proxy"))
        } else if from == peer || !shared.up.contains_key(&peer) {
            Err((Code::NoSuchPeer, "the member is not linked to this proxy"))
        } else if asked + pipes(from) >= config.max_relays_per_member || pipes(peer) >= config.max_relays_per_member {
            Err((Code::RateLimited, "the member has as many relayed links as it may have"))
        } else if self.errands.len() >= MAX_ERRANDS || self.pipes.len() >= config.max_relays {
            Err((Code::RateLimited, "the proxy has as many relayed links as it may have"))
        } else {
            Ok(())
        }
    }

    /// The other member agrees: both may come.
    pub(crate) fn handle_accept(&mut self, from: NodeId, accept: &RelayTicket, shared: &mut Shared) {
        let offered = self
            .errands
            .iter_mut()
            .find(|errand| !errand.granted && errand.other.member == from && errand.other.ticket == accept.ticket);
        let Some(errand) = offered else { return };
        errand.granted = true;
        for (end, peer) in [(&errand.asker, &errand.other), (&errand.other, &errand.asker)] {
            let grant = RelayTicket { ticket: end.ticket.clone(), peer: peer.member };
            shared.send(&end.member, Wire::Relay(Message::Grant(grant)));
        }
    }

    /// The other member does not agree.
    pub(crate) fn handle_refuse(&mut self, from: NodeId, refusal: &RelayRefusal, shared: &mut Shared) {
        let offered = self
            .errands
            .iter()
            .position(|errand| !errand.granted && errand.other.member == from && errand.asker.member == refusal.peer);
        if let Some(at) = offered {
            let errand = self.errands.swap_remove(at);
            let refusal = RelayRefusal { peer: from, ..refusal.clone() };
            shared.send(&errand.asker.member, Wire::Relay(Message::Refuse(refusal)));
        }
    }

    /// A connection showed a ticket.
    pub(crate) fn handle_arrival(&mut self, connection: RelayConnection, ticket: &Ticket, shared: &mut Shared) {
        let now = shared.now.mono;
        // Who reads late sees what came in time and what did not before any timer runs.
        let may_come = |errand: &Errand| errand.granted && errand.expires > now;
        let found = self.errands.iter_mut().position(|errand| may_come(errand) && errand.admit(connection, ticket));
        let Some(at) = found else {
            shared.count(Code::BadTicket);
            shared.push(Output::RelayDrop { connection, code: Code::BadTicket });
            return;
        };
        let both = self.errands.get(at).and_then(|errand| Some([errand.asker.connection?, errand.other.connection?]));
        if let Some(connections) = both {
            let errand = self.errands.swap_remove(at);
            let members = [errand.asker.member, errand.other.member];
            self.pipes.push(Pipe { members, connections });
            let [first, second] = connections;
            // Counted from the start, whether or not they asked.
            for member in members {
                self.counted(member, shared.now.mono);
            }
            shared.push(Output::RelayJoin { first, second, members });
            shared.event(Event::Relayed { first: errand.asker.member, second: errand.other.member });
        }
    }

    /// A connection ended.
    pub(crate) fn handle_end(&mut self, connection: RelayConnection) {
        self.pipes.retain(|pipe| !pipe.connections.contains(&connection));
        self.errands.retain(|errand| !errand.holds(connection));
    }

    /// A member is expelled: its pipes end.
    pub(crate) fn forget(&mut self, member: NodeId, shared: &mut Shared) {
        self.errands.retain(|errand| errand.asker.member != member && errand.other.member != member);
        for pipe in self.pipes.extract_if(.., |pipe| pipe.members.contains(&member)) {
            let [connection, _] = pipe.connections;
            shared.push(Output::RelayDrop { connection, code: Code::Revoked });
        }
    }

    /// Tickets that were not shown in time are void.
    pub(crate) fn handle_timeout(&mut self, shared: &mut Shared) {
        let now = shared.now.mono;
        for errand in self.errands.extract_if(.., |errand| errand.expires <= now) {
            for connection in [errand.asker.connection, errand.other.connection].into_iter().flatten() {
                shared.push(Output::RelayDrop { connection, code: Code::BadTicket });
            }
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        self.errands.iter().map(|errand| errand.expires).min()
    }
}

impl Errand {
    fn admit(&mut self, connection: RelayConnection, ticket: &Ticket) -> bool {
        let end = [&mut self.asker, &mut self.other]
            .into_iter()
            .find(|end| end.connection.is_none() && end.ticket == *ticket);
        if let Some(end) = end {
            end.connection = Some(connection);
            return true;
        }
        false
    }

    fn holds(&self, connection: RelayConnection) -> bool {
        [&self.asker, &self.other].into_iter().any(|end| end.connection == Some(connection))
    }
}

/// Thirty-two random bytes. Comparing them byte by byte gives nothing away: a ticket is void after one try by
/// anyone else's connection would have had to guess 256 bits first.
fn new_ticket(shared: &mut Shared) -> Ticket {
    let text = data_encoding::BASE64URL_NOPAD.encode(&shared.secret());
    Ticket::try_from(text).unwrap_or_else(|_| unreachable!("32 bytes are 43 characters"))
}
