//! UDP beside a link, lost between two whole nodes: a middle on loopback passes both on until it passes TCP alone.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use meshline_mesh::Reply;
use meshline_protocol::message::{Datagram, Over};
use meshline_protocol::{Address, NodeId, ServiceName};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::support::*;

/// Where the one that dials finds the middle, and where the other sees it.
const NEAR: &str = "127.0.0.2:0";
const FAR: &str = "127.0.0.3:0";

fn at(text: &str, port: u16) -> SocketAddr {
    let address: SocketAddr = text.parse().unwrap();
    SocketAddr::new(address.ip(), port)
}

/// Passes TCP on; the address at which it takes it.
async fn tcp(to: SocketAddr) -> Address {
    let listener = TcpListener::bind(NEAR).await.unwrap();
    let address = listener.local_addr().unwrap().into();
    drop(tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(FAR.parse().unwrap()).unwrap();
            let mut far = socket.connect(to).await.unwrap();
            drop(tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await }));
        }
    }));
    address
}

/// Passes UDP on while it is open, each way from the address that the receiver knows.
async fn udp(nodes: [SocketAddr; 2], open: &Arc<AtomicBool>) {
    let [dialler, listener] = nodes;
    let near = Arc::new(UdpSocket::bind(at(NEAR, listener.port())).await.unwrap());
    let far = Arc::new(UdpSocket::bind(at(FAR, dialler.port())).await.unwrap());
    for (from, by, to) in [(Arc::clone(&near), Arc::clone(&far), listener), (far, near, dialler)] {
        let open = Arc::clone(open);
        drop(tokio::spawn(async move {
            let mut packet = [0; 2_000];
            while let Ok((length, _)) = from.recv_from(&mut packet).await {
                if open.load(Ordering::Relaxed) {
                    let _ = by.send_to(&packet[..length], to).await;
                }
            }
        }));
    }
}

fn socket(node: &Running) -> SocketAddr {
    node.address().as_str().parse().unwrap()
}

/// Waits until UDP beside the link works, or does not, while `meanwhile` goes on.
async fn until(node: &Running, peer: NodeId, works: bool, mut meanwhile: impl AsyncFnMut()) {
    let is_so = async {
        while node.link_to(peer).await.bearers.iter().any(|bearer| bearer.works) != works {
            meanwhile().await;
        }
    };
    timeout(PATIENCE, is_so).await.expect("what is looked for comes about");
}

async fn try_send(node: &Running, to: NodeId, number: u32) -> Reply {
    let service: ServiceName = "test".parse().unwrap();
    let body = Bytes::copy_from_slice(&number.to_be_bytes());
    node.handle.send_datagram_over(to, (service, 1, Over::Udp), body).await
}

async fn send(node: &Running, to: NodeId, number: u32) {
    assert_eq!(try_send(node, to, number).await, Reply::Sent);
}

/// Takes what has come; nothing comes twice.
fn take(arriving: &mut Receiver<Arc<(Datagram, Bytes)>>, came: &mut BTreeSet<u32>) {
    while let Ok(datagram) = arriving.try_recv() {
        let number = u32::from_be_bytes(datagram.1[..].try_into().unwrap());
        assert!(came.insert(number), "{number} came twice");
    }
}

#[tokio::test]
async fn datagrams_go_over_tcp_again_when_udp_beside_the_link_is_swallowed() {
    let open = Arc::new(AtomicBool::new(true));
    let mut far = run(config("far")).await;
    let mut near = config("near");
    near.peers = vec![tcp(socket(&far)).await];
    let mut near = run(near).await;
    udp([socket(&near), socket(&far)], &open).await;
    near.linked_to(far.id).await;
    far.linked_to(near.id).await;
    until(&near, far.id, true, async || ()).await;

    let (mut arriving, mut came, mut number) = (far.handle.datagrams(), BTreeSet::new(), 1);
    let has_way = async {
        while try_send(&near, far.id, 0).await != Reply::Sent {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, has_way).await.expect("the way is known soon after the link is up");
    let before = near.handle.companions().sent;
    while number <= 100 {
        send(&near, far.id, number).await;
        number += 1;
    }
    assert!(near.handle.companions().sent >= before + 100, "they went over UDP");

    open.store(false, Ordering::Relaxed);
    until(&near, far.id, false, async || {
        send(&near, far.id, number).await;
        number += 1;
        take(&mut arriving, &mut came);
    })
    .await;
    let first = number;
    while number < first + 100 {
        send(&near, far.id, number).await;
        number += 1;
    }
    let all = async {
        while !(first..number).all(|number| came.contains(&number)) {
            take(&mut arriving, &mut came);
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all).await.expect("from then on all of them come");
    println!("{} of {first} came before it was noticed", came.len() - 100);
    assert_eq!(near.link_to(far.id).await.transport, "tcp", "the link is the same");
}
