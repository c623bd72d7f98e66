//! Which links are kept where there are more members than links: what a link is for, and others to try.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use crate::limits::{MAX_OTHERS, MAX_PURPOSES};
use crate::{Address, Bounded};

/// How members agree on a bounded set of links each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Peers {
    /// What the sender keeps the link for.
    Purpose(PeersPurpose),
    /// Members that the receiver may try instead of the sender.
    Others(PeersOthers),
    /// Members that the sender found reachable of late.
    Shuffle(PeersShuffle),
    /// Asks for addresses, over some hops.
    Ask(Box<PeersAsk>),
    /// Only over UDP: whoever was asked wants to know whether this is the asker's address.
    Knock(PeersKnock),
    /// Only over UDP: the same back, which shows that it is.
    Echo(PeersKnock),
    /// What somebody who was asked knows; over UDP, or back along the way of the `ask`.
    Answer(PeersAnswer),
}

impl Peers {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Purpose(_) => "peers.purpose",
            Self::Others(_) => "peers.others",
            Self::Shuffle(_) => "peers.shuffle",
            Self::Ask(_) => "peers.ask",
            Self::Knock(_) => "peers.knock",
            Self::Echo(_) => "peers.echo",
            Self::Answer(_) => "peers.answer",
        }
    }
}

/// What the sender keeps the link for, from now on. Whoever has not said it yet links to all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeersPurpose {
    /// None: the sender has no use for the link, and the receiver may end it.
    pub purposes: Bounded<LinkPurpose, MAX_PURPOSES>,
}

/// What a link is for at one of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkPurpose {
    /// The sender links to all members.
    All,
    /// The receiver is one of the sender's neighbours in the order of ids.
    Ring,
    /// The receiver is one of the nearest by round trip.
    Near,
    /// The receiver was chosen at random, to get far.
    Far,
    /// The sender's configuration names the receiver, or it is a proxy the sender wants.
    Configured,
    /// The sender has few links and asks to be let in.
    Entry,
    /// The receiver may bring the sender nearer to the root of the tree, from which it is further than most; or the sender,
    /// which is next to the root, the receiver.
    Shortcut,
    /// One this version does not know.
    #[serde(other)]
    Other,
}

/// Members that the receiver may try: sent when it was let go, or could not be let in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeersOthers {
    /// Signed records of type `announcement`.
    pub records: Bounded<SignedRecord, MAX_OTHERS>,
}

/// Some of the members that the sender found reachable of late, itself among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeersShuffle {
    /// Signed records of type `announcement`.
    pub records: Bounded<SignedRecord, MAX_OTHERS>,
    /// Whether the receiver should answer with its own.
    #[serde(default)]
    pub reply: bool,
}

/// Asks for addresses of members. The receiver answers, and passes the request on with one hop less and what is left of
/// the answers, divided among those it passes it on to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeersAsk {
    /// Who asks: its announcement.
    pub asker: SignedRecord,
    /// Chosen at random by the asker; names the request in all that follows.
    pub number: u32,
    /// Where the asker takes UDP, an address and a port; without it all answers come back along the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// How much further it may be passed on. More than 4 count as 4.
    pub hops: u8,
    /// How many may answer, the receiver included. More than 8 count as 8.
    pub answers: u8,
}

/// Proves an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeersKnock {
    /// As in the `ask`.
    pub number: u32,
    /// Chosen by whoever was asked.
    pub nonce: u32,
}

/// Members that somebody who was asked knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeersAnswer {
    /// As in the `ask`.
    pub number: u32,
    /// Signed records of type `announcement`.
    pub records: Bounded<SignedRecord, MAX_OTHERS>,
}
