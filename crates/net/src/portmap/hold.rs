//! When a router is asked: at the start, at half of what it granted, again after a while where something is missing, and
//! at once when this host or the outside has other addresses.

use std::future::Future;
use std::time::Duration;

use meshline_mesh::PortMapping;
use meshline_protocol::message::NatTransport;
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use crate::driver::Notice;

/// What is forwarded.
const TRANSPORTS: [NatTransport; 2] = [NatTransport::Udp, NatTransport::Tcp];

/// Between attempts while no router answers: it may have been switched on.
const RETRY: Duration = Duration::from_secs(600);

/// To look whether there is a router costs nothing, and a host that was just switched on or moved has one soon.
const SOUGHT_AFTER: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(60)];

/// Leases are renewed no sooner, whatever a router grants.
const LEAST_RENEWAL: Duration = Duration::from_secs(30);

/// The system has new addresses before it has the way to the router; and one change often brings another.
const SETTLED: Duration = Duration::from_secs(1);

/// Who may forward ports.
pub(super) trait Gateway: PartialEq + Send + Sync {
    /// What it grants.
    type Lease: Held + Send;

    /// Asks for a port.
    fn ask(&self, transport: NatTransport, port: u16) -> impl Future<Output = Option<Self::Lease>> + Send;
}

/// What was granted.
pub(super) trait Held: Sized {
    /// The same for another while, unless the router has forgotten it.
    fn renew(self) -> impl Future<Output = Option<Self>> + Send;

    fn transport(&self) -> NatTransport;

    /// For how long it was promised.
    fn lifetime(&self) -> Duration;

    /// As the core is told.
    fn mapping(&self) -> Option<PortMapping>;
}

/// Holds leases for ever; what they are is told whenever it changes.
pub(super) async fn hold<G: Gateway>(
    port: u16,
    find: impl Fn() -> Option<G>,
    leases: &mut Vec<G::Lease>,
    (changed, notices): (&Notify, &mpsc::Sender<Notice>),
) {
    let (mut told, mut asked, mut sought) = (Vec::new(), None, 0);
    loop {
        let router = find();
        if asked != router {
            // What another one granted is beyond reach from here, and runs out by itself.
            leases.clear();
        }
        refresh(port, router.as_ref(), leases).await;
        let mapped: Vec<PortMapping> = leases.iter().filter_map(Held::mapping).collect();
        if mapped != told {
            tracing::debug!(target: "meshline", count = mapped.len(), "ports forwarded by the router");
            told.clone_from(&mapped);
            if notices.send(Notice::PortsMapped(mapped)).await.is_err() {
                return;
            }
        }
        let pause = match (&router, SOUGHT_AFTER.get(sought)) {
            (None, Some(soon)) => *soon,
            (None, None) => RETRY,
            (Some(_), _) => pause(leases),
        };
        sought = if router.is_some() { 0 } else { sought.saturating_add(1) };
        asked = router;
        tokio::select! {
            () = sleep(pause) => {}
            () = changed.notified() => {
                sleep(SETTLED).await;
                sought = 0;
                // What was told meanwhile is the same change.
                tokio::select! {
                    biased;
                    () = changed.notified() => {}
                    () = std::future::ready(()) => {}
                }
            }
        }
    }
}

/// Renews what is held, and asks for what is not.
async fn refresh<G: Gateway>(port: u16, router: Option<&G>, leases: &mut Vec<G::Lease>) {
    let mut kept = Vec::new();
    for lease in leases.drain(..) {
        kept.extend(lease.renew().await);
    }
    *leases = kept;
    let Some(router) = router else { return };
    for transport in TRANSPORTS {
        if leases.iter().all(|lease| lease.transport() != transport) {
            leases.extend(router.ask(transport, port).await);
        }
    }
}

