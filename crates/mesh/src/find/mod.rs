//! Members that are not known here: asked for by id or by name, each question routed to where the answer is.
//!
//! By id the question goes to the member itself, which answers with its record and with the way that the question took,
//! signed. By name it goes to the place of the name on the ring, where members make themselves known (`pointers`). An
//! answer that does not come is asked for again without whoever the question went towards.

mod pointers;
mod sent;

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_identity::{Member, Sequence, place_of, verify};
use meshline_protocol::limits::MAX_AVOIDED;
use meshline_protocol::message::{Find as Text, FindAnswer, FindAsk, FindWhat, Finding, Found, RecordText};
use meshline_protocol::{Bounded, Code, Name, NetworkId, NodeId, SignedRecord, UnixMicros};

pub(crate) use pointers::Pointers;
use sent::written;
pub(crate) use sent::{MAX_BODY, SERVICE, UPKEEP};

use crate::bucket::{Bucket, Rate};
use crate::now::Mono;
use crate::output::{Output, Reply, RequestId};
use crate::routing::{Datagrams, Drop, Table, datagram_line};
use crate::shared::Shared;

/// Members looked for at once.
const MAX_SEARCHES: usize = 64;

/// Commands that wait for one search.
const MAX_WAITING: usize = 16;

/// How long an answer may take: a way of sixteen links of 50 ms there and back.
const PATIENCE: Duration = Duration::from_millis(1_600);

/// Questions sent for one search: the first, and one without each that may be avoided.
const TRIES: usize = 1 + MAX_AVOIDED;

/// Places of each name: one of them may be held by a member that is gone, or that lies.
const COPIES: u8 = 2;

/// How long question and answer hold, in microseconds: a minute, as clocks of members may differ.
const VALIDITY: i64 = 60_000_000;

/// Questions answered: in all, and one member's. A signature is checked for each, and one made.
const ANSWERS: Rate = Rate { per_second: 50, burst: 200 };
const ANSWERS_EACH: Rate = Rate { per_second: 2, burst: 10 };

/// Members whose questions are counted.
const MAX_ASKERS: usize = 256;

/// Datagrams that look for their way taken of one linked member: it passes on those of others as well.
const SEEKING: Rate = Rate { per_second: 100, burst: 400 };

/// A member makes itself known by its name so often.
const PUBLISH: Duration = Duration::from_secs(600);

/// And for the first time so long after its start, or sooner: by then it has its links.
const FIRST_PUBLISH: Duration = Duration::from_secs(20);

/// Who is next to this node on the ring is asked after this, and then after twice as long each time up to the last.
const FIRST_SETTLE: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_secs(120);

/// Whom somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sought {
    /// The member with this id.
    Id(NodeId),
    /// Members with this name.
    Name(Name),
    /// Whoever is next to this node on the ring of ids.
    Neighbours,
}

/// What questions need of the rest of the node.
pub(crate) struct Around<'a> {
    pub(crate) datagrams: &'a mut Datagrams,
    pub(crate) table: &'a std::sync::Arc<Table>,
    pub(crate) shared: &'a mut Shared,
}

#[derive(Debug, Default)]
struct Search {
    /// Sequence and flow of the last question.
    ask: UnixMicros,
    flow: u32,
    sent_at: Mono,
    tries: usize,
    avoid: Vec<NodeId>,
    /// Towards whom it went.
    toward: Option<NodeId>,
    requests: Vec<RequestId>,
}

/// What an answer brought.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) sought: Sought,
    pub(crate) records: Vec<SignedRecord>,
    /// The members that the question passed, the one that was sought at the end, and half the time it took.
    pub(crate) way: Vec<NodeId>,
    pub(crate) cost_us: u64,
    pub(crate) requests: Vec<RequestId>,
}

