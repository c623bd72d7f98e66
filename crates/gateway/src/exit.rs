//! The other end: streams that members open here. Each is judged by the rules as they are at that moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use meshline_protocol::opening::{IncomingStream, MAX_PASSED, OpenStream, StreamAnswer, StreamOpened, StreamRequest};
use meshline_protocol::{Code, NodeId, Target};
use tokio::time::timeout;

use crate::carrier::{Carrier, Stream};
use crate::connector::Via;
use crate::copy::{Onward, carry};
use crate::counters::{Counters, Place};
use crate::directory::{Member, soon};
use crate::gateway::Shared;
use crate::limits::{MAX_SERVED, MAX_SERVED_PER_MEMBER, REQUEST_LIMIT};
use crate::lines;
use crate::payloads;
use crate::refusal::{Refusal, refuse};
use crate::rules::{Grant, Rules};
use crate::target::{End, Reached, is_own, reach};

/// Code of a reset after a refusal was told.
const REFUSED: u16 = 3;

/// What this member does for others.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) counters: Arc<Counters>,
    by_member: Mutex<BTreeMap<NodeId, usize>>,
}

/// The place of one stream of a member.
struct Seat {
    place: Place,
    served: Arc<Served>,
    member: NodeId,
}

impl Served {
    fn enter(self: &Arc<Self>, member: NodeId) -> Result<Seat, Refusal> {
        let place = self.counters.enter(MAX_SERVED)?;
        let mut by_member = self.by_member.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_member.entry(member).or_default();
        if *open >= MAX_SERVED_PER_MEMBER {
            return Err(refuse(Code::TooManyStreams, format!("{MAX_SERVED_PER_MEMBER} streams are open here")));
        }
        *open += 1;
        drop(by_member);
        Ok(Seat { place, served: Arc::clone(self), member })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut by_member = self.served.by_member.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_member.get_mut(&self.member) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                by_member.remove(&self.member);
            }
        }
    }
}

/// Takes streams until the mesh ends.
pub(crate) async fn serve(carrier: Arc<dyn Carrier>, shared: Arc<Shared>) {
    while let Some(stream) = carrier.accept().await {
        match shared.served.enter(stream.peer()) {
            Ok(seat) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { one(stream, seat, &shared).await });
            }
            // A member that has opened so many is not owed an answer to each.
            Err(_) => stream.reset(REFUSED),
        }
    }
}

async fn one(mut stream: Box<dyn Stream>, seat: Seat, shared: &Arc<Shared>) {
    let request = timeout(REQUEST_LIMIT, lines::read::<_, StreamRequest>(&mut stream)).await;
    let request = request.unwrap_or_else(|_| Err(refuse(Code::FrameTimeout, "the request did not come in time")));
    let member = soon(shared.connector.directory().as_ref(), stream.peer()).await;
    let outcome = match (request, member) {
        (Err(refusal), _) => Err((refusal, stream)),
        (Ok(_), None) => Err((refuse(Code::NotMember, "you are not known here yet"), stream)),
        (Ok(StreamRequest::Open(open)), Some(member)) => connect(stream, &open, &member, (&seat.place, shared)).await,
        (Ok(StreamRequest::Listen(listen)), Some(member)) => {
            crate::forward::guest::listen(stream, &listen, &member, shared).await
        }
        (Ok(StreamRequest::Incoming(incoming)), Some(_)) => incoming_connection(stream, incoming, shared).await,
    };
    if let Err((refusal, stream)) = outcome {
        let refusal = seat.place.counters().refused(refusal);
        tracing::debug!(peer = %seat.member, code = refusal.code.name(), "a stream is refused: {}", refusal.detail);
        tell(stream, refusal).await;
    }
}

/// What goes wrong before the answer, with the stream on which it is to be told.
pub(crate) type Refused = (Refusal, Box<dyn Stream>);

async fn tell(mut stream: Box<dyn Stream>, refusal: Refusal) {
    use tokio::io::AsyncWriteExt;
    if lines::write(&mut stream, &StreamAnswer::Refused(refusal)).await.is_ok() && stream.shutdown().await.is_ok() {
        // The answer has left when the asker ends its side; a reset could overtake it.
        let _ = timeout(REQUEST_LIMIT, payloads::ended(&mut stream)).await;
    }
}

