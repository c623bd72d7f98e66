//! What every area needs: the settings, the time, the way out, and who is linked now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use meshline_identity::{KeyPair, RevocationList, Sequence, sign};
use meshline_protocol::message::{Announcement, Departure, ErrorMessage, Membership, RecordText, Role};
use meshline_protocol::{Bounded, Code, Frame, Message, NodeId, SignedRecord, UnixMicros};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::broadcast::tree::Tree;
use crate::config::Config;
use crate::event::{Event, PeerName};
use crate::input::{DialId, LinkId, SocketId, Transport};
use crate::link::{is_carried, is_traffic};
use crate::named::Named;
use crate::nat::Spoken;
use crate::now::{Mono, Now};
use crate::output::{DialTarget, Output, take_first};
use crate::rebuild::Words;
use crate::time::{Clock, Estimate, NetworkTime};

/// How long an announcement holds. It is renewed at half of it; a member that vanished is forgotten by signal
/// servers much sooner and by known-peers files much later.
pub(crate) const ANNOUNCEMENT_VALIDITY: i64 = 3_600_000_000;

/// A member that is linked now.
#[derive(Clone, Debug)]
pub(crate) struct UpPeer {
    pub(crate) link: LinkId,
    pub(crate) transport: Transport,
    /// It only connects out: broadcasts are handed to it, never through it.
    pub(crate) is_view: bool,
    /// It relays links.
    pub(crate) is_proxy: bool,
}

/// What every area works with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) key: KeyPair,
    pub(crate) id: NodeId,
    pub(crate) now: Now,
    pub(crate) clock: Clock,
    pub(crate) network_time: NetworkTime,
    pub(crate) revoked: RevocationList,
    /// Records about choosing all links anew.
    pub(crate) words: Words,
    pub(crate) up: BTreeMap<NodeId, UpPeer>,
    pub(crate) announcement: SignedRecord,
    pub(crate) announcement_seq: Sequence,
    pub(crate) broadcast_seq: Sequence,
    /// Links on which more than a sign of life was sent since the links were last told.
    pub(crate) busy: BTreeSet<LinkId>,
    /// Links on which a datagram was sent since then.
    pub(crate) carrying: BTreeSet<LinkId>,
    pub(crate) leaving: bool,
    /// Something that is kept on disk changed, and must not be lost.
    pub(crate) dirty: bool,
    /// Who is known or linked changed, which is kept on disk as well.
    pub(crate) known_changed: bool,
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// The last refusal of us by a member, until a link comes up: the reason why we are alone.
    pub(crate) refused_us: Option<Code>,
    /// Whether any link was up since the start.
    pub(crate) was_linked: bool,
    /// To whom datagrams of the main socket went.
    pub(crate) spoken: Spoken,
    /// What went to hosts that members merely named.
    pub(crate) named: Named,
    /// Along which links messages go to all.
    pub(crate) tree: Tree,
    /// Authors whose messages wait until it is known who they are.
    pub(crate) awaited: BTreeSet<NodeId>,
    rng: ChaCha12Rng,
    last_dial: u64,
    last_socket: u32,
    out: VecDeque<Output>,
}

impl Shared {
    pub(crate) fn new(config: Config, key: KeyPair, seed: [u8; 32], now: Now) -> Self {
        let id = key.id();
        let is_leaf = !config.carries();
        let mut shared = Self {
            clock: Clock::new(config.saved.newest_signed),
            network_time: NetworkTime::default(),
            announcement_seq: Sequence::after(config.saved.announcement_seq),
            broadcast_seq: Sequence::after(config.saved.broadcast_seq),
            config,
            key,
            id,
            now,
            revoked: RevocationList::default(),
            words: Words::default(),
            up: BTreeMap::new(),
            announcement: SignedRecord { signed: String::new(), by: id, sig: String::new() },
            busy: BTreeSet::new(),
            carrying: BTreeSet::new(),
            leaving: false,
            dirty: false,
            known_changed: false,
            refused: BTreeMap::new(),
            refused_us: None,
            was_linked: false,
            tree: Tree::new(id, is_leaf, tree_seed(seed)),
            awaited: BTreeSet::new(),
            rng: ChaCha12Rng::from_seed(seed),
            last_dial: 0,
            last_socket: SocketId::MAIN.0,
            spoken: Spoken::default(),
            named: Named::default(),
            out: VecDeque::new(),
        };
        if let Some(signed) = shared.membership_seq() {
            shared.clock.signed(signed);
        }
        shared.announce();
        shared
    }

    /// An input comes at `now`.
    pub(crate) fn advance(&mut self, now: Now) {
        self.now = now;
        self.network_time.advance(now);
    }

    /// Network time, the one that members agree things by, and the bound on its error in microseconds. For the validity of
    /// records there is [`Self::judged`].
    pub(crate) fn network_time(&self) -> (UnixMicros, u64) {
        let estimate = self.network_estimate();
        (self.now.wall.offset(estimate.offset_us), estimate.error_us)
    }

    /// The same against our own calendar.
    pub(crate) fn network_estimate(&self) -> Estimate {
        self.network_time.estimate(self.now, self.clock.newest_signed())
    }

    /// The time by which the validity of records is judged.
    pub(crate) fn judged(&self) -> UnixMicros {
        self.clock.judged(self.now.wall)
    }

    /// The latest time that it may be: what is signed here holds from then on.
    pub(crate) fn latest(&self) -> UnixMicros {
        self.clock.latest(self.now.wall)
    }

    /// The time sequences are made from. Nobody else's word is in it: a liar's time would stay in them for ever.
    pub(crate) fn steady(&self) -> UnixMicros {
        self.now.wall.max(self.clock.newest_signed())
    }

