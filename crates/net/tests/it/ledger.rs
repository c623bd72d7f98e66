//! The ledger's frames over real links: they arrive, and hold up nothing else.

use std::sync::Arc;

use bytes::Bytes;
use meshline_net::limits::MAX_BULK_BYTES;
use meshline_net::{LedgerNews, LedgerPort};
use meshline_protocol::NodeId;
use meshline_protocol::message::{Ledger, LedgerFee, LedgerPart, LedgerPlace};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::*;

/// A port that is listened to.
struct Ear {
    port: LedgerPort,
    woken: Arc<Notify>,
}

impl Ear {
    fn of(node: &Running) -> Self {
        let (port, woken) = (node.handle.ledger(), Arc::new(Notify::new()));
        let wake = Arc::clone(&woken);
        port.listen(move || wake.notify_one());
        Self { port, woken }
    }

    async fn next(&self) -> LedgerNews {
        let next = async {
            loop {
                if let Some(news) = self.port.take() {
                    return news;
                }
                self.woken.notified().await;
            }
        };
        timeout(PATIENCE, next).await.expect("news")
    }

    async fn is_linked(&self, with: NodeId) {
        assert_eq!(self.next().await, LedgerNews::LinkUp { peer: with });
    }
}

fn bulk(number: u8) -> (Ledger, Option<Bytes>) {
    let line = LedgerPart { request: Some(number.into()), place: LedgerPlace::WHOLE };
    (Ledger::Block(line), Some(Bytes::from(vec![number; 64 * 1024])))
}

#[tokio::test]
async fn a_ledgers_frames_reach_the_ledger_of_a_linked_member() {
    let (one, other) = pair().await;
    let (here, there) = (Ear::of(&one), Ear::of(&other));
    here.is_linked(other.id).await;
    there.is_linked(one.id).await;
    let (message, body) = bulk(7);
    assert!(here.port.send(&other.id, message.clone(), body.clone()));
    assert_eq!(there.next().await, LedgerNews::Frame { peer: one.id, message, body });
    assert_eq!(here.next().await, LedgerNews::Drained { peer: other.id });
    let fee = Ledger::Feefilter(LedgerFee { rate: 9 });
    assert!(there.port.send(&one.id, fee.clone(), None));
    assert_eq!(here.next().await, LedgerNews::Frame { peer: other.id, message: fee, body: None });
    other.handle.shutdown().await;
    assert_eq!(here.next().await, LedgerNews::LinkDown { peer: other.id });
    let (message, body) = bulk(8);
    assert!(!here.port.send(&other.id, message, body), "it is not linked any more");
    assert_eq!(here.port.dropped().get("not_sent"), Some(&1));
}

#[tokio::test]
async fn bulk_of_the_ledger_holds_up_no_chat_and_what_is_too_much_is_refused() {
    let (one, mut other) = pair().await;
    let (here, there) = (Ear::of(&one), Ear::of(&other));
    here.is_linked(other.id).await;
    there.is_linked(one.id).await;
    // As much as the queue takes, at once: nothing of it is written before this task waits.
    let mut sent = 0_usize;
    loop {
        let (message, body) = bulk(u8::try_from(sent % 251).unwrap());
        if !here.port.send(&other.id, message, body) {
            break;
        }
        sent += 1;
    }
    assert!(sent * 64 * 1024 <= MAX_BULK_BYTES && MAX_BULK_BYTES <= (sent + 1) * 65 * 1024, "{sent} frames");
    one.say("in between").await;
    other.hears("in between").await;
    let mut arrived = 0;
    while arrived < sent {
        if let LedgerNews::Frame { message: Ledger::Block(line), body, .. } = there.next().await {
            let number = u8::try_from(arrived % 251).unwrap();
            assert_eq!((line.request, body), (Some(number.into()), Some(vec![number; 64 * 1024].into())));
            arrived += 1;
        }
    }
    assert_eq!(here.next().await, LedgerNews::Drained { peer: other.id });
}

#[tokio::test]
async fn whoever_has_no_ledger_is_not_disturbed_by_one() {
    let (one, mut other) = pair().await;
    let here = Ear::of(&one);
    here.is_linked(other.id).await;
    for number in 0..50 {
        let (message, body) = bulk(number);
        assert!(here.port.send(&other.id, message, body));
    }
    one.say("still here").await;
    other.hears("still here").await;
    assert_eq!(other.handle.ledger().dropped(), Default::default(), "what nobody listens to is not kept");
}
