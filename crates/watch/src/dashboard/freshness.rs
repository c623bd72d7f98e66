//! How old what is shown is.

use std::collections::BTreeMap;

use crate::input::{Fault, Source};

/// What is known of one source.
#[derive(Clone, Debug, Default)]
struct Heard {
    last_ms: Option<u64>,
    fault: Option<Fault>,
}

/// How a source stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age<'a> {
    /// Nothing came yet.
    Waiting,
    /// As new as it should be.
    Fresh,
    /// So many milliseconds old.
    Stale(u64),
    /// There is no such thing in this member.
    Missing,
    /// Nothing ever came, and why.
    Failed(&'a Fault),
}

/// When each source said something last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness {
    of: BTreeMap<Source, Heard>,
}

impl Freshness {
    pub(crate) fn heard(&mut self, source: Source, mono_ms: u64) {
        self.of.insert(source, Heard { last_ms: Some(mono_ms), fault: None });
    }

    pub(crate) fn failed(&mut self, source: Source, fault: Fault) {
        self.of.entry(source).or_default().fault = Some(fault);
    }

    pub(crate) fn fault(&self, source: Source) -> Option<&Fault> {
        self.of.get(&source).and_then(|heard| heard.fault.as_ref())
    }

    pub(crate) fn age(&self, source: Source, mono_ms: u64) -> Age<'_> {
        let Some(heard) = self.of.get(&source) else { return Age::Waiting };
        match (&heard.fault, heard.last_ms.map(|last| mono_ms.saturating_sub(last))) {
            (Some(Fault::Missing), _) => Age::Missing,
            (_, Some(age)) if age > source.stale_ms() => Age::Stale(age),
            (_, Some(_)) => Age::Fresh,
            (Some(fault), None) => Age::Failed(fault),
            (None, None) => Age::Waiting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Age, Fault, Freshness, Source};

    #[test]
    fn what_is_old_says_how_old_and_what_never_came_says_why() {
        let mut all = Freshness::default();
        assert_eq!(all.age(Source::Status, 0), Age::Waiting);
        all.failed(Source::Status, Fault::Late);
        assert_eq!(all.age(Source::Status, 0), Age::Failed(&Fault::Late));
        all.heard(Source::Status, 1_000);
        let stale = Source::Status.stale_ms();
        assert_eq!(all.age(Source::Status, 1_000 + stale), Age::Fresh);
        all.failed(Source::Status, Fault::Late);
        assert_eq!(all.age(Source::Status, 1_001 + stale), Age::Stale(stale + 1));
        all.failed(Source::Ledger, Fault::Missing);
        assert_eq!(all.age(Source::Ledger, 0), Age::Missing);
    }
}
