//! Members who flood the chat, answer what nobody asked, or make messages up.

use std::collections::BTreeMap;

use bytes::Bytes;
use meshline_identity::KeyPair;
use meshline_protocol::message::{
    Broadcast, BroadcastMessage, Chat, ChatCompare, ChatEntry, ChatKey, ChatKeys, ChatMessages, ChatRange, ChatRanges,
    ChatWant, RecordText, SignedBroadcast,
};
use meshline_protocol::{Bounded, Code, Frame, Message, NodeId, UnixMicros};
use meshline_sim::{MS, Pair, Puppet, SECOND, World, seed};

use crate::support::{linked_puppet, misbehaved};

/// What node 0 asked the puppet first.
fn asked(world: &World, puppet: &Puppet) -> Option<ChatCompare> {
    world.puppet_got(puppet).into_iter().find_map(|message| match message {
        Message::Chat(Chat::Compare(compare)) => Some(compare.clone()),
        _ => None,
    })
}

fn text(world: &World, seq: UnixMicros, text: &str) -> SignedBroadcast {
    SignedBroadcast {
        kind: SignedBroadcast::TYPE.to_owned(),
        network: world.network_id(),
        seq,
        expires: world.wall().offset(600_000_000),
        time: world.wall(),
        clock: seq,
        service: "chat".parse().expect("a name"),
        text: text.to_owned(),
    }
}

fn signed(key: &KeyPair, text: &SignedBroadcast) -> (ChatEntry, Bytes) {
    let body = serde_json::to_vec(text).expect("plain data");
    let len = u32::try_from(body.len()).expect("short");
    (ChatEntry { by: key.id(), seq: text.seq, sig: key.sign_bytes(&body), len }, body.into())
}

fn messages(entries: impl IntoIterator<Item = ChatEntry>, body: Bytes) -> Frame {
    let messages = ChatMessages { messages: Bounded::from_first(entries), authors: Bounded::default() };
    Frame { message: Message::Chat(Chat::Messages(messages)), body: Some(body) }
}

/// The text as its author sends it to all.
fn flood(key: &KeyPair, text: &SignedBroadcast, silent: bool) -> Frame {
    let (ChatEntry { by, seq, sig, .. }, body) = signed(key, text);
    let (holders, trail, announcement) = (Bounded::default(), Default::default(), None);
    let line = BroadcastMessage { by, seq, sig, attempt: 0, holders, trail, silent, announcement };
    Frame { message: Message::Broadcast(Broadcast::Flood(line)), body: Some(body) }
}

fn key(seq: UnixMicros, author: NodeId) -> ChatKey {
    ChatKey { seq, author }
}

#[test]
fn of_a_silent_message_only_those_linked_with_its_author_send_receipts() {
    for (silent, expected) in [(false, 2), (true, 1)] {
        let (mut pair, puppet) = linked_puppet(seed(5));
        let said = text(&pair, pair.wall(), "who has this?");
        pair.puppet_send(&puppet, flood(&puppet.key, &said, silent));
        pair.run_for(SECOND);
        assert_eq!((pair.times_heard(0, "who has this?"), pair.times_heard(1, "who has this?")), (1, 1));
        let got = pair.puppet_got(&puppet);
        let receipts = got.iter().filter(|message| matches!(message, Message::Broadcast(Broadcast::Ack(_)))).count();
        assert_eq!(receipts, expected, "silent {silent}");
    }
}

#[test]
fn a_member_that_sends_a_thousand_messages_a_second_is_told_and_the_others_are_spared() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    for n in 0..2_000_u64 {
        let signed_text = text(&pair, pair.wall().offset(n.cast_signed()), &format!("flood {n}"));
        pair.puppet_send(&puppet, flood(&puppet.key, &signed_text, false));
        pair.run_for(MS);
    }
    pair.run_for(SECOND);
    let (near, far) = (pair.heard(0).len(), pair.heard(1).len());
    assert!((512..=512 + 2 * 25 + 30).contains(&near), "{near} of 2,000 were taken");
    assert!(near.abs_diff(far) <= 2, "whatever was taken went on to the others, {far} of {near}");
    assert_eq!(pair.puppet_refusal(&puppet), Some(Code::RateLimited), "the author is told");
    let told = pair.puppet_got(&puppet).iter().filter(|message| matches!(message, Message::Error(_))).count();
    assert!(told <= 4, "but not {told} times");
    pair.say(1, "honest members are not touched");
    pair.run_for(SECOND);
    assert_eq!(pair.times_heard(0, "honest members are not touched"), 1);
}

#[test]
fn messages_that_nobody_asked_for_are_refused() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let (entry, body) = signed(&puppet.key, &text(&pair, pair.wall(), "look at me"));
    pair.puppet_send(&puppet, messages([entry], body));
    pair.run_for(SECOND);
    assert_eq!(misbehaved(&pair), [Code::UnexpectedMessage]);
    assert!(pair.heard(0).is_empty());
}

