//! Services that come and go: each change costs, time forgives, and of what gathered too much no change is told.

use std::collections::BTreeMap;
use std::time::Duration;

use meshline_mesh::Mono;
use meshline_protocol::{NodeId, ServiceName};

/// What one change costs.
pub(super) const PENALTY: u32 = 1_000;

/// From here on changes are not told: four within twenty seconds, or one each half minute for good.
pub(super) const SUPPRESS: u32 = 3_500;

/// Below this they are again.
pub(super) const REUSE: u32 = 1_500;

/// Most that is gathered: forgiven within four minutes.
pub(super) const MOST: u32 = 16_000;

/// Half of it is forgotten in this time.
pub(super) const HALF_LIFE: Duration = Duration::from_secs(60);

/// Services remembered. Those that changed longest ago make room.
const MAX_REMEMBERED: usize = 4_096;

/// Below this it is as good as nothing.
const FORGOTTEN: u32 = 100;

/// One service of one member.
pub(super) type Key = (NodeId, ServiceName);

#[derive(Clone, Copy, Debug)]
struct Flap {
    penalty: u32,
    at: Mono,
    damped: bool,
}

impl Flap {
    fn now(self, now: Mono) -> u32 {
        decayed(self.penalty, now.since(self.at))
    }
}

/// Exactly halved after each half-life, linearly less in between: no floating point, the same in every run.
fn decayed(penalty: u32, passed: Duration) -> u32 {
    let (passed, half) = (passed.as_micros(), HALF_LIFE.as_micros());
    let halves = u32::try_from(passed / half).unwrap_or(u32::MAX);
    let Some(whole) = penalty.checked_shr(halves) else { return 0 };
    let rest = u128::from(whole) * (passed % half) / (2 * half);
    whole.saturating_sub(u32::try_from(rest).unwrap_or(u32::MAX))
}

/// What services have gathered.
///
/// All of them are looked through only when something is due: this is asked at every turn of a node.
#[derive(Debug, Default)]
pub(super) struct Flaps {
    known: BTreeMap<Key, Flap>,
    /// When the first damped one is calm.
    calm_at: Option<Mono>,
    /// When those that are forgiven are forgotten.
    forget_at: Option<Mono>,
}

impl Flaps {
    /// A service changed. Says whether that is still worth telling.
    pub(super) fn note(&mut self, key: &Key, now: Mono) -> bool {
        if self.known.len() >= MAX_REMEMBERED && !self.known.contains_key(key) {
            let oldest = self.known.iter().min_by_key(|(_, flap)| flap.at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.known.remove(&key));
        }
        let flap = self.known.entry(key.clone()).or_insert(Flap { penalty: 0, at: now, damped: false });
        flap.penalty = flap.now(now).saturating_add(PENALTY).min(MOST);
        flap.at = now;
        flap.damped |= flap.penalty >= SUPPRESS;
        let is_damped = flap.damped;
        self.forget_at.get_or_insert_with(|| now.after(HALF_LIFE));
        if is_damped {
            self.calm_at = self.first_calm();
        }
        !is_damped
    }

    /// What a service has gathered, and whether its changes are not told.
    pub(super) fn of(&self, key: &Key, now: Mono) -> (u32, bool) {
        self.known.get(key).map_or((0, false), |flap| (flap.now(now), flap.damped))
    }

    pub(super) fn is_damped(&self, key: &Key) -> bool {
        self.known.get(key).is_some_and(|flap| flap.damped)
    }

    pub(super) fn damped(&self) -> usize {
        self.known.values().filter(|flap| flap.damped).count()
    }

    /// Forgets what is forgiven, and says who is calm now.
    pub(super) fn expire(&mut self, now: Mono) -> Vec<Key> {
        let mut calm = Vec::new();
        if ![self.calm_at, self.forget_at].into_iter().flatten().any(|at| at <= now) {
            return calm;
        }
        self.known.retain(|key, flap| {
            let penalty = flap.now(now);
            if flap.damped && penalty < REUSE {
                flap.damped = false;
                calm.push(key.clone());
            }
            penalty >= FORGOTTEN
        });
        self.calm_at = self.first_calm();
        self.forget_at = (!self.known.is_empty()).then(|| now.after(HALF_LIFE));
        calm
    }

    /// When to look who is calm.
    pub(super) const fn next_timeout(&self) -> Option<Mono> {
        self.calm_at
    }

    fn first_calm(&self) -> Option<Mono> {
        self.known.values().filter(|flap| flap.damped).map(calm_at).min()
    }
}

/// Not before: so many half-lives as the penalty is above the bound, and the part of one that the line leaves.
fn calm_at(flap: &Flap) -> Mono {
    let (mut penalty, mut at) = (flap.penalty, flap.at);
    while penalty / 2 >= REUSE {
        penalty /= 2;
        at = at.after(HALF_LIFE);
    }
    let over = u64::from(penalty.saturating_sub(REUSE)) + 2;
    let half = u64::try_from(HALF_LIFE.as_micros()).unwrap_or(u64::MAX);
    at.after(Duration::from_micros(half.saturating_mul(2 * over) / u64::from(penalty.max(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> Key {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        (NodeId::from_bytes(bytes), "web".parse().expect("a name"))
    }

    const SECOND: u64 = 1_000_000;

    #[test]
    fn four_changes_at_once_are_too_many_and_calm_comes_when_it_was_said() {
        let mut flaps = Flaps::default();
        let told: Vec<bool> = (0..4).map(|second| flaps.note(&key(1), Mono(second))).collect();
        assert_eq!(told, [true, true, true, false]);
        let at = flaps.next_timeout().expect("it will be calm");
        assert!(flaps.expire(Mono(at.0 - SECOND)).is_empty(), "a second before");
        assert_eq!(flaps.expire(at), [key(1)]);
        assert!(flaps.note(&key(1), at), "the next change is told");
        assert!(flaps.next_timeout().is_none());
    }

    #[test]
    fn whatever_was_gathered_is_forgiven_at_the_time_that_was_told() {
        for changes in 4..40 {
            let mut flaps = Flaps::default();
            for change in 0..changes {
                flaps.note(&key(1), Mono(change * SECOND));
            }
            let at = flaps.next_timeout().expect("damped");
            assert!(at.0 < (changes + 240) * SECOND, "{changes}");
            assert_eq!(flaps.expire(at), [key(1)], "{changes}");
        }
    }

    #[test]
    fn one_change_a_minute_is_always_told_and_forgotten_in_the_end() {
        let mut flaps = Flaps::default();
        for minute in 0..100 {
            assert!(flaps.note(&key(1), Mono(minute * 60 * SECOND)), "{minute}");
        }
        flaps.expire(Mono(200 * 60 * SECOND));
        assert_eq!(flaps.known.len(), 0);
    }

    #[test]
    fn no_more_are_remembered_than_the_bound_says_and_the_oldest_goes() {
        let mut flaps = Flaps::default();
        for number in 0..=u16::try_from(MAX_REMEMBERED).expect("small") {
            flaps.note(&key(number), Mono(u64::from(number)));
        }
        assert_eq!(flaps.known.len(), MAX_REMEMBERED);
        assert!(!flaps.known.contains_key(&key(0)) && flaps.known.contains_key(&key(1)));
    }
}
