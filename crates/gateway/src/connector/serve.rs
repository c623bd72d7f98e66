//! A service by its name: of those that offer it the nearest that answers, and the next one when it does not.

use meshline_protocol::opening::OpenStream;
use meshline_protocol::{Code, NodeId, ServiceKind, ServiceName};

use super::{Connected, Connector};
use crate::directory::{Offer, find, label};
use crate::limits::MAX_CANDIDATES;
use crate::refusal::{Refusal, refuse};
use crate::service_word::ServiceWord;

/// Kinds of a name that a refusal lists.
const MAX_KINDS_TOLD: usize = 8;

impl Connector {
    /// What a word that is kept means now: an error if nobody offers it so, `false` if nobody offers it at all.
    pub(crate) async fn is_offered(&self, word: &ServiceWord) -> Result<bool, Refusal> {
        let at = word.at.as_deref().map(|at| self.member_at(at)).transpose()?;
        let offers = self.directory.offers(&word.name).await;
        if offers.is_empty() {
            return Ok(false);
        }
        wanted(word, at, offers).map(|_| true)
    }

    /// Connects to a service.
    pub(super) async fn serve(&self, word: &ServiceWord, mut wish: OpenStream) -> Result<Connected, Refusal> {
        wish.service = Some(word.name.clone());
        let at = word.at.as_deref().map(|at| self.member_at(at)).transpose()?;
        let offers = self.directory.offers(&word.name).await;
        if offers.is_empty() {
            return self.serve_unlisted(word, at, &wish).await;
        }
        let wanted = wanted(word, at, offers)?;
        let has_failed = |id: &NodeId| self.lock().has_failed(&word.name, *id);
        let order = order(&wanted, has_failed);
        if order.is_empty() {
            if wanted.iter().any(|offer| offer.cost_us == Some(0)) {
                let why =
                    format!("{} is offered by this member alone: use it on this host, without the mesh", word.name);
                return Err(refuse(Code::NoRoute, why));
            }
            let who: Vec<String> =
                wanted.iter().take(4).map(|offer| label(self.directory.as_ref(), offer.member)).collect();
            let why = format!("{} is offered by {}, and no way leads there", word.name, who.join(", "));
            return Err(refuse(Code::NoRoute, why));
        }
        self.first_of(order, &wish, Some(&word.name)).await
    }

    fn member_at(&self, at: &str) -> Result<NodeId, Refusal> {
        if let Some(own) = self.directory.meant_own(at) {
            return Ok(own);
        }
        let nobody = || refuse(Code::NoSuchPeer, format!("nobody is called {at}"));
        find(&self.directory.members(), at)?.ok_or_else(nobody)
    }

    /// A service that nobody tells of may be exposed all the same: whoever is in reach is asked.
    async fn serve_unlisted(
        &self,
        word: &ServiceWord,
        at: Option<NodeId>,
        wish: &OpenStream,
    ) -> Result<Connected, Refusal> {
        if let Some(at) = at {
            return self.first_of(vec![at], wish, None).await;
        }
        let name = word.name.as_str();
        if wish.target.is_none() && find(&self.directory.members(), name)?.is_some() {
            return Err(refuse(
                Code::InvalidMessage,
                format!("{name} is a member: say what to connect to there, as in `connect {name} 127.0.0.1:22`"),
            ));
        }
        self.search(wish).await
    }
}

/// Offers of the kind and member that are wanted. Without a kind all have to be of the same.
fn wanted(word: &ServiceWord, at: Option<NodeId>, offers: Vec<Offer>) -> Result<Vec<Offer>, Refusal> {
    let name = &word.name;
    let fits = |offer: &Offer| {
        word.kind.as_ref().is_none_or(|kind| offer.kind == *kind) && at.is_none_or(|at| offer.member == at)
    };
    let (wanted, others): (Vec<Offer>, Vec<Offer>) = offers.into_iter().partition(fits);
    match kinds(name, &wanted).as_slice() {
        [] => {
            let there = kinds(name, &others).join(", ");
            let why = match &word.at {
                Some(at) => format!("{at} does not offer {name}{}; others offer {there}", of_kind(word)),
                None => format!("{name} is offered, but as {there}"),
            };
            Err(refuse(Code::NoSuchPeer, why))
        }
        [_] => Ok(wanted),
        several => Err(refuse(Code::InvalidMessage, format!("{name} may be any of {}: say which", several.join(", ")))),
    }
}