/// Answers node 0's first question with the name of one message; the name is asked for then.
fn announce(pair: &mut Pair, puppet: &Puppet, name: ChatKey) {
    let compare = asked(pair, puppet).expect("asked");
    let keys = ChatKeys { from: compare.from, to: compare.to, keys: Bounded::from_first([name]) };
    pair.puppet_send(puppet, Message::Chat(Chat::Keys(keys)));
    pair.run_for(200 * MS);
    let wanted = pair.puppet_got(puppet).into_iter().any(|message| matches!(message, Message::Chat(Chat::Want(_))));
    assert!(wanted, "what is missing is asked for");
}

#[test]
fn a_message_made_up_in_anothers_name_is_refused() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let victim = pair.id(1);
    let forged = text(&pair, pair.wall(), "I did not write this");
    announce(&mut pair, &puppet, key(forged.seq, victim));
    let (entry, body) = signed(&puppet.key, &forged);
    pair.puppet_send(&puppet, messages([ChatEntry { by: victim, ..entry }], body));
    pair.run_for(SECOND);
    assert_eq!(misbehaved(&pair), [Code::BadSignature]);
    assert!(pair.heard(0).is_empty());
}

#[test]
fn a_message_of_somebody_whom_nobody_vouches_for_is_left_out() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let stranger = KeyPair::from_secret([9; 32]);
    let written = text(&pair, pair.wall(), "who am I");
    announce(&mut pair, &puppet, key(written.seq, stranger.id()));
    let (entry, body) = signed(&stranger, &written);
    pair.puppet_send(&puppet, messages([entry], body));
    pair.run_for(SECOND);
    assert!(pair.heard(0).is_empty());
    assert!(misbehaved(&pair).is_empty(), "it may have been a member once");
}

#[test]
fn lengths_that_do_not_fit_the_body_are_refused() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let written = text(&pair, pair.wall(), "short");
    announce(&mut pair, &puppet, key(written.seq, puppet.key.id()));
    let (entry, body) = signed(&puppet.key, &written);
    pair.puppet_send(&puppet, messages([ChatEntry { len: u32::MAX, ..entry }], body));
    pair.run_for(SECOND);
    assert_eq!(misbehaved(&pair), [Code::InvalidMessage]);
}

#[test]
fn answers_that_are_no_answers_end_the_session_and_nothing_else() {
    let piece = |to| ChatRange { to, count: 7, digest: "0".repeat(32) };
    let at = |n| Some(key(UnixMicros::new(n), NodeId::from_bytes([1; 32])));
    let answers = [
        vec![piece(None)],
        vec![piece(at(5)), piece(at(4)), piece(None)],
        vec![piece(at(5)), piece(at(9))],
        vec![piece(None), piece(at(9)), piece(None)],
    ];
    for ranges in answers {
        let (mut pair, puppet) = linked_puppet(seed(1));
        let compare = asked(&pair, &puppet).expect("asked");
        let answer = ChatRanges { from: compare.from, to: compare.to, ranges: Bounded::from_first(ranges) };
        pair.puppet_send(&puppet, Message::Chat(Chat::Ranges(answer)));
        pair.run_for(SECOND);
        assert_eq!(misbehaved(&pair), [Code::UnexpectedMessage]);
        assert_eq!(pair.links(0), 2, "the link stays");
    }
}

#[test]
fn a_member_that_always_differs_costs_a_bounded_number_of_questions() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let mut answered = 0;
    for round in 0..6_000_u64 {
        let got = pair.puppet_got(&puppet);
        let questions: Vec<ChatCompare> = got
            .into_iter()
            .filter_map(|message| match message {
                Message::Chat(Chat::Compare(compare)) => Some(compare.clone()),
                _ => None,
            })
            .collect();
        let Some(compare) = questions.get(answered) else { break };
        answered += 1;
        let from = compare.from.map_or(0, |from| from.seq.get());
        let middle = key(UnixMicros::new(from + 1 + round % 3), NodeId::from_bytes([3; 32]));
        let piece = |to| ChatRange { to, count: 9, digest: "f".repeat(32) };
        let ranges = Bounded::from_first([piece(Some(middle)), piece(compare.to)]);
        let answer = ChatRanges { from: compare.from, to: compare.to, ranges };
        pair.puppet_send(&puppet, Message::Chat(Chat::Ranges(answer)));
        pair.run_for(5 * MS);
    }
    assert!(answered <= 4_200, "{answered} questions");
}

#[test]
fn whoever_asks_without_end_is_answered_at_a_bounded_rate() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    for n in 0..20 {
        pair.say(0, &format!("message {n}"));
    }
    for _ in 0..2_000 {
        let compare = ChatCompare { from: None, to: None, count: 0, digest: "0".repeat(32) };
        pair.puppet_send(&puppet, Message::Chat(Chat::Compare(compare)));
        let want = ChatWant { keys: Bounded::default() };
        pair.puppet_send(&puppet, Message::Chat(Chat::Want(want)));
        pair.run_for(MS);
    }
    pair.run_for(SECOND);
    let answers = pair.sent(0, "chat.keys") + pair.sent(0, "chat.messages");
    assert!((512..=512 + 64 * 4).contains(&answers), "{answers} answers");
}

