//! One link over a pipe in memory, with the test as driver and as peer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meshline_mesh::{LinkId, Mono, Transport};
use meshline_protocol::message::Echo;
use meshline_protocol::{Code, Decoded, Encoding, Frame, Message, NodeId, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, advance};

use super::fair::tests::waiting;
use super::pace::Pace;
use super::queue::{Pushed, Queue, Taken};
use super::reader::{Around, Reader};
use super::writer::Writer;
use super::{Encoder, Link, LinkContext, PathBytes, Shared};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::driver::Notice;
use crate::forwarder::Forwarder;
use crate::limits::*;

const LINK: LinkId = LinkId(1);

struct Bench {
    link: Link,
    peer: DuplexStream,
    notices: mpsc::Receiver<Notice>,
    gone: mpsc::Receiver<()>,
    forwarder: Arc<Forwarder>,
}

fn bench(early: &[u8]) -> Bench {
    let (near, peer) = duplex(16 * 1024);
    let (sender, notices) = mpsc::channel(MAX_INCOMING);
    let (alive, gone) = mpsc::channel(1);
    let connection = Connection {
        stream: Box::new(near),
        socket: None,
        early: BytesMut::from(early),
        transport: Transport::Plain,
        local: "127.0.0.1:1".parse().unwrap(),
        remote: "127.0.0.1:2".parse().unwrap(),
        proved: None,
        through: None,
        spent_us: 0,
        permit: None,
        quic: None,
    };
    let forwarder: Arc<Forwarder> = Arc::default();
    let context = LinkContext { notices: sender, clock: Clock::start(), forwarder: Arc::clone(&forwarder), alive };
    Bench { link: Link::open(LINK, connection, context), peer, notices, gone, forwarder }
}

fn ping(nonce: u32) -> Message {
    Message::Ping(Echo { nonce, text: String::new() })
}

fn line(nonce: u32) -> Bytes {
    frame::encode(&ping(nonce).into(), Encoding::Json).unwrap()
}

impl Bench {
    /// The hello is accepted, and the link is up.
    fn bring_up(&mut self, encoding: Encoding) {
        self.link.accept(encoding);
        self.link.outlet().introduce(NodeId::from_bytes([9; 32]));
        self.link.release();
    }

    async fn frame(&mut self) -> (Message, bool) {
        match self.notices.recv().await {
            Some(Notice::Frame { decoded: Decoded::Frame(frame), waits, .. }) => (frame.message, waits),
            _ => panic!("a frame was expected"),
        }
    }

    async fn fault(&mut self) -> Code {
        match self.notices.recv().await {
            Some(Notice::Fault { fault, .. }) => fault.code,
            _ => panic!("a fault was expected"),
        }
    }
}

#[tokio::test]
async fn until_a_link_is_up_frames_come_one_by_one_and_then_freely() {
    let mut bench = bench(&line(1));
    bench.peer.write_all(&[line(2), line(3), line(4), line(5)].concat()).await.unwrap();
    assert_eq!(bench.frame().await, (ping(1), true));
    tokio::task::yield_now().await;
    assert!(bench.notices.try_recv().is_err(), "the next one waits for the verdict");
    bench.link.release();
    assert_eq!(bench.frame().await, (ping(2), true));
    bench.link.accept(Encoding::Json);
    bench.link.release();
    assert_eq!(bench.frame().await, (ping(3), true), "it shows that the peer accepted ours");
    tokio::task::yield_now().await;
    assert!(bench.notices.try_recv().is_err(), "whose the link is has not been told yet");
    bench.bring_up(Encoding::Json);
    assert_eq!(bench.frame().await, (ping(4), false));
    assert_eq!(bench.frame().await, (ping(5), false));
    let (_, received) = bench.link.counters();
    assert_eq!(received, 5 * u64::try_from(line(1).len()).unwrap());
}

