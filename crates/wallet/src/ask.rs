//! Where a passphrase comes from: the environment, or else whoever sits at the terminal.

use std::io;

use zeroize::Zeroizing;

use crate::file::{FileError, Passphrase};

/// The variable of the environment that holds the passphrase.
pub const PASSPHRASE_VARIABLE: &str = "MESHLINE_WALLET_PASSPHRASE";

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody can be asked.
    #[error("no passphrase: {PASSPHRASE_VARIABLE} is not set, and nobody can be asked: {0}")]
    Nobody(#[from] io::Error),
    /// The second time something else was typed.
    #[error("the two passphrases differ; nothing was done")]
    Different,
    /// It is none.
    #[error(transparent)]
    Bad(#[from] FileError),
}

/// The passphrase: `variable` if it is set, else what is answered to a prompt, without the end of its line. For a new
/// wallet it is asked for twice, because a mistake would lock the wallet for good.
///
/// # Errors
/// [`AskError`]. A variable that is set and empty is not passed over: whoever set it meant something by it.
pub fn passphrase(
    variable: Option<String>,
    is_new: bool,
    ask: &mut dyn FnMut(&str) -> io::Result<String>,
) -> Result<Passphrase, AskError> {
    if let Some(text) = variable {
        return Ok(Passphrase::new(text)?);
    }
    let mut line = |prompt: &str| ask(prompt).map(Zeroizing::new);
    let first = line(if is_new { "New passphrase: " } else { "Passphrase: " })?;
    if is_new && without_end(&line("Once more: ")?) != without_end(&first) {
        return Err(AskError::Different);
    }
    Ok(Passphrase::new(without_end(&first).to_owned())?)
}

fn without_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}
