//! A link through a proxy, from the request to the bytes.

use meshline_mesh::Event;
use meshline_protocol::message::Role;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::support::*;

#[tokio::test]
async fn two_members_that_cannot_be_dialled_meet_through_a_proxy() {
    let mut settings = config("proxy");
    settings.roles = vec![Role::Node, Role::Proxy];
    let mut proxy = run(settings).await;
    let hidden = |name: &str| {
        let mut hidden = config(name);
        (hidden.listen, hidden.proxies) = (Vec::new(), vec![proxy.address()]);
        hidden
    };
    let (first, second) = (hidden("first"), hidden("second"));
    let mut one = run(first).await;
    let mut other = run(second).await;
    one.linked_to(other.id).await;
    other.linked_to(one.id).await;
    assert_eq!(one.link_to(other.id).await.transport, "relay");
    proxy
        .mesh_event("relayed link", |event| match event {
            Event::Relayed { first, second } => Some((*first, *second)),
            _ => None,
        })
        .await;
    one.say("through the pipe").await;
    other.hears("through the pipe").await;
    let carried = one.link_to(other.id).await;
    assert!(carried.received_bytes > 0);

    // The pipe ends for both together.
    timeout(PATIENCE, proxy.handle.shutdown()).await.unwrap();
    let id = other.id;
    one.mesh_event("end of the relayed link", |event| match event {
        Event::LinkDown { peer, .. } if peer.id == id => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn an_unknown_ticket_is_refused_by_name() {
    let mut settings = config("proxy");
    settings.roles = vec![Role::Node, Role::Proxy];
    let proxy = run(settings).await;
    let mut wire = Wire::tcp(&proxy.address()).await;
    let ticket = format!("{{\"relay\":{{\"ticket\":\"{}\"}}}}\n", "a".repeat(43));
    wire.stream.write_all(ticket.as_bytes()).await.unwrap();
    let refusal = timeout(PATIENCE, wire.last_refusal()).await.unwrap();
    assert_eq!(refusal, Some("bad_ticket"));
}