#[tokio::test]
async fn bytes_are_counted_by_the_way_of_the_link_and_stay_when_it_ends() {
    let mut bench = bench(&line(1));
    bench.frame().await;
    assert!(bench.link.send(line(2), false));
    bench.link.close();
    let mut read = Vec::new();
    bench.peer.read_to_end(&mut read).await.unwrap();
    let [received, sent] = [line(1).len(), read.len()].map(|bytes| u64::try_from(bytes).unwrap());
    let counted = bench.forwarder.tallies().get();
    assert_eq!((counted.direct, counted.relay), (PathBytes { sent, received }, PathBytes::default()));
}

#[tokio::test]
async fn the_encoding_changes_right_behind_the_frame_that_was_accepted() {
    let mut bench = bench(b"");
    let second = frame::encode(&ping(2).into(), Encoding::Bson).unwrap();
    bench.peer.write_all(&[line(1), second.clone()].concat()).await.unwrap();
    assert_eq!(bench.frame().await, (ping(1), true));
    bench.bring_up(Encoding::Bson);
    assert_eq!(bench.frame().await, (ping(2), false));
}

#[tokio::test]
async fn lines_are_short_before_acceptance_and_long_after_it() {
    let long = format!("{{\"unheard\":\"{}\"}}\n", "x".repeat(5_000));
    let mut early = bench(b"");
    early.peer.write_all(long.as_bytes()).await.unwrap();
    assert_eq!(early.fault().await, Code::FrameTooLong);

    let mut late = bench(&line(1));
    late.frame().await;
    late.link.accept(Encoding::Json);
    late.link.release();
    late.peer.write_all(long.as_bytes()).await.unwrap();
    assert!(matches!(late.notices.recv().await, Some(Notice::Frame { decoded: Decoded::Unknown { .. }, .. })));
}

