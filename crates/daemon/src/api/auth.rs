//! The token: what the owner of a member knows and nobody else.

use std::path::{Path, PathBuf};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
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

/// Refuses a request without the token. A cookie or the query is no place for it: a foreign page could make a browser
/// send the one, and the other is kept in histories and logs.
pub(super) async fn require_token(State(api): State<Api>, request: Request, next: Next) -> Response {
    if has_token(request.headers(), &api.token) {
        return next.run(request).await;
    }
    Problem::unauthorized().into_response()
}

/// Whether the request bears the token. The name of the scheme has no case (RFC 9110).
pub(super) fn has_token(headers: &HeaderMap, token: &Token) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    given.is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("bearer") && token.is(given.trim()))
}

#[cfg(test)]
mod tests {
    use axum::http::header::AUTHORIZATION;
    use axum::http::{HeaderMap, HeaderValue};

    use super::{Token, has_token};

    #[test]
    fn the_scheme_has_no_case_and_the_token_has() {
        let token = Token("abc".to_owned());
        let has = |value: &'static str| {
            let headers: HeaderMap = [(AUTHORIZATION, HeaderValue::from_static(value))].into_iter().collect();
            has_token(&headers, &token)
        };
        for right in ["Bearer abc", "bearer abc", "BEARER abc", "Bearer  abc"] {
            assert!(has(right), "{right}");
        }
        for wrong in ["Bearer ABC", "Bearer", "abc", "Basic abc", "Bearerabc", "bearer: abc"] {
            assert!(!has(wrong), "{wrong}");
        }
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
