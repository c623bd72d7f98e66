//! What the driver tells those who have ports forwarded.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use meshline_mesh::{self as mesh, Input, Mono, Now};
use meshline_services as services;
use tokio::sync::Semaphore;

use super::*;

/// A core that says it is seen elsewhere whenever a name was looked up, at the address that was found.
#[derive(Debug, Default)]
struct Seen(VecDeque<services::Output>);

impl Core for Seen {
    fn handle_input(&mut self, input: services::Input, _now: Now) {
        if let services::Input::Mesh(Input::Resolved { addresses: seen, .. }) = input {
            let event = mesh::Event::AddressesChanged { seen, mapping: "unknown", filtering: "unknown" };
            self.0.push_back(services::Output::Event(Event::Mesh(event)));
        }
    }

    fn poll_output(&mut self) -> Option<services::Output> {
        self.0.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        None
    }
}

/// A driver whose ports a router forwards, and how often that router was looked for.
struct Driven {
    _handle: MeshHandle,
    notices: mpsc::Sender<Notice>,
    sought: Arc<Semaphore>,
}

impl Driven {
    async fn start() -> Self {
        let key = KeyPair::from_secret([7; 32]);
        let sought = Arc::new(Semaphore::new(0));
        let (seeks, kept) = (Arc::clone(&sought), Arc::new(Mutex::new(None)));
        let keeps = Arc::clone(&kept);
        let port_maps = move |_: &[Address], notices: mpsc::Sender<Notice>| {
            *keeps.lock().expect("no test panics with it") = Some(notices.clone());
            let find = move || {
                seeks.add_permits(1);
                None
            };
            Some(PortMaps::with(6_001, find, notices))
        };
        let settings = Settings {
            clock: Clock::start(),
            key,
            listen: Vec::new(),
            is_local: true,
            plain: false,
            proxy: false,
            relay_bps_per_member: None,
            port_mapping: true,
            on_event: None,
            store: None,
            keep: None,
        };
        let handle = start_with(settings, Seen::default(), port_maps).await.expect("it starts");
        let notices = kept.lock().expect("no test panics with it").take().expect("port mapping is on");
        let driven = Self { _handle: handle, notices, sought };
        driven.is_sought().await;
        driven
    }

    /// Waits until the router is looked for once more.
    async fn is_sought(&self) {
        self.sought.acquire().await.expect("never closed").forget();
    }

    async fn tell(&self, notice: Notice) {
        assert!(self.notices.send(notice).await.is_ok(), "the driver runs");
    }
}

fn at(address: &str) -> Vec<SocketAddr> {
    vec![address.parse().expect("an address")]
}

#[tokio::test(start_paused = true)]
async fn another_address_of_this_host_has_the_router_looked_for_at_once() {
    let driven = Driven::start().await;
    driven.tell(Notice::UdpAddresses(at("192.168.1.7:6001"))).await;
    driven.tell(Notice::UdpAddresses(at("192.168.2.7:6001"))).await;
    soon(driven.is_sought()).await;
}

#[tokio::test(start_paused = true)]
async fn another_address_outside_has_the_router_looked_for_at_once() {
    let driven = Driven::start().await;
    for seen in ["203.0.113.7:6001", "203.0.113.8:6001"] {
        let name = "example.org:1".parse().expect("an address");
        driven.tell(Notice::Resolved { name, addresses: at(seen) }).await;
    }
    soon(driven.is_sought()).await;
}

/// A second after a change, and so before the router would be looked for again anyway: that is after five. The time is that of
/// timers alone.
async fn soon(sought: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_secs(4), sought).await.expect("looked for when something changed");
}
