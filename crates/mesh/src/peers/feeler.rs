//! Feelers: short attempts that only show whether a member is where it is said to be.
//!
//! Now and then somebody only heard of is tried, so that the book of those found does not depend on who this node
//! happens to link; and whoever has a place that another one waits for, before it is taken away.

use std::time::Duration;

use meshline_protocol::{Address, Code, NodeId};

use super::{Dialling, Key, MAX_DIALS, Peers};
use crate::input::{DialId, Transport};
use crate::link::Links;
use crate::output::{DialTarget, Output};
use crate::shared::Shared;

/// Between two: it costs both sides a handshake, and finds everybody of a full book within a few days.
const FEELER_PAUSE: Duration = Duration::from_secs(120);

impl Peers {
    /// Tries somebody if it is time.
    pub(super) fn feel(&mut self, shared: &mut Shared, links: &Links) {
        let now = shared.now.mono;
        if !self.set.is_bounded() || now < self.feel_at || self.feeler.is_some() || self.dialling.len() >= MAX_DIALS {
            return;
        }
        self.feel_at = shared.jittered(FEELER_PAUSE);
        let Some(member) = self.book.to_try(shared) else { return };
        if links.any_to(member.id) {
            self.book.note_linked(&member.id, shared.now.wall);
            return;
        }
        let Some(address) = member.addresses.get(shared.below(member.addresses.len())).cloned() else { return };
        let plain = shared.config.plain;
        let transport = if plain { Transport::Plain } else { Transport::Tcp };
        let dial = shared.next_dial();
        let dialling =
            Dialling { key: Key::Member(member.id), address: address.clone(), transport, via: None, met: false };
        self.dialling.insert(dial, dialling);
        self.feeler = Some((dial, member.id));
        let expected = (!plain).then_some(member.id);
        shared.push(Output::Dial { dial, target: DialTarget::Direct { address, expected, plain } });
    }

    /// Somebody answered with a good hello. Says whether that was all there was to find out.
    pub(crate) fn felt(&mut self, dial: Option<DialId>, peer: NodeId, shared: &Shared) -> bool {
        if self.feeler.is_none_or(|feeler| dial != Some(feeler.0) || peer != feeler.1) {
            return false;
        }
        self.feeler = None;
        if let Some(dialled) = dial.and_then(|dial| self.dialling.remove(&dial)) {
            self.note_found(peer, &dialled.address, shared);
        }
        true
    }

    /// A member answered where it was dialled. Who told of it first did something useful: of such as can be made up nobody
    /// is found.
    pub(super) fn note_found(&mut self, id: NodeId, address: &Address, shared: &Shared) {
        if let Some(by) = self.book.note_found(id, address, shared.now.wall) {
            self.set.note_brought(by);
        }
    }

    /// Whether an attempt that failed was only to find out about somebody.
    pub(super) fn feeler_failed(&mut self, dial: DialId, code: Code) -> bool {
        let Some((_, id)) = self.feeler.filter(|(feeler, _)| *feeler == dial) else { return false };
        self.feeler = None;
        self.note_missed(&id, code);
        true
    }

    /// Notes that a member was not where it should be; one that refuses is there.
    pub(super) fn note_missed(&mut self, id: &NodeId, code: Code) {
        let is_absent = matches!(
            code,
            Code::Unreachable
                | Code::ConnectionLost
                | Code::HandshakeTimeout
                | Code::TlsFailed
                | Code::IdentityMismatch
        );
        if is_absent {
            self.book.note_missed(id);
        }
    }
}