/// Reaches what was asked for, says so, and carries.
async fn connect(
    stream: Box<dyn Stream>,
    open: &OpenStream,
    member: &Member,
    (place, shared): (&Place, &Arc<Shared>),
) -> Result<(), Refused> {
    let rules = shared.rules();
    let (target, reached) = match rules.grant(open, member) {
        Ok(Grant::Exposed(target)) => {
            let reached = reach(&target, &|_| Ok(())).await;
            (target, reached)
        }
        Ok(Grant::ByRule(target)) => {
            let reached = reach(&target, &|address| by_rule(&rules, address, member, shared)).await;
            (target, reached)
        }
        Ok(Grant::Through(target, via)) => {
            let reached = onward(open, &target, &via, shared).await;
            (target, reached)
        }
        Err(refusal) => return Err((refusal, stream)),
    };
    let reached = match reached {
        Ok(reached) => reached,
        Err(refusal) => return Err((refusal, stream)),
    };
    join(stream, target, reached, place, shared).await;
    Ok(())
}

/// Asks another member for what is exposed through it. Members that expose something through each other end here.
async fn onward(open: &OpenStream, target: &Target, via: &str, shared: &Shared) -> Result<Reached, Refusal> {
    if open.passed >= MAX_PASSED {
        return Err(refuse(Code::TargetUnreachable, format!("{MAX_PASSED} members have passed this on already")));
    }
    let via = match shared.connector.resolve_kept(via, true)? {
        Via::Service(word) => return Err(refuse(Code::NoSuchPeer, format!("nobody is called {}", word.name))),
        via @ (Via::Member(_) | Via::Auto) => via,
    };
    let wish = OpenStream { target: Some(target.clone()), passed: open.passed + 1, ..OpenStream::default() };
    let connected = shared.connector.connect(&via, wish).await?;
    let address = connected.opened.address;
    let end = match connected.flow {
        Some(flow) => End::Passed(flow, connected.stream),
        None => End::Bytes(Box::new(Onward(connected.stream))),
    };
    Ok(Reached { end, address: address.and_then(|address| address.to_string().parse().ok()) })
}

/// Says what was reached, and carries.
async fn join(mut stream: Box<dyn Stream>, target: Target, reached: Reached, place: &Place, shared: &Shared) {
    // Before the answer: payloads come right behind it.
    let flow = matches!(reached.end, End::Payloads(_) | End::Passed(..)).then(|| stream.flow());
    let opened = StreamOpened { target: Some(target), address: reached.address.map(Into::into) };
    if lines::write(&mut stream, &StreamAnswer::Opened(opened)).await.is_err() {
        return;
    }
    match (reached.end, flow) {
        (End::Bytes(local), _) => carry(local, stream, place, shared.patience.stream_idle).await,
        (End::Payloads(socket), Some(flow)) => {
            payloads::serve(&socket, flow.as_ref(), stream, place, shared.patience.udp_idle).await;
        }
        (End::Passed(onward, next), Some(flow)) => {
            let ends = [(flow.as_ref(), stream), (onward.as_ref(), next)];
            payloads::pass_on(ends, place, shared.patience.udp_idle).await;
        }
        (End::Payloads(_) | End::Passed(..), None) => {}
    }
}

fn by_rule(rules: &Rules, address: SocketAddr, member: &Member, shared: &Shared) -> Result<(), Refusal> {
    rules.judge_address(address.ip(), address.port(), member)?;
    if is_own(address, &shared.own_ports) {
        return Err(refuse(Code::Forbidden, format!("{address} is this member's own port: only if it is exposed")));
    }
    Ok(())
}

/// A connection to a listener that we asked that member for.
async fn incoming_connection(
    stream: Box<dyn Stream>,
    incoming: IncomingStream,
    shared: &Arc<Shared>,
) -> Result<(), Refused> {
    let Some((target, counters)) = shared.forwards.asked_for(stream.peer(), incoming.listener) else {
        return Err((refuse(Code::UnexpectedMessage, "no listener of that number was asked for"), stream));
    };
    let place = match counters.enter(shared.patience.max_connections) {
        Ok(place) => place,
        Err(refusal) => return Err((refusal, stream)),
    };
    // The place is of our own choice, so no rule judges it.
    let reached = match reach(&target, &|_| Ok(())).await {
        Ok(reached) => reached,
        Err(refusal) => return Err((counters.refused(refusal), stream)),
    };
    join(stream, target, reached, &place, shared).await;
    Ok(())
}
