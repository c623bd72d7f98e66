//! Who the members are: asked of the daemon, which knows.

use meshline_protocol::message::Role;
use meshline_protocol::{Code, NodeId, ServiceKind, ServiceName};
use tokio::time::timeout;

use crate::carrier::Task;
use crate::limits::KNOWN_LIMIT;
use crate::refusal::{Refusal, refuse};

/// Fewer characters of an id are not taken for a prefix.
const MIN_PREFIX: usize = 8;

/// What there is to know of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// The name it goes by.
    pub name: String,
    /// Whether the name is the member's alone, as on a closed network; only then may rules name it.
    pub is_name_proved: bool,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Cost of the best way to it in microseconds; `None` if there is no way.
    pub cost_us: Option<u64>,
}

/// A service that a member says it offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who.
    pub member: NodeId,
    /// What is spoken there.
    pub kind: ServiceKind,
    /// Whether its owner found that it does not answer.
    pub is_down: bool,
    /// Whether it comes and goes all the time.
    pub is_damped: bool,
    /// Cost of the best way to the member in microseconds, 0 for this one; `None` if there is no way.
    pub cost_us: Option<u64>,
}

/// Answers from what the daemon knows at the moment, without waiting.
pub trait Directory: Send + Sync + 'static {
    /// All members known, without oneself, in any order.
    fn members(&self) -> Vec<Member>;

    /// Oneself, if it knows.
    fn own(&self) -> Option<(NodeId, String)> {
        None
    }

    /// Oneself, if `text` names that: the name, with or without the piece of the id behind it that open networks show, the id,
    /// or eight or more characters of its beginning.
    fn meant_own(&self, text: &str) -> Option<NodeId> {
        let (id, name) = self.own()?;
        let is_name = name == text || name.rsplit_once('~').is_some_and(|(name, _)| name == text);
        (is_name || (text.len() >= MIN_PREFIX && id.to_string().starts_with(text))).then_some(id)
    }

    /// Ends when there is something new, if ever.
    fn changed(&self) -> Task<'_, ()> {
        Box::pin(std::future::pending())
    }

    /// Who says to offer a service of this name, in any order.
    fn offers<'a>(&'a self, _: &'a ServiceName) -> Task<'a, Vec<Offer>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// One of them.
    fn member(&self, id: NodeId) -> Option<Member> {
        self.members().into_iter().find(|member| member.id == id)
    }
}

/// The one member that `text` names: a name, an id, eight or more characters of its beginning, or both as
/// `name~abcd`. `None` if nobody is called so.
pub(crate) fn find(members: &[Member], text: &str) -> Result<Option<NodeId>, Refusal> {
    if let Ok(id) = text.parse::<NodeId>() {
        return Ok(Some(id));
    }
    if let Some((name, beginning)) = text.rsplit_once('~') {
        let is_it = |member: &&Member| member.name == name && member.id.to_string().starts_with(beginning);
        let mut found = members.iter().filter(is_it).map(|member| member.id);
        return Ok(found.next().filter(|_| found.next().is_none()));
    }
    let exactly = matching(members, |name| name == text, text);
    let found =
        if exactly.is_empty() { matching(members, |name| name.eq_ignore_ascii_case(text), text) } else { exactly };
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        many => {
            let ids: Vec<String> = many.iter().take(4).map(ToString::to_string).collect();
            Err(refuse(Code::NoSuchPeer, format!("{text} may be any of {}", ids.join(", "))))
        }
    }
}

fn matching(members: &[Member], is_name: impl Fn(&str) -> bool, text: &str) -> Vec<NodeId> {
    let is_prefix = |id: NodeId| text.len() >= MIN_PREFIX && id.to_string().starts_with(text);
    members.iter().filter(|member| is_name(&member.name) || is_prefix(member.id)).map(|member| member.id).collect()
}

/// A member that may have been learned of this very moment: the answer may be older than that by a little.
pub(crate) async fn soon(directory: &dyn Directory, id: NodeId) -> Option<Member> {
    let known = async {
        loop {
            let changed = directory.changed();
            if let Some(member) = directory.member(id) {
                return member;
            }
            changed.await;
        }
    };
    timeout(KNOWN_LIMIT, known).await.ok()
}

/// What people call a member: its name if it has one, else the beginning of its id.
pub(crate) fn label(directory: &dyn Directory, id: NodeId) -> String {
    directory.member(id).map(|member| member.name).filter(|name| !name.is_empty()).unwrap_or_else(|| id.short())
}

#[cfg(test)]
mod tests;
