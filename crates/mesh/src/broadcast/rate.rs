//! How many messages one author may send to all. Everybody counts by himself, so that a member with a modified
//! program reaches its neighbours at most.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::NodeId;

use super::seen::MAX_AUTHORS;
use crate::bucket::{Bucket, Rate};
use crate::now::Mono;

/// What a node sends: faster than anybody reads, and as many at once as can wait for a ring to close.
pub(crate) const OWN_RATE: Rate = Rate { per_second: 20, burst: 256 };

/// What a node takes from one author: more than the author sends, because messages that waited come together.
pub(crate) const AUTHOR_RATE: Rate = Rate { per_second: 25, burst: 512 };

/// An author is told so often at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// What is left of each author's allowance.
#[derive(Debug, Default)]
pub(super) struct Rates {
    authors: BTreeMap<NodeId, Allowance>,
    own: Option<Bucket>,
}

#[derive(Debug)]
struct Allowance {
    bucket: Bucket,
    told_at: Option<Mono>,
}

impl Rates {
    /// Whether this node may send another message, which is counted.
    pub(super) fn take_own(&mut self, now: Mono) -> bool {
        self.own.get_or_insert_with(|| Bucket::new(OWN_RATE, now)).take(now)
    }

    /// Whether another message of an author would be taken. It is counted when it is found to be the author's.
    pub(super) fn admits(&mut self, author: NodeId, now: Mono) -> bool {
        self.authors.get_mut(&author).is_none_or(|allowance| allowance.bucket.has(now))
    }

    /// The same, for a message that is not here.
    pub(super) fn would_admit(&self, author: &NodeId, now: Mono) -> bool {
        self.authors.get(author).is_none_or(|allowance| {
            let mut bucket = allowance.bucket;
            bucket.has(now)
        })
    }

    /// Counts a message of an author.
    pub(super) fn count(&mut self, author: NodeId, now: Mono) {
        if !self.authors.contains_key(&author) && self.authors.len() >= MAX_AUTHORS {
            self.authors.retain(|_, allowance| !allowance.bucket.is_full(now));
        }
        let fresh = || Allowance { bucket: Bucket::new(AUTHOR_RATE, now), told_at: None };
        self.authors.entry(author).or_insert_with(fresh).bucket.take(now);
    }

    /// Whether an author should be told that it sends too much.
    pub(super) fn should_tell(&mut self, author: NodeId, now: Mono) -> bool {
        let Some(allowance) = self.authors.get_mut(&author) else { return false };
        let due = allowance.told_at.is_none_or(|told| now.since(told) >= TELL_EVERY);
        if due {
            allowance.told_at = Some(now);
        }
        due
    }
}
