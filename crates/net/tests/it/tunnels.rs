//! Tunnels between real nodes: end to end, over others, and on when a member on the way goes.

use std::time::Duration;

use meshline_net::{TunnelStream, Tunnels};
use meshline_protocol::{Code, Frame, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{PATIENCE, Running, Wire, config, new_key, pair, run};

/// A node that dials these and no others.
async fn leaf(name: &str, to: &[&Running]) -> Running {
    let mut config = config(name);
    config.max_links = to.len();
    config.peers = to.iter().map(|other| other.address()).collect();
    run(config).await
}

/// Opens a stream as soon as there is a way.
async fn opens(from: &Running, to: &Running) -> TunnelStream {
    let opened = async {
        loop {
            match from.handle.tunnels().open(to.id).await {
                Ok(stream) => return stream,
                Err(error) if error.code == Code::NoRoute => {
                    tokio::time::sleep(Duration::from_millis(20)).await; // paced: asks again
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(PATIENCE, opened).await.expect("a tunnel")
}

/// Sends everything back that comes.
fn echo(tunnels: Tunnels) {
    tokio::spawn(async move {
        while let Some(mut stream) = tunnels.accept().await {
            tokio::spawn(async move {
                let flow = stream.flow();
                tokio::spawn(async move {
                    while let Some(payload) = flow.recv().await {
                        flow.send(payload);
                    }
                });
                let (mut reading, mut writing) = tokio::io::split(&mut stream);
                let _ = tokio::io::copy(&mut reading, &mut writing).await;
                let _ = writing.shutdown().await;
            });
        }
    });
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 7 + at / 251) % 256).unwrap()).collect()
}

async fn round_trip(stream: TunnelStream, data: &[u8]) {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let send = async {
        writing.write_all(data).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let mut back = vec![];
    let ((), got) =
        timeout(PATIENCE, async { tokio::join!(send, reading.read_to_end(&mut back)) }).await.expect("comes back");
    got.unwrap();
    assert!(back == data, "{} of {} bytes came back", back.len(), data.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_and_payloads_go_through_a_member_in_the_middle() {
    let middle = run(config("middle")).await;
    let one = leaf("one", &[&middle]).await;
    let other = leaf("other", &[&middle]).await;
    echo(other.handle.tunnels().clone());
    let mut stream = opens(&one, &other).await;
    assert_eq!(stream.peer(), other.id);
    // The other end learns of a stream by its first bytes; a flow belongs to one.
    stream.write_all(b"hello").await.unwrap();
    timeout(PATIENCE, stream.read_exact(&mut [0; 5])).await.expect("comes back").unwrap();
    let flow = stream.flow();
    for size in [1, 1_400, 65_507] {
        let payload = bytes::Bytes::from(pattern(size));
        let back = async {
            // It is UDP: what is lost is asked for again.
            loop {
                assert!(flow.send(payload.clone()));
                if let Ok(Some(back)) = timeout(Duration::from_millis(200), flow.recv()).await {
                    return back;
                }
            }
        };
        assert_eq!(timeout(PATIENCE, back).await.expect("comes back"), payload);
    }
    round_trip(stream, &pattern(3_000_000)).await;
    let (peer, report) = one.handle.tunnels().reports().pop().expect("a tunnel");
    assert_eq!(peer, other.id);
    assert!(report.is_up && report.forged == 0 && !report.paths[0].is_private, "{report:?}");
    assert_eq!(report.paths[0].hops, [middle.id, other.id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_direct_link_nothing_is_sealed_twice() {
    let (one, other) = pair().await;
    echo(other.handle.tunnels().clone());
    round_trip(opens(&one, &other).await, &pattern(2_000_000)).await;
    let (_, report) = one.handle.tunnels().reports().pop().expect("a tunnel");
    assert!(report.paths.iter().any(|path| path.is_private), "{report:?}");
    assert_eq!(report.forged, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_survives_the_member_it_went_through() {
    let first = run(config("first")).await;
    let second = run(config("second")).await;
    let one = leaf("one", &[&first, &second]).await;
    let other = leaf("other", &[&first, &second]).await;
    echo(other.handle.tunnels().clone());
    let stream = opens(&one, &other).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let data = pattern(20_000_000);
    let expected = data.clone();
    let send = tokio::spawn(async move {
        for chunk in data.chunks(100_000) {
            writing.write_all(chunk).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await; // paced: the member goes in the middle of it
        }
        writing.shutdown().await.unwrap();
        writing
    });
    let mut back = vec![0; 2_000_000];
    timeout(PATIENCE, reading.read_exact(&mut back)).await.expect("begins").unwrap();
    let used = one.handle.tunnels().reports()[0].1.paths.iter().max_by_key(|path| path.window).unwrap().hops[0];
    let gone = if used == first.id { &first } else { &second };
    gone.handle.shutdown().await;
    let mut rest = vec![];
    timeout(PATIENCE, reading.read_to_end(&mut rest)).await.expect("goes on").unwrap();
    back.extend(rest);
    assert!(back == expected, "{} of {} bytes", back.len(), expected.len());
    drop(send.await.unwrap());
}

#[tokio::test]
async fn nothing_is_written_into_a_tunnel_that_is_over() {
    let (one, other) = pair().await;
    echo(other.handle.tunnels().clone());
    let mut stream = opens(&one, &other).await;
    stream.write_all(b"x").await.unwrap();
    stream.read_u8().await.unwrap();
    one.handle.tunnels().close();
    let read = timeout(PATIENCE, stream.read_u8()).await.expect("it ends");
    assert!(read.is_err(), "over");
    let written = timeout(PATIENCE, stream.write(b"y")).await.expect("at once");
    assert!(written.is_err(), "nobody will ever read it: {written:?}");
}

#[tokio::test]
async fn nobody_is_reached_where_no_way_leads() {
    let one = run(config("one")).await;
    let stranger = new_key().id();
    let error = one.handle.tunnels().open(stranger).await.expect_err("no way");
    assert_eq!(error.code, Code::NoRoute);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_claims_anothers_name_does_not_use_up_its_places() {
    let mut target = run(config("target")).await;
    echo(target.handle.tunnels().clone());
    let mut victim = leaf("victim", &[&target]).await;
    victim.linked_to(target.id).await;
    // Without a way back to the victim there would be no claims to take in.
    target.linked_to(victim.id).await;
    let mut liar = Wire::linked(&target.address(), &new_key()).await;
    // The first one shows that the liar accepted the target's hello; all others come over a link that is up.
    liar.send_frame(beginning(victim.id, target.id, 1_000)).await;
    for number in (0..200_u64).chain([u64::MAX]) {
        liar.send_frame(beginning(victim.id, target.id, number)).await;
    }
    // What was sent before is read before this is answered.
    liar.send(Message::Ping(serde_json::from_str(r#"{"nonce":7,"text":"read"}"#).unwrap())).await;
    while !matches!(timeout(PATIENCE, liar.read()).await.expect("an answer").unwrap(), Message::Pong(_)) {}
    let begun = target.handle.tunnels().begun();
    assert_eq!(begun.admitted + begun.turned_away, 201, "each was looked at: {begun:?}");
    // More than those 32 only if this took longer than a handshake may, and the first were gone again.
    assert!(begun.admitted >= 32 && begun.turned_away > 0, "{begun:?}");
    let claimed = target.handle.tunnels().reports().len();
    assert!(claimed <= 32, "{claimed} tunnels");
    round_trip(opens(&victim, &target).await, &pattern(100_000)).await;
    assert!(target.handle.tunnels().begun().admitted > begun.admitted, "the victim's own has a place");
    // Nor does the other side mistake one of those for the way to that member.
    echo(victim.handle.tunnels().clone());
    round_trip(opens(&target, &victim).await, &pattern(100_000)).await;
    // One more than may be claimed; fewer where all this took longer than a handshake may.
    let tunnels = target.handle.tunnels().reports().len();
    assert!((1..=33).contains(&tunnels), "{tunnels} tunnels");
}

/// The first packet of a tunnel that `src` seems to open, and that says nothing.
fn beginning(src: meshline_protocol::NodeId, dst: meshline_protocol::NodeId, number: u64) -> Frame {
    let line = meshline_mesh::datagram_line(src, dst, 1, "tunnel".parse().unwrap());
    let mut packet = vec![0];
    packet.extend_from_slice(&number.to_be_bytes());
    packet.extend_from_slice(&[0; 15]);
    Frame { message: Message::Datagram(Box::new(line)), body: Some(packet.into()) }
}
