//! Links chosen anew by all at one instant: records in and out, and the instant itself.

use meshline_identity::{RebuildRecord, RebuildWord};
use meshline_protocol::message::{
    BroadcastKind, LinkPurpose, Membership, Rebuild as Message, RebuildCause, RebuildOrder, RebuildProposal,
    RecordText, Role,
};
use meshline_protocol::{Code, Message as Wire, NodeId, SignedRecord};

use super::Node;
use crate::broadcast::tree::MessageId;
use crate::event::Event;
use crate::peers::{Around, Redrawn};
use crate::rebuild::{self, Due, Facts, Next, Taken};

/// How long after its instant an order that a node signs by itself holds, in microseconds: who was away for longer has chosen
/// its links since.
const LATE: i64 = 600_000_000;

/// No honest instant is further away, in microseconds: two days.
const MAX_TOLD: u64 = 48 * 3_600_000_000;

impl Node {
    /// A peer's message about it.
    pub(super) fn on_rebuild(&mut self, peer: NodeId, message: &Message) -> Result<(), Code> {
        if !self.rebuild.admits(peer, &self.shared) {
            self.shared.count(Code::RateLimited);
            return Ok(());
        }
        match message {
            Message::Record(record) => match self.take_rebuild(record, Some(peer)) {
                // Late, too many, or signed by somebody just expelled: no fault of whoever passes it on.
                Err(code @ (Code::RecordExpired | Code::RecordEarly | Code::RateLimited | Code::Revoked)) => {
                    self.shared.count(code);
                    Ok(())
                }
                other => other.map(|_| ()),
            },
            Message::Known(known) => {
                let members = (!self.routing.is_part()).then_some(&self.gossip.members);
                self.rebuild.handle_known((peer, known), members, &self.shared);
                Ok(())
            }
            Message::Instant(told) if told.in_us.unsigned_abs() > MAX_TOLD => Err(Code::InvalidMessage),
            Message::Instant(told) => {
                let link = self.shared.up.get(&peer).and_then(|up| self.links.get(up.link));
                let delay_us = link.and_then(|link| link.rtt_us()).unwrap_or(0) / 2;
                self.rebuild.handle_instant((peer, delay_us), *told, &self.shared);
                Ok(())
            }
        }
    }

    /// Takes in a record and passes it on if it is news.
    fn take_rebuild(&mut self, record: &SignedRecord, from: Option<NodeId>) -> Result<bool, Code> {
        let known = named_by(record).filter(|id| self.shared.words.named(&id.by, id.seq) == Some(record));
        if let Some(id) = known {
            if let Some(from) = from {
                self.broadcast.note_rebuild_copy(id, from, &mut self.shared);
            }
            return Ok(false);
        }
        let judged = rebuild::judged(record, &self.shared)?;
        let id = MessageId { by: record.by, seq: judged.seq(), kind: BroadcastKind::Rebuild };
        let proposal = cause_of(&judged);
        match self.shared.words.put(judged, record) {
            Taken::Full => Err(Code::RateLimited),
            Taken::Known => Ok(false),
            Taken::News => {
                self.shared.dirty = true;
                self.pass_on_rebuild(id, record, from);
                if let Some(cause) = proposal {
                    let (by, count) = (record.by, self.shared.words.proposals.len());
                    self.shared.event(Event::RebuildProposed { by, cause, count });
                }
                self.rebuild.review(&mut self.shared);
                Ok(true)
            }
        }
    }

    /// Along the tree on a mesh, to all peers on a ring.
    fn pass_on_rebuild(&mut self, id: MessageId, record: &SignedRecord, from: Option<NodeId>) {
        let shared = &mut self.shared;
        if !self.ring.is_enabled() {
            self.broadcast.spread_record(id, from, self.gossip.members.len(), shared);
            return;
        }
        let frame = std::sync::Arc::new(Wire::Rebuild(Message::Record(record.clone())).into());
        let others: Vec<NodeId> = shared.up.keys().copied().filter(|peer| Some(*peer) != from).collect();
        for peer in others {
            shared.send_frame(&peer, &frame);
        }
    }

