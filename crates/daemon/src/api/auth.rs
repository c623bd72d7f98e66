//! Who may call what: the token, and the checks that keep foreign web pages out.

use std::path::{Path, PathBuf};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;

use super::Api;
use super::problem::Problem;
use crate::files::{self, Access, FileError};

/// The secret of the local API, kept in `data_dir/api.token` over restarts.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// Why there is no token.
pub type TokenError = FileError;

impl Token {
    /// Where the token of a member with this data folder is.
    #[must_use]
    pub fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("api.token")
    }

    /// Reads the token.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(data_dir: &Path) -> Result<Self, TokenError> {
        files::read(&Self::path(data_dir)).map(|text| Self(text.trim().to_owned()))
    }

    /// Reads the token, or makes one at the first start.
    ///
    /// # Errors
    /// If the file can be neither read nor made.
    pub fn read_or_make(data_dir: &Path) -> Result<Self, TokenError> {
        match Self::read(data_dir) {
            Ok(token) if !token.0.is_empty() => Ok(token),
            Ok(_) => Self::make(data_dir),
            Err(error) if error.is_missing() => Self::make(data_dir),
            Err(error) => Err(error),
        }
    }

    fn make(data_dir: &Path) -> Result<Self, TokenError> {
        let token = BASE64URL_NOPAD.encode(&files::random_bytes()?);
        files::write(&Self::path(data_dir), format!("{token}\n").as_bytes(), Access::Private)?;
        Ok(Self(token))
    }

    /// The token itself, for the address that is printed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares without telling by its duration how much was right.
    fn is(&self, given: &str) -> bool {
        let differing = self.0.bytes().zip(given.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        self.0.len() == given.len() && differing == 0
    }
}

/// Refuses what a web page of another origin could send, and what needs the token and has none.
pub(super) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    if api.trusted {
        return next.run(request).await;
    }
    let headers = request.headers();
    if !is_own_host(headers) || !is_own_origin(headers) {
        return Problem::forbidden("the Host or Origin of this request is not this node's own").into_response();
    }
    if needs_token(request.method(), request.uri().path()) && !has_token(headers, &api.token) {
        return Problem::unauthorized().into_response();
    }
    next.run(request).await
}

/// Reading the state is open on loopback; chat, events and whatever changes something is not.
fn needs_token(method: &Method, path: &str) -> bool {
    let reads = *method == Method::GET || *method == Method::HEAD;
    !reads || path.starts_with("/api/v1/chat") || path.starts_with("/api/v1/events")
}

fn has_token(headers: &HeaderMap, token: &Token) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|given| token.is(given.trim()))
}

/// A name that resolves to loopback is not enough (DNS rebinding): the host must be an address or localhost.
fn is_own_host(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    is_own_name(host)
}

fn is_own_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or_default()) else { return true };
    origin.strip_prefix("http://").is_some_and(is_own_name)
        && headers.get(HOST).and_then(|value| value.to_str().ok()) == origin.strip_prefix("http://")
}

fn is_own_name(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::{Method, Token, is_own_name, needs_token};

    #[test]
    fn only_addresses_and_localhost_are_own_names() {
        for own in ["127.0.0.1:7001", "localhost:7001", "[::1]:7001", "10.0.0.5", "localhost"] {
            assert!(is_own_name(own), "{own}");
        }
        for foreign in ["evil.example:7001", "127.0.0.1.evil.example", "", "localhost.evil.example:7001"] {
            assert!(!is_own_name(foreign), "{foreign}");
        }
    }

    #[test]
    fn reading_state_is_open_and_the_rest_needs_the_token() {
        for open in ["/", "/api/v1/status", "/api/v1/peers", "/healthz", "/metrics"] {
            assert!(!needs_token(&Method::GET, open), "{open}");
        }
        assert!(needs_token(&Method::GET, "/api/v1/chat"));
        assert!(needs_token(&Method::GET, "/api/v1/events"));
        assert!(needs_token(&Method::POST, "/api/v1/status"));
    }

    #[test]
    fn a_token_is_itself_and_nothing_else() {
        let token = Token("abc".to_owned());
        assert!(token.is("abc"));
        for wrong in ["", "ab", "abd", "abcd"] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert!(!format!("{token:?}").contains("abc"));
    }
}
