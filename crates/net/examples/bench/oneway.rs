//! Messages of 128 bytes one way: encoded one by one, written in batches, read and judged by a whole node; and the
//! same over raw TCP, read by a typed parse. A ping behind the last message shows that all were taken in.

use std::time::Instant;

use bytes::Bytes;
use meshline_protocol::message::Echo;
use meshline_protocol::{Encoding, Frame, Message, frame};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::Plan;
use crate::child::Served;
use crate::figures::{median, median_ratio, rounded};
use crate::member::{Member, Wire};
use crate::raw::{Line, Raw};
use crate::stack::key;

/// Frames a batch and bytes a batch, as the writer of a link has them.
const BATCH: usize = 64;
const RAW_BATCH: usize = 64 * 1024;

/// Numbers of six digits, so that all lines are of the same length.
const FIRST: u32 = 100_000;

/// `{"pong":{"nonce":100000,"text":"…"}}` and LF are 128 bytes.
const TEXT_LENGTH: usize = 128 - 36;

/// The raw loop is so much faster that it needs more messages for as long a round.
const RAW_SHARE: usize = 3;

pub(crate) async fn run(plan: Plan) {
    let (raw_side, mesh_side) = (Served::start(&["serve-raw"]), Served::start(&["serve-stack"]));
    let mut raw = Raw::connect(raw_side.address).await;
    let mut wire = Member::new(key(1), None).link(mesh_side.address).await;
    let (mut of_raw, mut of_mesh) = (Vec::new(), Vec::new());
    raw_messages(&mut raw, plan.size / 10).await;
    mesh_messages(&mut wire, plan.size / 10).await;
    for round in 1..=plan.rounds {
        of_raw.push(raw_messages(&mut raw, plan.size * RAW_SHARE).await);
        of_mesh.push(mesh_messages(&mut wire, plan.size).await);
        let last = |rates: &[f64]| rates.last().unwrap() / 1e3;
        println!("oneway round {round}: raw {:7.0} thousand/s | mesh {:7.0} thousand/s", last(&of_raw), last(&of_mesh));
    }
    let result = json!({
        "mode": "oneway", "rounds": plan.rounds, "size": plan.size,
        "mesh_per_s": rounded(median(of_mesh.clone()), -3), "raw_per_s": rounded(median(of_raw.clone()), -3),
        "ratio": rounded(median_ratio(&of_mesh, &of_raw), 3),
    });
    println!("{result}");
}

fn text() -> String {
    "x".repeat(TEXT_LENGTH)
}

async fn raw_messages(raw: &mut Raw, count: usize) -> f64 {
    let (mut out, text) = (Vec::with_capacity(RAW_BATCH + 256), text());
    let began = Instant::now();
    for nonce in (FIRST..).take(count) {
        Line::Pong { nonce, text: text.clone() }.write(&mut out);
        if out.len() >= RAW_BATCH {
            raw.writer.write_all(&out).await.unwrap();
            out.clear();
        }
    }
    Line::Ping { nonce: 0, text: String::new() }.write(&mut out);
    raw.writer.write_all(&out).await.unwrap();
    assert!(matches!(raw.read().await, Some(Line::Pong { nonce: 0, .. })), "no pong");
    count as f64 / began.elapsed().as_secs_f64()
}

async fn mesh_messages(wire: &mut Wire, count: usize) -> f64 {
    let (mut batch, text) = (Vec::with_capacity(BATCH), text());
    let began = Instant::now();
    for nonce in (FIRST..).take(count) {
        batch.push(encoded(Message::Pong(Echo { nonce, text: text.clone() })));
        if batch.len() >= BATCH {
            wire.write_batch(&batch).await;
            batch.clear();
        }
    }
    batch.push(encoded(Message::Ping(Echo { nonce: 0, text: String::new() })));
    wire.write_batch(&batch).await;
    wire.flush().await;
    wire.pong(0).await;
    count as f64 / began.elapsed().as_secs_f64()
}

fn encoded(message: Message) -> Bytes {
    frame::encode(&Frame::from(message), Encoding::Json).unwrap()
}
