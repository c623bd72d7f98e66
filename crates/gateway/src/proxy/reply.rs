//! Refusals in the words of SOCKS5 (RFC 1928, 6) and HTTP.

use meshline_protocol::Code;

/// The reply field of a SOCKS5 answer.
pub(super) fn socks5(code: Code) -> u8 {
    match status(code) {
        403 => 2,
        404 | 504 => 4,
        502 if code == Code::TargetRefused => 5,
        502 => 4,
        400 => 7,
        _ => 1,
    }
}

/// The status line of an HTTP answer.
pub(super) fn http(code: Code) -> &'static str {
    match status(code) {
        400 => "400 Bad Request",
        403 => "403 Forbidden",
        404 => "404 Not Found",
        502 => "502 Bad Gateway",
        503 => "503 Service Unavailable",
        _ => "504 Gateway Timeout",
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other refusal means that the way there failed")]
fn status(code: Code) -> u16 {
    match code {
        Code::InvalidMessage => 400,
        Code::Forbidden => 403,
        Code::NoSuchPeer | Code::NoSuchService => 404,
        Code::TooManyStreams | Code::RateLimited => 503,
        Code::TunnelLost | Code::NoRoute => 504,
        _ => 502,
    }
}
