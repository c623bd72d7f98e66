//! Messages that bring along who wrote them.

use bytes::Bytes;
use meshline_identity::KeyPair;
use meshline_protocol::message::{Broadcast, BroadcastMessage, Gossip, RecordText, SignedBroadcast};
use meshline_protocol::{Bounded, Code, Frame, Message, NodeId, SignedRecord};
use meshline_sim::{Puppet, SECOND, World, seed};

use crate::support::{linked_puppet, misbehaved};

/// What somebody unknown wrote, as a puppet passes it on.
fn passed_on(world: &World, author: &KeyPair, announcement: Option<SignedRecord>) -> Frame {
    let text = SignedBroadcast {
        kind: SignedBroadcast::TYPE.to_owned(),
        network: world.network_id(),
        seq: world.wall(),
        expires: world.wall().offset(600_000_000),
        time: world.wall(),
        clock: world.wall(),
        service: "chat".parse().expect("a name"),
        text: "from afar".to_owned(),
    };
    let body: Bytes = serde_json::to_vec(&text).expect("plain data").into();
    let line = BroadcastMessage {
        by: author.id(),
        seq: text.seq,
        sig: author.sign_bytes(&body),
        attempt: 0,
        holders: Bounded::default(),
        trail: Default::default(),
        silent: true,
        announcement: announcement.map(Box::new),
    };
    Frame { message: Message::Broadcast(Broadcast::Flood(line)), body: Some(body) }
}

/// How often the puppet was asked who somebody is.
fn asked_for(world: &World, puppet: &Puppet, id: NodeId) -> usize {
    let is_want = |message: &&Message| matches!(message, Message::Gossip(Gossip::Want(want)) if want.ids.contains(&id));
    world.puppet_got(puppet).into_iter().filter(is_want).count()
}

#[test]
fn a_message_that_tells_who_wrote_it_is_taken_and_passed_on_without_a_question() {
    let (mut pair, puppet) = linked_puppet(seed(3));
    let author = KeyPair::from_secret([5; 32]);
    let announcement = pair.puppet_announcement(&author, &pair.announcement_text());
    let frame = passed_on(&pair, &author, Some(announcement));
    pair.puppet_send(&puppet, frame);
    pair.run_for(SECOND);
    assert_eq!((pair.times_heard(0, "from afar"), pair.times_heard(1, "from afar")), (1, 1));
    assert_eq!(asked_for(&pair, &puppet, author.id()), 0);
    assert_eq!(misbehaved(&pair), []);
}

#[test]
fn without_it_the_peer_is_asked() {
    let (mut pair, puppet) = linked_puppet(seed(3));
    let author = KeyPair::from_secret([5; 32]);
    let frame = passed_on(&pair, &author, None);
    pair.puppet_send(&puppet, frame);
    pair.run_for(SECOND);
    assert_eq!((pair.times_heard(0, "from afar"), asked_for(&pair, &puppet, author.id())), (0, 1));
}

#[test]
fn another_members_announcement_or_a_forged_one_is_refused_and_nothing_is_taken() {
    let author = KeyPair::from_secret([5; 32]);
    for (is_forged, code) in [(false, Code::RecordForeign), (true, Code::BadSignature)] {
        let (mut pair, puppet) = linked_puppet(seed(4));
        let mut announcement = pair.puppet_announcement(&puppet.key, &pair.announcement_text());
        announcement.by = if is_forged { author.id() } else { announcement.by };
        let frame = passed_on(&pair, &author, Some(announcement));
        pair.puppet_send(&puppet, frame);
        pair.run_for(SECOND);
        assert_eq!(misbehaved(&pair), [code]);
        assert_eq!((pair.heard(0).len(), pair.heard(1).len()), (0, 0));
        pair.say(1, "all is well");
        pair.run_for(SECOND);
        assert_eq!(pair.times_heard(0, "all is well"), 1);
    }
}
