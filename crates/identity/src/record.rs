//! The one form of signed records: making and checking.

use meshline_protocol::message::RecordText;
use meshline_protocol::{Code, NetworkId, SignedRecord, UnixMicros};

use crate::keys::KeyPair;
use crate::verifier::Verifier;

/// Why a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The signature does not fit the text and the author.
    #[error("the signature does not fit the text and its author")]
    BadSignature,
    /// The signed text is not of the form its place demands.
    #[error("the signed text is not a record of the type expected here")]
    WrongForm,
    /// It belongs to another network, or its author may not say this.
    #[error("the record belongs to another network, member or author")]
    Foreign,
    /// Its validity has ended.
    #[error("the record has expired")]
    Expired,
    /// A newer one is known.
    #[error("a newer record of this author is known")]
    Outdated,
    /// A closed network and no membership in it.
    #[error("no membership record of this network")]
    NotMember,
    /// The membership was revoked.
    #[error("the membership was revoked")]
    Revoked,
    /// No room for another record of this kind.
    #[error("no room for another record of this kind")]
    Full,
}

impl RecordError {
    /// The name of the refusal on the wire.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::BadSignature => Code::BadSignature,
            Self::WrongForm => Code::InvalidMessage,
            Self::Foreign => Code::RecordForeign,
            Self::Expired => Code::RecordExpired,
            Self::Outdated => Code::RecordOutdated,
            Self::NotMember => Code::NotMember,
            Self::Revoked => Code::Revoked,
            Self::Full => Code::RateLimited,
        }
    }
}

/// Signs a text.
///
/// # Errors
/// Only if the text cannot be written as JSON, which the types of the wire always can.
pub fn sign<T: RecordText>(text: &T, key: &KeyPair) -> Result<SignedRecord, serde_json::Error> {
    let signed = serde_json::to_string(text)?;
    let sig = key.sign_bytes(signed.as_bytes());
    Ok(SignedRecord { signed, by: key.id(), sig })
}

/// Checks a record: signature over the exact bytes first, then form, type, network and validity at `now`.
///
/// # Errors
/// The first check that failed. Nothing of a refused record is returned.
pub fn verify<T: RecordText>(record: &SignedRecord, network: &NetworkId, now: UnixMicros) -> Result<T, RecordError> {
    verify_by(&Verifier::default(), record, network, now)
}

/// The same, with signatures checked by `verifier`.
pub(crate) fn verify_by<T: RecordText>(
    verifier: &Verifier,
    record: &SignedRecord,
    network: &NetworkId,
    now: UnixMicros,
) -> Result<T, RecordError> {
    if !verifier.verify(&record.by, record.signed.as_bytes(), &record.sig) {
        return Err(RecordError::BadSignature);
    }
    read(record, network, now)
}

/// The same, but for the signature: what a text says that somebody may have made up.
pub(crate) fn read<T: RecordText>(
    record: &SignedRecord,
    network: &NetworkId,
    now: UnixMicros,
) -> Result<T, RecordError> {
    let text: T = serde_json::from_str(&record.signed).map_err(|_| RecordError::WrongForm)?;
    if text.kind() != T::TYPE {
        return Err(RecordError::WrongForm);
    }
    if text.network() != network {
        return Err(RecordError::Foreign);
    }
    if text.expires() <= now {
        return Err(RecordError::Expired);
    }
    Ok(text)
}