fn of_kind(word: &ServiceWord) -> String {
    word.kind.as_ref().map_or_else(String::new, |kind| format!(".{kind}"))
}

/// Under which kinds a name is offered, each once: so many as can be read in a line.
fn kinds(name: &ServiceName, offers: &[Offer]) -> Vec<String> {
    let mut kinds: Vec<&ServiceKind> = offers.iter().map(|offer| &offer.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.into_iter().take(MAX_KINDS_TOLD).map(|kind| format!("{name}.{kind}")).collect()
}

/// Whom to ask, in order; what is on this member itself is no way through the mesh.
fn order(offers: &[Offer], has_failed: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
    let mut reached: Vec<&Offer> = offers.iter().filter(|offer| offer.cost_us.is_some_and(|cost| cost > 0)).collect();
    reached
        .sort_by_key(|offer| (offer.is_down, has_failed(&offer.member), offer.is_damped, offer.cost_us, offer.member));
    reached.into_iter().map(|offer| offer.member).take(MAX_CANDIDATES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> NodeId {
        NodeId::from_bytes([number; 32])
    }

    fn offer(member: u8, kind: &str, cost_us: Option<u64>) -> Offer {
        let kind = kind.parse().expect("a kind");
        Offer { member: id(member), kind, is_down: false, is_damped: false, cost_us }
    }

    fn word(text: &str) -> ServiceWord {
        text.parse().expect("a word")
    }

    #[test]
    fn the_nearest_that_answers_comes_first_and_who_failed_last() {
        let mut offers: Vec<Offer> =
            (1..=6).map(|number| offer(number, "_http._tcp", Some(u64::from(number) * 10))).collect();
        offers[0].is_down = true;
        offers[1].is_damped = true;
        offers[2].cost_us = None;
        offers[3].cost_us = Some(0);
        assert_eq!(order(&offers, |_| false), [id(5), id(6), id(2), id(1)]);
        assert_eq!(order(&offers, |member| *member == id(5)), [id(6), id(2), id(5), id(1)]);
        let many: Vec<Offer> = (0..20).map(|number| offer(number, "_http._tcp", Some(1))).collect();
        assert_eq!(order(&many, |_| false).len(), MAX_CANDIDATES);
    }

    #[test]
    fn services_of_two_kinds_under_one_name_are_not_the_same() {
        let offers = || vec![offer(1, "_http._tcp", Some(1)), offer(2, "_ssh._tcp", Some(1))];
        let refusal = wanted(&word("box"), None, offers()).expect_err("two kinds");
        assert_eq!(refusal.code, Code::InvalidMessage);
        assert_eq!(refusal.detail, "box may be any of box._http._tcp, box._ssh._tcp: say which");
        assert_eq!(wanted(&word("box._ssh._tcp"), None, offers()).expect("one").len(), 1);
        assert_eq!(wanted(&word("box"), Some(id(1)), offers()).expect("one").len(), 1);
        let refusal = wanted(&word("box._ipp._tcp"), None, offers()).expect_err("none");
        assert_eq!(refusal.code, Code::NoSuchPeer);
        assert_eq!(refusal.detail, "box is offered, but as box._http._tcp, box._ssh._tcp");
        let refusal = wanted(&word("box._ssh._tcp@bobby"), Some(id(1)), offers()).expect_err("another kind");
        assert_eq!(refusal.detail, "bobby does not offer box._ssh._tcp; others offer box._http._tcp, box._ssh._tcp");
    }
}