#[tokio::test]
async fn closing_sends_what_is_queued_and_then_the_end() {
    let mut bench = bench(b"");
    assert!(bench.link.send(line(1), false));
    assert!(bench.link.send(line(2), false));
    bench.link.close();
    let mut read = Vec::new();
    bench.peer.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, [line(1), line(2)].concat());
    drop((bench.peer, bench.notices));
    assert!(bench.gone.recv().await.is_none(), "both tasks end");
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_peer_that_never_reads() {
    let mut bench = bench(b"");
    assert!(bench.link.send(Bytes::from(vec![b'x'; 64 * 1024]), false));
    let began = Instant::now();
    bench.link.close();
    assert!(bench.gone.recv().await.is_none());
    assert!(began.elapsed() <= CLOSE_LIMIT + LINGER_LIMIT + Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_a_slow_reader() {
    let mut bench = bench(b"");
    assert!(bench.link.send(Bytes::from(vec![b'x'; 64 * 1024]), false));
    let began = Instant::now();
    assert!(matches!(bench.notices.recv().await, Some(Notice::Ended { code: Code::SlowReader, .. })));
    assert!(began.elapsed() >= WRITE_STALL_LIMIT);
}

#[tokio::test]
async fn the_queue_is_full_at_its_bytes() {
    let bench = bench(b"");
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let sent = (0..100).take_while(|_| bench.link.send(chunk.clone(), false)).count();
    assert_eq!(sent, MAX_QUEUED_BYTES / chunk.len());
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_is_cut_when_it_stands_still() {
    let mut bench = bench(b"");
    bench.peer.write_all(b"{\"ping\":").await.unwrap();
    let began = Instant::now();
    assert_eq!(bench.fault().await, Code::FrameTimeout);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_byte_a_second_is_cut_within_five() {
    let mut bench = bench(b"");
    let began = Instant::now();
    loop {
        match bench.notices.try_recv() {
            Ok(Notice::Fault { fault, .. }) => break assert_eq!(fault.code, Code::FrameTimeout),
            Ok(_) => panic!("only a fault can come"),
            Err(_) => bench.peer.write_all(b"{").await.unwrap(),
        }
        // Lets the reader see the byte before the clock moves on.
        tokio::task::yield_now().await;
        advance(Duration::from_millis(500)).await;
        tokio::task::yield_now().await;
    }
    assert!(began.elapsed() <= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_link_between_frames_may_be_silent_for_ever() {
    let mut bench = bench(&line(1));
    bench.frame().await;
    bench.bring_up(Encoding::Json);
    advance(Duration::from_secs(3_600)).await;
    bench.peer.write_all(&line(2)).await.unwrap();
    assert_eq!(bench.frame().await, (ping(2), false));
}

#[tokio::test]
async fn the_end_of_the_connection_is_told_behind_the_last_frame() {
    let mut bench = bench(&line(1));
    bench.peer.shutdown().await.unwrap();
    bench.frame().await;
    bench.link.release();
    assert!(matches!(bench.notices.recv().await, Some(Notice::Ended { code: Code::ConnectionLost, .. })));
}

#[test]
fn the_pace_grants_four_seconds_and_then_a_least_rate() {
    let second = 1_000_000;
    let mut pace = Pace::begin(Mono(0));
    assert_eq!(pace.deadline(), Mono(4 * second));
    pace.progress(100, Mono(3 * second));
    assert_eq!(pace.deadline(), Mono(4 * second), "a trickle earns nothing");
    pace.progress(6 * 1_024 - 100, Mono(3 * second));
    assert_eq!(pace.deadline(), Mono(6 * second));
    pace.progress(60 * 1_024, Mono(5 * second));
    assert_eq!(pace.deadline(), Mono(9 * second), "but it may not stand still");
}

#[test]
fn the_queue_is_full_at_its_frames_and_takes_nothing_once_closed() {
    let queue = Queue::default();
    let frame = Bytes::from_static(b"x");
    let pushed = (0..=MAX_QUEUED_FRAMES).take_while(|_| queue.push(frame.clone(), false)).count();
    assert_eq!(pushed, MAX_QUEUED_FRAMES);
    queue.close();
    assert!(queue.push(frame, false), "what comes after the end is dropped without a fuss");
    let mut taken = 0;
    while let Taken::Frames(batch) = queue.take() {
        assert!(batch.len() <= FRAMES_AT_ONCE);
        taken += batch.len();
    }
    assert_eq!(taken, MAX_QUEUED_FRAMES);
    assert_eq!(queue.take(), Taken::Closed);
}

#[test]
fn a_write_is_as_large_as_it_may_be_and_a_large_frame_goes_alone() {
    let queue = Queue::default();
    let large = Bytes::from(vec![0; 100 * 1024]);
    let half = Bytes::from(vec![0; WRITE_AT_ONCE / 2]);
    for frame in [&large, &half, &half, &half] {
        assert!(queue.push(frame.clone(), false));
    }
    let mut sizes = Vec::new();
    while let Taken::Frames(batch) = queue.take() {
        sizes.push(batch.len());
    }
    assert_eq!(sizes, [1, 2, 1]);
    assert_eq!(queue.take(), Taken::Nothing);
}

#[test]
fn control_frames_go_before_all_datagrams_that_wait() {
    let queue = Queue::default();
    for flow in 0..3 {
        assert_eq!(queue.push_datagram(waiting(flow, 1_000)), Pushed::Done(None));
    }
    assert!(queue.push(line(7), false));
    let Taken::Frames(batch) = queue.take() else { panic!("frames wait") };
    assert_eq!(batch.len(), 1 + 3 * 2, "a line and a body for each");
    assert_eq!(batch[0], line(7));
    assert_eq!(queue.take(), Taken::Nothing);
}

#[test]
fn a_write_holds_no_more_than_64_kib_of_datagrams() {
    let queue = Queue::default();
    for _ in 0..8 {
        assert_eq!(queue.push_datagram(waiting(1, 30_000)), Pushed::Done(None));
    }
    for _ in 0..4 {
        let Taken::Frames(batch) = queue.take() else { panic!("frames wait") };
        assert!(batch.iter().map(Bytes::len).sum::<usize>() <= WRITE_AT_ONCE);
        assert_eq!(batch.len(), 4);
    }
    assert_eq!(queue.take(), Taken::Nothing);
}

#[test]
fn writes_of_a_slow_link_are_small_ones() {
    let queue = Queue::default();
    queue.write_at_once(20_000);
    for _ in 0..3 {
        assert_eq!(queue.push_datagram(waiting(1, 9_000)), Pushed::Done(None));
    }
    for datagrams in [2, 1] {
        let Taken::Frames(batch) = queue.take() else { panic!("frames wait") };
        assert_eq!(batch.len(), 2 * datagrams);
    }
    assert_eq!(queue.take(), Taken::Nothing);
}

#[test]
fn a_write_has_no_more_slices_than_it_may() {
    let queue = Queue::default();
    for _ in 0..FRAMES_AT_ONCE {
        assert_eq!(queue.push_datagram(waiting(1, 10)), Pushed::Done(None));
    }
    let Taken::Frames(batch) = queue.take() else { panic!("frames wait") };
    assert_eq!(batch.len(), FRAMES_AT_ONCE);
}

#[test]
fn a_link_that_is_gone_hands_out_what_waits_and_takes_nothing_more() {
    let queue = Queue::default();
    assert_eq!(queue.push_datagram(waiting(1, 10)), Pushed::Done(None));
    assert_eq!(queue.push_datagram(waiting(2, 10)), Pushed::Done(None));
    assert!(queue.push(line(1), false));
    assert_eq!(queue.divert(), [waiting(1, 10), waiting(2, 10)]);
    assert_eq!(queue.push_datagram(waiting(1, 10)), Pushed::Closed(waiting(1, 10)));
    queue.close();
    assert_eq!(queue.take(), Taken::Frames([line(1)].into()), "what was said before still goes out");
    assert_eq!(queue.take(), Taken::Closed);
}

#[test]
fn a_frame_for_many_links_is_encoded_once_an_encoding() {
    let mut encoder = Encoder::default();
    let frame = Arc::new(Frame::from(ping(1)));
    let first = encoder.encode(&frame, Encoding::Json).unwrap();
    let bson = encoder.encode(&frame, Encoding::Bson).unwrap();
    let again = encoder.encode(&frame, Encoding::Json).unwrap();
    assert_eq!(first.as_ptr(), again.as_ptr());
    assert_ne!(first, bson);
    let other = encoder.encode(&Arc::new(Frame::from(ping(2))), Encoding::Json).unwrap();
    assert_eq!(other, line(2));
}

/// Idle links are many. What their tasks hold is most of what a link costs beyond its TLS state.
#[tokio::test]
async fn the_tasks_of_a_link_stay_small() {
    let (near, _peer) = duplex(16);
    let stream: Box<dyn crate::connection::Stream> = Box::new(near);
    let (read_half, write_half) = tokio::io::split(stream);
    let (notices, _receiver) = mpsc::channel(1);
    let shared = Arc::new(Shared::new(LINK, (Queue::default(), Arc::default()), 0, (Transport::Tcp, None)));
    let around = Around { notices: notices.clone(), clock: Clock::start(), forwarder: Arc::default() };
    let mut reader = Reader::new(read_half, BytesMut::new(), Arc::clone(&shared), around);
    let mut writer = Writer::new(write_half, shared, notices);
    let sizes = (size_of_val(&async move { reader.run().await }), size_of_val(&async move { writer.run().await }));
    assert!(sizes.0 <= 512 && sizes.1 <= 512, "{sizes:?} bytes");
}

#[test]
fn frames_with_bodies_leave_room_for_those_without() {
    let queue = Queue::default();
    let body = Bytes::from(vec![b'x'; 16 * 1024]);
    let pushed = (0..1_000).take_while(|_| queue.push(body.clone(), true)).count();
    assert_eq!(pushed, MAX_QUEUED_BYTES / 4 * 3 / body.len());
    assert!(queue.push(Bytes::from_static(b"{}\n"), false), "a sign of life still finds room");
}
