//! Passphrases and phrases, asked for on the terminal without showing them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use meshline_wallet::Passphrase;
use meshline_wallet::ask::{PASSPHRASE_VARIABLE, passphrase as ask_for};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::exit::{Exit, Stop};
use crate::ledger::LedgerPlace;

/// The variable of the environment that holds the phrase of a wallet that is restored.
const PHRASE_VARIABLE: &str = "MESHLINE_WALLET_PHRASE";

/// Longest line that is read: more than any phrase.
const MAX_LINE: u64 = 8_192;

/// The passphrase of a node's wallet.
pub(super) fn passphrase(place: &LedgerPlace) -> anyhow::Result<Passphrase> {
    let is_new = !place.wallet.exists();
    let variable = std::env::var(PASSPHRASE_VARIABLE).ok();
    ask_for(variable, is_new, &mut hidden).map_err(|error| Stop::new(Exit::Failed, error.to_string()).into())
}

/// The phrase of a wallet: from the environment, else from whoever sits there, else from a pipe.
pub(super) fn phrase() -> anyhow::Result<String> {
    if let Ok(text) = std::env::var(PHRASE_VARIABLE) {
        return Ok(text);
    }
    let asked = if io::stdin().is_terminal() { hidden("Phrase: ") } else { line(&mut io::stdin().lock()) };
    let failed = |error| format!("no phrase: {PHRASE_VARIABLE} is not set, and nobody can be asked: {error}");
    asked.map_err(|error| Stop::new(Exit::Failed, failed(error)).into())
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    io::Read::take(from, MAX_LINE).read_line(&mut text)?;
    Ok(text)
}

/// Asks on the terminal, wherever input and output lead.
fn hidden(prompt: &str) -> io::Result<String> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let quiet = Quiet::on(&terminal)?;
    (&terminal).write_all(prompt.as_bytes())?;
    let answer = line(&mut BufReader::new(&terminal));
    drop(quiet);
    (&terminal).write_all(b"\n")?;
    answer
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Quiet<'a> {
    fn on(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
