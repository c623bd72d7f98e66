//! A listener there, a target here. A stream asks the peer to listen; its end is the end of the listener, and it is asked
//! for again, more slowly each time.

use std::sync::Arc;

use meshline_protocol::opening::{ListenStream, StreamRequest};
use meshline_protocol::{Code, NodeId, Target};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Forward, ForwardState, Running};
use crate::carrier::Stream;
use crate::connector::Via;
use crate::gateway::Shared;
use crate::limits::{ANSWER_LIMIT, RETRY_FIRST, RETRY_LONGEST};
use crate::lines::ask;
use crate::payloads::ended;
use crate::refusal::{Refusal, refuse};

pub(super) fn start(forward: &Forward, number: u32, shared: &Arc<Shared>) -> Running {
    let (sender, state) = watch::channel(ForwardState::Asking);
    let task = tokio::spawn(run(forward.clone(), number, Arc::clone(shared), sender));
    Running { task, state }
}

async fn run(forward: Forward, number: u32, shared: Arc<Shared>, state: watch::Sender<ForwardState>) {
    let mut pause = RETRY_FIRST;
    loop {
        match listener(&forward, number, &shared).await {
            Ok((mut stream, at)) => {
                pause = RETRY_FIRST;
                state.send_replace(ForwardState::Listening(at));
                ended(&mut stream).await;
                state.send_replace(ForwardState::Asking);
            }
            Err(refusal) => {
                let refusal = shared.forwards.refused(number, refusal);
                state.send_replace(ForwardState::Refused(refusal));
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}

/// Asks for the listener; it stands as long as the stream.
async fn listener(forward: &Forward, number: u32, shared: &Shared) -> Result<(Box<dyn Stream>, Target), Refusal> {
    let peer = peer(forward, shared)?;
    // Before it is asked for, so that the first connection finds it known.
    shared.forwards.expect_from(number, peer);
    let mut stream = shared.connector.bare(peer).await?;
    let request = StreamRequest::Listen(ListenStream { listener: number, listen: forward.config.listen.clone() });
    let opened = ask(&mut stream, &request, ANSWER_LIMIT).await?;
    let at = opened.target.unwrap_or_else(|| forward.config.listen.clone());
    Ok((stream, at))
}

fn peer(forward: &Forward, shared: &Shared) -> Result<NodeId, Refusal> {
    match shared.connector.resolve_kept(&forward.config.peer, true)? {
        Via::Member(id) => Ok(id),
        Via::Auto | Via::Service(_) => {
            Err(refuse(Code::NoSuchPeer, format!("no member is called {}", forward.config.peer)))
        }
    }
}
