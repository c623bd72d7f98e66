//! Random valid messages in random states: no node panics, and no other link suffers.

use std::collections::BTreeSet;

use meshline_mesh::{Config, Topology};
use meshline_protocol::message::{
    Broadcast, BroadcastAck, BroadcastCompare, BroadcastGraft, BroadcastHave, BroadcastKind, BroadcastMessage,
    BroadcastName, BroadcastPlace, BroadcastPrune, BroadcastTrail, BroadcastWant, Departure, Echo, ErrorMessage,
    Gossip, Nat, NatBack, NatCall, NatCalled, NatThere, NatTransport, NatWhere, RecordText, Records, Relay, RelayPeer,
    RelayRefusal, RelayTicket, Ring, RingAttach, RingToken, Role, SignedBroadcast, Summary, SummaryEntry, TimeFrame,
    TimeStamps, Want,
};
use meshline_protocol::{Bounded, Code, Frame, Message, NodeId, Ping, SignedRecord, UnixMicros};
use meshline_sim::{MS, Pair, Puppet, Rng, SECOND, World, address, seeds};

/// What random messages are made of.
struct Material {
    ids: Vec<NodeId>,
    records: Vec<SignedRecord>,
    now: UnixMicros,
    network: meshline_protocol::NetworkId,
}

impl Material {
    fn id(&self, rng: &mut Rng) -> NodeId {
        *rng.pick(&self.ids).expect("not empty")
    }

    fn record(&self, rng: &mut Rng) -> SignedRecord {
        rng.pick(&self.records).expect("not empty").clone()
    }

    fn number(&self, rng: &mut Rng) -> u64 {
        let choices = [0, 1, 7, u64::from(u32::MAX), self.now.get(), (1 << 53) - 1];
        *rng.pick(&choices).expect("not empty")
    }

    fn small(&self, rng: &mut Rng) -> u32 {
        u32::try_from(self.number(rng).min(u64::from(u32::MAX))).expect("held to it")
    }

    fn time(&self, rng: &mut Rng) -> UnixMicros {
        UnixMicros::new(self.number(rng))
    }

    fn ids<const MAX: usize>(&self, rng: &mut Rng) -> Bounded<NodeId, MAX> {
        let count = *rng.pick(&[0, 1, 2, 5, MAX]).expect("not empty");
        Bounded::from_first((0..count).map(|_| self.id(rng)))
    }

    fn ticket(&self, rng: &mut Rng) -> meshline_protocol::Ticket {
        let letter = rng.pick(&['a', 'b', '-']).expect("not empty").to_string();
        letter.repeat(43).try_into().expect("a ticket")
    }

    fn link_message(&self, rng: &mut Rng, world: &World, puppet: &Puppet) -> Message {
        match rng.below(6) {
            0 => Message::Hello(Box::new(world.puppet_hello(&puppet.key))),
            1 => Message::Time(Box::new(TimeFrame {
                network: self.network.clone(),
                version: 1,
                id: if rng.chance(80) { puppet.key.id() } else { self.id(rng) },
                time: self.time(rng),
                ping: if rng.chance(50) { Ping::UNKNOWN } else { Ping::measured(self.number(rng)) },
                exchange: self.small(rng),
                step: u8::try_from(rng.below(4)).expect("below four"),
                stamps: rng.chance(50).then(|| TimeStamps { origin: self.time(rng), receive: self.time(rng) }),
                seen: None,
                attempt: None,
                mac: None,
            })),
            2 => {
                let code = *rng.pick(Code::ALL).expect("not empty");
                Message::Error(ErrorMessage::new(code, "x".repeat(rng.index(512))))
            }
            3 => Message::Ping(Echo { nonce: self.small(rng), text: "x".repeat(rng.index(1_024)) }),
            4 => Message::Pong(Echo { nonce: self.small(rng), text: String::new() }),
            _ => Message::Revocation(self.record(rng)),
        }
    }

    fn gossip(&self, rng: &mut Rng) -> Message {
        Message::Gossip(match rng.below(4) {
            0 => Gossip::Summary(Summary {
                digest: format!("{:016x}", rng.bits()),
                entries: Bounded::from_first(
                    (0..rng.index(6))
                        .map(|_| SummaryEntry { id: self.id(rng), seq: self.time(rng) })
                        .collect::<Vec<_>>(),
                ),
                reply: rng.chance(50),
            }),
            1 => Gossip::Want(Want { ids: self.ids(rng) }),
            2 => Gossip::Records(Records {
                records: Bounded::from_first((0..rng.index(4)).map(|_| self.record(rng)).collect::<Vec<_>>()),
            }),
            _ => Gossip::Departure(self.record(rng)),
        })
    }

