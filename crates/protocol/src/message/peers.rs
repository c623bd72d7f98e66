//! Which links are kept where there are more members than links: what a link is for, and others to try.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SignedRecord;
use crate::Bounded;
use crate::limits::{MAX_OTHERS, MAX_PURPOSES};

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
}

impl Peers {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Purpose(_) => "peers.purpose",
            Self::Others(_) => "peers.others",
            Self::Shuffle(_) => "peers.shuffle",
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