/// The state of what is asked and answered.
#[derive(Debug)]
pub(crate) struct Find {
    seq: Sequence,
    searches: BTreeMap<Sought, Search>,
    answers: Bucket,
    askers: BTreeMap<NodeId, Bucket>,
    seeking: BTreeMap<NodeId, Bucket>,
    pub(crate) pointers: Pointers,
    publish_at: Option<Mono>,
    /// When to ask who is next on the ring, and the pause then.
    settle_at: Option<(Mono, Duration)>,
    /// What was looked for in vain, with the commands that wait for it.
    pub(crate) given_up: Vec<(Sought, Vec<RequestId>)>,
}

impl Find {
    pub(crate) fn new(now: Mono) -> Self {
        Self {
            seq: Sequence::default(),
            searches: BTreeMap::new(),
            answers: Bucket::new(ANSWERS, now),
            askers: BTreeMap::new(),
            seeking: BTreeMap::new(),
            pointers: Pointers::default(),
            publish_at: None,
            settle_at: None,
            given_up: Vec::new(),
        }
    }

    /// Looks for a member, or for those of a name. The reply to the request comes with the answer.
    pub(crate) fn search(&mut self, sought: &Sought, request: Option<RequestId>, mut around: Around<'_>) {
        let has_room = self.searches.len() < MAX_SEARCHES || self.searches.contains_key(sought);
        let search = self.searches.entry(sought.clone()).or_default();
        if !has_room || search.requests.len() >= MAX_WAITING {
            if !has_room {
                self.searches.remove(sought);
            }
            return refuse(request, Code::RateLimited, "too many members are looked for", around.shared);
        }
        search.requests.extend(request);
        if search.tries == 0 {
            self.attempt(sought, &mut around);
        }
    }

    /// Sends the next question of a search, or gives it up.
    fn attempt(&mut self, sought: &Sought, around: &mut Around<'_>) {
        let now = around.shared.now.mono;
        let Some(search) = self.searches.get_mut(sought) else { return };
        let avoided = search.toward.take().filter(|toward| !search.avoid.contains(toward));
        search.avoid.extend(avoided);
        search.tries += 1;
        (search.sent_at, search.flow) = (now, around.shared.random_u32());
        let (tries, flow, avoid) = (search.tries, search.flow, search.avoid.clone());
        let (to, what) = match sought {
            Sought::Id(id) => (*id, (FindWhat::Member, None)),
            Sought::Neighbours => (beside(&around.shared.id), (FindWhat::Near, None)),
            Sought::Name(name) => {
                let copy = u8::try_from(tries % usize::from(COPIES)).unwrap_or(0);
                (place_of(&around.shared.config.network, name, copy), (FindWhat::Name, Some(name.clone())))
            }
        };
        let sent = if tries > TRIES { Err(Drop::NoRoute) } else { self.send_ask(to, what, (flow, &avoid), around) };
        match (sent, self.searches.get_mut(sought)) {
            (Ok((ask, toward)), Some(search)) => (search.ask, search.toward) = (ask, toward),
            // The place may be here; the name has another one.
            (Err(_), Some(_)) if matches!(sought, Sought::Name(_)) && tries <= TRIES => self.attempt(sought, around),
            _ => {
                let given_up = self.searches.remove(sought).map(|search| (sought.clone(), search.requests));
                self.given_up.extend(given_up);
            }
        }
    }

    fn send_ask(
        &mut self,
        to: NodeId,
        (what, name): (FindWhat, Option<Name>),
        (flow, avoid): (u32, &[NodeId]),
        around: &mut Around<'_>,
    ) -> Result<(UnixMicros, Option<NodeId>), Drop> {
        let shared = &mut *around.shared;
        let seq = self.seq.next(shared.steady());
        let text = Text {
            kind: Text::TYPE.to_owned(),
            network: shared.config.network.clone(),
            seq,
            expires: shared.latest().max(seq).offset(VALIDITY),
            to,
            what,
            name,
        };
        let ask = FindAsk { ask: shared.sign(&text), record: shared.announcement.clone() };
        let Some((service, body)) = written(&Finding::Ask(ask), what) else { return Err(Drop::NoRoute) };
        let line = datagram_line(shared.id, to, flow, service);
        let toward = around.datagrams.send_seeking(line, body, avoid, (around.table, shared))?;
        Ok((seq, toward))
    }

