//! All connections, and the timers that end them.

use std::collections::{BTreeMap, BTreeSet};

use meshline_protocol::NodeId;

use super::liveness::Due;
use super::{HANDSHAKE_LIMIT, Link, Liveness, MAX_HANDSHAKES, Probed, Stage};
use crate::input::{LinkId, LinkMeasured, LinkOpened, Transport};
use crate::now::Mono;
use crate::time::LinkClock;

/// All connections of a node.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// In boxes: ids ascend, which leaves the nodes of the tree half empty.
    links: BTreeMap<LinkId, Box<Link>>,
    /// How often a connection came or went.
    changes: u64,
}

impl Links {
    /// Takes in a new connection; `None` if there are too many without a hello.
    pub(crate) fn open(&mut self, opened: LinkOpened, now: Mono) -> Option<&mut Link> {
        if opened.dial.is_none() && self.handshakes() >= MAX_HANDSHAKES {
            return None;
        }
        let spent = std::time::Duration::from_micros(opened.spent_us);
        let link = Link {
            id: opened.link,
            dial: opened.dial,
            transport: opened.transport,
            local: opened.local,
            remote: opened.remote,
            proved: opened.proved,
            through: opened.through,
            via: None,
            standby: false,
            retires_at: None,
            met: false,
            stage: Stage::Opened,
            deadline: now.after(HANDSHAKE_LIMIT.saturating_sub(spent)),
            since: now,
            faults: 0,
            faults_since: now,
            liveness: Liveness::of(opened.transport, now),
            clock: LinkClock::default(),
            sent_bytes: 0,
            received_bytes: 0,
            measured: LinkMeasured::default(),
            probed: Probed::default(),
        };
        self.changes += 1;
        Some(self.links.entry(opened.link).or_insert_with(|| Box::new(link)))
    }

    pub(crate) fn get(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id).map(|link| &**link)
    }

    pub(crate) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&id).map(|link| &mut **link)
    }

    pub(crate) fn remove(&mut self, id: LinkId) -> Option<Link> {
        self.changes += 1;
        self.links.remove(&id).map(|link| *link)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.values().map(|link| &**link)
    }

    /// How often a connection came or went: what was counted over all of them holds as long as this stays.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Connections without an accepted hello.
    pub(crate) fn handshakes(&self) -> usize {
        self.iter().filter(|link| link.member().is_none()).count()
    }

    /// Members whose hello was accepted. Further connections of one member take no further places.
    pub(crate) fn accepted(&self) -> usize {
        let members: BTreeSet<NodeId> = self.iter().filter_map(|link| Some(link.member()?.id)).collect();
        members.len()
    }

    /// The accepted links to a member other than `except`, without those another one took the place of.
    pub(crate) fn others_to(&self, peer: NodeId, except: LinkId) -> impl Iterator<Item = &Link> {
        let is_to = move |link: &&Link| link.member().is_some_and(|member| member.id == peer) && !link.is_retired();
        self.iter().filter(move |link| link.id != except && is_to(link))
    }

    /// The relayed connections to a member, finished or not.
    pub(crate) fn relayed_to(&self, peer: NodeId) -> impl Iterator<Item = &Link> {
        self.iter().filter(move |link| link.transport == Transport::Relay && link.peer() == Some(peer))
    }

    /// What stands by for a link to a member.
    pub(crate) fn standby_to(&self, peer: NodeId) -> Option<&Link> {
        self.iter().find(|link| link.standby && link.is_complete() && link.peer() == Some(peer))
    }

    /// Links whose place another has taken for long enough.
    pub(crate) fn retired(&self, now: Mono) -> Vec<LinkId> {
        self.iter().filter(|link| link.retires_at.is_some_and(|at| at <= now)).map(|link| link.id).collect()
    }

    /// Whether any connection, finished or not, leads to a member.
    pub(crate) fn any_to(&self, peer: NodeId) -> bool {
        self.iter().any(|link| link.peer() == Some(peer))
    }

    /// Connections whose hello has not come in time, and those that were read for long enough after their end.
    pub(crate) fn overdue(&self, now: Mono) -> Vec<LinkId> {
        let late = |link: &&Link| !link.is_complete() && now >= link.deadline;
        self.iter().filter(late).map(|link| link.id).collect()
    }

    /// Links that want a time frame or are dead.
    pub(crate) fn due(&mut self, now: Mono) -> Vec<(LinkId, Due)> {
        let up = self.links.values_mut().filter(|link| link.member().is_some());
        up.filter_map(|link| link.liveness.due(now).map(|due| (link.id, due))).collect()
    }

    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        let timeout = |link: &Link| match link.stage {
            Stage::Opened | Stage::Hello(..) => link.deadline,
            Stage::Accepted(_) => link.deadline.min(link.liveness.next_timeout()),
            Stage::Up(_) => link.retires_at.into_iter().fold(link.liveness.next_timeout(), Mono::min),
        };
        self.iter().map(timeout).min()
    }
}

pub(crate) use super::liveness::Due as LinkDue;
