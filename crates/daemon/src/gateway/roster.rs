//! Who the members are, as the gateway asks: at once, from what was last heard of the core.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use meshline_gateway::{Directory, Member, Offer, Task};
use meshline_mesh::{Command, Event as MeshEvent, PeerRow, Reply};
use meshline_net::MeshHandle;
use meshline_protocol::message::{Health, Role};
use meshline_protocol::{NodeId, ServiceName};
use meshline_services::discovery::{Command as Look, Entry, Filter, Reply as Seen};
use meshline_services::{Command as Ask, Event, Reply as Answer};
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Costs change without an event.
const REFRESH: Duration = Duration::from_secs(5);

/// After asking the core it is not asked again for so long, however much happens: who is new, is so late.
const PAUSE: Duration = Duration::from_millis(20);

/// Ways change all the time where there are hundreds of members on a busy machine. For them alone the core is not asked before
/// so many times as long as the answer took, which is a part in five hundred of the time.
const WAYS_PAUSE_TIMES: u32 = 499;

/// Fewer characters of an id are not taken for a prefix.
const MIN_PREFIX: usize = 8;

/// The members.
#[derive(Debug)]
pub(super) struct Roster {
    mesh: MeshHandle,
    are_names_proved: bool,
    /// This member, once the core has told.
    own: OnceLock<(NodeId, String)>,
    members: Mutex<Vec<Member>>,
    news: Notify,
}

impl Roster {
    /// Nobody yet. On a closed network names are given by its key.
    pub(super) fn new(are_names_proved: bool, mesh: MeshHandle) -> Self {
        Self { mesh, are_names_proved, own: OnceLock::new(), members: Mutex::default(), news: Notify::new() }
    }

    /// Learns who this member is.
    pub(super) async fn learn_own(&self) {
        if let Answer::Mesh(Reply::Status(status)) = self.mesh.command(Ask::Mesh(Command::Status)).await {
            let _ = self.own.set((status.id, status.name));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the core; `false` once the mesh is shut down.
    pub(super) async fn refresh(&self) -> bool {
        let Answer::Mesh(Reply::Peers(rows)) = self.mesh.command(Ask::Mesh(Command::Peers)).await else { return false };
        let members = rows.iter().map(|row| member(row, self.are_names_proved)).collect();
        *self.lock() = members;
        self.news.notify_waiters();
        true
    }

    /// What of it an event changes. Who was not reached and is now, or the other way round, is as good as new.
    fn concern(&self, event: &Event) -> Concern {
        if let Event::Mesh(MeshEvent::RouteChanged { peer, path, .. }) = event {
            let was_reached = self.member(peer.id).is_some_and(|member| member.cost_us.is_some());
            return if was_reached == path.is_empty() { Concern::Members } else { Concern::Ways };
        }
        let is_of_members = matches!(
            event,
            Event::Mesh(
                MeshEvent::LinkUp { .. }
                    | MeshEvent::LinkDown { .. }
                    | MeshEvent::MemberJoined { .. }
                    | MeshEvent::MemberLeft { .. }
                    | MeshEvent::MemberRevoked { .. }
                    | MeshEvent::RingClosed { .. }
            )
        );
        if is_of_members { Concern::Members } else { Concern::Nothing }
    }

    /// Those whom `text` may mean: by name, by the name without regard to case if nobody is called exactly so, or by the
    /// beginning of an id.
    pub(super) fn meant(&self, text: &str) -> Vec<NodeId> {
        let members = self.lock();
        let by = |is_name: &dyn Fn(&str) -> bool| -> Vec<NodeId> {
            let is_prefix = |id: NodeId| text.len() >= MIN_PREFIX && id.to_string().starts_with(text);
            let found = members.iter().filter(|member| is_name(&member.name) || is_prefix(member.id));
            found.map(|member| member.id).collect()
        };
        let exactly = by(&|name| name == text);
        if exactly.is_empty() { by(&|name| name.eq_ignore_ascii_case(text)) } else { exactly }
    }
}

impl Directory for Roster {
    fn members(&self) -> Vec<Member> {
        self.lock().clone()
    }

    fn own(&self) -> Option<(NodeId, String)> {
        self.own.get().cloned()
    }

    fn changed(&self) -> Task<'_, ()> {
        // Made now, it hears of all that is new from now on.
        Box::pin(self.news.notified())
    }

    fn offers<'a>(&'a self, name: &'a ServiceName) -> Task<'a, Vec<Offer>> {
        Box::pin(async move {
            let look = Look::List(Filter { name: Some(name.clone()), kind: None });
            let Answer::Discovery(Seen::Listed(found)) = self.mesh.command(Ask::Discovery(look)).await else {
                return Vec::new();
            };
            found.into_iter().map(offer).collect()
        })
    }

    fn member(&self, id: NodeId) -> Option<Member> {
        self.lock().iter().find(|member| member.id == id).cloned()
    }
}

fn offer(entry: Entry) -> Offer {
    let Entry { member, kind, health, damped, cost_us, .. } = entry;
    Offer { member, kind, is_down: health == Health::Down, is_damped: damped, cost_us }
}

fn member(row: &PeerRow, is_name_proved: bool) -> Member {
    let role = |word: &&str| serde_json::from_value::<Role>((*word).into()).ok();
    Member {
        id: row.id,
        // Where names are only claimed they are shown with the beginning of the id behind a '~', which no name has.
        name: row.name.split('~').next().unwrap_or_default().to_owned(),
        is_name_proved,
        roles: row.roles.iter().filter_map(role).collect(),
        // One that is reached but not measured yet comes last.
        cost_us: row.reachable.then_some(row.cost.unwrap_or(u64::MAX)),
    }
}

/// Keeps the roster true until it is aborted or the mesh ends.
pub(super) async fn follow(roster: Arc<Roster>) {
    let mut events = roster.mesh.subscribe();
    loop {
        let asked = Instant::now();
        if !roster.refresh().await {
            return;
        }
        let ways_from = asked + ways_pause(asked.elapsed());
        sleep(PAUSE).await;
        if let Ok(false) = timeout(REFRESH, change(&roster, &mut events, ways_from)).await {
            return;
        }
    }
}

fn ways_pause(answer_took: Duration) -> Duration {
    answer_took.saturating_mul(WAYS_PAUSE_TIMES).clamp(PAUSE, REFRESH)
}

/// Waits for something that changes who is known, or how they are reached and it is time for that; `false` at the end of all
/// events.
async fn change(roster: &Roster, events: &mut Receiver<Arc<Event>>, ways_from: Instant) -> bool {
    let mut are_ways_other = false;
    loop {
        let event = if are_ways_other {
            match timeout_at(ways_from, events.recv()).await {
                Ok(event) => event,
                Err(_) => return true,
            }
        } else {
            events.recv().await
        };
        match event {
            Ok(event) => match roster.concern(&event) {
                Concern::Members => return true,
                Concern::Ways => are_ways_other = true,
                Concern::Nothing => {}
            },
            Err(RecvError::Lagged(_)) => return true,
            Err(RecvError::Closed) => return false,
        }
    }
}

/// What of the roster an event changes.
#[derive(Debug, PartialEq, Eq)]
enum Concern {
    Members,
    Ways,
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_takes_little_of_the_time_however_long_the_answer() {
        assert_eq!(ways_pause(Duration::from_micros(40)), PAUSE);
        assert_eq!(ways_pause(Duration::from_millis(4)), Duration::from_millis(1_996));
        assert_eq!(ways_pause(Duration::from_secs(1)), REFRESH, "costs are never older than this and the answer");
    }
}