    /// Somebody on the way could not pass on a question.
    pub(crate) fn reported(&mut self, flow: u32, around: &mut Around<'_>) -> bool {
        let found = self.searches.iter().find(|(_, search)| search.flow == flow).map(|(sought, _)| sought.clone());
        if let Some(sought) = &found {
            self.attempt(sought, around);
        }
        found.is_some()
    }

    /// Whether a datagram that looks for its way may be passed on for a linked member.
    pub(crate) fn may_seek(&mut self, peer: NodeId, shared: &Shared) -> bool {
        let now = shared.now.mono;
        self.seeking.retain(|peer, _| shared.up.contains_key(peer));
        self.seeking.entry(peer).or_insert_with(|| Bucket::new(SEEKING, now)).take(now)
    }

    /// Checks a question. `None` if it is refused, or too many were asked.
    pub(crate) fn read_ask(&mut self, by: NodeId, to: NodeId, ask: &SignedRecord, shared: &mut Shared) -> Option<Text> {
        if !self.may_ask(by, shared.now.mono) {
            shared.count(Code::RateLimited);
            return None;
        }
        match verify::<Text>(ask, &shared.config.network, shared.judged()) {
            Ok(text) if ask.by == by && text.to == to => Some(text),
            Ok(_) => {
                shared.count(Code::RecordForeign);
                None
            }
            Err(error) => {
                shared.count(error.code());
                None
            }
        }
    }

    fn may_ask(&mut self, by: NodeId, now: Mono) -> bool {
        if self.askers.len() >= MAX_ASKERS && !self.askers.contains_key(&by) {
            self.askers.retain(|_, bucket| !bucket.is_full(now));
            if self.askers.len() >= MAX_ASKERS {
                return false;
            }
        }
        self.askers.entry(by).or_insert_with(|| Bucket::new(ANSWERS_EACH, now)).take(now) && self.answers.take(now)
    }

    /// Answers a question that came over `way`, its author first.
    pub(crate) fn answer(
        &mut self,
        (to, ask, what): (NodeId, UnixMicros, FindWhat),
        records: impl IntoIterator<Item = SignedRecord>,
        way: &[NodeId],
        around: Around<'_>,
    ) {
        let shared = around.shared;
        let seq = self.seq.next(shared.steady());
        let between = way.iter().skip(1).copied();
        let text = Found {
            kind: Found::TYPE.to_owned(),
            network: shared.config.network.clone(),
            seq,
            expires: shared.latest().max(seq).offset(VALIDITY),
            to,
            ask,
            way: Bounded::from_first(between.clone()),
        };
        let answer = FindAnswer { answer: shared.sign(&text), records: Bounded::from_first(records) };
        let Some((service, body)) = written(&Finding::Answer(answer), what) else { return };
        let line = datagram_line(shared.id, to, shared.random_u32(), service);
        // Without a way there nobody hears it, and the question is asked again.
        let _ = around.datagrams.send_back(line, body, between.rev().collect(), (around.table, shared));
    }

    /// Takes in an answer, if it is one to a question of ours and by whoever may give it.
    pub(crate) fn handle_answer(&mut self, answer: FindAnswer, shared: &mut Shared) -> Option<Answered> {
        let text: Found = match verify(&answer.answer, &shared.config.network, shared.judged()) {
            Ok(text) => text,
            Err(error) => {
                shared.count(error.code());
                return None;
            }
        };
        let is_of = |(sought, search): &(&Sought, &Search)| {
            let by_right = !matches!(sought, Sought::Id(id) if *id != answer.answer.by);
            search.ask == text.ask && by_right && text.to == shared.id
        };
        let Some(sought) = self.searches.iter().find(is_of).map(|(sought, _)| sought.clone()) else {
            shared.count(Code::UnexpectedMessage);
            return None;
        };
        let records = answer.records.into_vec();
        let search = self.searches.get(&sought)?;
        let is_name = matches!(sought, Sought::Name(_));
        if is_name && records.is_empty() && search.tries < TRIES.min(usize::from(COPIES)) {
            // Nobody of that name at this place: the next one may know more.
            return None;
        }
        let search = self.searches.remove(&sought)?;
        let cost_us = shared.now.mono.micros_since(search.sent_at) / 2;
        let end = matches!(sought, Sought::Id(_)).then_some(answer.answer.by);
        let way = text.way.iter().copied().chain(end).collect();
        Some(Answered { sought, records, way, cost_us, requests: search.requests })
    }

