//! Services of the local segment that are offered to the mesh: which of those that anybody there may announce, and as what.
//!
//! Whatever an announcement says is cut down to what a service of the mesh may say. What may not be offered is counted by
//! a fixed word, so that a flood of names costs counters and no memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use meshline_protocol::{ServiceKind, ServiceName, ServiceText};

/// Services of the segment that one member offers at once: half of what it may offer, so that nobody on the segment can
/// take the place of what is configured.
pub const MAX_IMPORTED: usize = 32;

/// Characters of the name that are taken over; a number may follow.
const MAX_STEM: usize = 28;

/// Services of one name: beyond it their names tell nobody anything.
const MAX_ALIKE: usize = 9;

/// Under this key what members themselves announce is marked, lest one mesh imports what another exports.
pub const MARK: &str = "meshline";

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Of which kind.
    pub kind: ServiceKind,
    /// Under which name.
    pub instance: String,
    /// Where, the best first: nothing that is not on the segment.
    pub addresses: Vec<SocketAddr>,
    /// What else is said.
    pub text: Vec<(String, String)>,
}

/// What is offered of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its name in the mesh.
    pub name: ServiceName,
    /// Its kind.
    pub kind: ServiceKind,
    /// Where it is.
    pub address: SocketAddr,
    /// What is said of it.
    pub text: ServiceText,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Imports {
    known: BTreeMap<(ServiceKind, String), Known>,
    /// How often it was begun to listen anew.
    round: u64,
    passed_over: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Known {
    imported: Imported,
    round: u64,
}

impl Imports {
    /// Takes in an announcement.
    ///
    /// # Errors
    /// Why it is passed over, as a fixed word. It is counted.
    pub fn see(&mut self, announced: &Announced) -> Result<(), &'static str> {
        let taken = self.take(announced);
        if let Err(reason) = taken {
            let count = self.passed_over.entry(reason).or_default();
            *count = count.saturating_add(1);
        }
        taken
    }

    fn take(&mut self, announced: &Announced) -> Result<(), &'static str> {
        if announced.text.iter().any(|(key, _)| key.eq_ignore_ascii_case(MARK)) {
            return Err("of_a_mesh");
        }
        let usable = announced.addresses.iter().find(|address| address.port() != 0 && !address.ip().is_loopback());
        let address = *usable.ok_or("not_on_the_segment")?;
        let key = (announced.kind.clone(), announced.instance.clone());
        let name = match self.known.get(&key) {
            Some(known) => known.imported.name.clone(),
            None if self.known.len() >= MAX_IMPORTED => return Err("too_many"),
            None => self.free_name(&announced.instance).ok_or("name_taken")?,
        };
        let imported = Imported { name, kind: announced.kind.clone(), address, text: text_of(&announced.text) };
        self.known.insert(key, Known { imported, round: self.round });
        Ok(())
    }

    /// A name that nothing else has.
    fn free_name(&self, instance: &str) -> Option<ServiceName> {
        let stem = stem(instance);
        let numbered = (2..=MAX_ALIKE).map(|number| format!("{stem}-{number}"));
        let is_free = |name: &ServiceName| self.known.values().all(|known| known.imported.name != *name);
        std::iter::once(stem.clone()).chain(numbered).filter_map(|name| name.parse().ok()).find(is_free)
    }

    /// An announcement was taken back, or has run out.
    pub fn forget(&mut self, kind: &ServiceKind, instance: &str) {
        self.known.remove(&(kind.clone(), instance.to_owned()));
    }

    /// It is listened anew: what is not announced again before [`Imports::forget_silent`] is gone.
    pub fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Forgets what was not announced since.
    pub fn forget_silent(&mut self) {
        self.known.retain(|_, known| known.round == self.round);
    }

    /// What should be offered now.
    pub fn offered(&self) -> impl Iterator<Item = &Imported> {
        self.known.values().map(|known| &known.imported)
    }

    /// How many announcements were passed over, by the word for it.
    #[must_use]
    pub fn passed_over(&self) -> &BTreeMap<&'static str, u64> {
        &self.passed_over
    }
}

/// `Anna's printer (2nd floor)` as `anna-s-printer-2nd-floor`.
fn stem(instance: &str) -> String {
    let mut stem = String::new();
    for letter in instance.chars() {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_lowercase() || letter.is_ascii_digit() {
            stem.push(letter);
        } else if !stem.is_empty() && !stem.ends_with('-') {
            stem.push('-');
        }
        if stem.len() >= MAX_STEM {
            break;
        }
    }
    let stem = stem.trim_end_matches('-');
    if stem.is_empty() { "service".to_owned() } else { stem.to_owned() }
}

/// The pairs that a service may have, as far as there is room.
fn text_of(pairs: &[(String, String)]) -> ServiceText {
    let mut taken = ServiceText::default();
    for pair in pairs {
        let known = taken.pairs().map(|(key, value)| (key.to_owned(), value.to_owned()));
        if let Ok(more) = ServiceText::new(known.chain([pair.clone()])) {
            taken = more;
        }
    }
    taken
}

#[cfg(test)]
mod tests;
