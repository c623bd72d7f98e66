//! Ways to members beyond the area, as they were found.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_protocol::NodeId;

use super::{MAX_USED, Path};
use crate::now::Mono;

/// A way is looked for again so often while it is used: the network changes, and nobody tells of what is far.
const RENEW: Duration = Duration::from_secs(60);

/// What somebody on the way says about it is believed so often: whoever carries datagrams can say anything.
const DOUBT_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Known {
    path: Path,
    at: Mono,
}

/// The ways found, and those wanted.
#[derive(Debug, Default)]
pub(super) struct Far {
    ways: BTreeMap<NodeId, Known>,
    /// Members whose way is wanted, and from when on.
    lacking: BTreeMap<NodeId, Mono>,
}

impl Far {
    /// A way to a member is wanted.
    pub(super) fn lack(&mut self, to: NodeId, now: Mono) {
        if self.lacking.len() < MAX_USED {
            self.lacking.entry(to).or_insert(now);
        }
    }

    /// Whose way is to be looked for now.
    pub(super) fn take_lacking(&mut self, now: Mono, is_known: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
        let due: Vec<NodeId> = self.lacking.extract_if(.., |_, at| *at <= now).map(|(id, _)| id).collect();
        due.into_iter().filter(|id| self.ways.contains_key(id) || !is_known(id)).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.lacking.values().min().copied()
    }

    pub(super) fn get(&self, to: &NodeId) -> Option<&Path> {
        self.ways.get(to).map(|known| &known.path)
    }

    /// Keeps a way; says whether it is another one.
    pub(super) fn learn(&mut self, to: NodeId, path: &Path, now: Mono) -> bool {
        self.lacking.insert(to, now.after(RENEW));
        let before = self.ways.insert(to, Known { path: path.clone(), at: now });
        before.is_none_or(|before| before.path.hops != path.hops)
    }

    /// Somebody says that a way broke: it is looked for anew, and used until then. Says whether that is worth a look.
    pub(super) fn doubt(&mut self, to: &NodeId, now: Mono) -> bool {
        let is_old = self.ways.get(to).is_some_and(|known| now.since(known.at) >= DOUBT_EVERY);
        if is_old {
            self.lacking.insert(*to, now);
        }
        is_old
    }

    /// Forgets what is not used, and ways that begin with a link that is gone.
    pub(super) fn retain(&mut self, used: &BTreeMap<NodeId, Mono>, is_linked: impl Fn(&NodeId) -> bool) {
        self.ways.retain(|id, _| used.contains_key(id));
        self.lacking.retain(|id, _| used.contains_key(id));
        let broken = self.ways.extract_if(.., |_, known| !known.path.hops.first().is_some_and(&is_linked));
        // To be looked for at once.
        self.lacking.extend(broken.map(|(id, _)| (id, Mono::default())));
    }

    /// Nobody answers there any more.
    pub(super) fn forget(&mut self, to: &NodeId) -> bool {
        self.lacking.remove(to);
        self.ways.remove(to).is_some()
    }
}
