//! A link through a proxy, from the request to the bytes.

use std::time::Duration;

use meshline_mesh::{AttemptRow, Event};
use meshline_protocol::Address;
use meshline_protocol::message::Role;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
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

/// What stands before a proxy and meddles with what is relayed, not with the proxy's own links.
#[derive(Clone, Copy, Debug)]
enum Meddling {
    /// Nothing comes out.
    Drops,
    /// All comes out, later than a handshake may take.
    Delays,
    /// The second piece comes twice.
    Doubles,
    /// The end comes too early.
    Truncates,
}

/// Listens, takes what comes to a proxy, and tells of each ticket.
async fn meddle(proxy: Address, meddling: Meddling, tickets: mpsc::UnboundedSender<()>) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().into();
    drop(tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(proxy.as_str()).await.unwrap();
            drop(tokio::spawn(meddle_with(near, far, meddling, tickets.clone())));
        }
    }));
    address
}

async fn meddle_with(mut near: TcpStream, mut far: TcpStream, meddling: Meddling, tickets: mpsc::UnboundedSender<()>) {
    let mut first = [0];
    // Tickets are lines, links of the proxy are TLS.
    if near.peek(&mut first).await.is_ok() && first == *b"{" {
        let _ = tickets.send(());
        let (reader, writer) = near.split();
        let (far_reader, far_writer) = far.split();
        let back = async { tokio::io::copy(&mut { far_reader }, &mut { writer }).await.map(|_| ()) };
        let _ = tokio::join!(spoil(reader, far_writer, meddling), back);
    } else {
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    }
}

/// Passes the ticket on, and what follows as it likes.
async fn spoil(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    meddling: Meddling,
) -> std::io::Result<()> {
    let mut byte = [0];
    while byte != *b"\n" {
        from.read_exact(&mut byte).await?;
        to.write_all(&byte).await?;
    }
    let (mut buffer, mut pieces) = (vec![0; 4_096], 0);
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        pieces += 1;
        match meddling {
            Meddling::Drops => {}
            Meddling::Delays => {
                // paced: the delay is what the proxy does wrong.
                tokio::time::sleep(meshline_net::limits::DIAL_LIMIT).await;
                to.write_all(&buffer[..count]).await?;
            }
            Meddling::Doubles => {
                to.write_all(&buffer[..count]).await?;
                if pieces == 2 {
                    to.write_all(&buffer[..count]).await?;
                }
            }
            Meddling::Truncates if pieces < 2 => to.write_all(&buffer[..count]).await?,
            Meddling::Truncates => {
                to.write_all(&buffer[..count / 2]).await?;
                return to.shutdown().await;
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_that_meddles_is_named_and_another_one_carries_the_link() {
    for meddling in [Meddling::Drops, Meddling::Delays, Meddling::Doubles, Meddling::Truncates] {
        let proxy = |name: &str| {
            let mut settings = config(name);
            settings.roles = vec![Role::Node, Role::Proxy];
            run(settings)
        };
        let (bad, good) = (proxy("bad").await, proxy("good").await);
        let (tickets, mut came) = mpsc::unbounded_channel();
        let meddler = meddle(bad.address(), meddling, tickets).await;
        let hidden = |name: &str, proxies: Vec<Address>| {
            let mut hidden = config(name);
            (hidden.listen, hidden.proxies) = (Vec::new(), proxies);
            // Otherwise they would find each other on loopback, past any proxy.
            hidden.punch = false;
            hidden
        };
        let first = vec![meddler.clone()];
        let mut one = run(hidden("first", first.clone())).await;
        let mut other = run(hidden("second", first)).await;
        one.linked_to(bad.id).await;
        other.linked_to(bad.id).await;
        // The good one comes to be known when the bad one has been used.
        timeout(PATIENCE, came.recv()).await.expect("a ticket");
        let reconfigure = |running: &Running| {
            let mut new = meshline_mesh::Config::new(network(), "x".parse().unwrap());
            new.proxies = vec![meddler.clone(), good.address()];
            let new = meshline_mesh::Reconfiguration {
                peers: new.peers,
                peer_ids: new.peer_ids,
                proxies: new.proxies,
                signal: new.signal,
                max_links: new.max_links,
                retries: new.retries,
                punch: false,
                stun: new.stun,
                routing: new.routing,
            };
            let command = meshline_services::Command::Mesh(meshline_mesh::Command::Reconfigure(Box::new(new)));
            let handle = running.handle.clone();
            async move { handle.command(command).await }
        };
        reconfigure(&one).await;
        reconfigure(&other).await;
        one.linked_to(other.id).await;
        other.linked_to(one.id).await;
        one.say("past the meddler").await;
        other.hears("past the meddler").await;
        let link = one.link_to(other.id).await;
        assert_eq!(link.address, good.address(), "{meddling:?}: {link:?}");
        let explained = |running: &Running, id| {
            let handle = running.handle.clone();
            async move {
                let command = meshline_services::Command::Mesh(meshline_mesh::Command::Explain(id));
                match handle.command(command).await {
                    meshline_services::Reply::Mesh(meshline_mesh::Reply::Explanation(Some(found))) => found.attempts,
                    reply => panic!("no explanation: {reply:?}"),
                }
            }
        };
        let failed = async {
            loop {
                let mut attempts = explained(&one, other.id).await;
                attempts.extend(explained(&other, one.id).await);
                let is_failed = |attempt: &&AttemptRow| attempt.address == meddler.as_str() && attempt.outcome != "up";
                let failed: Vec<&str> = attempts.iter().filter(is_failed).map(|attempt| attempt.outcome).collect();
                if !failed.is_empty() {
                    break failed;
                }
                tokio::time::sleep(Duration::from_millis(50)).await; // paced: a failed attempt is no event
            }
        };
        let failed = timeout(PATIENCE, failed).await.expect("the attempt through the meddler fails");
        println!("{meddling:?} shows as {failed:?}");
    }
}