    /// Somebody on this machine gives it to the mesh.
    pub(super) fn apply_rebuild(&mut self, record: &SignedRecord) -> Result<String, (Code, String)> {
        let author = self.author_of(record);
        let refused = |code: Code| (code, format!("the record of {author} was refused: {}", why(code)));
        let judged = rebuild::judged(record, &self.shared).map_err(refused)?;
        let is_new = self.shared.words.named(&record.by, judged.seq()).is_none();
        if let RebuildWord::Order(order) = &judged.word
            && is_new
        {
            rebuild::check_lead(order, &self.shared)?;
            self.check_free(record, order)?;
        }
        let news = self.take_rebuild(record, None).map_err(refused)?;
        let what = match (&judged.word, news) {
            (_, false) => "the record was known already",
            (RebuildWord::Order(order), true) if order.dry_run => "trial taken in and passed on",
            (RebuildWord::Order(_), true) => "rebuild taken in and passed on",
            (RebuildWord::Abort(_), true) => "end of the rebuild taken in and passed on",
            (RebuildWord::Proposal(_), true) => "proposal taken in and passed on",
        };
        Ok(what.to_owned())
    }

    /// Who signed a record, in words.
    fn author_of(&self, record: &SignedRecord) -> String {
        if self.shared.config.network.key() == Some(record.by) {
            return "the network key".to_owned();
        }
        let is_known = record.by == self.shared.id || self.gossip.members.get(&record.by).is_some();
        let known = if record.by == self.shared.id { self.own_name() } else { self.peer_name(&record.by) };
        if is_known { known.name } else { record.by.to_string() }
    }

    /// Whether an order would stand beside those that are held.
    fn check_free(&self, record: &SignedRecord, order: &RebuildOrder) -> Result<(), (Code, String)> {
        let network = &self.shared.config.network;
        match self.shared.words.orders.rival_of((order.seq, record.by), order, network) {
            None => Ok(()),
            Some(other) => {
                let seconds = other.at.since(self.shared.network_time().0) / 1_000_000;
                let place = if seconds < 0 { format!("{} s ago", -seconds) } else { format!("in {seconds} s") };
                let least = rebuild::LEAST_INTERVAL / 1_000_000;
                let detail = format!(
                    "another rebuild stands, {place}: there is one at a time, and {least} s between two; \
                     `config-tool rebuild --abort` ends one that is to come"
                );
                Err((Code::RecordOutdated, detail))
            }
        }
    }

    /// Does what is due: the instant itself, figures, and now and then a look at the shape of the mesh.
    pub(super) fn rebuild_when_due(&mut self) {
        if self.shared.leaving {
            return;
        }
        if self.rebuild.is_running() && !self.peers.set.is_redrawing() {
            // There are no more members than links any more.
            self.rebuild.finished(Redrawn::default(), &mut self.shared);
        }
        self.rebuild.agree(&mut self.shared);
        while let Some(due) = self.rebuild.due(&mut self.shared) {
            self.do_rebuild(&due);
            self.rebuild.review(&mut self.shared);
        }
        self.rebuild.tell_known(self.ring.is_enabled(), &mut self.shared);
        self.look_at_shape();
    }

    fn do_rebuild(&mut self, due: &Due) {
        let around = Around { links: &self.links, members: &self.gossip.members, book: &self.peers.book };
        let set = &mut self.peers.set;
        let plan = if due.order.dry_run {
            set.plan_redraw(&due.order.nonce, around, &self.shared)
        } else {
            set.redraw(&due.order.nonce, around, &self.shared)
        };
        let is_running = set.is_redrawing();
        self.rebuild.begun(due, plan, is_running, &mut self.shared);
        self.choose_links();
    }

    /// A link came up: what the peer may not have heard is named.
    pub(super) fn tell_rebuilds(&mut self, peer: NodeId) {
        self.broadcast.tell_records(peer, &mut self.shared);
        self.rebuild.tell_all(&peer, &mut self.shared);
    }

    fn look_at_shape(&mut self) {
        let now = self.shared.now.mono;
        if !self.peers.set.is_bounded() || !self.rebuild.watch.is_due(now) {
            return;
        }
        let next = self.shared.jittered(rebuild::look_pause());
        self.rebuild.watch.plan(next);
        let facts = self.facts();
        let proposals = self.shared.words.proposals.others(&self.shared.id);
        let may_sign = self.shared.config.rebuild_auto && self.holds_role();
        match self.rebuild.watch.look(&facts, (proposals, may_sign), now) {
            Next::Nothing => {}
            Next::Propose(cause) => self.propose(cause),
            Next::Order(cause) => self.order_rebuild(cause),
        }
    }

