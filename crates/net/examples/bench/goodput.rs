//! What a node says of a link into which more is sent than it carries, for a host whose loopback is shaped:
//! `unshare -n sh -c 'ip link set lo up; tc qdisc add dev lo root tbf rate 10mbit burst 16k limit 200k; bench goodput'`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use meshline_mesh::LinkRow;
use meshline_protocol::NodeId;
use serde_json::json;
use tokio::time::sleep;

use crate::Plan;
use crate::stack::{key, linked, node, status};

/// A small body many of which make bulk.
const BODY: usize = 8 * 1024;

/// Sends as much as is taken for so many seconds as the plan has rounds, and shows both ends of the link.
pub(crate) async fn run(plan: Plan) {
    let (one, other) = (key(1), key(2));
    let (one_id, other_id) = (one.id(), other.id());
    let first = node(one, |_| {}).await;
    let peers = vec![first.listening()[0].clone()];
    let second = node(other, |config| config.peers = peers).await;
    linked(&first, other_id).await;
    linked(&second, one_id).await;
    let row = |rows: Vec<LinkRow>, id: NodeId| rows.into_iter().find(|row| row.peer == id);
    let rest = row(status(&first).await.links, other_id).expect("a link");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(u64::try_from(plan.rounds).unwrap()) {
        for flow in 0..16 {
            let body = Bytes::from(vec![b'x'; BODY]);
            first.send_datagram(other_id, "bench".parse().unwrap(), flow, body).await;
        }
        sleep(Duration::from_millis(1)).await;
    }
    let (near, far) = (row(status(&first).await.links, other_id), row(status(&second).await.links, one_id));
    let (Some(near), Some(far)) = (near, far) else { panic!("the link went down") };
    println!(
        "{}",
        json!({
            "mode": "goodput", "goodput_bps": near.goodput_bps, "goodput_in_bps": far.goodput_in_bps,
            "loss": near.loss, "rtt_us": near.rtt_us, "min_rtt_us_at_rest": rest.min_rtt_us,
            "min_rtt_us": near.min_rtt_us, "forwarding": format!("{:?}", first.forwarding().dropped),
        })
    );
}
