//! The first message of each side: writing ours, judging theirs.

use std::sync::Arc;

use meshline_identity::{Member, RecordError, admit_by};
use meshline_protocol::limits::{MAX_REVOCATIONS, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};
use meshline_protocol::message::Hello;
use meshline_protocol::{Code, Fault, NodeId, Ping, UnixMicros};

use crate::gossip::Known;
use crate::shared::Shared;

/// What the program calls itself.
const AGENT: &str = concat!("meshline/", env!("CARGO_PKG_VERSION"));

/// What becomes of a hello.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// A member, to be linked.
    Accept(Arc<Member>),
    /// Refused, with the reason for the peer.
    Refuse(Fault),
}

/// Our own hello.
pub(crate) fn hello(shared: &Shared) -> Hello {
    Hello {
        network: shared.config.network.clone(),
        version: PROTOCOL_VERSION,
        id: shared.id,
        time: shared.now.wall,
        ping: Ping::UNKNOWN,
        announcement: shared.announcement.clone(),
        encoding: shared.config.encoding,
        revocations: u16::try_from(shared.revoked.len().min(MAX_REVOCATIONS)).unwrap_or(0),
        agent: AGENT.to_owned(),
    }
}

/// What can be judged as soon as the hello is there: network, version and who it is. Network and version come
/// first, so that a stranger learns no more than that it is in the wrong place.
pub(crate) fn check_header(shared: &Shared, hello: &Hello, proved: Option<NodeId>) -> Result<(), Fault> {
    if hello.network != shared.config.network {
        return Err(Fault::new(Code::WrongNetwork, "this is another network"));
    }
    if hello.version < PROTOCOL_VERSION_MIN {
        return Err(Fault::new(
            Code::WrongVersion,
            format!("version {} or later is spoken here", PROTOCOL_VERSION_MIN),
        ));
    }
    if proved.is_some_and(|proved| proved != hello.id) || hello.announcement.by != hello.id {
        return Err(Fault::new(Code::IdentityMismatch, "the hello names another key than the one proved"));
    }
    if hello.id == shared.id {
        return Err(Fault::new(Code::SelfConnection, "this is yourself"));
    }
    if usize::from(hello.revocations) > MAX_REVOCATIONS {
        return Err(Fault::new(Code::InvalidMessage, format!("more than {MAX_REVOCATIONS} revocations")));
    }
    Ok(())
}

/// Judges a hello whose revocations have all been taken in. The peer's clock is heard first: it may be ours
/// that is wrong.
pub(crate) fn judge(shared: &mut Shared, hello: &Hello, known: Option<&Known>) -> Verdict {
    let refused = |error: RecordError| Verdict::Refuse(Fault::new(error.code(), error.to_string()));
    // Signed by the right keys, its dates aside: good enough for a vote on the time. Signatures that were checked
    // before, in gossip for instance, are not checked again.
    let member = match known.and_then(|known| known.judged_before(&hello.announcement)) {
        Some(member) => member,
        None => {
            let (config, never) = (&shared.config, UnixMicros::new(0));
            match admit_by(&config.verifier, &hello.announcement, &config.network, &shared.revoked, never) {
                Ok(member) => member,
                Err(error) => return refused(error),
            }
        }
    };
    shared.clock.vote(hello.id, hello.time.since(shared.now.wall));
    if member.expires <= shared.judged() {
        return refused(RecordError::Expired);
    }
    if known.is_some_and(|known| member.seq < known.member.seq) {
        return Verdict::Refuse(Fault::new(Code::RecordOutdated, "a newer announcement of this member is known"));
    }
    Verdict::Accept(member)
}
