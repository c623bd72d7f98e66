//! A wallet that is open: its keys, what it has handed out, and how it keeps up with the chain.

use meshline_ledger::Lock;

use crate::chain::{Chain, ChainError, Terms};
use crate::coin::Coin;
use crate::keys::{Branch, GAP, Keys, MAX_ADDRESSES};
use crate::payment::{Order, Payment, Refusal, pay};
use crate::phrase::Phrase;
use crate::secrets::Secrets;

/// An open wallet. Nothing of it is on disk until it is saved.
#[derive(Debug, Clone)]
pub struct Wallet {
    secrets: Secrets,
    keys: Keys,
}

impl Wallet {
    /// The wallet of what a file held.
    ///
    /// `None` if that is no phrase, which no file that was opened says.
    #[must_use]
    pub fn new(secrets: Secrets) -> Option<Self> {
        let keys = Keys::new(&secrets.phrase()?);
        let mut wallet = Self { secrets, keys };
        wallet.know(GAP);
        Some(wallet)
    }

    /// The wallet of a phrase, with no address handed out.
    #[must_use]
    pub fn of_phrase(phrase: &Phrase) -> Self {
        let mut wallet = Self { secrets: Secrets::new(phrase), keys: Keys::new(phrase) };
        wallet.know(GAP);
        wallet
    }

    /// What a file should hold.
    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Its keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The locks that were handed out or used, of one branch, in order.
    #[must_use]
    pub fn handed_out(&self, branch: Branch) -> &[Lock] {
        let count = usize::try_from(self.count(branch)).unwrap_or(usize::MAX);
        let locks = self.keys.locks(branch);
        locks.get(..count).unwrap_or(locks)
    }

    /// Every lock of which the key is known, some beyond what was handed out.
    #[must_use]
    pub fn locks(&self) -> Vec<Lock> {
        self.keys.all_locks().collect()
    }

    /// Whether the lock is one of them.
    #[must_use]
    pub fn is_own(&self, lock: &Lock) -> bool {
        self.keys.place(lock).is_some()
    }

    /// Hands out the next address of a branch.
    ///
    /// # Errors
    /// After [`MAX_ADDRESSES`].
    pub fn next(&mut self, branch: Branch) -> Result<Lock, Refusal> {
        let index = self.count(branch);
        if index >= MAX_ADDRESSES {
            return Err(Refusal::Full);
        }
        self.set_count(branch, index + 1);
        self.know(GAP);
        self.handed_out(branch).last().copied().ok_or(Refusal::Full)
    }

    /// Addresses of a branch, at its end, that were handed out in a row and never used.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub fn unused_at_end(&self, branch: Branch, chain: &dyn Chain) -> Result<usize, ChainError> {
        let handed_out = self.handed_out(branch);
        let used = chain.used(handed_out)?;
        Ok(handed_out.iter().rev().take_while(|lock| !used.contains(lock)).count())
    }

    /// Looks for addresses in use beyond those handed out: the phrase may be in use elsewhere too, or has just been
    /// typed in. A branch is searched until `gap` in a row are unused. Returns whether any were found.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub fn catch_up(&mut self, chain: &dyn Chain, gap: u32) -> Result<bool, ChainError> {
        let receive = self.catch_up_branch(Branch::Receive, chain, gap)?;
        let change = self.catch_up_branch(Branch::Change, chain, gap)?;
        Ok(receive || change)
    }

    fn catch_up_branch(&mut self, branch: Branch, chain: &dyn Chain, gap: u32) -> Result<bool, ChainError> {
        let before = self.count(branch);
        loop {
            self.know(gap);
            let handed_out = self.handed_out(branch).len();
            let beyond = self.keys.locks(branch).get(handed_out..).unwrap_or_default();
            let used = chain.used(beyond)?;
            let Some(last) = beyond.iter().rposition(|lock| used.contains(lock)) else { break };
            let found = u32::try_from(handed_out + last + 1).unwrap_or(u32::MAX);
            let full = found >= MAX_ADDRESSES;
            self.set_count(branch, found.min(MAX_ADDRESSES));
            if full {
                break;
            }
        }
        self.know(GAP);
        Ok(self.count(branch) != before)
    }

    /// Makes and signs a transaction. Change goes back to where the money comes from, or to a new address, which is then
    /// handed out.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn pay(&mut self, coins: &[Coin], order: &Order, terms: &Terms) -> Result<Payment, Refusal> {
        let own = self.keys.locks(Branch::Change);
        let fresh = own.get(self.handed_out(Branch::Change).len()).or_else(|| own.last()).copied();
        let change_to = order.from.or(fresh).ok_or(Refusal::Full)?;
        let payment = pay(&self.keys, coins, order, change_to, terms)?;
        if order.from.is_none() && payment.change.is_some() {
            let _ = self.next(Branch::Change);
        }
        Ok(payment)
    }

    /// Derives all keys that were handed out, and some beyond.
    fn know(&mut self, beyond: u32) {
        for branch in [Branch::Receive, Branch::Change] {
            self.keys.extend(branch, self.count(branch).saturating_add(beyond));
        }
    }

    const fn count(&self, branch: Branch) -> u32 {
        match branch {
            Branch::Receive => self.secrets.receive,
            Branch::Change => self.secrets.change,
        }
    }

    const fn set_count(&mut self, branch: Branch, count: u32) {
        match branch {
            Branch::Receive => self.secrets.receive = count,
            Branch::Change => self.secrets.change = count,
        }
    }
}
