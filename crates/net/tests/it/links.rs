//! Links between nodes.

use meshline_mesh::Event;
use meshline_net::tls::{TlsIdentity, connect_and_prove};
use meshline_net::{Clock, Settings, StartError, start};
use meshline_protocol::{Code, Encoding};
use meshline_services::{Command, Stack};
use tokio::time::timeout;

use crate::support::*;

#[tokio::test]
async fn two_nodes_link_over_tls_and_chat() {
    let (mut one, mut other) = pair().await;
    one.say("hello there").await;
    other.hears("hello there").await;
    other.say("and to you").await;
    one.hears("and to you").await;

    let row = one.link_to(other.id).await;
    assert_eq!((row.transport, row.direction), ("tcp", "inbound"));
    assert!(row.sent_bytes > 0 && row.received_bytes > 0);
    assert_eq!(other.link_to(one.id).await.direction, "outbound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_the_same_on_several_threads() {
    let (one, mut other) = pair().await;
    for n in 0..20 {
        one.say(&format!("line {n}")).await;
    }
    for n in 0..20 {
        other.hears(&format!("line {n}")).await;
    }
}

#[tokio::test]
async fn bson_is_spoken_where_it_is_asked_for() {
    let mut first = config("one");
    first.encoding = Encoding::Bson;
    let mut one = run(first).await;
    let mut second = config("other");
    (second.peers, second.encoding) = (vec![one.address()], Encoding::Bson);
    let mut other = run(second).await;
    other.linked_to(one.id).await;
    other.say("in documents").await;
    one.hears("in documents").await;
}

#[tokio::test]
async fn plain_links_need_both_sides_to_say_so() {
    let mut first = config("one");
    first.plain = true;
    let mut one = run(first).await;
    let mut second = config("other");
    (second.peers, second.plain) = (vec![one.address()], true);
    let mut other = run(second).await;
    other.linked_to(one.id).await;
    assert_eq!(other.link_to(one.id).await.transport, "plain");
    other.say("in the open").await;
    one.hears("in the open").await;

    let closed = run(config("closed")).await;
    let mut third = config("third");
    (third.peers, third.plain) = (vec![closed.address()], true);
    let mut third = run(third).await;
    let code = third.mesh_event("refusal", refusal).await;
    assert_eq!(code, Code::TlsRequired);
}

fn refusal(event: &Event) -> Option<Code> {
    match event {
        Event::Refused { code, .. } | Event::ConnectFailed { code, .. } => Some(*code),
        _ => None,
    }
}

#[tokio::test]
async fn the_dial_back_tells_who_answers_and_refuses_another() {
    let node = run(config("one")).await;
    let asker = TlsIdentity::new(&new_key()).unwrap();
    let stranger = new_key().id();
    assert_eq!(connect_and_prove(&node.address(), &asker, Some(node.id)).await, Ok(node.id));
    assert_eq!(connect_and_prove(&node.address(), &asker, None).await, Ok(node.id));
    let wrong = connect_and_prove(&node.address(), &asker, Some(stranger)).await.unwrap_err();
    assert_eq!(wrong.code, Code::IdentityMismatch);
    let nobody = connect_and_prove(&"127.0.0.1:1".parse().unwrap(), &asker, None).await.unwrap_err();
    assert_eq!(nobody.code, Code::Unreachable);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let node = run(config("one")).await;
    let mut second = config("other");
    second.listen = vec![node.address()];
    let clock = Clock::start();
    let key = new_key();
    let settings = Settings::new(clock, key.clone(), &second);
    let core = Stack::new(meshline_mesh::Node::new(second, key, [1; 32], clock.now()), Default::default(), clock.now());
    let error = start(settings, core).await.unwrap_err();
    assert!(matches!(&error, StartError::Listen { address, .. } if *address == node.address()), "{error}");
}

#[tokio::test]
async fn a_name_that_stands_for_both_families_is_listened_on_as_a_whole() {
    let mut named = config("one");
    named.listen = vec!["localhost:0".parse().unwrap()];
    let one = run(named).await;
    assert_eq!(one.address().host(), "localhost");
    assert_ne!(one.address().port(), 0);
    let asker = TlsIdentity::new(&new_key()).unwrap();
    for target in tokio::net::lookup_host(one.address().as_str()).await.unwrap() {
        assert_eq!(connect_and_prove(&target.into(), &asker, None).await, Ok(one.id));
    }
}

#[tokio::test]
async fn a_shutdown_says_goodbye_and_leaves_nothing_behind() {
    let (one, mut other) = pair().await;
    let id = one.id;
    timeout(PATIENCE, one.handle.shutdown()).await.unwrap();
    other
        .mesh_event("goodbye", |event| match event {
            Event::MemberLeft { peer } if peer.id == id => Some(()),
            _ => None,
        })
        .await;
    let reply = one.handle.command(Command::Mesh(meshline_mesh::Command::Status)).await;
    let refused = |reply| matches!(reply, meshline_services::Reply::Mesh(meshline_mesh::Reply::Refused { code, .. }) if code == Code::ShuttingDown);
    assert!(refused(reply));
    assert!(tokio::net::TcpStream::connect(one.address().as_str()).await.is_err());
}
