//! Datagrams over three and four nodes: forwarded by readers, another way when a link goes.

use bytes::Bytes;
use meshline_mesh::Reply;
use meshline_protocol::ServiceName;
use tokio::time::timeout;

use crate::support::{PATIENCE, Running, config, run};

fn service() -> ServiceName {
    "test".parse().unwrap()
}

/// A node that links with one other at most, which it dials.
async fn leaf(name: &str, to: &[&Running], links: usize) -> Running {
    let mut config = config(name);
    config.max_links = links;
    config.peers = to.iter().map(|other| other.address()).collect();
    run(config).await
}

/// Sends until there is a way.
async fn sends(from: &Running, to: &Running, body: &'static [u8]) {
    let sent = async {
        loop {
            let reply = from.handle.send_datagram(to.id, service(), 1, Bytes::from_static(body)).await;
            match reply {
                Reply::Sent => return,
                Reply::Refused { .. } => tokio::time::sleep(std::time::Duration::from_millis(20)).await, // paced: asks again
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(PATIENCE, sent).await.expect("a way");
}

#[tokio::test]
async fn the_node_in_the_middle_forwards_without_its_core() {
    let middle = run(config("middle")).await;
    let one = leaf("one", &[&middle], 1).await;
    let other = leaf("other", &[&middle], 1).await;
    let mut arrived = other.handle.datagrams();
    sends(&one, &other, b"first").await;
    let first = timeout(PATIENCE, arrived.recv()).await.expect("arrives").unwrap();
    assert_eq!((first.0.src, &first.1[..]), (one.id, &b"first"[..]));
    for number in 0_u8..50 {
        let body = Bytes::from(vec![number; 16_000]);
        let reply = one.handle.send_datagram(other.id, service(), 1, body).await;
        assert_eq!(reply, Reply::Sent);
        let got = timeout(PATIENCE, arrived.recv()).await.expect("arrives").unwrap();
        assert_eq!((got.1[0], got.1.len(), got.0.ttl), (number, 16_000, 30));
    }
    let report = middle.handle.forwarding();
    assert!(report.forwarded_frames >= 50 && report.dropped.is_empty(), "{report:?}");
    assert!(one.handle.forwarding().sent_frames >= 50);
    let row = one.link_to(middle.id).await;
    assert!(row.min_rtt_us.is_some_and(|least| Some(least) <= row.rtt_us), "{row:?}");
}
