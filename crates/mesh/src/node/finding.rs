//! Members that are not known here: what is asked, what is answered, and what becomes of the answers.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use meshline_protocol::limits::MAX_FOUND;
use meshline_protocol::message::{Datagram, Find as Text, FindAnswer, FindAsk, FindWhat, Finding};
use meshline_protocol::{Code, Name, NodeId, SignedRecord};

use super::Node;
use crate::find::{Answered, Around, MAX_BODY, SERVICE, Sought, UPKEEP};
use crate::output::{Output, Reply, RequestId};
use crate::routing::{Drop, Forward, Path, REPORT, Report, forward};

impl Node {
    /// Looks for a member, known or not.
    pub(super) fn find(&mut self, request: RequestId, sought: &Sought) {
        if let Sought::Id(id) = sought {
            self.routing.note_use(*id, &self.shared);
        }
        if let Some(known) = self.known_as(sought) {
            self.shared.push(Output::Reply { request, reply: found_or_not(known) });
            return;
        }
        self.search(sought, Some(request));
    }

    /// Members that are known here already. In a small network these are all there are.
    fn known_as(&self, sought: &Sought) -> Option<Vec<NodeId>> {
        let members = self.gossip.members.iter().filter(|known| !known.has_left());
        let found: Vec<NodeId> = match sought {
            Sought::Id(id) => {
                // Who is known and not reached is looked for too.
                let is_reached = !self.routing.is_part() || self.routing.table().routes.contains_key(id);
                members.map(|known| known.member.id).filter(|known| known == id && is_reached).collect()
            }
            Sought::Name(name) => self.known_by_name(name),
            Sought::Neighbours => Vec::new(),
        };
        // Names of an open network are claimed: others may claim the same.
        let is_all = !matches!(sought, Sought::Name(_)) || !self.shared.config.network.is_open();
        (!self.routing.is_part() || (is_all && !found.is_empty())).then_some(found)
    }

    fn known_by_name(&self, name: &Name) -> Vec<NodeId> {
        let members = self.gossip.members.iter().filter(|known| !known.has_left() && known.member.name == *name);
        members.map(|known| known.member.id).collect()
    }

    fn search(&mut self, sought: &Sought, request: Option<RequestId>) {
        let table = std::sync::Arc::clone(self.routing.table());
        let around = Around { datagrams: &mut self.datagrams, table: &table, shared: &mut self.shared };
        self.find.search(sought, request, around);
        self.end_searches();
    }

    /// What was looked for in vain. Of those of a name, whoever made itself known here is known all the same.
    fn end_searches(&mut self) {
        for (sought, requests) in std::mem::take(&mut self.find.given_up) {
            let found = match &sought {
                Sought::Id(id) => {
                    self.routing.forget_way(id, &self.shared);
                    Vec::new()
                }
                Sought::Name(name) => {
                    let records = self.find.kept_as(name, &self.shared.config.network);
                    let known = self.known_by_name(name);
                    let kept = self.take_found(&sought, &records, (&[], None));
                    known.into_iter().chain(kept).collect::<BTreeSet<NodeId>>().into_iter().collect()
                }
                Sought::Neighbours => Vec::new(),
            };
            self.reply_found(requests, &found);
        }
    }

    /// Asks where it is due.
    pub(super) fn seek_members(&mut self) {
        for id in self.routing.take_lacking(&self.shared) {
            self.search(&Sought::Id(id), None);
        }
        let table = std::sync::Arc::clone(self.routing.table());
        let mut around = Around { datagrams: &mut self.datagrams, table: &table, shared: &mut self.shared };
        self.find.handle_timeout(self.routing.is_part(), &mut around);
        self.end_searches();
    }

