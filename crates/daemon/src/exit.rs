//! How a program ends: the six exit codes, and the error that carries one of them.
//!
//! A program returns its error as it is; [`Exit::of`] finds the code in the chain of causes. Whatever
//! carries none is an ordinary failure.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::log::LogError;

/// The exit codes that all five programs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed.
    Failed,
    /// 2: wrong usage or invalid configuration.
    Usage,
    /// 3: the daemon cannot be reached.
    NoDaemon,
    /// 4: no such peer, or it cannot be reached.
    NoPeer,
    /// 5: refused by policy.
    Refused,
}

impl Exit {
    /// The number the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoDaemon => 3,
            Self::NoPeer => 4,
            Self::Refused => 5,
        }
    }

    /// The code of an error, given with all its causes (`anyhow::Error::chain`).
    pub fn of<'a>(chain: impl Iterator<Item = &'a (dyn Error + 'static)>) -> Self {
        chain.filter_map(Self::of_one).next().unwrap_or(Self::Failed)
    }

    fn of_one(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return Some(stop.exit);
        }
        (error.is::<ConfigError>() || error.is::<LogError>()).then_some(Self::Usage)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error with its causes, as the user reads it (`anyhow::Error::chain`). Many say their cause themselves: that is not
/// said again.
pub fn told<'a>(chain: impl Iterator<Item = &'a (dyn Error + 'static)>) -> String {
    let mut text = String::new();
    for cause in chain.map(ToString::to_string) {
        if !text.ends_with(&cause) {
            let gap = if text.is_empty() { "" } else { ": " };
            text = text + gap + &cause;
        }
    }
    text
}

/// Ends the program with a message and a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The code.
    pub exit: Exit,
    /// What the user reads.
    pub message: String,
    /// The name of the refusal (`no_ledger`), where a member refused.
    pub refusal: Option<String>,
}

impl Stop {
    /// An end with any code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), refusal: None }
    }

    /// An end for wrong usage or invalid configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for Stop {}

#[cfg(test)]
mod tests;
