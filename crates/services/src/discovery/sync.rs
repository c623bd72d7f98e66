//! Comparing copies of the directory with linked members: a few at a time, one question after the other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meshline_mesh::{Bucket, Mono, Node, Rate};
use meshline_protocol::limits::{MAX_BODY, MAX_CHAT_AUTHORS, MAX_IDS, MAX_SERVICE_LISTS, MAX_SLICES};
use meshline_protocol::message::{
    Services as Message, ServicesCompare, ServicesEntry, ServicesLists, ServicesName, ServicesNames, ServicesWant,
};
use meshline_protocol::{Bounded, Code, Fault, Frame, Message as Wire, NodeId};

use super::directory::{Directory, MAX_LISTS};

/// Members asked at the same time: most have the same to tell.
const MAX_SESSIONS: usize = 2;

/// Members waiting to be asked: when a node joins a large mesh the first few know everything.
const MAX_WAITING: usize = 6;

/// Between two looks at what one member has: a list that was lost on its way is there well before the next renewal ends.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);

/// The same after a look that found what could not be judged yet, because the time is not known well.
const SOON: Duration = Duration::from_secs(3);

/// An answer that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A session ends after so long, whatever is still missing: a whole directory takes a second.
const SESSION_LIMIT: Duration = Duration::from_secs(30);

/// Questions answered to one member. A whole directory takes some hundred.
const QUESTIONS: Rate = Rate { per_second: 16, burst: 256 };

/// Lists in a slice, about: digests say what differs, and slices no more than is worth a digest.
const PER_SLICE: usize = 8;

/// What was asked and not answered yet.
#[derive(Debug)]
enum Asked {
    Names,
    Lists(BTreeSet<NodeId>),
}

/// What we still want of one member.
#[derive(Debug)]
struct Session {
    asked: Asked,
    deadline: Mono,
    /// When it ends, whatever is still missing: others wait.
    ends_at: Mono,
    missing: VecDeque<NodeId>,
}

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Heard {
    Done,
    /// Lists that were asked for: they are to be taken in, then the session goes on.
    Lists(Box<ServicesLists>),
}

/// Who is linked, and what we want of them.
#[derive(Debug, Default)]
pub(super) struct Sync {
    /// Linked members, with what they may still ask.
    linked: BTreeMap<NodeId, Bucket>,
    waiting: VecDeque<NodeId>,
    sessions: BTreeMap<NodeId, Session>,
    /// Whom the last regular look was at.
    last: Option<NodeId>,
    next_at: Option<Mono>,
}

impl Sync {
    pub(super) fn link_up(&mut self, peer: NodeId, directory: &Directory, node: &mut Node, now: Mono) {
        self.linked.insert(peer, Bucket::new(QUESTIONS, now));
        if self.waiting.len() < MAX_WAITING && !self.waiting.contains(&peer) {
            self.waiting.push_back(peer);
        }
        self.next_at.get_or_insert_with(|| node.jittered(INTERVAL));
        self.begin(directory, node, now);
    }

    pub(super) fn link_down(&mut self, peer: &NodeId, directory: &Directory, node: &mut Node, now: Mono) {
        self.linked.remove(peer);
        self.waiting.retain(|waiting| waiting != peer);
        self.sessions.remove(peer);
        self.begin(directory, node, now);
    }

    /// What came could not be judged by the time that is known here: another look is taken soon.
    pub(super) fn look_soon(&mut self, now: Mono) {
        let soon = now.after(SOON);
        self.next_at = self.next_at.map(|at| at.min(soon));
    }

    fn begin(&mut self, directory: &Directory, node: &mut Node, now: Mono) {
        while self.sessions.len() < MAX_SESSIONS {
            let Some(peer) = self.waiting.pop_front() else { return };
            if self.linked.contains_key(&peer) && !self.sessions.contains_key(&peer) {
                let slices = (directory.lists() / PER_SLICE).clamp(1, MAX_SLICES);
                let digests = Bounded::from_first(directory.digests(slices));
                node.send_to(&peer, Wire::Services(Message::Compare(ServicesCompare { digests })).into());
                let (deadline, ends_at) = (now.after(PATIENCE), now.after(SESSION_LIMIT));
                let session = Session { asked: Asked::Names, deadline, ends_at, missing: VecDeque::new() };
                self.sessions.insert(peer, session);
            }
        }
    }

