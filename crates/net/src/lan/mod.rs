//! The local segment, by multicast DNS (RFC 6762 and 6763): what is announced there, and what others announce.
//!
//! Nothing is decided or believed here. What anybody on the segment sends is held in the memory of another thread, which
//! bounds nothing: so it is looked at, and given up with all that is in it when somebody fills it.

mod found;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use mdns_sd::{Error, IfKind, Receiver, ServiceDaemon, ServiceEvent, ServiceInfo};
use meshline_protocol::Address;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Interval, interval, sleep, timeout};

use crate::limits::{MAX_LAN_EVENTS, MAX_LAN_KINDS, MAX_LAN_RECORDS, MAX_LAN_TIMERS};
use found::found_in;
pub use found::{LanFound, LanKind};

/// Between two looks at how much is remembered.
const LOOK: Duration = Duration::from_secs(2);

/// Between two questions for all that is there: what was passed over or tried in vain gets another chance.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// Events on their way here: more wait on the other thread, which gives up at a thousand.
const MAX_WAITING: usize = 64;

/// What taking announcements back may take.
const END_LIMIT: Duration = Duration::from_millis(500);

/// What happened on the segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LanEvent {
    /// Something is announced, perhaps again.
    Found(LanFound),
    /// It was taken back, or has run out.
    Gone {
        /// Of which kind.
        kind: LanKind,
        /// Under which name.
        instance: String,
    },
}

/// Why nothing is heard of the segment any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LanEnd {
    /// Somebody there announces more than is held.
    #[error("somebody floods the local segment with announcements")]
    Flooded,
    /// The system refuses it.
    #[error("{0}")]
    Failed(String),
}

impl From<Error> for LanEnd {
    fn from(error: Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Something to announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanAnnouncement {
    /// Of which kind.
    pub kind: LanKind,
    /// Under which name; if another host has it, a number is put behind.
    pub instance: String,
    /// Where it is; none for all addresses of this host.
    pub addresses: Vec<IpAddr>,
    /// At which port.
    pub port: u16,
    /// What else is said of it.
    pub text: Vec<(String, String)>,
}

impl LanAnnouncement {
    /// Where something listens that is reached at these addresses, as an announcement has it: the port of the first that
    /// is not loopback, with all addresses of that port.
    #[must_use]
    pub fn place(listening: &[Address]) -> Option<(u16, Vec<IpAddr>)> {
        let port = listening.iter().find(|address| !address.is_loopback())?.port();
        let same_port = listening.iter().filter(|address| address.port() == port && !address.is_loopback());
        let addresses: Vec<IpAddr> = same_port.filter_map(|address| address.host().parse().ok()).collect();
        let is_anywhere = addresses.iter().any(IpAddr::is_unspecified);
        Some((port, if is_anywhere { Vec::new() } else { addresses }))
    }

    fn info(&self, host: &str) -> Result<ServiceInfo, Error> {
        let (kind, addresses) = (self.kind.domain(), &self.addresses[..]);
        let info = ServiceInfo::new(&kind, &self.instance, host, addresses, self.port, &self.text[..])?;
        Ok(if self.addresses.is_empty() { info.enable_addr_auto() } else { info })
    }
}

/// The local segment, while somebody listens to it and speaks there. Ends when dropped, without taking anything back.
#[derive(Debug)]
pub struct Segment {
    speaker: Speaker,
    events: mpsc::Receiver<Result<LanEvent, LanEnd>>,
    announced: BTreeMap<(LanKind, String), Announced>,
    /// What the host is called in announcements, each time with another number.
    host: String,
    hosts: u32,
    look: Interval,
    /// What may still be told before the next look.
    left: usize,
    _ears: JoinSet<()>,
}

/// What was announced.
#[derive(Clone, Debug)]
struct Announced {
    full: String,
    /// A host of its own: of two services at different addresses one name would say two things.
    host: String,
}

/// The thread that speaks multicast DNS. It ends with this.
#[derive(Debug)]
struct Speaker(Daemon);

/// The other side of the thread.
#[derive(Clone)]
struct Daemon(ServiceDaemon);

impl std::fmt::Debug for Daemon {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Daemon").finish_non_exhaustive()
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // If it is not there any more, all the better.
        let _ = self.0.0.shutdown();
    }
}

impl Segment {
    /// Listens for what is announced of these kinds. `host` is the name under which this host is announced.
    ///
    /// # Errors
    /// [`LanEnd::Failed`] if the system refuses, or there are more than [`MAX_LAN_KINDS`] kinds.
    pub fn open(kinds: &[LanKind], host: &str) -> Result<Self, LanEnd> {
        if kinds.len() > MAX_LAN_KINDS {
            return Err(LanEnd::Failed(format!("more than {MAX_LAN_KINDS} kinds are looked for")));
        }
        let daemon = ServiceDaemon::new()?;
        let speaker = Speaker(Daemon(daemon.clone()));
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        let (told, events) = mpsc::channel(MAX_WAITING);
        let mut ears = JoinSet::new();
        for kind in kinds {
            ears.spawn(hear(speaker.0.clone(), kind.clone(), told.clone()));
        }
        let look = interval(LOOK);
        let (announced, host) = (BTreeMap::new(), host.to_owned());
        Ok(Self { speaker, events, announced, host, hosts: 0, look, left: MAX_LAN_EVENTS, _ears: ears })
    }

