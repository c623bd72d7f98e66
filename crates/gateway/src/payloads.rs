//! UDP payloads between a socket of this host and the flow of a stream.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use crate::carrier::{Flow, Stream};
use crate::counters::Place;
use crate::limits::MAX_PAYLOAD;

/// At an exit: passes payloads between the flow and a connected socket, until the stream ends or nothing moves for
/// `idle`. Refusals of the target's host are no end: whoever sends learns of them by silence, as with UDP elsewhere.
pub(crate) async fn serve(
    socket: &UdpSocket,
    flow: &dyn Flow,
    mut stream: Box<dyn Stream>,
    place: &Place,
    idle: Duration,
) {
    let mut buffer = vec![0; MAX_PAYLOAD];
    let mut last = Instant::now();
    loop {
        tokio::select! {
            payload = flow.recv() => {
                let Some(payload) = payload else { return };
                place.counters().received(payload.len());
                let _ = socket.send(&payload).await;
            }
            received = socket.recv(&mut buffer) => {
                let Ok(bytes) = received else { continue };
                place.counters().sent(bytes);
                flow.send(Bytes::copy_from_slice(buffer.get(..bytes).unwrap_or_default()));
            }
            () = ended(&mut stream) => return,
            () = sleep_until(last + idle) => return,
        }
        last = Instant::now();
    }
}

/// At a member that asked another one: passes payloads between the two flows, until either stream ends or nothing moves
/// for `idle`.
pub(crate) async fn pass_on(ends: [(&dyn Flow, Box<dyn Stream>); 2], place: &Place, idle: Duration) {
    let [(asker, mut asking), (target, mut reaching)] = ends;
    let mut last = Instant::now();
    loop {
        tokio::select! {
            payload = asker.recv() => {
                let Some(payload) = payload else { return };
                place.counters().received(payload.len());
                target.send(payload);
            }
            payload = target.recv() => {
                let Some(payload) = payload else { return };
                place.counters().sent(payload.len());
                asker.send(payload);
            }
            () = ended(&mut asking) => return,
            () = ended(&mut reaching) => return,
            () = sleep_until(last + idle) => return,
        }
        last = Instant::now();
    }
}

/// Returns at the end of a stream that carries no bytes; such bytes are not looked at.
pub(crate) async fn ended(stream: &mut Box<dyn Stream>) {
    let mut ignored = [0; 64];
    while matches!(stream.read(&mut ignored).await, Ok(bytes) if bytes > 0) {}
}
