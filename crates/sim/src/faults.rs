//! What is done to nodes and to the network between them.

use meshline_mesh::Command;
use meshline_services::Command as StackCommand;

use crate::world::World;

impl World {
    /// Kills the process of a node: its host ends its connections.
    pub fn kill(&mut self, node: usize) {
        self.trace(|| format!("node {node} is killed"));
        let run = self.run_of(node);
        if self.host_mut(node).stack.take().is_none() {
            return;
        }
        self.set_timer(node);
        let (own, carried) = self.network.links_of(run);
        for link in own {
            self.close_end(link);
        }
        for link in carried {
            self.break_end(link);
        }
        self.forget_relays(run);
        self.udp.close_all(node);
    }

    /// Takes the power from a node's host: nobody is told anything.
    pub fn power_off(&mut self, node: usize) {
        let host = self.host_mut(node);
        host.stack = None;
        host.powered = false;
        self.set_timer(node);
    }

    /// Stops a node as its user would: it says goodbye.
    pub fn stop(&mut self, node: usize) {
        self.command(node, StackCommand::Mesh(Command::Leave));
        self.kill(node);
    }

    /// Kills a node and starts it at once.
    pub fn restart(&mut self, node: usize) {
        self.kill(node);
        self.start(node);
    }

    /// From now on there are cables between these pairs of nodes only.
    pub fn lay_cables(&mut self, pairs: &[(usize, usize)]) {
        self.network.lay(pairs);
    }

    /// What the cable between two nodes adds to the latency, one way, in microseconds.
    pub fn set_distance(&mut self, one: usize, other: usize, micros: u64) {
        self.set_way(one, other, micros);
        self.set_way(other, one, micros);
    }

    /// The same in one direction only.
    pub fn set_way(&mut self, from: usize, to: usize, micros: u64) {
        self.network.set_distance(from, to, micros);
    }

    /// Parts two sets of nodes from each other. What is sent meanwhile arrives after [`World::heal`].
    pub fn part(&mut self, one: &[usize], other: &[usize]) {
        self.mute(one, other);
        self.mute(other, one);
    }

    /// Nothing from one set of nodes reaches the other any more.
    pub fn mute(&mut self, from: &[usize], to: &[usize]) {
        for from in from {
            for to in to {
                self.network.block(*from, *to);
            }
        }
    }

    /// Ends all partings.
    pub fn heal(&mut self) {
        self.network.heal(self.now, &mut self.rng, &mut self.schedule);
    }

    /// Cuts the connections between two nodes, as an address translation does that forgot them: nothing arrives on
    /// them any more, nobody is told, and new ones can be made.
    pub fn cut(&mut self, one: usize, other: usize) {
        self.network.cut(one, other);
    }
}