fn pause(leases: &[impl Held]) -> Duration {
    let soonest = leases.iter().map(Held::lifetime).min();
    let renewal = soonest.map_or(RETRY, |lifetime| (lifetime / 2).max(LEAST_RENEWAL));
    // What is still missing is asked for again sooner.
    if leases.len() < TRANSPORTS.len() { renewal.min(RETRY) } else { renewal }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests measure")]
mod tests {
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use tokio::time::Instant;

    use super::*;

    /// What a router was asked: `ask` or `renew`, of which router, over what, and after how many seconds.
    type Asked = (&'static str, u8, NatTransport, u64);

    #[derive(Debug, Default)]
    struct State {
        /// The router that this host has now.
        router: Option<u8>,
        grants: bool,
        seconds: u64,
        asked: Vec<Asked>,
    }

    #[derive(Clone)]
    struct House {
        state: Arc<Mutex<State>>,
        start: Instant,
        told: Arc<Mutex<Vec<usize>>>,
    }

    struct Fake {
        number: u8,
        house: House,
    }

    impl PartialEq for Fake {
        fn eq(&self, other: &Self) -> bool {
            self.number == other.number
        }
    }

    struct Granted {
        transport: NatTransport,
        number: u8,
        seconds: u64,
        house: House,
    }

    impl House {
        fn new(router: Option<u8>, seconds: u64) -> Self {
            let state = State { router, grants: true, seconds, asked: Vec::new() };
            Self { state: Arc::new(Mutex::new(state)), start: Instant::now(), told: Arc::default() }
        }

        fn set(&self, change: impl FnOnce(&mut State)) {
            change(&mut self.state.lock().expect("no test panics with it"));
        }

        fn asks(&self, what: &'static str, number: u8, transport: NatTransport) -> Option<Granted> {
            let mut state = self.state.lock().expect("no test panics with it");
            state.asked.push((what, number, transport, self.start.elapsed().as_secs()));
            let seconds = state.seconds;
            (state.grants && state.router == Some(number)).then(|| Granted {
                transport,
                number,
                seconds,
                house: self.clone(),
            })
        }

        /// What was asked since this was last looked at.
        fn asked(&self) -> Vec<Asked> {
            std::mem::take(&mut self.state.lock().expect("no test panics with it").asked)
        }

        /// Holds leases until the test ends.
        fn hold(&self) -> Arc<Notify> {
            let changed = Arc::new(Notify::new());
            let (notices, mut told) = mpsc::channel(64);
            let (house, hears) = (self.clone(), Arc::clone(&changed));
            drop(tokio::spawn(async move {
                let find = || {
                    let number = house.state.lock().expect("no test panics with it").router?;
                    Some(Fake { number, house: house.clone() })
                };
                hold(6_001, find, &mut Vec::new(), (&hears, &notices)).await;
            }));
            let all = Arc::clone(&self.told);
            drop(tokio::spawn(async move {
                while let Some(Notice::PortsMapped(mapped)) = told.recv().await {
                    all.lock().expect("no test panics with it").push(mapped.len());
                }
            }));
            changed
        }
    }

    impl Gateway for Fake {
        type Lease = Granted;

        async fn ask(&self, transport: NatTransport, port: u16) -> Option<Granted> {
            assert_eq!(port, 6_001);
            self.house.asks("ask", self.number, transport)
        }
    }

    impl Held for Granted {
        async fn renew(self) -> Option<Self> {
            let house = self.house.clone();
            house.asks("renew", self.number, self.transport)
        }

        fn transport(&self) -> NatTransport {
            self.transport
        }

        fn lifetime(&self) -> Duration {
            Duration::from_secs(self.seconds)
        }

        fn mapping(&self) -> Option<PortMapping> {
            let external = SocketAddr::from(([203, 0, 113, self.number], 6_001));
            Some(PortMapping { transport: self.transport, external, by: "pcp" })
        }
    }

    const UDP: NatTransport = NatTransport::Udp;
    const TCP: NatTransport = NatTransport::Tcp;

    fn both(what: &'static str, number: u8, at: u64) -> [Asked; 2] {
        [(what, number, UDP, at), (what, number, TCP, at)]
    }

    /// Lets time pass up to so many seconds after the start.
    async fn until(house: &House, seconds: u64) {
        tokio::time::sleep_until(house.start + Duration::from_secs(seconds) + Duration::from_millis(500)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn leases_are_renewed_at_half_of_their_time_and_no_sooner_than_after_half_a_minute() {
        for (granted, renewed) in [(7_200, 3_600), (60, 30), (2, 30)] {
            let house = House::new(Some(1), granted);
            let _changed = house.hold();
            until(&house, renewed - 1).await;
            assert_eq!(house.asked(), both("ask", 1, 0), "{granted} s");
            until(&house, renewed).await;
            assert_eq!(house.asked(), both("renew", 1, renewed), "{granted} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_router_that_grants_nothing_is_asked_again_after_ten_minutes() {
        let house = House::new(Some(1), 7_200);
        house.set(|state| state.grants = false);
        let _changed = house.hold();
        until(&house, 599).await;
        assert_eq!(house.asked(), both("ask", 1, 0));
        house.set(|state| state.grants = true);
        until(&house, 600).await;
        assert_eq!(house.asked(), both("ask", 1, 600));
        assert_eq!(*house.told.lock().expect("no test panics with it"), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_router_that_is_not_there_yet_is_looked_for_soon_and_then_seldom() {
        let house = House::new(None, 7_200);
        let changed = house.hold();
        until(&house, 84).await;
        house.set(|state| state.router = Some(1));
        until(&house, 85).await;
        assert_eq!(house.asked(), both("ask", 1, 85), "after 5, 20 and 60 s");
        house.set(|state| state.router = None);
        changed.notify_one();
        until(&house, 200).await;
        assert_eq!(house.asked(), [], "there is nobody to ask");
        assert_eq!(*house.told.lock().expect("no test panics with it"), [2, 0], "and nothing is forwarded");
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_change_the_router_is_asked_at_once_and_another_one_for_all() {
        let house = House::new(Some(1), 7_200);
        let changed = house.hold();
        until(&house, 100).await;
        assert_eq!(house.asked(), both("ask", 1, 0));
        changed.notify_one();
        until(&house, 102).await;
        assert_eq!(house.asked(), both("renew", 1, 101), "its address outside may be another one");
        house.set(|state| state.router = Some(2));
        changed.notify_one();
        // What comes of the same change has no effect of its own.
        changed.notify_one();
        until(&house, 104).await;
        assert_eq!(house.asked(), both("ask", 2, 103));
    }
}