    /// Answers a question, or takes in an answer.
    pub(super) fn handle(
        &mut self,
        peer: NodeId,
        message: Message,
        (directory, node): (&Directory, &mut Node),
        now: Mono,
    ) -> Result<Heard, Fault> {
        match message {
            // Whoever asks faster than anybody needs to gets no answer.
            Message::Compare(_) | Message::Want(_) if !self.may_ask(&peer, now) => Ok(Heard::Done),
            Message::Compare(theirs) => {
                tell_names(&peer, &theirs, directory, node)?;
                Ok(Heard::Done)
            }
            Message::Want(wanted) => {
                let frame = lists(&wanted, directory, node);
                node.send_to(&peer, frame);
                Ok(Heard::Done)
            }
            Message::Names(answer) => {
                if self.take_names(peer, &answer, directory, now) && !answer.more {
                    self.go_on(peer, directory, node, now);
                }
                Ok(Heard::Done)
            }
            Message::Lists(lists) => {
                let is_wanted = self.take_lists(&peer, &lists)?;
                Ok(if is_wanted { Heard::Lists(Box::new(lists)) } else { Heard::Done })
            }
        }
    }

    fn may_ask(&mut self, peer: &NodeId, now: Mono) -> bool {
        self.linked.get_mut(peer).is_some_and(|bucket| bucket.take(now))
    }

    fn take_names(&mut self, peer: NodeId, answer: &ServicesNames, directory: &Directory, now: Mono) -> bool {
        // An answer that came after our patience ended is thrown away: it will be asked for again.
        let session = self.sessions.get_mut(&peer).filter(|session| matches!(session.asked, Asked::Names));
        let Some(session) = session else { return false };
        // What there is no room for would be asked for at every look, and refused.
        let is_new = |name: &&ServicesName| match directory.seq_of(&name.by) {
            Some(seq) => seq < name.seq,
            None => !directory.is_full(),
        };
        session.missing.extend(answer.names.iter().filter(is_new).map(|name| name.by));
        session.missing.truncate(MAX_LISTS);
        session.deadline = now.after(PATIENCE).min(session.ends_at);
        true
    }

    /// Whether they are to be taken in. Lists of others than were asked for are a fault.
    fn take_lists(&mut self, peer: &NodeId, lists: &ServicesLists) -> Result<bool, Fault> {
        let Some(Session { asked: Asked::Lists(asked), missing, .. }) = self.sessions.get_mut(peer) else {
            return Ok(false);
        };
        if lists.lists.iter().any(|entry| !asked.remove(&entry.by)) {
            return Err(unasked("lists that nobody asked for"));
        }
        // What did not come although others did is asked for again; where nothing came, nothing is kept any more.
        if !lists.lists.is_empty() {
            missing.extend(std::mem::take(asked));
        }
        Ok(true)
    }

    /// The next question of a session, or the next session.
    pub(super) fn go_on(&mut self, peer: NodeId, directory: &Directory, node: &mut Node, now: Mono) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        let count = session.missing.len().min(MAX_SERVICE_LISTS);
        let wanted: BTreeSet<NodeId> = session.missing.drain(..count).collect();
        if wanted.is_empty() {
            self.sessions.remove(&peer);
            self.begin(directory, node, now);
            return;
        }
        let owners = Bounded::from_first(wanted.iter().copied());
        session.asked = Asked::Lists(wanted);
        session.deadline = now.after(PATIENCE).min(session.ends_at);
        node.send_to(&peer, Wire::Services(Message::Want(ServicesWant { owners })).into());
    }

    /// A member answered what it was not asked, or with what cannot be.
    pub(super) fn give_up(&mut self, peer: &NodeId) {
        self.sessions.remove(peer);
    }

    /// Gives up who does not answer, and looks at the next member when it is time.
    pub(super) fn handle_timeout(&mut self, directory: &Directory, node: &mut Node, now: Mono) {
        self.sessions.retain(|_, session| session.deadline > now);
        if self.next_at.is_some_and(|at| at <= now) {
            let after = self.last.and_then(|last| self.linked.keys().find(|peer| **peer > last));
            let next = after.or_else(|| self.linked.keys().next()).copied();
            self.last = next;
            self.next_at = next.map(|_| node.jittered(INTERVAL));
            self.waiting.extend(next.filter(|next| !self.waiting.contains(next)));
        }
        self.begin(directory, node, now);
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.sessions.values().map(|session| session.deadline).chain(self.next_at).min()
    }
}

