//! What a link is for, as a set.

use meshline_protocol::Bounded;
use meshline_protocol::message::{LinkPurpose, PeersPurpose};

/// All purposes that are acted on, in the order in which they are told.
const KNOWN: [LinkPurpose; 7] = [
    LinkPurpose::All,
    LinkPurpose::Ring,
    LinkPurpose::Near,
    LinkPurpose::Far,
    LinkPurpose::Configured,
    LinkPurpose::Entry,
    LinkPurpose::Shortcut,
];

/// What one end keeps a link for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Purposes(u8);

impl Purposes {
    pub(crate) fn add(&mut self, purpose: LinkPurpose) {
        self.0 |= bit(purpose);
    }

    pub(crate) fn has(self, purpose: LinkPurpose) -> bool {
        self.0 & bit(purpose) != 0
    }

    /// Whether the end that told this would miss the link.
    pub(crate) fn is_needed(self) -> bool {
        KNOWN.into_iter().any(|purpose| purpose != LinkPurpose::Entry && self.has(purpose))
    }

    pub(crate) fn told(self) -> PeersPurpose {
        PeersPurpose { purposes: Bounded::from_first(KNOWN.into_iter().filter(|purpose| self.has(*purpose))) }
    }

    /// The names in documents.
    pub(crate) fn names(self) -> Vec<&'static str> {
        KNOWN.into_iter().filter(|purpose| self.has(*purpose)).map(name).collect()
    }
}

impl FromIterator<LinkPurpose> for Purposes {
    fn from_iter<T: IntoIterator<Item = LinkPurpose>>(purposes: T) -> Self {
        let mut set = Self::default();
        purposes.into_iter().for_each(|purpose| set.add(purpose));
        set
    }
}

fn bit(purpose: LinkPurpose) -> u8 {
    KNOWN.into_iter().position(|known| known == purpose).map_or(0, |at| 1 << at)
}

fn name(purpose: LinkPurpose) -> &'static str {
    match purpose {
        LinkPurpose::All => "all",
        LinkPurpose::Ring => "ring",
        LinkPurpose::Near => "near",
        LinkPurpose::Far => "far",
        LinkPurpose::Configured => "configured",
        LinkPurpose::Entry => "entry",
        LinkPurpose::Shortcut => "shortcut",
        LinkPurpose::Other => "other",
    }
}
