//! Samples of the directory of services and of the chat.

use super::*;

/// A list of services as its owner signs it.
fn service_list() -> Bytes {
    let pairs = [("path".to_owned(), "/plan".to_owned())];
    let service = OfferedService {
        name: "web".parse().expect("valid"),
        kind: "_http._tcp".parse().expect("valid"),
        port: 8080,
        text: ServiceText::new(pairs).expect("valid"),
        health: Health::Up,
    };
    let list = ServiceList { at: at(4), ttl_s: 120, services: Bounded::from_first([service]) };
    let text = SignedBroadcast {
        kind: SignedBroadcast::TYPE.to_owned(),
        network: network(),
        seq: at(4),
        expires: at(120_000_004),
        time: at(4),
        clock: at(4),
        service: "services".parse().expect("valid"),
        text: serde_json::to_string(&list).expect("plain data"),
    };
    serde_json::to_vec(&text).expect("plain data").into()
}

pub(super) fn services_samples() -> Vec<(&'static str, Frame)> {
    let body = service_list();
    let entry = ServicesEntry {
        by: node(1),
        seq: at(4),
        sig: "c2lnbmF0dXJl".to_owned(),
        len: u32::try_from(body.len()).expect("short"),
    };
    let lists = ServicesLists { lists: Bounded::from_first([entry]), owners: Bounded::from_first([announcement()]) };
    let digests = Bounded::from_first(["00112233445566778899aabbccddeeff".to_owned()]);
    let names = Bounded::from_first([ServicesName { by: node(1), seq: at(4) }]);
    let message = |services| Message::Services(services).into();
    vec![
        ("services.compare", message(Services::Compare(ServicesCompare { digests }))),
        ("services.names", message(Services::Names(ServicesNames { names, more: false }))),
        ("services.want", message(Services::Want(ServicesWant { owners: Bounded::from_first([node(1)]) }))),
        ("services.lists", Frame { message: Message::Services(Services::Lists(lists)), body: Some(body) }),
    ]
}

pub(super) fn chat_samples() -> Vec<(&'static str, Frame)> {
    let key = |n| ChatKey { seq: at(n), author: node(1) };
    let digest = || "00112233445566778899aabbccddeeff".to_owned();
    let (line, body) = broadcast();
    let len = u32::try_from(body.len()).expect("short");
    let messages = ChatMessages {
        messages: Bounded::from_first([ChatEntry { by: line.by, seq: line.seq, sig: line.sig, len }]),
        authors: Bounded::from_first([announcement()]),
    };
    let compare = ChatCompare { from: None, to: Some(key(9)), count: 2, digest: digest() };
    let ranges = ChatRanges {
        from: None,
        to: Some(key(9)),
        ranges: Bounded::from_first([ChatRange { to: Some(key(9)), count: 3, digest: digest() }]),
    };
    let keys = ChatKeys { from: None, to: Some(key(9)), keys: Bounded::from_first([key(4)]) };
    vec![
        ("chat.compare", Message::Chat(Chat::Compare(compare)).into()),
        ("chat.ranges", Message::Chat(Chat::Ranges(ranges)).into()),
        ("chat.keys", Message::Chat(Chat::Keys(keys)).into()),
        ("chat.want", Message::Chat(Chat::Want(ChatWant { keys: Bounded::from_first([key(4)]) })).into()),
        ("chat.messages", Frame { message: Message::Chat(Chat::Messages(messages)), body: Some(body) }),
    ]
}