    /// Whether a datagram is for this area, or comes too fast; then it is taken.
    pub(super) fn takes_find(&mut self, from: NodeId, datagram: &Datagram, body: Option<&Bytes>) -> bool {
        if datagram.seek.is_some() && !self.find.may_seek(from, &self.shared) {
            self.shared.count(Code::RateLimited);
            return true;
        }
        let is_own = datagram.dst == self.shared.id;
        if is_own && datagram.service.as_str() == REPORT {
            return self.takes_report(body);
        }
        let is_find = [SERVICE, UPKEEP].contains(&datagram.service.as_str());
        if !is_find || (!is_own && !self.is_end(from, datagram)) {
            return false;
        }
        let body = body.filter(|body| body.len() <= MAX_BODY);
        match body.and_then(|body| serde_json::from_slice(body).ok()) {
            Some(Finding::Ask(ask)) => self.on_ask(datagram, &ask),
            Some(Finding::Answer(answer)) if is_own => self.on_answer(answer),
            Some(Finding::Answer(_)) => {}
            None => self.shared.count(Code::InvalidMessage),
        }
        true
    }

    /// Whether nobody nearer to where a datagram goes is known.
    fn is_end(&self, from: NodeId, datagram: &Datagram) -> bool {
        let is_linked = |id: &NodeId| self.shared.up.contains_key(id);
        forward(self.routing.table(), datagram, Some(&from), is_linked) == Forward::Drop(Drop::DeadEnd)
    }

    /// What somebody on the way says of a question of ours, or of a way that was found. Others are left alone.
    fn takes_report(&mut self, body: Option<&Bytes>) -> bool {
        let Some(report) = body.and_then(|body| serde_json::from_slice::<Report>(body).ok()) else { return false };
        self.routing.doubt_way(&report.dst, &self.shared);
        let table = std::sync::Arc::clone(self.routing.table());
        let mut around = Around { datagrams: &mut self.datagrams, table: &table, shared: &mut self.shared };
        let is_ours = self.find.reported(report.flow, &mut around);
        self.end_searches();
        is_ours
    }

    fn on_ask(&mut self, datagram: &Datagram, asked: &FindAsk) {
        let by = datagram.src;
        let Some(text) = self.find.read_ask(by, datagram.dst, &asked.ask, &mut self.shared) else { return };
        let Some(member) = self.admit(&asked.record).filter(|member| member.id == by) else { return };
        match text.what {
            FindWhat::Keep => {
                self.find.keep(text.to, &member, &self.shared);
                return;
            }
            // Whoever asks who is near it is near this node as well.
            FindWhat::Near => self.learn_far(member.clone(), Vec::new(), None),
            FindWhat::Member | FindWhat::Name | FindWhat::Other => {}
        }
        let way = datagram.seek.as_ref().map(|seek| without_circles(&seek.way)).unwrap_or_default();
        let is_here = text.to == self.shared.id;
        let records = match text.what {
            _ if is_here => vec![self.shared.announcement.clone()],
            FindWhat::Near => self.records_near(&text.to, &by),
            FindWhat::Member | FindWhat::Name | FindWhat::Keep | FindWhat::Other => self.records_at(&text),
        };
        if !is_here && text.what == FindWhat::Member {
            // Whoever would know the member best does not reach it.
            self.datagrams.refuse(datagram, Drop::DeadEnd, self.routing.table(), &mut self.shared);
            return;
        }
        if is_here {
            // Whoever asks is going to talk.
            let back: Vec<NodeId> = way.iter().skip(1).rev().copied().chain([by]).collect();
            self.learn_far(member, back, None);
        }
        let table = std::sync::Arc::clone(self.routing.table());
        let around = Around { datagrams: &mut self.datagrams, table: &table, shared: &mut self.shared };
        self.find.answer((by, text.seq, text.what), records, &way, around);
    }

    /// Who is known by a name at a place, here or at large.
    fn records_at(&self, text: &Text) -> Vec<SignedRecord> {
        let Some(name) = &text.name else { return Vec::new() };
        let now = self.shared.judged();
        let known = self.gossip.members.iter().filter(|known| known.is_current(now) && known.member.name == *name);
        let known = known.map(|known| (known.member.id, known.member.record.clone()));
        let kept = self.find.pointers.at(text.to, name).map(|record| (record.by, record.clone()));
        let own = (self.shared.config.name == *name).then(|| (self.shared.id, self.shared.announcement.clone()));
        let all: BTreeMap<NodeId, SignedRecord> = kept.chain(known).chain(own).collect();
        all.into_values().collect()
    }