    /// What is known of the shape here.
    fn facts(&self) -> Facts {
        let shared = &self.shared;
        let table = self.routing.table();
        let lasting = || shared.up.keys().filter(|id| !self.peers.set.is_guest(id));
        let is_idle = |id: &&NodeId| {
            let (ours, theirs) = self.peers.set.purposes(id);
            !ours.is_needed() && !theirs.is_needed() && !theirs.has(LinkPurpose::All)
        };
        let hops = table.routes.values().filter_map(|route| route.paths.first()).map(|path| path.hops.len());
        let degrees = self.gossip.members.iter().filter_map(|known| self.routing.advertised(&known.member.id));
        Facts {
            members: self.gossip.members.len() + 1,
            fill: self.peers.set.fill(),
            links: lasting().count(),
            idle: lasting().filter(is_idle).count(),
            longest: hops.max().unwrap_or(0),
            degrees: degrees.map(|state| state.links.len()).collect(),
        }
    }

    /// Whether the own membership grants the role.
    pub(super) fn holds_role(&self) -> bool {
        let text = self.shared.config.membership.as_ref().map(|record| record.signed.as_str());
        let membership = text.and_then(|text| serde_json::from_str::<Membership>(text).ok());
        membership.is_some_and(|membership| membership.roles.contains(&Role::Rebuild))
    }

    fn propose(&mut self, cause: RebuildCause) {
        if self.shared.config.network.is_open() {
            return;
        }
        let seq = self.rebuild.next_seq(&mut self.shared);
        let proposal = RebuildProposal {
            kind: RebuildProposal::TYPE.to_owned(),
            network: self.shared.config.network.clone(),
            seq,
            expires: self.shared.latest().max(seq).offset(rebuild::PROPOSAL_VALIDITY),
            cause,
            membership: self.shared.config.membership.clone(),
        };
        let record = self.shared.sign(&proposal);
        // What is refused here would be refused by all.
        let _ = self.take_rebuild(&record, None);
    }

    fn order_rebuild(&mut self, cause: RebuildCause) {
        let seq = self.rebuild.next_seq(&mut self.shared);
        let at = self.shared.network_time().0.max(seq).offset(rebuild::AUTO_LEAD);
        let secret = self.shared.secret();
        let order = RebuildOrder {
            kind: RebuildOrder::TYPE.to_owned(),
            network: self.shared.config.network.clone(),
            seq,
            expires: at.offset(LATE),
            at,
            nonce: data_encoding::HEXLOWER.encode(secret.get(..16).unwrap_or_default()),
            dry_run: false,
            reason: Some(format!("found by members: {}", rebuild::cause_name(cause))),
            membership: self.shared.config.membership.clone(),
        };
        let record = self.shared.sign(&order);
        let _ = self.apply_rebuild(&record);
    }

    /// A member was expelled: what it signed counts no more.
    pub(super) fn forget_rebuilds(&mut self, by: &NodeId) {
        self.shared.words.forget(by);
        self.rebuild.review(&mut self.shared);
    }
}

/// The name that a record claims.
fn named_by(record: &SignedRecord) -> Option<MessageId> {
    #[derive(serde::Deserialize)]
    struct Seq {
        seq: meshline_protocol::UnixMicros,
    }
    let Seq { seq } = serde_json::from_str(&record.signed).ok()?;
    Some(MessageId { by: record.by, seq, kind: BroadcastKind::Rebuild })
}

fn cause_of(judged: &RebuildRecord) -> Option<&'static str> {
    match &judged.word {
        RebuildWord::Proposal(proposal) => Some(rebuild::cause_name(proposal.cause)),
        RebuildWord::Order(_) | RebuildWord::Abort(_) => None,
    }
}

/// In words for whoever gave it to the mesh.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others speak for themselves")]
fn why(code: Code) -> &'static str {
    match code {
        Code::RecordForeign => {
            "its author holds neither the key of this network nor the role `rebuild`, or it is another network's"
        }
        Code::NotMember => "its author shows no membership",
        Code::Revoked => "its author was expelled",
        Code::RecordExpired => "its time is over",
        Code::RecordEarly => "it was signed by a clock far ahead of the members'",
        Code::RateLimited => "too many are held",
        Code::BadSignature => "its signature does not fit",
        Code::InvalidMessage => "it is not of the form such records have",
        other => other.name(),
    }
}