    fn ring(&self, rng: &mut Rng) -> Message {
        Message::Ring(match rng.below(3) {
            0 => Ring::Attach(RingAttach { epoch: self.small(rng) }),
            1 => Ring::Detach(RingAttach { epoch: self.small(rng) }),
            _ => Ring::Token(RingToken { author: self.id(rng), round: self.small(rng), members: self.ids(rng) }),
        })
    }

    fn relay(&self, rng: &mut Rng) -> Message {
        let peer = self.id(rng);
        let ticket = RelayTicket { ticket: self.ticket(rng), peer };
        Message::Relay(match rng.below(6) {
            0 => Relay::Request(RelayPeer { peer }),
            1 => Relay::Offer(ticket),
            2 => Relay::Accept(ticket),
            3 => Relay::Grant(ticket),
            4 => Relay::Refuse(RelayRefusal { peer, code: Code::NoSuchPeer, detail: String::new() }),
            _ => Relay::Ticket(self.ticket(rng)),
        })
    }

    fn nat(&self, rng: &mut Rng) -> Message {
        let nonce = self.small(rng);
        let transport = *rng.pick(&[NatTransport::Udp, NatTransport::Tcp, NatTransport::Other]).expect("not empty");
        let addresses = ["h0:6000", "192.0.2.66:7", "127.0.0.1:7", "[::1]:7", "0.0.0.0:7"];
        let address = rng.pick(&addresses).expect("not empty").parse().expect("an address");
        let host = rng.pick(&["192.0.2.66", "::1", "0.0.0.0"]).expect("not empty").parse().expect("an address");
        Message::Nat(match rng.below(5) {
            0 => Nat::Call(NatCall { nonce, transport, address, another_port: rng.chance(50) }),
            1 => Nat::Called(NatCalled { nonce, code: rng.chance(50).then_some(Code::Unreachable) }),
            2 => Nat::Where(NatWhere { peer: self.id(rng), host }),
            3 => Nat::There(NatThere { peer: self.id(rng), host, seen: Some(rng.chance(50)) }),
            _ => Nat::Back(NatBack { nonce }),
        })
    }

    /// What shapes the tree of broadcasts.
    fn tree(&self, rng: &mut Rng) -> Message {
        let name = |rng: &mut Rng| BroadcastName {
            by: self.id(rng),
            seq: self.time(rng),
            kind: if rng.chance(80) { BroadcastKind::Text } else { BroadcastKind::Revocation },
            hops: rng.chance(50).then(|| octet(rng)),
        };
        let count = rng.index(300);
        let names = Bounded::from_first((0..count).map(|_| name(rng)));
        let digest = |rng: &mut Rng| if rng.chance(50) { format!("{:016x}", rng.bits()) } else { "~".repeat(50) };
        let digests = if rng.chance(50) { 1 } else { rng.index(80) };
        Message::Broadcast(match rng.below(6) {
            0 => Broadcast::Have(BroadcastHave { names, past: rng.chance(50) }),
            1 => Broadcast::Want(BroadcastWant { names }),
            4 => Broadcast::Graft(BroadcastGraft {}),
            5 => Broadcast::Place(BroadcastPlace { root: self.id(rng), hops: octet(rng) }),
            2 => Broadcast::Prune(BroadcastPrune {}),
            _ => Broadcast::Compare(BroadcastCompare {
                since: self.time(rng),
                digests: Bounded::from_first((0..digests).map(|_| digest(rng))),
                last: rng.chance(50),
            }),
        })
    }

    /// Sometimes a true one of the puppet's own, sometimes a false one.
    fn broadcast(&self, rng: &mut Rng, puppet: &Puppet) -> Frame {
        if rng.chance(20) {
            let ack = BroadcastAck { author: self.id(rng), seq: self.time(rng), by: self.id(rng) };
            return Message::Broadcast(Broadcast::Ack(ack)).into();
        }
        let seq = self.time(rng);
        let text = SignedBroadcast {
            kind: SignedBroadcast::TYPE.to_owned(),
            network: self.network.clone(),
            seq: if rng.chance(80) { seq } else { self.time(rng) },
            expires: self.now.offset(if rng.chance(80) { 1_000_000_000 } else { -1 }),
            time: self.time(rng),
            clock: self.time(rng),
            service: rng.pick(&["chat", "other"]).expect("not empty").parse().expect("a name"),
            text: rng.pick(&["hi", "", "\u{7}", "~"]).expect("not empty").repeat(1 + rng.index(4_000)),
        };
        let body = serde_json::to_vec(&text).expect("plain data");
        let sig = puppet.key.sign_bytes(&body);
        let by = if rng.chance(70) { puppet.key.id() } else { self.id(rng) };
        let (attempt, holders, trail) = (self.small(rng), self.ids(rng), trail(rng));
        let announcement = rng.chance(20).then(|| Box::new(self.record(rng)));
        let line = BroadcastMessage { by, seq, sig, attempt, holders, trail, silent: rng.chance(20), announcement };
        let message = if rng.chance(50) { Broadcast::Flood(line) } else { Broadcast::Ring(line) };
        Frame { message: Message::Broadcast(message), body: rng.chance(95).then(|| body.into()) }
    }

