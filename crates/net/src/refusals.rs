//! What was refused before it became a link: counted by name, logged at a bounded rate.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use meshline_mesh::Mono;
use meshline_protocol::{Address, Code};

use crate::limits::REFUSALS_LOGGED_PER_SECOND;

/// Counters of refusals, and the second that is being logged.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<Code, u64>,
    second: u64,
    logged: u32,
    suppressed: u64,
}

impl Refusals {
    /// Counts a refusal.
    pub(crate) fn count(&self, code: Code) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.entry(code).or_default() += 1;
    }

    /// Counts a refusal and logs it unless this second has its lines already. Says whether it was logged.
    pub(crate) fn note(&self, code: Code, address: &Address, detail: &str, now: Mono) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state.counts.entry(code).or_default() += 1;
        let second = now.0 / 1_000_000;
        if second != state.second {
            (state.second, state.logged) = (second, 0);
        }
        if state.logged >= REFUSALS_LOGGED_PER_SECOND {
            state.suppressed += 1;
            return false;
        }
        state.logged += 1;
        let count = std::mem::take(&mut state.suppressed);
        drop(state);
        tracing::debug!(
            address = address.as_str(),
            code = code.name(),
            "connection refused: {}",
            detail.escape_debug()
        );
        if count > 0 {
            tracing::debug!(count, "further refusals not logged");
        }
        true
    }

    /// The counters by name.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.counts.iter().map(|(code, count)| (code.name(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_refusals_are_counted_and_a_second_has_so_many_lines() {
        let refusals = Refusals::default();
        let address: Address = "10.0.0.1:1".parse().unwrap();
        let note = |us| refusals.note(Code::TlsFailed, &address, "x", Mono(us));
        for _ in 0..REFUSALS_LOGGED_PER_SECOND {
            assert!(note(5));
        }
        assert!(!note(999_999));
        assert!(note(1_000_000));
        assert_eq!(refusals.counts()["tls_failed"], u64::from(REFUSALS_LOGGED_PER_SECOND) + 2);
    }
}
