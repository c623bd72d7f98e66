//! Connections to proxies, opened while a ticket is asked for, so that the dial with the ticket finds one ready.

use std::collections::VecDeque;

use meshline_protocol::Address;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::detour::Detours;
use crate::dial::{Bearer, bear};
use crate::limits::{APPROACH_LIMIT, MAX_APPROACHES};

/// One connection that is being opened, or is there and waits.
pub(crate) struct Approach {
    address: Address,
    wanted: oneshot::Sender<oneshot::Sender<Bearer>>,
}

impl Approach {
    fn start(address: Address, detours: Detours) -> Self {
        let (wanted, is_wanted) = oneshot::channel::<oneshot::Sender<Bearer>>();
        let target = address.clone();
        drop(tokio::spawn(async move {
            let Ok(bearer) = bear(&target, None, &detours).await else { return };
            if let Ok(Ok(taker)) = timeout(APPROACH_LIMIT, is_wanted).await {
                // Whoever wanted it may have given up.
                let _ = taker.send(bearer);
            }
        }));
        Self { address, wanted }
    }

    /// The connection, if it came about and was not kept too long.
    pub(crate) async fn take(self) -> Option<Bearer> {
        let (taker, stream) = oneshot::channel();
        self.wanted.send(taker).ok()?;
        stream.await.ok()
    }
}

/// Those that wait for their tickets.
#[derive(Default)]
pub(crate) struct Approaches {
    waiting: VecDeque<Approach>,
}

impl Approaches {
    /// Begins one; the oldest goes if there are too many.
    pub(crate) fn begin(&mut self, address: Address, detours: Detours) {
        self.waiting.retain(|approach| !approach.wanted.is_closed());
        if self.waiting.len() >= MAX_APPROACHES {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Approach::start(address, detours));
    }

    /// One to this address, if there is any.
    pub(crate) fn find(&mut self, address: &Address) -> Option<Approach> {
        let at = self.waiting.iter().position(|one| one.address == *address && !one.wanted.is_closed())?;
        self.waiting.remove(at)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_waits_is_used_once_and_only_so_many_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: Address = listener.local_addr().unwrap().into();
        let mut approaches = Approaches::default();
        for _ in 0..MAX_APPROACHES + 1 {
            approaches.begin(address.clone(), Detours::default());
        }
        assert_eq!(approaches.len(), MAX_APPROACHES);
        let Some(Bearer::Socket(stream)) = approaches.find(&address).unwrap().take().await else { panic!("a socket") };
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(approaches.len(), MAX_APPROACHES - 1);
        let elsewhere: Address = "127.0.0.1:1".parse().unwrap();
        assert!(approaches.find(&elsewhere).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waited_too_long_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: Address = listener.local_addr().unwrap().into();
        let mut approaches = Approaches::default();
        approaches.begin(address.clone(), Detours::default());
        let (_near, _) = listener.accept().await.unwrap();
        approaches.waiting.front_mut().unwrap().wanted.closed().await;
        assert!(approaches.find(&address).is_none());
    }
}