    fn frame(&self, rng: &mut Rng, world: &World, puppet: &Puppet) -> Frame {
        match rng.below(13) {
            0 | 1 => self.link_message(rng, world, puppet).into(),
            2 | 3 => self.gossip(rng).into(),
            4 | 5 => self.ring(rng).into(),
            6 | 7 => self.relay(rng).into(),
            8 => self.nat(rng).into(),
            9 | 10 => self.tree(rng).into(),
            _ => self.broadcast(rng, puppet),
        }
    }
}

fn octet(rng: &mut Rng) -> u8 {
    u8::try_from(rng.below(256)).expect("small")
}

fn trail(rng: &mut Rng) -> BroadcastTrail {
    let entry = if rng.chance(50) { 0 } else { u32::MAX };
    BroadcastTrail { hops: octet(rng), entry, shortcuts: octet(rng), direct: rng.chance(50) }
}

fn material(world: &World, puppet: &Puppet) -> Material {
    let mut ids: Vec<NodeId> = (0..world.len()).map(|node| world.id(node)).collect();
    ids.push(puppet.key.id());
    ids.push(NodeId::from_bytes([3; 32]));
    let mut text = world.announcement_text();
    let own = world.puppet_announcement(&puppet.key, &text);
    (text.seq, text.expires) = (UnixMicros::new((1 << 53) - 2), UnixMicros::new((1 << 53) - 1));
    let far = world.puppet_announcement(&puppet.key, &text);
    let forged = SignedRecord { by: world.id(0), ..own.clone() };
    let departure = Departure {
        kind: Departure::TYPE.to_owned(),
        network: world.network_id(),
        seq: world.wall(),
        expires: world.wall().offset(1_000_000),
    };
    let departure = meshline_identity::sign(&departure, &puppet.key).expect("plain data");
    let stolen = SignedRecord { by: world.id(1), ..departure.clone() };
    let mut records = vec![own, far, forged, departure, stolen];
    records.extend(world.saved(0).peers.iter().filter_map(|peer| peer.record.clone()));
    Material { ids, records, now: world.wall(), network: world.network_id() }
}

fn fuzz(seed: u64, configure: fn(usize, &mut Config)) {
    let mut pair = Pair::start(World::new(seed), configure);
    assert!(pair.is_linked_within(SECOND));
    pair.run_for(2 * SECOND);
    let mut kinds = BTreeSet::new();
    for _ in 0..6 {
        let puppet = pair.puppet(0);
        let material = material(&pair, &puppet);
        let mut rng = Rng::new(pair.rng().bits());
        if rng.chance(90) {
            let hello = pair.puppet_hello(&puppet.key);
            pair.puppet_send(&puppet, Message::Hello(Box::new(hello)));
        }
        for _ in 0..60 {
            let frame = material.frame(&mut rng, &pair, &puppet);
            kinds.insert(frame.message.kind());
            pair.puppet_send(&puppet, frame);
            let pause = rng.below(50 * MS);
            pair.run_for(pause);
        }
        if rng.chance(50) {
            pair.puppet_close(&puppet);
        }
    }
    assert_eq!(crate::support::lost_links(&pair, 1), [], "the honest link suffered");
    pair.say(1, "still here");
    pair.run_for(8 * SECOND);
    assert_eq!(pair.times_heard(0, "still here"), 1);
    assert!(kinds.len() > 10, "{kinds:?}");
    pair.run_for(30 * SECOND);
    assert_eq!(crate::support::lost_links(&pair, 1), [], "the honest link suffered later");
}

#[test]
fn random_valid_messages_harm_no_mesh() {
    for seed in seeds(40) {
        fuzz(seed, |_, _| {});
    }
}

#[test]
fn random_valid_messages_harm_no_ring() {
    for seed in seeds(40) {
        fuzz(seed, |node, config| {
            config.topology = Topology::Ring;
            config.next = Some(address(1 - node));
        });
    }
}

#[test]
fn random_valid_messages_harm_no_proxy() {
    for seed in seeds(20) {
        fuzz(seed, |node, config| {
            if node == 0 {
                config.roles = vec![Role::Proxy];
            }
        });
    }
}
