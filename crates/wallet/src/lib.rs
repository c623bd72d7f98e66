//! The wallet: a phrase, the keys and addresses that come from it, payments, and the encrypted file that keeps it.
//!
//! Everything follows from the phrase, so whoever has it can restore the rest. Secrets are wiped when they are dropped,
//! and nothing that holds one prints it. The crate has no clock, random source or network: random bytes
//! ([`random::Random`]) and the ledger ([`chain::Chain`]) are brought from outside. The one thing it touches is the
//! wallet's file ([`file::Place`]).

pub mod address;
pub mod ask;
pub mod chain;
pub mod coin;
pub mod derive;
pub mod fee;
pub mod file;
pub mod history;
pub mod keys;
pub mod payment;
pub mod phrase;
pub mod random;
pub mod secrets;
pub mod select;
pub mod vault;
pub mod verbs;
pub mod wallet;

pub use address::{Address, AddressError, Prefix};
pub use chain::{Chain, ChainError, Terms};
pub use file::Passphrase;
pub use phrase::{Phrase, PhraseError};
pub use vault::{Vault, WalletError};
pub use wallet::Wallet;
