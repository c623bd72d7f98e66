//! Why the registry says no, each reason with the one name it has in answers, logs and counters.

use meshline_identity::RecordError;
use meshline_protocol::Code;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The signed record does not hold.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The server is set to serve certain networks, and this is not one of them.
    #[error("this server does not serve that network")]
    NetworkNotServed,
    /// The record was signed by another key than the one it is used for.
    #[error("the record was signed by another member")]
    NotYours,
    /// No live entry of that member.
    #[error("no entry of that member in that network")]
    NoSuchEntry,
    /// The refresh secret is not the entry's.
    #[error("the refresh secret is not the one of the last announcement")]
    WrongSecret,
    /// The list of a closed network, asked for without the secret of a live entry.
    #[error("the list of a closed network is for its members: send the refresh secret as bearer token")]
    MembersOnly,
    /// One key with entries in more networks than allowed.
    #[error("this key has entries in as many networks as one key may")]
    TooManyPerKey,
    /// One address with more entries than allowed.
    #[error("this address has as many entries as one address may")]
    TooManyPerAddress,
    /// As many entries as the server takes.
    #[error("the server has as many entries as it takes")]
    ServerFull,
}

impl Refusal {
    /// The name of the reason; that of [`Code`] where the wire has one.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Record(RecordError::Full) | Self::ServerFull => "server_full",
            Self::Record(error) => error.code().name(),
            Self::NetworkNotServed => Code::WrongNetwork.name(),
            Self::NotYours => Code::IdentityMismatch.name(),
            Self::NoSuchEntry => Code::NoSuchPeer.name(),
            Self::WrongSecret => Code::Forbidden.name(),
            Self::MembersOnly => Code::NotMember.name(),
            Self::TooManyPerKey => "too_many_per_key",
            Self::TooManyPerAddress => "too_many_per_address",
        }
    }
}