#[test]
fn a_clock_far_ahead_moves_nobody_elses() {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let mut ahead = text(&pair, pair.wall(), "from the future");
    ahead.clock = pair.wall().offset(86_400_000_000);
    let (entry, body) = signed(&puppet.key, &ahead);
    let line = BroadcastMessage {
        by: entry.by,
        seq: entry.seq,
        sig: entry.sig,
        attempt: 0,
        holders: Bounded::default(),
        trail: Default::default(),
        silent: false,
        announcement: None,
    };
    pair.puppet_send(&puppet, Frame { message: Message::Broadcast(Broadcast::Flood(line)), body: Some(body) });
    pair.run_for(SECOND);
    pair.say(0, "now");
    let texts: Vec<String> = pair.history(0).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["now"], "what is from tomorrow is taken tomorrow");
    assert!(misbehaved(&pair).is_empty(), "a wrong clock is no offence");
}

/// Makes up messages of the puppet with these sequences, and gives them to node 0 as it asks; how many it keeps.
fn kept_of_made_up(seqs: impl Fn(UnixMicros) -> Vec<UnixMicros>) -> usize {
    let (mut pair, puppet) = linked_puppet(seed(1));
    let author = puppet.key.id();
    let entry = |seq: UnixMicros| (key(seq, author), signed(&puppet.key, &text(&pair, seq, "made up")));
    let made: BTreeMap<_, _> = seqs(pair.wall()).into_iter().map(entry).map(|(key, made)| (key.seq, made)).collect();
    let mut answered = 0;
    for _ in 0..200 {
        let questions: Vec<Chat> = pair.puppet_got(&puppet).into_iter().filter_map(of_chat).collect();
        for question in questions.iter().skip(answered) {
            match question {
                Chat::Compare(asked) => {
                    let answer = told(&made, author, asked);
                    pair.puppet_send(&puppet, Message::Chat(answer));
                }
                Chat::Want(asked) => {
                    let wanted = asked.keys.iter().filter_map(|key| made.get(&key.seq)).cloned();
                    let (entries, bodies): (Vec<ChatEntry>, Vec<Bytes>) = wanted.unzip();
                    pair.puppet_send(&puppet, messages(entries, bodies.concat().into()));
                }
                Chat::Ranges(_) | Chat::Keys(_) | Chat::Messages(_) => {}
            }
        }
        answered = questions.len();
        pair.run_for(50 * MS);
    }
    assert!(misbehaved(&pair).is_empty());
    pair.history(0).len()
}

fn of_chat(message: &Message) -> Option<Chat> {
    if let Message::Chat(chat) = message { Some(chat.clone()) } else { None }
}

/// What a member with these messages answers: their names, or pieces if there are too many.
fn told(made: &BTreeMap<UnixMicros, (ChatEntry, Bytes)>, author: NodeId, asked: &ChatCompare) -> Chat {
    let place = |key: ChatKey| (key.seq, key.author);
    let is_in = |key: &ChatKey| {
        asked.from.is_none_or(|from| place(*key) >= place(from)) && asked.to.is_none_or(|to| place(*key) < place(to))
    };
    let keys: Vec<ChatKey> = made.keys().map(|seq| key(*seq, author)).filter(is_in).collect();
    let (from, to) = (asked.from, asked.to);
    if keys.len() <= 200 {
        return Chat::Keys(ChatKeys { from, to, keys: Bounded::from_first(keys) });
    }
    let ends = keys.iter().step_by(keys.len().div_ceil(14)).skip(1).map(|key| Some(*key)).chain([to]);
    let pieces = ends.map(|to| ChatRange { to, count: 200, digest: "0".repeat(32) });
    Chat::Ranges(ChatRanges { from, to, ranges: Bounded::from_first(pieces) })
}

#[test]
fn of_one_minute_no_more_is_kept_of_an_author_than_it_may_have_written() {
    let within_a_minute = |now: UnixMicros| {
        let begin = now.get() / 60_000_000 * 60_000_000 - 60_000_000;
        (0..2_600).map(|n| UnixMicros::new(begin + n * 20_000)).collect()
    };
    assert_eq!(kept_of_made_up(within_a_minute), 25 * 60 + 512);
}

#[test]
fn what_an_author_wrote_as_fast_as_it_may_is_kept_however_late_it_comes() {
    let at_full_rate = |now: UnixMicros| (1..=2_600).map(|n| now.offset(-50_000 * n)).collect();
    assert_eq!(kept_of_made_up(at_full_rate), 2_600);
}
