//! What the page and the counters show of the registry.

use meshline_protocol::message::Role;
use meshline_protocol::{Address, Name, NetworkId, NodeId};

use super::Registry;

/// How much the registry holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Live entries.
    pub entries: usize,
    /// Networks with an entry or a revocation.
    pub networks: usize,
    /// Revocations kept.
    pub revocations: usize,
    /// Sequences remembered of entries that are gone.
    pub floors: usize,
}

/// One member for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub id: NodeId,
    /// The name it claims.
    pub name: Name,
    /// What it does.
    pub roles: Vec<Role>,
    /// Where others reach it.
    pub addresses: Vec<Address>,
}

/// One open network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenNetwork {
    /// Its name.
    pub name: String,
    /// How many members it has.
    pub members: usize,
    /// The first of them.
    pub rows: Vec<Row>,
}

/// Everything a stranger may see: open networks, and of closed ones how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Some open networks, by name.
    pub open: Vec<OpenNetwork>,
    /// Open networks beyond those.
    pub more_open: usize,
    /// Closed networks with members.
    pub closed_networks: usize,
    /// Members of closed networks.
    pub closed_members: usize,
}

impl Registry {
    /// How much it holds.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            entries: self.slots.len(),
            networks: self.networks.len(),
            revocations: self.revocations,
            floors: self.floors.len(),
        }
    }

    /// What a stranger may see, with at most `networks` networks and `rows` members of each.
    #[must_use]
    pub fn overview(&self, networks: usize, rows: usize) -> Overview {
        let mut overview = Overview::default();
        for held in self.networks.iter().filter(|held| held.len() > 0) {
            let entries = held.members.iter().filter_map(|slot| self.slots.get(*slot));
            match &held.id {
                NetworkId::Closed(_) => {
                    overview.closed_networks += 1;
                    overview.closed_members += held.len();
                }
                NetworkId::Open(_) if overview.open.len() >= networks => overview.more_open += 1,
                NetworkId::Open(name) => overview.open.push(OpenNetwork {
                    name: name.to_string(),
                    members: held.len(),
                    rows: entries.take(rows).filter_map(Row::of).collect(),
                }),
            }
        }
        overview
    }
}

impl Row {
    fn of(entry: &super::Entry) -> Option<Self> {
        let facts = entry.facts()?;
        let addresses = facts.addresses().collect();
        Some(Self { id: entry.id, name: facts.name, roles: facts.roles, addresses })
    }
}