    /// The next thing that happens. May be dropped and asked again.
    ///
    /// # Errors
    /// Why nothing more will come. What was announced by this is not any longer.
    pub async fn next(&mut self) -> Result<LanEvent, LanEnd> {
        loop {
            tokio::select! {
                event = self.events.recv(), if !self.events.is_closed() || !self.events.is_empty() => {
                    let Some(event) = event else { continue };
                    if event.is_err() || self.left > 0 {
                        self.left = self.left.saturating_sub(1);
                        return event;
                    }
                }
                _ = self.look.tick() => {
                    self.left = MAX_LAN_EVENTS;
                    if self.is_filled().await {
                        return Err(LanEnd::Flooded);
                    }
                }
            }
        }
    }

    /// Whether the other thread holds more than it should.
    async fn is_filled(&self) -> bool {
        let Ok(answer) = self.speaker.0.0.get_metrics() else { return false };
        let Ok(Ok(counts)) = timeout(LOOK, answer.recv_async()).await else { return true };
        let records: i64 = counts.iter().filter(|(name, _)| name.starts_with("cached-")).map(|(_, count)| count).sum();
        records > MAX_LAN_RECORDS || counts.get("timer").is_some_and(|count| *count > MAX_LAN_TIMERS)
    }

    /// Announces something, in place of what was announced of this kind under this name.
    ///
    /// # Errors
    /// [`LanEnd::Failed`] if it cannot be written as DNS has it.
    pub fn announce(&mut self, announcement: &LanAnnouncement) -> Result<(), LanEnd> {
        let key = (announcement.kind.clone(), announcement.instance.clone());
        let host = self
            .announced
            .get(&key)
            .map_or_else(|| format!("{}-{}.local.", self.host, self.hosts), |known| known.host.clone());
        let info = announcement.info(&host)?;
        let full = info.get_fullname().to_owned();
        self.speaker.0.0.register(info)?;
        self.hosts += 1;
        self.announced.insert(key, Announced { full, host });
        Ok(())
    }

    /// Takes an announcement back.
    pub fn withdraw(&mut self, kind: &LanKind, instance: &str) {
        if let Some(known) = self.announced.remove(&(kind.clone(), instance.to_owned())) {
            // Without the other thread it is taken back already.
            let _ = self.speaker.0.0.unregister(&known.full);
        }
    }

    /// Takes all announcements back.
    pub async fn close(self) {
        let answers: Vec<Receiver<_>> =
            self.announced.values().filter_map(|known| self.speaker.0.0.unregister(&known.full).ok()).collect();
        let all = async {
            for answer in answers {
                let _ = answer.recv_async().await;
            }
        };
        let _ = timeout(END_LIMIT, all).await;
    }
}

/// Tells what is heard of one kind, and asks for all of it again now and then.
async fn hear(daemon: Daemon, kind: LanKind, told: mpsc::Sender<Result<LanEvent, LanEnd>>) {
    let mut segments = found::Segments::new();
    loop {
        let heard = match daemon.0.browse(&kind.domain()) {
            Ok(heard) => heard,
            // It has more to do than it can: later.
            Err(Error::Again) => {
                sleep(LOOK).await;
                continue;
            }
            Err(error) => return drop(told.send(Err(error.into())).await),
        };
        let mut again = pin!(sleep(ASK_AGAIN));
        loop {
            let event = tokio::select! {
                event = heard.recv_async() => event,
                () = &mut again => break,
            };
            // The other thread lets go of whoever is a thousand events behind.
            let Ok(event) = event else { return drop(told.send(Err(LanEnd::Flooded)).await) };
            if let Some(event) = read(event, &kind, &mut segments)
                && told.send(Ok(event)).await.is_err()
            {
                return;
            }
        }
    }
}

fn read(event: ServiceEvent, kind: &LanKind, segments: &mut found::Segments) -> Option<LanEvent> {
    match event {
        ServiceEvent::ServiceResolved(service) => found_in(&service, kind, segments).map(LanEvent::Found),
        ServiceEvent::ServiceRemoved(_, full) => {
            Some(LanEvent::Gone { kind: kind.clone(), instance: kind.instance(&full)?.to_owned() })
        }
        ServiceEvent::SearchStarted(_) | ServiceEvent::ServiceFound(..) | ServiceEvent::SearchStopped(_) | _ => None,
    }
}
