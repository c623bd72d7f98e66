//! From a wish to a stream that is connected: which member is asked, and who next if it cannot.
//!
//! A named member is asked alone. For `auto`, candidates are asked nearest first, the one that worked last time before
//! all; the first that reaches the target is taken and remembered. For a service those are asked that offer it ([`serve`]),
//! and if nobody says so, all. If nobody can, every reason is told.

mod serve;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use meshline_protocol::message::Role;
use meshline_protocol::opening::{OpenStream, StreamOpened, StreamRequest};
use meshline_protocol::{Code, NodeId, ServiceName, Target};
use tokio::time::{Instant, timeout};

use crate::carrier::{Carrier, Flow, Stream};
use crate::directory::{Directory, Member, find, label};
use crate::limits::{
    ANSWER_LIMIT, CANDIDATE_LIMIT, FAILED_FOR, MAX_CANDIDATES, MAX_FAILED, MAX_REMEMBERED, SEARCH_LIMIT,
};
use crate::lines::ask;
use crate::refusal::{Refusal, refuse};
use crate::service_word::ServiceWord;

/// Who is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// This member.
    Member(NodeId),
    /// Whichever member reaches the target.
    Auto,
    /// Whichever member offers this service.
    Service(ServiceWord),
}

impl fmt::Display for Via {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(id) => id.fmt(out),
            Self::Auto => out.write_str("auto"),
            Self::Service(word) => word.fmt(out),
        }
    }
}

/// A stream that is connected.
pub struct Connected {
    /// The member that reached it.
    pub by: NodeId,
    /// Its bytes.
    pub stream: Box<dyn Stream>,
    /// Its payloads, if UDP was asked for.
    pub flow: Option<Box<dyn Flow>>,
    /// What the other end says of it.
    pub opened: StreamOpened,
}

impl fmt::Debug for Connected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connected").field("opened", &self.opened).finish_non_exhaustive()
    }
}

/// Asks members for connections.
pub(crate) struct Connector {
    carrier: Arc<dyn Carrier>,
    directory: Arc<dyn Directory>,
    memory: Mutex<Memory>,
}

/// Who reached what, with the number of the search that found it.
#[derive(Debug, Default)]
struct Memory {
    searches: u64,
    reached: BTreeMap<String, (NodeId, u64)>,
    /// Who failed to serve which service, and when: what else it offers may be well.
    failed: BTreeMap<(ServiceName, NodeId), Instant>,
}

impl Memory {
    fn remember(&mut self, wish: String, by: NodeId) {
        self.searches += 1;
        if self.reached.len() >= MAX_REMEMBERED && !self.reached.contains_key(&wish) {
            let oldest = self.reached.iter().min_by_key(|(_, (_, search))| *search).map(|(wish, _)| wish.clone());
            oldest.and_then(|wish| self.reached.remove(&wish));
        }
        self.reached.insert(wish, (by, self.searches));
    }
}

impl Memory {
    fn note_served(&mut self, service: &ServiceName, by: NodeId, is_served: bool) {
        self.failed.retain(|_, at| at.elapsed() < FAILED_FOR);
        if is_served {
            self.failed.remove(&(service.clone(), by));
        } else if self.failed.len() < MAX_FAILED {
            self.failed.insert((service.clone(), by), Instant::now());
        }
    }

    fn has_failed(&self, service: &ServiceName, id: NodeId) -> bool {
        self.failed.get(&(service.clone(), id)).is_some_and(|at| at.elapsed() < FAILED_FOR)
    }
}

impl Connector {
    pub(crate) fn new(carrier: Arc<dyn Carrier>, directory: Arc<dyn Directory>) -> Self {
        Self { carrier, directory, memory: Mutex::default() }
    }

    /// Whom `text` means: `auto`, a member, or else a service. Without a target it means a service, if it can.
    pub(crate) fn resolve(&self, text: &str, has_target: bool) -> Result<Via, Refusal> {
        if text == "auto" {
            return Ok(Via::Auto);
        }
        let nobody = |_| refuse(Code::NoSuchPeer, format!("nobody is called {text}"));
        if ServiceWord::is_meant(text) || (!has_target && text.parse::<NodeId>().is_err()) {
            let word = text.parse().map(Via::Service);
            if ServiceWord::is_meant(text) || word.is_ok() {
                return word.map_err(nobody);
            }
        }
        if self.directory.meant_own(text).is_some() {
            let why = format!("{text} is this member: what it reaches is reached from this host without the mesh");
            return Err(refuse(Code::NoRoute, why));
        }
        if let Some(id) = find(&self.directory.members(), text)? {
            return Ok(Via::Member(id));
        }
        text.parse().map(Via::Service).map_err(nobody)
    }

    /// The same for words that are kept: a name that anybody may claim could lead to another member tomorrow.
    pub(crate) fn resolve_kept(&self, text: &str, has_target: bool) -> Result<Via, Refusal> {
        let via = self.resolve(text, has_target)?;
        let Via::Member(id) = via else { return Ok(via) };
        let is_sure = text.parse() == Ok(id) || self.directory.member(id).is_some_and(|member| member.is_name_proved);
        if is_sure {
            return Ok(Via::Member(id));
        }
        Err(refuse(Code::NoSuchPeer, format!("names of this network are only claimed: say {id} instead of {text}")))
    }

    /// Connects to what is wished.
    pub(crate) async fn connect(&self, via: &Via, wish: OpenStream) -> Result<Connected, Refusal> {
        match via {
            Via::Member(id) => self.ask(*id, &wish, ANSWER_LIMIT).await,
            Via::Auto => self.search(&wish).await,
            Via::Service(word) => self.serve(word, wish).await,
        }
    }