    /// The members nearest to a place that are known here, this one among them.
    fn records_near(&self, place: &NodeId, asker: &NodeId) -> Vec<SignedRecord> {
        let now = self.shared.judged();
        let known = self.gossip.members.iter().filter(|known| known.is_current(now) && known.member.id != *asker);
        let known = known.map(|known| (known.member.id, &known.member.record));
        let own = (self.shared.id, &self.shared.announcement);
        let mut all: Vec<(NodeId, &SignedRecord)> = known.chain([own]).collect();
        all.sort_by_key(|(id, _)| *id);
        let at = all.partition_point(|(id, _)| id < place);
        // As many on either side, around the end of the ring too.
        let side = MAX_FOUND / 2;
        let count = all.len().min(MAX_FOUND);
        let first = at + all.len() - side.min(all.len());
        all.iter().cycle().skip(first).take(count).map(|(_, record)| (*record).clone()).collect()
    }

    fn on_answer(&mut self, answer: FindAnswer) {
        let Some(Answered { sought, records, way, cost_us, requests }) =
            self.find.handle_answer(answer, &mut self.shared)
        else {
            return;
        };
        let found = self.take_found(&sought, &records, (&way, Some(cost_us)));
        self.reply_found(requests, &found);
    }

    /// Takes in the records of those that were looked for, with the way that led to them.
    fn take_found(
        &mut self,
        sought: &Sought,
        records: &[SignedRecord],
        (way, cost_us): (&[NodeId], Option<u64>),
    ) -> Vec<NodeId> {
        let mut found = Vec::new();
        for record in records {
            let Some(member) = self.admit(record) else { continue };
            let is_meant = match sought {
                Sought::Id(id) => member.id == *id,
                Sought::Name(name) => member.name == *name,
                Sought::Neighbours => true,
            };
            if is_meant && member.id != self.shared.id {
                found.push(member.id);
                let way = if matches!(sought, Sought::Id(_)) { way.to_vec() } else { Vec::new() };
                self.learn_far(member, way, cost_us);
            }
        }
        found
    }

    fn reply_found(&mut self, requests: Vec<RequestId>, found: &[NodeId]) {
        for request in requests {
            self.shared.push(Output::Reply { request, reply: found_or_not(found.to_vec()) });
        }
    }

    /// Keeps a member beyond the area and the way to it. A way that only came with a question is no better than any other.
    fn learn_far(
        &mut self,
        member: std::sync::Arc<meshline_identity::Member>,
        hops: Vec<NodeId>,
        cost_us: Option<u64>,
    ) {
        let id = member.id;
        let news = self.gossip.keep_far(member, &mut self.shared);
        self.on_news(news.into_iter().collect());
        let is_first = cost_us.is_some() || !self.routing.table().routes.contains_key(&id);
        let is_linked = hops.first().is_some_and(|first| self.shared.up.contains_key(first));
        if self.routing.is_part() && is_first && is_linked && self.routing.level(&id).is_none() {
            let path = Path { hops, cost_us: cost_us.unwrap_or(super::routes::UNKNOWN_COST_US), share: 0 };
            self.routing.learn_way(id, &path, &self.shared);
        }
    }
}

fn found_or_not(found: Vec<NodeId>) -> Reply {
    if found.is_empty() {
        return Reply::Refused { code: Code::NoSuchPeer, detail: "no such member is known".to_owned() };
    }
    Reply::Found(found)
}

/// A way as it was recorded, its source first, without what lies between two visits of one member.
fn without_circles(way: &[NodeId]) -> Vec<NodeId> {
    let mut straight: Vec<NodeId> = Vec::with_capacity(way.len());
    for hop in way {
        match straight.iter().position(|passed| passed == hop) {
            Some(at) => straight.truncate(at + 1),
            None => straight.push(*hop),
        }
    }
    straight
}