    /// The sequence of this node's own membership, on a closed network.
    pub(crate) fn membership_seq(&self) -> Option<UnixMicros> {
        let record = self.config.membership.as_ref()?;
        serde_json::from_str::<Membership>(&record.signed).ok().map(|membership| membership.seq)
    }

    /// Signs a fresh announcement of this node.
    pub(crate) fn announce(&mut self) {
        let seq = self.announcement_seq.next(self.steady());
        let text = Announcement {
            kind: Announcement::TYPE.to_owned(),
            network: self.config.network.clone(),
            seq,
            expires: self.latest().max(seq).offset(ANNOUNCEMENT_VALIDITY),
            name: self.config.name.clone(),
            roles: Bounded::from_first(self.config.roles.iter().copied()),
            addresses: Bounded::from_first(self.config.listen.iter().cloned()),
            next: self.config.next.clone(),
            membership: self.config.membership.clone(),
        };
        self.announcement = self.sign(&text);
        self.dirty = true;
    }

    /// Signs the record that says this node leaves.
    pub(crate) fn departure(&mut self) -> SignedRecord {
        let seq = self.announcement_seq.next(self.steady());
        let text = Departure {
            kind: Departure::TYPE.to_owned(),
            network: self.config.network.clone(),
            seq,
            expires: self.latest().max(seq).offset(ANNOUNCEMENT_VALIDITY),
        };
        self.dirty = true;
        self.sign(&text)
    }

    /// The types of the wire always serialize; an empty record, which everyone refuses, stands for the
    /// impossible.
    pub(crate) fn sign<T: RecordText>(&self, text: &T) -> SignedRecord {
        sign(text, &self.key).unwrap_or(SignedRecord { signed: String::new(), by: self.id, sig: String::new() })
    }

    /// Sends to a linked member; does nothing if it is not linked.
    pub(crate) fn send(&mut self, peer: &NodeId, message: Message) -> bool {
        self.send_frame(peer, &Arc::new(message.into()))
    }

    /// Sends a frame, which may go to others as well.
    pub(crate) fn send_frame(&mut self, peer: &NodeId, frame: &Arc<Frame>) -> bool {
        let Some(link) = self.up.get(peer).map(|up| up.link) else { return false };
        if is_traffic(&frame.message) {
            self.busy.insert(link);
        }
        if is_carried(&frame.message) {
            self.carrying.insert(link);
        }
        self.send_on(link, frame);
        true
    }

    /// Sends on a connection, up or not.
    pub(crate) fn send_on(&mut self, link: LinkId, frame: &Arc<Frame>) {
        self.push(Output::Send { link, frame: Arc::clone(frame) });
    }

    /// Ends a connection with a named reason.
    pub(crate) fn close(&mut self, link: LinkId, code: Code, detail: impl Into<String>) {
        let error = Some(ErrorMessage::new(code, detail));
        self.push(Output::Close { link, error });
    }

    pub(crate) fn push(&mut self, output: Output) {
        // What another socket sends opens no way to the main one.
        if let Output::SendPacket { socket: SocketId::MAIN, to, .. }
        | Output::Dial { target: DialTarget::Quic { socket: SocketId::MAIN, remote: to, .. }, .. } = &output
        {
            self.spoken.note(*to, self.now.mono);
        }
        self.out.push_back(output);
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        take_first(&mut self.out)
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    /// Counts a refusal by name.
    pub(crate) fn count(&mut self, code: Code) {
        let count = self.refused.entry(code.name()).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn next_dial(&mut self) -> DialId {
        self.last_dial += 1;
        DialId(self.last_dial)
    }

    /// A name for another UDP socket.
    pub(crate) fn next_socket(&mut self) -> SocketId {
        self.last_socket += 1;
        SocketId(self.last_socket)
    }

    /// Thirty-two bytes nobody can guess.
    pub(crate) fn secret(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// A number below `bound` (0 for a bound of 0).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let random = usize::try_from(self.rng.next_u32()).unwrap_or(0);
        random.checked_rem(bound).unwrap_or(0)
    }

    pub(crate) fn random_u32(&mut self) -> u32 {
        self.rng.next_u32()
    }

    /// The point between 75 % and 125 % of `duration` from now, so that nodes started together spread out.
    pub(crate) fn jittered(&mut self, duration: Duration) -> Mono {
        let percent = 75 + u32::try_from(self.below(51)).unwrap_or(0);
        self.now.mono.after(duration * percent / 100)
    }

    /// Fast retries keep their pace, slow ones spread out.
    pub(crate) fn jittered_or_exact(&mut self, duration: Duration, exact: bool) -> Mono {
        if exact { self.now.mono.after(duration) } else { self.jittered(duration) }
    }

    /// A name as it is shown: on open networks, where names are only claimed, with a piece of the id; of a member whose
    /// name is not known yet that piece alone.
    pub(crate) fn shown(&self, id: &NodeId, name: &str) -> PeerName {
        let name = if self.config.network.is_open() || name.is_empty() {
            format!("{name}~{}", id.to_string().chars().take(4).collect::<String>())
        } else {
            name.to_owned()
        };
        PeerName { id: *id, name }
    }
}

/// The tree chooses by itself between what is equally good, and need not know the secret.
fn tree_seed(seed: [u8; 32]) -> u64 {
    ChaCha12Rng::from_seed(seed.map(|byte| !byte)).next_u64()
}

/// The name of a role in documents.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Node => "node",
        Role::View => "view",
        Role::Proxy => "proxy",
        Role::Exit => "exit",
        Role::Rebuild => "rebuild",
        Role::Other => "other",
    }
}
