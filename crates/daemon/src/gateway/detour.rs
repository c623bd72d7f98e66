//! `via`: this member's own connections through the exits of others, by the same rules there as a forward's.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meshline_gateway::{Directory, Gateway, Member, Refusal};
use meshline_net::{Detour, Errand, Way};
use meshline_protocol::message::Role;
use meshline_protocol::{Address, Code, NodeId, Target};

use super::roster::Roster;
use crate::config::{NodeConfig, ViaConfig, ViaMember};

/// Says which connections go through whom, and opens those.
pub(super) struct LocalDetour {
    gateway: Arc<Gateway>,
    roster: Arc<Roster>,
    rules: Mutex<Rules>,
}

impl std::fmt::Debug for LocalDetour {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LocalDetour").finish_non_exhaustive()
    }
}

/// What the configuration says.
#[derive(Default)]
struct Rules {
    via: ViaConfig,
    proxies: BTreeSet<Address>,
}

impl Rules {
    fn new(config: &NodeConfig) -> Self {
        Self { via: config.via.clone().unwrap_or_default(), proxies: config.proxies.iter().cloned().collect() }
    }

    /// Through whom it goes.
    fn whom(&self, errand: Errand, address: &Address) -> Option<ViaMember> {
        let rule = match errand {
            Errand::Signal => &self.via.signal,
            Errand::Link(_) if self.proxies.contains(address) => &self.via.proxies,
            Errand::Link(_) => &self.via.peers,
        };
        rule.clone()
    }
}

impl LocalDetour {
    pub(super) fn new(config: &NodeConfig, gateway: &Arc<Gateway>, roster: &Arc<Roster>) -> Self {
        let rules = Mutex::new(Rules::new(config));
        Self { gateway: Arc::clone(gateway), roster: Arc::clone(roster), rules }
    }

    /// For connections from now on.
    pub(super) fn set(&self, config: &NodeConfig) {
        *self.lock() = Rules::new(config);
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn through(&self, errand: Errand, to: &Address, failed: bool) -> Way {
        let Some(whom) = self.lock().whom(errand, to) else { return Way::Straight };
        let expected = if let Errand::Link(expected) = errand { expected } else { None };
        let peer = match self.chosen(&whom, expected, failed) {
            Ok(peer) => peer,
            Err(way) => return way,
        };
        match self.gateway.connect(&peer, Some(Target::Tcp(to.clone()))).await {
            Ok(connected) => Way::Through { by: connected.by, stream: Box::new(connected.stream) },
            Err(Refusal { code: Code::NoRoute, detail }) => Way::Away(away(&whom, &detail)),
            Err(Refusal { code, detail }) => Way::Failed { code, detail: format!("through {whom}: {detail}") },
        }
    }

    /// Who is asked, as the gateway takes it; or what becomes of the connection without asking.
    fn chosen(&self, whom: &ViaMember, expected: Option<NodeId>, failed: bool) -> Result<String, Way> {
        let members = self.roster.members();
        let ViaMember::Member(word) = whom else { return automatic(&members, failed) };
        let word = word.to_string();
        let is_meant = |member: &&Member| member.id.to_string() == word || member.is_name_proved && member.name == word;
        match members.iter().find(is_meant) {
            // What carries the rest has to be reached without it.
            Some(member) if Some(member.id) == expected => Err(Way::Straight),
            Some(member) if member.cost_us.is_some() => Ok(member.id.to_string()),
            Some(_) | None => Err(Way::Away(away(whom, "no way leads there"))),
        }
    }
}

/// Straight first, for a while, if there is anybody to go through then.
fn automatic(members: &[Member], failed: bool) -> Result<String, Way> {
    let is_there = |member: &Member| member.cost_us.is_some() && member.roles.contains(&Role::Exit);
    match (failed, members.iter().any(is_there)) {
        (true, _) => Ok("auto".to_owned()),
        (false, true) => Err(Way::First),
        (false, false) => Err(Way::Straight),
    }
}

fn away(whom: &ViaMember, why: &str) -> String {
    format!("{whom}, through whom it goes (via), is away: {why}")
}

impl Detour for LocalDetour {
    fn open<'a>(
        &'a self,
        errand: Errand,
        to: &'a Address,
        failed: bool,
    ) -> Pin<Box<dyn Future<Output = Way> + Send + 'a>> {
        Box::pin(self.through(errand, to, failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(roles: &[Role], cost_us: Option<u64>) -> Member {
        let id = NodeId::from_bytes([1; 32]);
        Member { id, name: "donald".to_owned(), is_name_proved: true, roles: roles.to_vec(), cost_us }
    }

    #[test]
    fn auto_goes_straight_first_and_at_its_leisure_where_nobody_else_could() {
        let exit = member(&[Role::Node, Role::Exit], Some(1));
        assert!(matches!(automatic(std::slice::from_ref(&exit), false), Err(Way::First)));
        for others in [vec![], vec![member(&[Role::Node], Some(1))], vec![member(&[Role::Exit], None)]] {
            assert!(matches!(automatic(&others, false), Err(Way::Straight)), "{others:?}");
        }
        assert_eq!(automatic(&[exit], true).ok().as_deref(), Some("auto"));
    }
}
