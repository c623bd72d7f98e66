//! What an operator says about the ways: `routing`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use meshline_mesh::RoutingPolicy;
use meshline_protocol::{Name, NodeId};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::review::Review;
use super::source::step;
use super::values::{ConfigValueError, text_value};

/// A member, by its full id; on a closed network, where names are given by its key, by name too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MemberRef {
    /// By id.
    Id(NodeId),
    /// By name.
    Name(Name),
}

text_value!(MemberRef, { "type": "string", "minLength": 1, "maxLength": 64 });

impl TryFrom<String> for MemberRef {
    type Error = ConfigValueError;

    fn try_from(text: String) -> Result<Self, ConfigValueError> {
        let id = text.parse().map(Self::Id);
        id.or_else(|_| text.parse().map(Self::Name)).map_err(|_| ConfigValueError::Member)
    }
}

impl fmt::Display for MemberRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
        }
    }
}

macro_rules! routing_config {
    ($(#[$doc:meta])* $name:ident, $(#[$carry_doc:meta])* carry = $carry:literal, $(#[$probe_doc:meta])* probe = $probe:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(#[$carry_doc])*
            pub carry: bool,
            /// Members whose links with this one count half of what they cost.
            pub prefer: Vec<MemberRef>,
            /// Members whose links with this one count ten times what they cost: used if there is nothing else.
            pub avoid: Vec<MemberRef>,
            /// Members reached through another one as long as there is such a way: {"destination": "through"}.
            pub via: BTreeMap<MemberRef, MemberRef>,
            $(#[$probe_doc])*
            pub probe: bool,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { carry: $carry, prefer: Vec::new(), avoid: Vec::new(), via: BTreeMap::new(), probe: $probe }
            }
        }
    };
}

routing_config!(
    /// Which ways a node or proxy takes, and whether others may send through it.
    RoutingConfig,
    /// Whether it carries what others send to others.
    carry = true,
    /// Whether links on which no traffic tells what they carry are tried out with a little filler, and others may do
    /// so: at most 576 KiB a link in ten minutes. Switch it off where bytes cost money.
    probe = true
);

routing_config!(
    /// Which ways a view takes.
    ViewRoutingConfig,
    /// Always false: a view carries nothing for others.
    carry = false,
    /// Whether links on which no traffic tells what they carry are tried out with a little filler, and others may do
    /// so: at most 576 KiB a link in ten minutes. Off unless told: views are often where bytes cost money.
    probe = false
);

impl From<ViewRoutingConfig> for RoutingConfig {
    fn from(ViewRoutingConfig { carry, prefer, avoid, via, probe }: ViewRoutingConfig) -> Self {
        Self { carry, prefer, avoid, via, probe }
    }
}

impl RoutingConfig {
    /// The same as the core takes it.
    #[must_use]
    pub fn policy(&self) -> RoutingPolicy {
        let words = |list: &[MemberRef]| list.iter().map(ToString::to_string).collect();
        RoutingPolicy {
            carry: self.carry,
            prefer: words(&self.prefer),
            avoid: words(&self.avoid),
            via: self.via.iter().map(|(to, through)| (to.to_string(), through.to_string())).collect(),
            probe: self.probe,
        }
    }

    /// Every member named, with where.
    fn members(&self) -> impl Iterator<Item = (String, &MemberRef)> {
        let list = |key: &'static str, list: &'_ [MemberRef]| {
            (0..list.len()).map(move |index| format!("/routing/{key}/{index}")).collect::<Vec<_>>()
        };
        let prefer = list("prefer", &self.prefer).into_iter().zip(&self.prefer);
        let avoid = list("avoid", &self.avoid).into_iter().zip(&self.avoid);
        let via = self.via.iter().flat_map(|(to, through)| {
            let pointer = step("/routing/via", &to.to_string());
            [(pointer.clone(), to), (pointer, through)]
        });
        prefer.chain(avoid).chain(via)
    }

    /// Names only where they are more than a claim, and nobody both preferred and avoided.
    pub(super) fn check(&self, is_open: bool, review: &mut Review) {
        for (pointer, member) in self.members().filter(|_| is_open) {
            if let MemberRef::Name(name) = member {
                review.fault(
                    &pointer,
                    format!("found the name \"{name}\" on an open network, where names are only claimed; expected a full id of 52 characters"),
                );
            }
        }
        for (index, member) in self.avoid.iter().enumerate().filter(|(_, member)| self.prefer.contains(member)) {
            review.fault(
                &format!("/routing/avoid/{index}"),
                format!("found \"{member}\", which stands in \"prefer\" too; expected it in one of the two"),
            );
        }
    }
}
