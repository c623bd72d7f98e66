//! The verbs of `node wallet`: each opens the file, asks the ledger, and returns one document.
//!
//! A document is what `--json` prints; its `words` are for people, in the tutorial's own words where it has them. A
//! program adds what it alone can: arguments, the path, the passphrase, the ledger, random bytes.

mod balance;
mod history;
mod list;
mod new;
mod quote;
mod restore;
mod send;

use std::fmt;
use std::path::Path;

use crate::file::{Cost, Passphrase};
use crate::random::Random;

pub use balance::{BalanceDocument, balance};
pub use history::{HistoryDocument, HistoryRow, MAX_ROWS, history};
pub use list::{AddressRow, ListDocument, list};
pub use new::{NewDocument, new};
pub use quote::{QuoteDocument, quote};
pub use restore::{MAX_GAP, RestoreDocument, restore};
pub use send::{SendDocument, SendOrder, send, send_within};

/// What every verb that opens the wallet's file is given.
pub struct Access<'a> {
    /// Where the file is; its folder must be there.
    pub path: &'a Path,
    /// What opens it.
    pub passphrase: &'a Passphrase,
    /// What a new file asks of whoever tries passphrases.
    pub cost: Cost,
    /// Where random bytes come from.
    pub random: &'a mut dyn Random,
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Access").field("path", &self.path).finish_non_exhaustive()
    }
}
