//! The names of refusals: what an `error` message, a log line and a counter call the same thing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why something was refused or a link was closed. Unknown codes of newer peers read as [`Code::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
            /// A code this version does not know.
            #[serde(other)]
            Other,
        }

        impl Code {
            /// Every code with a name of its own.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The name on the wire, in logs and in metrics.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)*
                    Code::Other => "other",
                }
            }
        }
    };
}

codes! {
    /// A line or BSON document longer than the limit in force.
    FrameTooLong = "frame_too_long",
    /// `len` above the limit for raw bodies.
    BodyTooLong = "body_too_long",
    /// The line is not UTF-8.
    InvalidUtf8 = "invalid_utf8",
    /// The line is not one JSON object (or the document is not BSON).
    InvalidFrame = "invalid_frame",
    /// Nested deeper than [`crate::limits::MAX_DEPTH`].
    TooDeep = "too_deep",
    /// A known message with a missing, doubled, mistyped or out-of-range member.
    InvalidMessage = "invalid_message",
    /// A valid message that has no place in the present state.
    UnexpectedMessage = "unexpected_message",
    /// Plain JSON sent to a port that wants TLS.
    TlsRequired = "tls_required",
    /// The TLS handshake failed.
    TlsFailed = "tls_failed",
    /// The handshake did not end in time.
    HandshakeTimeout = "handshake_timeout",
    /// A frame came in slower than the least rate.
    FrameTimeout = "frame_timeout",
    /// The peer did not take what it was sent.
    SlowReader = "slow_reader",
    /// The peer stopped answering.
    LinkTimeout = "link_timeout",
    /// The transport reported the end of the connection.
    ConnectionLost = "connection_lost",
    /// The address could not be connected to.
    Unreachable = "unreachable",
    /// Another network.
    WrongNetwork = "wrong_network",
    /// A version that is no longer, or not yet, spoken.
    WrongVersion = "wrong_version",
    /// The peer proved one key and claims another, or another peer answered than the one dialled.
    IdentityMismatch = "identity_mismatch",
    /// We reached ourselves.
    SelfConnection = "self_connection",
    /// The member is linked already and the rule for duplicates keeps the other link.
    DuplicateLink = "duplicate_link",
    /// No room for another link.
    TooManyLinks = "too_many_links",
    /// Too many connections without a hello.
    TooManyHandshakes = "too_many_handshakes",
    /// A closed network and no membership record.
    NotMember = "not_member",
    /// The membership was revoked.
    Revoked = "revoked",
    /// A record whose signature does not fit its text and author.
    BadSignature = "bad_signature",
    /// A record whose validity has ended.
    RecordExpired = "record_expired",
    /// A record older than one already known.
    RecordOutdated = "record_outdated",
    /// A record of another network, author or type than its place demands.
    RecordForeign = "record_foreign",
    /// More messages of a kind than the rate allows.
    RateLimited = "rate_limited",
    /// No way leads to the member, or it broke.
    NoRoute = "no_route",
    /// A record from a time that has not come yet, by the members' clocks.
    RecordEarly = "record_early",
    /// Something could not be kept on disk, and was therefore not done.
    StorageFailed = "storage_failed",
    /// More faults than a link may have.
    TooManyFaults = "too_many_faults",
    /// The sender leaves.
    ShuttingDown = "shutting_down",
    /// The link is not wanted any more.
    NotNeeded = "not_needed",
    /// The proxy does not know the member or cannot reach it.
    NoSuchPeer = "no_such_peer",
    /// The ticket is unknown, used or over.
    BadTicket = "bad_ticket",
    /// A proxy was asked to join two members and no ticket came.
    NoGrant = "no_grant",
    /// Configuration or role forbids it.
    Forbidden = "forbidden",
    /// What came through a tunnel breaks its rules.
    InvalidTunnel = "invalid_tunnel",
    /// The other end of a tunnel has forgotten it, or does not answer.
    TunnelLost = "tunnel_lost",
    /// The member offers no service of this name, or not to us.
    NoSuchService = "no_such_service",
    /// The target refused the connection.
    TargetRefused = "target_refused",
    /// The target could not be reached, or its name not be found.
    TargetUnreachable = "target_unreachable",
    /// No room for another stream, connection or listener.
    TooManyStreams = "too_many_streams",
    /// No room for another service in the directory, or more than one member may offer.
    TooManyServices = "too_many_services",
}
