//! How many members tell of each prefix, so that a choice among members is one among prefixes first.

use std::collections::{BTreeMap, BTreeSet};

use meshline_identity::Member;

use super::group::{Group, is_counted};
use crate::gossip::Members;
use crate::shared::Shared;

/// Members by prefix.
#[derive(Debug)]
pub(super) struct Crowds(BTreeMap<Group, usize>);

impl Crowds {
    pub(super) fn of(members: &Members) -> Self {
        let mut crowds = BTreeMap::new();
        for group in members.iter().flat_map(|known| groups(&known.member)) {
            *crowds.entry(group).or_default() += 1;
        }
        Self(crowds)
    }

    /// Whether a member is taken that came up: the more share its prefix, the seldomer, so that each prefix is as likely as
    /// any other. Of several it tells of the most crowded counts, for the others may be made up.
    pub(super) fn takes(&self, member: &Member, shared: &mut Shared) -> bool {
        let crowd = groups(member).into_iter().filter_map(|group| self.0.get(&group)).max();
        crowd.is_none_or(|crowd| *crowd <= 1 || shared.below(*crowd) == 0)
    }
}

fn groups(member: &Member) -> BTreeSet<Group> {
    member.addresses.iter().filter(|address| is_counted(address)).map(Group::of).collect()
}
