//! The rate of one node in the middle: frames from one member to another, both spoken by hand in this process, over a
//! whole node in another; and the same frames over a process that copies bytes between two TCP connections.
//!
//! Only so many frames are under way at once that no queue is ever full: what is dropped is no rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use meshline_mesh::datagram_line;
use meshline_protocol::{Encoding, Frame, Message, NodeId, frame};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Plan;
use crate::child::{Served, announce};
use crate::figures::{median, median_ratio, rounded};
use crate::member::{Member, Wire};
use crate::stack::key;

/// Body, frames under way, frames in one write, and how many times the frames of the plan make as long a round.
const SIZES: [(usize, usize, usize, usize); 2] = [(16 * 1024, 24, 4, 1), (256, 384, 64, 4)];

/// A datagram that has not come through by then was refused.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A node watches a link closely for so long after the last datagram.
const SETTLED: Duration = Duration::from_millis(1_300);

/// One way through a middle: a wire into it, and one out of it.
struct Through {
    into: Wire,
    out: Wire,
    dst: NodeId,
}

pub(crate) async fn run(plan: Plan) {
    let (tls_side, plain_side) = (Served::start(&["serve-stack"]), Served::start(&["serve-stack", "--plain", "1"]));
    let copy_side = Served::start(&["serve-copy"]);
    let (one, other) = (Member::new(key(1), None), Member::new(key(2), None));
    let dst = key(2).id();
    let mut tls = Through { into: one.link(tls_side.address).await, out: other.link(tls_side.address).await, dst };
    let (into, out) = (one.link_plain(plain_side.address).await, other.link_plain(plain_side.address).await);
    let mut plain = Through { into, out, dst };
    let (into, out) = (one.bare(copy_side.address).await, other.bare(copy_side.address).await);
    let mut copy = Through { into, out, dst };
    let mut sizes = Vec::new();
    for size in SIZES {
        sizes.push(of_size(size, plan, [&mut tls, &mut plain, &mut copy]).await);
    }
    println!("{}", json!({ "mode": "forward", "rounds": plan.rounds, "size": plan.size, "sizes": sizes }));
}

async fn of_size(size: (usize, usize, usize, usize), plan: Plan, ways: [&mut Through; 3]) -> Value {
    let [tls, plain, copy] = ways;
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    let count = plan.size * size.3;
    for way in [&mut *tls, &mut *plain, &mut *copy] {
        way.opened().await;
        way.frames(size, count / 10).await;
    }
    for round in 1..=plan.rounds {
        for (way, rates) in [&mut *tls, &mut *plain, &mut *copy].into_iter().zip(&mut rates) {
            rates.push(way.frames(size, count).await);
        }
        let last = |of: usize| rates[of].last().unwrap() / 1e3;
        println!(
            "forward {} B round {round}: tls {:6.1} thousand/s | plain {:6.1} thousand/s | copy {:6.1} thousand/s",
            size.0,
            last(0),
            last(1),
            last(2)
        );
    }
    let mbit = |rates: &[f64]| rounded(median(rates.iter().copied()) * size.0 as f64 * 8.0 / 1e6, 0);
    json!({
        "body": size.0,
        "tls_per_s": rounded(median(rates[0].clone()), 0), "plain_per_s": rounded(median(rates[1].clone()), 0),
        "copy_per_s": rounded(median(rates[2].clone()), 0),
        "tls_mbit": mbit(&rates[0]), "plain_mbit": mbit(&rates[1]), "copy_mbit": mbit(&rates[2]),
        "ratio_tls": rounded(median_ratio(&rates[0], &rates[2]), 3),
        "ratio_plain": rounded(median_ratio(&rates[1], &rates[2]), 3),
    })
}

impl Through {
    /// Waits until the middle forwards: a node does so once it has computed its ways.
    async fn opened(&mut self) {
        let frame = encoded(self.dst, 1);
        loop {
            self.into.write_batch(std::slice::from_ref(&frame)).await;
            self.into.flush().await;
            if timeout(ASK_AGAIN, self.out.datagram()).await.is_ok() {
                return;
            }
        }
    }

    /// Sends so many frames through; returns how many passed in a second.
    async fn frames(&mut self, (body, under_way, batch, _): (usize, usize, usize, usize), count: usize) -> f64 {
        let bytes = encoded(self.dst, body);
        let room = Arc::new(Semaphore::new(under_way));
        let count = count.next_multiple_of(batch);
        let Self { into, out, .. } = self;
        let began = Instant::now();
        let send = async {
            let frames = vec![bytes; batch];
            for _ in 0..count / batch {
                room.acquire_many(u32::try_from(batch).unwrap()).await.unwrap().forget();
                into.write_batch(&frames).await;
                into.flush().await;
                into.answer_what_came().await;
            }
        };
        let receive = async {
            for _ in 0..count {
                out.datagram().await;
                room.add_permits(1);
            }
        };
        tokio::join!(send, receive);
        let rate = count as f64 / began.elapsed().as_secs_f64();
        self.settle().await;
        rate
    }

    /// Answers the node for as long as it asks a link that carried something every 100 ms.
    async fn settle(&mut self) {
        let Self { into, out, .. } = self;
        let _ = timeout(SETTLED, async { tokio::join!(into.stay(), out.stay()) }).await;
    }
}

fn encoded(dst: NodeId, body: usize) -> Bytes {
    let line = datagram_line(key(1).id(), dst, 1, "bench".parse().unwrap());
    let body = Some(Bytes::from(vec![b'x'; body]));
    frame::encode(&Frame { message: Message::Datagram(Box::new(line)), body }, Encoding::Json).unwrap()
}

/// Copies between the first two connections that come.
pub(crate) async fn serve_copy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    announce(listener.local_addr().unwrap(), None);
    let (mut one, mut other): (TcpStream, TcpStream) =
        (listener.accept().await.unwrap().0, listener.accept().await.unwrap().0);
    one.set_nodelay(true).unwrap();
    other.set_nodelay(true).unwrap();
    let _ = tokio::io::copy_bidirectional_with_sizes(&mut one, &mut other, 64 * 1024, 64 * 1024).await;
    let _ = other.shutdown().await;
}
