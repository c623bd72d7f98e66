//! Two nodes and nothing else.

use std::ops::{Deref, DerefMut};

use meshline_mesh::Config;

use crate::config::address;
use crate::world::World;

/// A world of two nodes: node 0 listens, node 1 has node 0's address in its configuration.
#[derive(Debug)]
pub struct Pair(World);

impl Pair {
    /// Two nodes that run, in an empty world.
    pub fn start(mut world: World, mut configure: impl FnMut(usize, &mut Config)) -> Self {
        for node in 0..2 {
            world.add(|config| {
                config.peers = (0..node).map(address).collect();
                configure(node, config);
            });
        }
        world.start_all();
        Self(world)
    }

    /// Two nodes of an open network that are linked.
    ///
    /// # Panics
    /// If no link comes up within a second.
    #[must_use]
    pub fn linked(seed: u64) -> Self {
        let mut pair = Self::start(World::new(seed), |_, _| {});
        assert!(pair.is_linked_within(crate::SECOND), "no link came up");
        pair
    }

    /// Runs until both say that a link is up.
    pub fn is_linked_within(&mut self, limit: u64) -> bool {
        self.0.run_until(limit, crate::MS, |world| world.is_linked(0, 1) && world.is_linked(1, 0)).is_some()
    }
}

impl Deref for Pair {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Pair {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}