    /// A new stream to a member, on which nothing has been said.
    pub(crate) async fn bare(&self, to: NodeId) -> Result<Box<dyn Stream>, Refusal> {
        self.carrier.open(to).await
    }

    pub(crate) fn directory(&self) -> &Arc<dyn Directory> {
        &self.directory
    }

    /// Asks a member. One that was started anew has forgotten the tunnel and with it what was asked: then it is asked once
    /// more, through another.
    async fn ask(&self, to: NodeId, wish: &OpenStream, limit: Duration) -> Result<Connected, Refusal> {
        let end = Instant::now() + limit;
        match self.ask_once(to, wish, limit).await {
            Err(Refusal { code: Code::TunnelLost, .. }) if Instant::now() < end => {
                self.ask_once(to, wish, end.saturating_duration_since(Instant::now())).await
            }
            answer => answer,
        }
    }

    async fn ask_once(&self, to: NodeId, wish: &OpenStream, limit: Duration) -> Result<Connected, Refusal> {
        let mut stream = self.carrier.open(to).await?;
        let is_udp = wish.udp || wish.target.as_ref().is_some_and(Target::is_udp);
        let mut flow = is_udp.then(|| stream.flow());
        let opened = ask(&mut stream, &StreamRequest::Open(wish.clone()), limit).await?;
        if flow.is_none() && opened.target.as_ref().is_some_and(Target::is_udp) {
            flow = Some(stream.flow());
        }
        Ok(Connected { by: to, stream, flow, opened })
    }

    async fn search(&self, wish: &OpenStream) -> Result<Connected, Refusal> {
        let key = serde_json::to_string(wish).unwrap_or_default();
        let candidates = self.candidates(wish, &key);
        let found = self.first_of(candidates, wish, None).await;
        match &found {
            Ok(connected) => self.lock().remember(key, connected.by),
            Err(_) => drop(self.lock().reached.remove(&key)),
        }
        found
    }

    /// Asks one after the other. Who offers the service is remembered if it fails, and forgotten if it does not; of those
    /// who are only asked because nobody offers it nothing is known.
    async fn first_of(
        &self,
        candidates: Vec<NodeId>,
        wish: &OpenStream,
        offered: Option<&ServiceName>,
    ) -> Result<Connected, Refusal> {
        let mut failed = Failures::default();
        let end = Instant::now() + SEARCH_LIMIT;
        for id in candidates {
            let limit = CANDIDATE_LIMIT.min(end.saturating_duration_since(Instant::now()));
            let asked = timeout(limit, self.ask(id, wish, limit)).await;
            let answer = asked.unwrap_or_else(|_| Err(refuse(Code::TunnelLost, "no answer in time")));
            if let Some(service) = offered {
                self.lock().note_served(service, id, answer.is_ok());
            }
            match answer {
                Ok(connected) => return Ok(connected),
                Err(refusal) => failed.add(label(self.directory.as_ref(), id), refusal),
            }
        }
        Err(failed.sum(wish))
    }

    fn candidates(&self, wish: &OpenStream, key: &str) -> Vec<NodeId> {
        let remembered = self.lock().reached.get(key).map(|(id, _)| *id);
        candidates(self.directory.members(), wish, remembered)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom to ask, in order. A way out needs the role of an exit; what is exposed may be at any member.
pub(crate) fn candidates(members: Vec<Member>, wish: &OpenStream, remembered: Option<NodeId>) -> Vec<NodeId> {
    let is_way_out = wish.service.is_none() && wish.target.as_ref().is_some_and(|target| target.address().is_some());
    let mut members: Vec<Member> = members
        .into_iter()
        .filter(|member| member.cost_us.is_some() && (!is_way_out || member.roles.contains(&Role::Exit)))
        .collect();
    members.sort_by_key(|member| (Some(member.id) != remembered, member.cost_us, member.id));
    members.into_iter().map(|member| member.id).take(MAX_CANDIDATES).collect()
}

/// Members that a refusal of all names.
const MAX_ASKED_TOLD: usize = 4;

/// Why each candidate could not.
#[derive(Debug, Default)]
struct Failures(Vec<(String, Refusal)>);

impl Failures {
    fn add(&mut self, who: String, refusal: Refusal) {
        self.0.push((who, refusal));
    }

    /// One refusal for all: its code is that of the member which came closest to the target.
    fn sum(&self, wish: &OpenStream) -> Refusal {
        let best = self.0.iter().max_by_key(|(_, refusal)| closeness(refusal.code));
        let Some((_, best)) = best else {
            return match &wish.service {
                Some(name) => refuse(Code::NoSuchService, format!("no member in reach could offer {name}")),
                None => refuse(Code::NoRoute, "no member with the role exit is in reach"),
            };
        };
        if let Some(name) = wish.service.as_ref().filter(|_| best.code == Code::NoSuchService) {
            let asked: Vec<&str> = self.0.iter().take(MAX_ASKED_TOLD).map(|(who, _)| who.as_str()).collect();
            let why = format!("no service {name} is exposed to this member: asked {}", asked.join(", "));
            return refuse(Code::NoSuchService, why);
        }
        let reasons: Vec<String> = self
            .0
            .iter()
            .map(|(who, refusal)| format!("{who}: {} ({})", refusal.code.name(), refusal.detail))
            .collect();
        refuse(best.code, reasons.join("; "))
    }
}

fn closeness(code: Code) -> u8 {
    const ORDER: &[Code] = &[
        Code::NoRoute,
        Code::TunnelLost,
        Code::NoSuchService,
        Code::Forbidden,
        Code::TargetUnreachable,
        Code::TargetRefused,
    ];
    ORDER.iter().position(|known| *known == code).and_then(|at| u8::try_from(at).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests;
