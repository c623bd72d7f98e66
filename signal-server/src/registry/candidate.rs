//! The checks that need no registry: signature, form, validity. They cost a tenth of a millisecond of arithmetic,
//! so they are made before the registry is locked.

use meshline_identity::{Listing, Member, RecordError, RevocationList, admit_to_list, verify};
use meshline_protocol::message::{Departure, RecordText};
use meshline_protocol::{NetworkId, NodeId, SignedRecord, UnixMicros};
use serde::Deserialize;

use super::Refusal;

/// A member as its announcement describes it, checked in itself; whether it was revoked the registry knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The network it announces itself in.
    pub network: NetworkId,
    /// What the announcement says.
    pub member: Member,
}

impl Candidate {
    /// Checks an announcement at `now`.
    ///
    /// # Errors
    /// The first check of [`admit_to_list`] that failed.
    pub fn check(record: &SignedRecord, now: UnixMicros) -> Result<Self, Refusal> {
        Self::check_all(&[record], now).pop().unwrap_or_else(|| Err(RecordError::WrongForm.into()))
    }

    /// The same for many, whose signatures are checked together: each costs less then.
    #[must_use]
    pub fn check_all(records: &[&SignedRecord], now: UnixMicros) -> Vec<Result<Self, Refusal>> {
        let networks: Vec<Result<NetworkId, Refusal>> = records.iter().map(|record| network_of(record)).collect();
        let both = records.iter().zip(&networks);
        let listings =
            both.filter_map(|(record, network)| network.as_ref().ok().map(|network| Listing { record, network }));
        let verdicts = admit_to_list(&listings.collect::<Vec<_>>(), &RevocationList::default(), now);
        let mut verdicts = verdicts.into_iter();
        // There is one for each whose network is known.
        let mut next = || verdicts.next().unwrap_or(Err(RecordError::WrongForm));
        networks.into_iter().map(|network| network.and_then(|network| Ok(Self { network, member: next()? }))).collect()
    }
}

/// A departure, checked in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaver {
    /// The network it leaves.
    pub network: NetworkId,
    /// Who leaves.
    pub id: NodeId,
    /// The sequence below which its announcements end.
    pub seq: UnixMicros,
}

impl Leaver {
    /// Checks that `record` is a departure of `id` at `now`.
    ///
    /// # Errors
    /// [`Refusal::NotYours`] if somebody else signed it, else the check that failed.
    pub fn check(record: &SignedRecord, id: NodeId, now: UnixMicros) -> Result<Self, Refusal> {
        let network = network_of(record)?;
        let departure: Departure = verify(record, &network, now)?;
        if record.by != id {
            return Err(Refusal::NotYours);
        }
        Ok(Self { network, id, seq: departure.seq() })
    }
}

/// The network a record names. Nothing else of it is read before its signature is verified.
///
/// # Errors
/// If the signed text is not an object that names a network.
pub fn network_of(record: &SignedRecord) -> Result<NetworkId, Refusal> {
    #[derive(Deserialize)]
    struct Scope {
        network: NetworkId,
    }
    let scope: Scope = serde_json::from_str(&record.signed).map_err(|_| RecordError::WrongForm)?;
    Ok(scope.network)
}