    /// Asks again where no answer came, and makes this member known by its name while `is_part`.
    pub(crate) fn handle_timeout(&mut self, is_part: bool, around: &mut Around<'_>) {
        let now = around.shared.now.mono;
        let late = self.searches.iter().filter(|(_, search)| now.since(search.sent_at) >= PATIENCE);
        let late: Vec<Sought> = late.map(|(sought, _)| sought.clone()).collect();
        for sought in &late {
            self.attempt(sought, around);
        }
        self.settle(is_part, around);
        if !is_part {
            self.publish_at = None;
        } else if self.publish_at.is_none() {
            let wait = around.shared.below(usize::try_from(FIRST_PUBLISH.as_millis()).unwrap_or(0));
            let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
            self.publish_at = Some(now.after(wait));
        }
        if self.publish_at.is_some_and(|at| at <= now) {
            self.publish_at = Some(around.shared.jittered(PUBLISH));
            self.pointers.expire(now);
            self.publish(around);
        }
    }

    /// Asks who is next to this node on the ring, often while it is new.
    fn settle(&mut self, is_part: bool, around: &mut Around<'_>) {
        let now = around.shared.now.mono;
        if !is_part {
            self.settle_at = None;
            return;
        }
        let (at, pause) = self.settle_at.unwrap_or((now, FIRST_SETTLE));
        self.settle_at = Some((at, pause));
        if at <= now && !around.shared.up.is_empty() {
            self.settle_at = Some((around.shared.jittered(pause), (pause * 2).min(SETTLE)));
            let again = Around { datagrams: around.datagrams, table: around.table, shared: around.shared };
            self.search(&Sought::Neighbours, None, again);
        }
    }

    fn publish(&mut self, around: &mut Around<'_>) {
        let name = around.shared.config.name.clone();
        for copy in 0..COPIES {
            let to = place_of(&around.shared.config.network, &name, copy);
            let flow = around.shared.random_u32();
            // Alone at the place: whoever asks is asked here.
            let _ = self.send_ask(to, (FindWhat::Keep, Some(name.clone())), (flow, &[]), around);
        }
    }

    /// Keeps a member at the place of its name.
    pub(crate) fn keep(&mut self, at: NodeId, member: &Member, shared: &Shared) -> bool {
        let network = &shared.config.network;
        let is_place = (0..COPIES).any(|copy| place_of(network, &member.name, copy) == at);
        is_place && self.pointers.keep(at, member, (shared.id, shared.now.mono))
    }

    /// Members of a name that made themselves known here, at either of its places.
    pub(crate) fn kept_as(&self, name: &Name, network: &NetworkId) -> Vec<SignedRecord> {
        let places = (0..COPIES).map(|copy| place_of(network, name, copy));
        places.flat_map(|place| self.pointers.at(place, name)).cloned().collect()
    }

    pub(crate) fn next_timeout(&self, is_linked: bool) -> Option<Mono> {
        let answers = self.searches.values().map(|search| search.sent_at.after(PATIENCE));
        // Without links there is nobody to ask: what is due waits for the first.
        let settle = self.settle_at.filter(|_| is_linked).map(|(at, _)| at);
        answers.chain(self.publish_at).chain(settle).min()
    }
}

/// The place next to an id, where no member is.
fn beside(id: &NodeId) -> NodeId {
    let mut bytes = *id.as_bytes();
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    NodeId::from_bytes(bytes)
}

fn refuse(request: Option<RequestId>, code: Code, detail: &str, shared: &mut Shared) {
    if let Some(request) = request {
        shared.push(Output::Reply { request, reply: Reply::Refused { code, detail: detail.to_owned() } });
    }
}

#[cfg(test)]
mod tests;
