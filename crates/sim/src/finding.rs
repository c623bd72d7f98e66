//! Networks too large for anybody to know all of it: laid out, and asked for members.

use std::collections::BTreeSet;

use meshline_mesh::{Command as Mesh, Config, Input as MeshInput, Reply as MeshReply, RequestId, Sought};
use meshline_protocol::{Code, NodeId};
use meshline_services::{Command, Input, Reply};

use crate::config::address;
use crate::world::World;

/// Names a question whose answer comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked(u64);

impl World {
    /// Adds nodes, each with cables to the next ones on the ring of ids and to random ones, `degree` on the average. They
    /// know the addresses of those and dial nobody else.
    pub fn add_wide(&mut self, nodes: usize, degree: usize, configure: impl Fn(&mut Config)) {
        let first = self.len();
        for _ in 0..nodes {
            self.add(|config| {
                config.punch = false;
                configure(config);
            });
        }
        let mut order: Vec<usize> = (first..self.len()).collect();
        order.sort_by_key(|node| self.id(*node));
        let following = order.iter().copied().cycle().skip(1);
        let mut cables: BTreeSet<(usize, usize)> =
            order.iter().zip(following).map(|(one, other)| ((*one).min(other), (*one).max(other))).collect();
        let wanted = (nodes * degree / 2).min(nodes * nodes.saturating_sub(1) / 2);
        while cables.len() < wanted {
            let (one, other) = (first + self.rng.index(nodes), first + self.rng.index(nodes));
            if one != other {
                cables.insert((one.min(other), one.max(other)));
            }
        }
        for (one, other) in &cables {
            self.edit(*one, |config, _| config.peers.push(address(*other)));
            self.edit(*other, |config, _| config.peers.push(address(*one)));
        }
        self.lay_cables(&cables.into_iter().collect::<Vec<_>>());
    }

    fn ask(&mut self, node: usize, command: Mesh) -> Asked {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.stack_input(node, Input::Command { request, command: Command::Mesh(command) });
        Asked(request.0)
    }

    /// Has a node look for a member.
    pub fn seek(&mut self, node: usize, sought: Sought) -> Asked {
        self.ask(node, Mesh::Find(sought))
    }

    /// Has a node ask another one for an echo.
    pub fn seek_echo(&mut self, node: usize, to: usize) -> Asked {
        let to = self.id(to);
        self.ask(node, Mesh::Probe { to, path: Vec::new() })
    }

    /// Tells a node that its tunnels send to a member.
    pub fn use_member(&mut self, node: usize, to: usize) {
        let to = self.id(to);
        self.input(node, MeshInput::DestinationUsed(to));
    }

    /// What became of a question; `None` while it is open. An echo finds nobody.
    #[must_use]
    pub fn sought(&self, node: usize, asked: Asked) -> Option<Result<Vec<NodeId>, Code>> {
        match self.host(node).replies.get(&asked.0)? {
            Reply::Mesh(MeshReply::Found(found)) => Some(Ok(found.clone())),
            Reply::Mesh(MeshReply::Pong { .. }) => Some(Ok(Vec::new())),
            Reply::Mesh(MeshReply::Refused { code, .. }) => Some(Err(*code)),
            Reply::Mesh(_) | Reply::Chat(_) | Reply::Discovery(_) => None,
        }
    }
}
