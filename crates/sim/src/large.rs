//! What only networks of thousands of nodes need: less kept of each, and questions about all of them at once.

use std::collections::BTreeMap;

use crate::watch::LinkChanges;
use crate::world::World;

impl World {
    /// Nothing that nodes tell is kept from now on: of thousands of nodes it would fill the memory.
    pub fn keep_no_log(&mut self) {
        self.keeps_log = false;
    }

    /// What nodes keep on disk is not kept from now on, and there is room for so many of them: where none starts again, it
    /// is a tenth of the memory.
    pub fn keep_no_disks(&mut self, nodes: usize) {
        self.keeps_disks = false;
        self.hosts.reserve_exact(nodes.saturating_sub(self.hosts.len()));
    }

    /// The same but for [`World::service_news`].
    pub fn keep_service_news_only(&mut self) {
        (self.keeps_log, self.keeps_service_news) = (false, true);
    }

    /// From now on the bytes of frames are counted by kind, at one of so many nodes.
    pub fn weigh_one_of(&mut self, nodes: usize) {
        self.weighs_one_of = nodes.max(1);
        self.weighed = true;
    }

    /// Bytes are counted no more.
    pub fn stop_weighing(&mut self) {
        self.weighed = false;
    }

    /// Everything that has happened so far, as one number: the same in every run with the same seed.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.watch.digest.get()
    }

    /// How much has happened: events of the queue.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.schedule.taken()
    }

    /// How often links changed so far.
    #[must_use]
    pub fn link_changes(&self) -> LinkChanges {
        self.watch.changes
    }

    /// In which run a node is, counted from 1.
    #[must_use]
    pub fn boot(&self, node: usize) -> u64 {
        self.host(node).boot
    }

    /// When a node last began to choose all its links anew, in virtual microseconds.
    #[must_use]
    pub fn rebuilt_at(&self, node: usize) -> Option<u64> {
        self.host(node).rebuilt_at
    }

    /// Whether a node spoils what it should pass on.
    #[must_use]
    pub fn spoils(&self, node: usize) -> bool {
        self.spoilers.contains_key(&node)
    }

    /// How many of the nodes that run are weighed.
    #[must_use]
    pub fn weighed_nodes(&self) -> usize {
        let is_weighed = |node: &usize| node.checked_rem(self.weighs_one_of) == Some(0);
        self.running().iter().filter(|node| is_weighed(node)).count()
    }

    /// Has a node say a text that is followed from now on, of so many characters; its number.
    ///
    /// # Panics
    /// If it refuses.
    pub fn say_marked(&mut self, node: usize, characters: usize) -> usize {
        let (number, text) = self.watch.mark(node, self.now, characters);
        self.say(node, &text);
        number
    }

    /// How many nodes have shown a text that is followed; its author does not.
    #[must_use]
    pub fn shown(&self, number: usize) -> usize {
        let arrivals = self.watch.text(number).map(|text| text.arrivals.as_slice()).unwrap_or_default();
        arrivals.iter().filter(|one| one.shown_at.is_some()).count()
    }

    /// Links that the first copy of a text that is followed came over, of each node that has it, by number.
    #[must_use]
    pub fn links_passed(&self, number: usize) -> BTreeMap<usize, u32> {
        let arrivals = self.watch.text(number).map(|text| text.arrivals.as_slice()).unwrap_or_default();
        arrivals.iter().enumerate().filter_map(|(node, one)| Some((node, one.hops?))).collect()
    }

    /// What the ways between regions add to the latency, one way, in microseconds. Nodes are dealt to them in turn.
    pub fn set_regions(&mut self, micros: Vec<Vec<u64>>) {
        self.network.regions = micros;
    }

    /// What the way between two hosts adds to the latency at most, one way, in microseconds: by chance, but always the same.
    pub fn set_spread(&mut self, micros: u64) {
        self.network.spread = micros;
    }

    /// Of a hundred frames so many are lost and sent again by what bears them.
    pub fn set_loss(&mut self, percent: u64) {
        self.network.loss = percent;
    }

    /// Parts the network: nodes reach only those of the same part, until [`World::heal`].
    pub fn part_by(&mut self, part: impl Fn(usize) -> u8) {
        self.network.parts = Some((0..self.len()).map(part).collect());
    }

    /// Forgets what is left of connections of which no end lives. Hosts without power leave them behind.
    pub fn forget_dead(&mut self) {
        let hosts = &self.hosts;
        self.network.forget_dead(|run| hosts.get(run.node).is_some_and(|host| host.is_running(run.boot)));
    }

    /// The living peers of a node.
    fn living_peers(&self, node: usize) -> impl Iterator<Item = usize> {
        let peers = self.host(node).up.keys().filter_map(|id| self.index(*id));
        peers.filter(|peer| self.is_running(*peer))
    }

    /// Links between nodes that both run, at one end.
    #[must_use]
    pub fn living_links(&self, node: usize) -> usize {
        self.living_peers(node).count()
    }

    /// Links of a node to some of those that run.
    #[must_use]
    pub fn peers_among(&self, node: usize, others: &[usize]) -> usize {
        self.living_peers(node).filter(|peer| others.contains(peer)).count()
    }

    /// The sizes of the pieces that the links between these nodes make of them, the largest first.
    #[must_use]
    pub fn pieces(&self, nodes: &[usize]) -> Vec<usize> {
        let mut roots: BTreeMap<usize, usize> = nodes.iter().map(|node| (*node, *node)).collect();
        for node in nodes {
            for peer in self.living_peers(*node) {
                if roots.contains_key(&peer) {
                    let (one, other) = (root(&mut roots, *node), root(&mut roots, peer));
                    roots.insert(one.max(other), one.min(other));
                }
            }
        }
        let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
        for node in nodes {
            *sizes.entry(root(&mut roots, *node)).or_default() += 1;
        }
        let mut sizes: Vec<usize> = sizes.into_values().collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        sizes
    }
}

/// The least node of the piece that a node is in so far.
fn root(roots: &mut BTreeMap<usize, usize>, node: usize) -> usize {
    let mut at = node;
    while let Some(next) = roots.get(&at).copied().filter(|next| *next != at) {
        at = next;
    }
    let found = at;
    at = node;
    while let Some(next) = roots.insert(at, found).filter(|next| *next != found && *next != at) {
        at = next;
    }
    found
}
