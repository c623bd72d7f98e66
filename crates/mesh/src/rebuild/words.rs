//! All records about choosing links anew that are held: judged, kept, named.

use meshline_identity::{RebuildRecord, RebuildWord, judge_rebuild};
use meshline_protocol::{Code, NodeId, SignedRecord, UnixMicros};

use super::orders::{Orders, Taken};
use super::proposals::Proposals;
use crate::shared::Shared;

/// The records held.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) orders: Orders,
    pub(crate) proposals: Proposals,
}

impl Words {
    /// Takes in a record that was judged.
    pub(crate) fn put(&mut self, judged: RebuildRecord, record: &SignedRecord) -> Taken {
        match judged.word {
            RebuildWord::Proposal(proposal) => self.proposals.put(proposal, record),
            RebuildWord::Order(_) | RebuildWord::Abort(_) => self.orders.put(judged, record),
        }
    }

    /// The record that was signed with this key and sequence, if it is held.
    pub(crate) fn named(&self, by: &NodeId, seq: UnixMicros) -> Option<&SignedRecord> {
        self.orders.named(by, seq).or_else(|| self.proposals.named(by, seq))
    }

    /// Whether a record need not be asked for.
    pub(crate) fn has(&self, by: &NodeId, seq: UnixMicros) -> bool {
        self.named(by, seq).is_some() || self.proposals.has_newer(by, seq)
    }

    /// The names of all.
    pub(crate) fn names(&self) -> Vec<(NodeId, UnixMicros)> {
        let records = self.orders.records().chain(self.proposals.records());
        records.map(|(seq, record)| (record.by, seq)).collect()
    }

    /// A member was expelled.
    pub(crate) fn forget(&mut self, by: &NodeId) {
        self.orders.forget(by);
        self.proposals.forget(by);
    }
}

/// Judges a record by the members' time. One that was not signed yet is refused: it would win over those that were.
pub(crate) fn judged(record: &SignedRecord, shared: &Shared) -> Result<RebuildRecord, Code> {
    let config = &shared.config;
    let judged = judge_rebuild(&config.verifier, record, &config.network, &shared.revoked, shared.judged());
    let judged = judged.map_err(meshline_identity::RecordError::code)?;
    if crate::broadcast::is_plausible(judged.seq(), shared) { Ok(judged) } else { Err(Code::RecordEarly) }
}
