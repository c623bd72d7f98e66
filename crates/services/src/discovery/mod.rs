//! Discovery: what members offer, under names, for all to find.
//!
//! All that one member offers stands in one signed list, which replaces the one before and holds for its TTL unless it is
//! renewed. Lists travel as broadcasts; whoever was away compares its copy with those of linked members. A list that ends,
//! whose owner leaves or is expelled, is gone; nothing else takes a service away.

mod catalogue;
mod directory;
mod flaps;
mod sync;

use std::collections::BTreeMap;

use meshline_protocol::message::{Health, OfferedService};
use meshline_protocol::{Code, NodeId, ServiceKind, ServiceName, ServiceText};

pub(crate) use catalogue::Discovery;
pub use catalogue::{MAX_CLOCK_ERROR, MAX_TTL, MIN_TTL};
pub use directory::{GROWTH, MAX_BYTES, MAX_LISTS, MAX_TOTAL};

/// What somebody on this machine wants of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Offer these services and no others from now on.
    Offer(Vec<OfferedService>),
    /// Show what members offer.
    List(Filter),
    /// How much there is.
    Report,
}

/// Which services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this name.
    pub name: Option<ServiceName>,
    /// Only those of this kind.
    pub kind: Option<ServiceKind>,
}

/// What the directory answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// They will be told to all.
    Offered,
    /// Services by name; of one name the nearest that answer first.
    Listed(Vec<Entry>),
    /// How much there is.
    Report(Report),
    /// Refused.
    Refused {
        /// The name of the refusal.
        code: Code,
        /// A sentence for people.
        detail: String,
    },
}

/// A service as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: ServiceName,
    /// What is spoken there.
    pub kind: ServiceKind,
    /// Who offers it.
    pub member: NodeId,
    /// The name of that member as shown.
    pub member_name: String,
    /// Its port at the member, 0 if it has none.
    pub port: u16,
    /// What else is said of it.
    pub text: ServiceText,
    /// Whether it answered its owner.
    pub health: Health,
    /// Microseconds until it is gone unless its owner renews it.
    pub expires_us: u64,
    /// Expected delivery time to the member in microseconds, 0 for this one; `None` if no way leads there now.
    pub cost_us: Option<u64>,
    /// Whether it came and went so often of late that its changes are not told.
    pub damped: bool,
    /// What it has gathered by that: a thousand for each change, half of it forgotten in a minute.
    pub penalty: u32,
}

/// Something that changed in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A service is there that was not.
    Added(Entry),
    /// Its text, port or health are others, or it is calm after changes that were not told.
    Changed(Entry),
    /// It is gone.
    Removed {
        /// As it was.
        entry: Entry,
        /// Why.
        cause: Cause,
    },
}

/// Why a service is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its owner offers it no more.
    Withdrawn,
    /// Its owner left or was expelled.
    Left,
    /// Nobody renewed it.
    Expired,
}

impl Cause {
    /// The name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::Left => "left",
            Self::Expired => "expired",
        }
    }
}

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Services of all members, this one too.
    pub services: usize,
    /// Members that offer any.
    pub owners: usize,
    /// Services that this member offers.
    pub own: usize,
    /// Services whose changes are not told.
    pub damped: usize,
    /// Bytes of signed lists.
    pub bytes: usize,
    /// Lists that this member sent since its start.
    pub published: u64,
    /// Lists refused since its start, by name.
    pub refused: BTreeMap<&'static str, u64>,
}

/// What the directory begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For how many seconds a list holds, if there are not so many that it should be longer.
    pub ttl_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ttl_s: DEFAULT_TTL_S }
    }
}

/// A member that is killed is off the directory after this; one list a minute costs an idle view nothing to speak of.
pub const DEFAULT_TTL_S: u32 = 120;

/// The name under which lists travel.
pub(crate) fn service() -> ServiceName {
    "services".parse().unwrap_or_else(|_| unreachable!("a constant label"))
}
