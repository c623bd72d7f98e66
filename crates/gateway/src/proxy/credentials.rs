//! Who may use the proxy.

use std::fmt;

use meshline_protocol::Code;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refusal::{Refusal, refuse};

/// Longest user or password in bytes (RFC 1929).
const MAX_LENGTH: usize = 255;

/// A user and a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The user, 1 to 255 bytes without ':'.
    pub user: String,
    /// The password, 1 to 255 bytes.
    pub password: String,
}

impl Credentials {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let is_fit = |text: &str| (1..=MAX_LENGTH).contains(&text.len());
        if is_fit(&self.user) && is_fit(&self.password) && !self.user.contains(':') {
            return Ok(());
        }
        Err(refuse(Code::InvalidMessage, "users and passwords have 1 to 255 bytes, and users no ':'"))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whether somebody has that name and password. Every pair is compared whole, so that the time says nothing.
pub(super) fn are_known(users: &[Credentials], user: &[u8], password: &[u8]) -> bool {
    users
        .iter()
        .fold(false, |known, one| known | (same(one.user.as_bytes(), user) & same(one.password.as_bytes(), password)))
}

fn same(secret: &[u8], given: &[u8]) -> bool {
    let difference = secret
        .iter()
        .enumerate()
        .fold(0, |difference, (at, byte)| difference | (byte ^ given.get(at).copied().unwrap_or(!byte)));
    difference == 0 && secret.len() == given.len()
}
