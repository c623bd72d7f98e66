//! The chat on its own: what it refuses, what it keeps, what it tells.

use meshline_mesh::{Event as MeshEvent, Mono, Now, PeerName, Reply as MeshReply};
use meshline_protocol::limits::MAX_TEXT;
use meshline_protocol::message::{RecordText, SignedBroadcast};
use meshline_protocol::{Code, NodeId, UnixMicros};

use crate::chat::{Chat, Command, Event, MAX_HISTORY_BYTES, MAX_HISTORY_MESSAGES, Message, Outcome, Reply};

fn peer(n: u8) -> PeerName {
    PeerName { id: NodeId::from_bytes([n; 32]), name: format!("peer-{n}") }
}

fn now() -> Now {
    Now { mono: Mono(1), wall: UnixMicros::new(1_800_000_000_000_000) }
}

fn incoming(seq: u64, service: &str, text: &str) -> MeshEvent {
    let message = SignedBroadcast {
        kind: SignedBroadcast::TYPE.to_owned(),
        network: "lab".parse().expect("valid"),
        seq: UnixMicros::new(seq),
        expires: UnixMicros::new(u64::MAX),
        time: UnixMicros::new(seq),
        service: service.parse().expect("valid"),
        text: text.to_owned(),
    };
    MeshEvent::Broadcast { author: peer(2), message: Box::new(message) }
}

fn history(chat: &mut Chat, after: Option<u64>, limit: usize) -> Vec<Message> {
    let outcome = chat.handle_command(Command::History { after, limit });
    let Outcome::Reply(Reply::History(messages)) = outcome else { panic!("{outcome:?}") };
    messages
}

#[test]
fn texts_that_are_empty_too_long_or_steer_terminals_are_refused() {
    let mut chat = Chat::default();
    for bad in ["", " \n", "a\u{1b}[2Jb", "a\0", "a\rb", &"x".repeat(MAX_TEXT + 1)] {
        let outcome = chat.handle_command(Command::Send { text: bad.to_owned() });
        assert!(matches!(outcome, Outcome::Reply(Reply::Refused { code: Code::InvalidMessage, .. })), "{bad:?}");
        assert_eq!(chat.handle_event(&incoming(1, "chat", bad)), None, "nor are they taken from others: {bad:?}");
    }
    for good in ["x", "two\nlines\tand a tab", &"x".repeat(MAX_TEXT), "ёж 🦔"] {
        let outcome = chat.handle_command(Command::Send { text: good.to_owned() });
        assert_eq!(outcome, Outcome::Broadcast(good.to_owned()));
    }
}

#[test]
fn an_own_message_is_told_and_its_delivery_noted() {
    let mut chat = Chat::default();
    chat.handle_command(Command::Send { text: "hello there".to_owned() });
    let (reply, event) = chat.handle_sent(MeshReply::Sent(UnixMicros::new(7)), &peer(1), now());
    let Reply::Sent(message) = reply else { panic!("{reply:?}") };
    assert_eq!((message.text.as_str(), message.delivered_to), ("hello there", 0));
    assert_eq!(event, Some(Event::Message { message, own: true }));
    let delivered = MeshEvent::Delivered { seq: UnixMicros::new(7), delivered_to: 2, complete: true };
    assert!(matches!(chat.handle_event(&delivered), Some(Event::Delivered { complete: true, .. })));
    assert_eq!(history(&mut chat, None, 10)[0].delivered_to, 2);
}

#[test]
fn a_refusal_of_the_mesh_is_the_answer_and_nothing_is_kept() {
    let mut chat = Chat::default();
    chat.handle_command(Command::Send { text: "hello".to_owned() });
    let refused = MeshReply::Refused { code: Code::RateLimited, detail: "later".to_owned() };
    let (reply, event) = chat.handle_sent(refused, &peer(1), now());
    assert!(matches!(reply, Reply::Refused { code: Code::RateLimited, .. }));
    assert_eq!(event, None);
    assert!(history(&mut chat, None, 10).is_empty());
}

#[test]
fn other_services_are_none_of_its_business() {
    let mut chat = Chat::default();
    assert_eq!(chat.handle_event(&incoming(1, "discovery", "x")), None);
    assert!(history(&mut chat, None, 10).is_empty());
}

#[test]
fn a_cursor_reads_on_where_the_last_reading_ended() {
    let mut chat = Chat::default();
    for seq in 1..=5 {
        chat.handle_event(&incoming(seq, "chat", &format!("message {seq}")));
    }
    let first = history(&mut chat, None, 10);
    assert_eq!(first.len(), 5);
    let rest = history(&mut chat, Some(first[2].cursor), 10);
    assert_eq!(rest.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["message 4", "message 5"]);
    assert_eq!(history(&mut chat, None, 2)[0].text, "message 4", "a limit keeps the newest");
}

#[test]
fn the_history_forgets_the_oldest_beyond_its_count_and_its_bytes() {
    let mut chat = Chat::default();
    for seq in 0..=MAX_HISTORY_MESSAGES {
        chat.handle_event(&incoming(seq as u64, "chat", "x"));
    }
    let kept = history(&mut chat, None, usize::MAX);
    assert_eq!((kept.len(), kept[0].cursor), (MAX_HISTORY_MESSAGES, 2));
    for seq in 0..=(MAX_HISTORY_BYTES / MAX_TEXT) {
        chat.handle_event(&incoming(100_000 + seq as u64, "chat", &"x".repeat(MAX_TEXT)));
    }
    let bytes: usize = history(&mut chat, None, usize::MAX).iter().map(|message| message.text.len()).sum();
    assert!(bytes <= MAX_HISTORY_BYTES, "{bytes}");
}