/// Answers `compare`.
fn tell_names(peer: &NodeId, theirs: &ServicesCompare, directory: &Directory, node: &mut Node) -> Result<(), Fault> {
    if theirs.digests.is_empty() {
        return Err(Fault::new(Code::InvalidMessage, "a comparison without digests"));
    }
    let own = directory.digests(theirs.digests.len());
    let differs: Vec<bool> = own.iter().zip(theirs.digests.iter()).map(|(own, theirs)| own != theirs).collect();
    let names = directory.names_in(&differs);
    let mut chunks = names.chunks(MAX_IDS).peekable();
    loop {
        let chunk = chunks.next().unwrap_or_default();
        let more = chunks.peek().is_some();
        let names = ServicesNames { names: Bounded::from_first(chunk.iter().copied()), more };
        node.send_to(peer, Wire::Services(Message::Names(names)).into());
        if !more {
            return Ok(());
        }
    }
}

/// Answers `want` with as many of the lists as fit.
fn lists(wanted: &ServicesWant, directory: &Directory, node: &Node) -> Frame {
    let (mut body, mut entries, mut owners) = (BytesMut::new(), Vec::new(), Vec::new());
    for list in wanted.owners.iter().filter_map(|owner| directory.get(owner)) {
        let signed = &list.signed;
        if body.len() + signed.body.len() > MAX_BODY {
            break;
        }
        // Most owners are known to whoever asks; announcements are for those who are not.
        if owners.len() < MAX_CHAT_AUTHORS {
            owners.extend(node.record_of(&signed.by));
        }
        let len = u32::try_from(signed.body.len()).unwrap_or(u32::MAX);
        entries.push(ServicesEntry { by: signed.by, seq: signed.seq, sig: signed.sig.clone(), len });
        body.extend_from_slice(&signed.body);
    }
    let lists = ServicesLists { lists: Bounded::from_first(entries), owners: Bounded::from_first(owners) };
    Frame { message: Wire::Services(Message::Lists(lists)), body: Some(Bytes::from(body)) }
}

fn unasked(detail: &str) -> Fault {
    Fault::new(Code::UnexpectedMessage, detail)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshline_mesh::SignedText;
    use meshline_protocol::UnixMicros;

    use super::super::directory::List;
    use super::*;

    fn id(number: usize) -> NodeId {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        NodeId::from_bytes(bytes)
    }

    fn missing(directory: &Directory, names: &[ServicesName]) -> Vec<NodeId> {
        let (mut sync, peer) = (Sync::default(), id(usize::MAX));
        let (asked, missing) = (Asked::Names, VecDeque::new());
        sync.sessions.insert(peer, Session { asked, deadline: Mono(10), ends_at: Mono(10), missing });
        let names = ServicesNames { names: Bounded::from_first(names.iter().copied()), more: false };
        assert!(sync.take_names(peer, &names, directory, Mono(1)));
        sync.sessions.remove(&peer).expect("it goes on").missing.into()
    }

    #[test]
    fn at_the_bound_renewals_are_asked_for_and_newcomers_when_there_is_room() {
        let mut directory = Directory::default();
        // The last place is for its own.
        for owner in 0..MAX_LISTS - 1 {
            let signed = SignedText { by: id(owner), seq: UnixMicros::new(1), sig: String::new(), body: Bytes::new() };
            let until = Mono(if owner == 9 { 5 } else { 100 });
            directory.put(List { signed: Arc::new(signed), until, services: BTreeMap::new() });
        }
        let name = |owner, seq| ServicesName { by: id(owner), seq: UnixMicros::new(seq) };
        let names = [name(1, 2), name(2, 1), name(50_000, 1)];
        assert_eq!(missing(&directory, &names), [id(1)]);
        directory.expire(Mono(5));
        assert_eq!(missing(&directory, &names), [id(1), id(50_000)]);
    }
}
