//! How many members tell of each prefix, so that a choice among members is one among prefixes first.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use meshline_identity::Member;

use super::group::Group;
use crate::gossip::Members;
use crate::shared::Shared;

/// Members by prefix.
#[derive(Debug)]
struct Crowds(BTreeMap<Group, usize>);

impl Crowds {
    fn of(members: &Members) -> Self {
        let mut crowds = BTreeMap::new();
        for known in members.iter() {
            for group in groups(&known.member) {
                *crowds.entry(group).or_default() += 1;
            }
        }
        Self(crowds)
    }

    /// Whether a member is taken that came up: the more share its prefix, the seldomer, so that each prefix is as likely as
    /// any other. Of several it tells of the most crowded counts, for the others may be made up.
    fn takes(&self, member: &Member, shared: &mut Shared) -> bool {
        let crowd = groups(member).filter_map(|group| self.0.get(&group)).max();
        crowd.is_none_or(|crowd| *crowd <= 1 || shared.below(*crowd) == 0)
    }
}

/// The same, counted when it is asked for first.
#[derive(Debug)]
pub(super) struct Counted<'a> {
    members: &'a Members,
    crowds: OnceCell<Crowds>,
}

impl<'a> Counted<'a> {
    pub(super) fn new(members: &'a Members) -> Self {
        Self { members, crowds: OnceCell::new() }
    }

    pub(super) fn takes(&self, member: &Member, shared: &mut Shared) -> bool {
        self.crowds.get_or_init(|| Crowds::of(self.members)).takes(member, shared)
    }
}

/// The prefixes that a member tells of, each once.
fn groups(member: &Member) -> impl Iterator<Item = Group> {
    let mut rest = member.addresses.iter().filter_map(Group::counted);
    // Most tell of one.
    let first = rest.next();
    let others: BTreeSet<Group> = rest.filter(|group| Some(group) != first.as_ref()).collect();
    first.into_iter().chain(others)
}
