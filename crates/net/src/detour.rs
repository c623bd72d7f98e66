//! Connections of this node's own that go through another member's exit: the place where whoever knows the configuration
//! says which, and carries them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use meshline_protocol::{Address, Code, NodeId};
use tokio::time::timeout;

use crate::connection::Stream;
use crate::tls::ProveError;

/// Addresses of which it is remembered who answered there; enough for every address a node dials.
const MAX_ANSWERED: usize = 1_024;

/// How long an attempt may take that has another behind it: a lost SYN is repeated after a second.
pub(crate) const STRAIGHT_LIMIT: Duration = Duration::from_millis(1_500);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// A link, or the pipe of one; with who is there, as far as anybody knows.
    Link(Option<NodeId>),
    /// Asking a signal server, or for a list.
    Signal,
}

/// Any bytes that another member carries.
pub trait Carried: Stream {}
impl<S: Stream> Carried for S {}

/// What is to become of a connection.
pub enum Way {
    /// It is none of the detour's.
    Straight,
    /// It is tried straight; if that fails within 1.5 s, the detour is asked again.
    First,
    /// It would be, but no way leads to the member it should go through: it is tried straight, because somebody has to be
    /// reached so first. The sentence says who is away.
    Away(String),
    /// It is there.
    Through {
        /// The member that carries it.
        by: NodeId,
        /// Its bytes.
        stream: Box<dyn Carried>,
    },
    /// The member, or its exit, refuses.
    Failed {
        /// The name of the refusal.
        code: Code,
        /// In words.
        detail: String,
    },
}

impl std::fmt::Debug for Way {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Straight => out.write_str("Straight"),
            Self::First => out.write_str("First"),
            Self::Away(who) => out.debug_tuple("Away").field(who).finish(),
            Self::Through { by, .. } => out.debug_tuple("Through").field(by).finish(),
            Self::Failed { code, detail } => out.debug_tuple("Failed").field(code).field(detail).finish(),
        }
    }
}

/// Opens connections through other members.
pub trait Detour: Send + Sync {
    /// How a connection to an address goes. `failed`: straight it did not, after [`Way::First`].
    fn open<'a>(
        &'a self,
        errand: Errand,
        to: &'a Address,
        failed: bool,
    ) -> Pin<Box<dyn Future<Output = Way> + Send + 'a>>;
}

/// The detour in force, if there is one. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Detours(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Weak: it holds what the driver runs.
    detour: Option<Weak<dyn Detour>>,
    /// Who answered last at which address. What leads to a member must not go through it, whatever name it was dialled by.
    answered: BTreeMap<Address, NodeId>,
}

impl Detours {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, detour: Weak<dyn Detour>) {
        self.lock().detour = Some(detour);
    }

    /// Somebody proved who answers there.
    pub(crate) fn answered(&self, address: &Address, id: NodeId) {
        let mut inner = self.lock();
        if inner.answered.len() >= MAX_ANSWERED && !inner.answered.contains_key(address) {
            inner.answered.pop_first();
        }
        inner.answered.insert(address.clone(), id);
    }

    /// Opens a connection as the detour says; `straight` makes one without it.
    pub(crate) async fn open<S, F: Future<Output = Result<S, ProveError>>>(
        &self,
        errand: Errand,
        to: &Address,
        straight: impl Fn() -> F,
    ) -> Result<Opened<S>, ProveError> {
        let mut way = self.way(errand, to, false).await;
        if matches!(way, Way::First) {
            let error = match timeout(STRAIGHT_LIMIT, straight()).await {
                Ok(Ok(stream)) => return Ok(Opened::Straight(stream)),
                Ok(Err(error)) => error,
                Err(_) => ProveError::new(Code::Unreachable, &"no answer"),
            };
            way = match self.way(errand, to, true).await {
                Way::Straight | Way::First => return Err(error),
                Way::Away(who) => return Err(away(&who, &error)),
                way @ (Way::Through { .. } | Way::Failed { .. }) => way,
            };
        }
        match way {
            Way::Straight | Way::First => straight().await.map(Opened::Straight),
            Way::Away(who) => straight().await.map(Opened::Straight).map_err(|error| away(&who, &error)),
            Way::Through { by, stream } => Ok(Opened::Through { by, stream }),
            Way::Failed { code, detail } => Err(ProveError { code, detail }),
        }
    }

    async fn way(&self, errand: Errand, to: &Address, failed: bool) -> Way {
        let (detour, answered) = {
            let inner = self.lock();
            (inner.detour.as_ref().and_then(Weak::upgrade), inner.answered.get(to).copied())
        };
        let errand = if errand == Errand::Link(None) { Errand::Link(answered) } else { errand };
        match detour {
            Some(detour) => detour.open(errand, to, failed).await,
            None => Way::Straight,
        }
    }
}

/// A connection, and whether somebody carries it.
pub(crate) enum Opened<S> {
    Straight(S),
    Through { by: NodeId, stream: Box<dyn Carried> },
}

/// What a straight attempt came to that was only made because somebody is away.
fn away(who: &str, error: &ProveError) -> ProveError {
    ProveError { code: Code::NoRoute, detail: format!("{who}; straight: {} ({})", error.detail, error.code.name()) }
}

#[cfg(test)]
mod tests;
