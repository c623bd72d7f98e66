//! The connections of a listener: so many at once, and none of them for ever.
//!
//! Any process of the machine can connect to loopback, so whoever comes without the token gets a place only while
//! nobody else wants it: when all are taken, the one that was quiet for longest gives way to the next that connects.
//! Whoever has shown the token keeps its place. A process that connects without end still cannot keep others from
//! theirs: it would have to take all places between somebody's connecting and that one's first request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

/// The places of a listener.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    places: BTreeMap<u64, Place>,
    /// Counts what happens, so that it is known what happened last.
    ticks: u64,
}

#[derive(Debug)]
struct Place {
    has_token: bool,
    /// Whether a request is being answered.
    is_busy: bool,
    /// When it came, or its last request did.
    stirred: u64,
    /// Gone with the place, which ends the connection.
    _stop: oneshot::Sender<()>,
}

/// One taken place; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy<'a>(&'a Slot);

impl Slots {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default(), freed: Notify::new() })
    }

    /// A place for a connection, and what ends when the connection has to. Waits only while all places are held by
    /// those who have shown the token.
    pub(super) async fn take(self: &Arc<Self>, has_token: bool) -> (Slot, oneshot::Receiver<()>) {
        loop {
            if let Some(taken) = self.try_take(has_token) {
                return taken;
            }
            // Who frees one before this waits leaves word.
            self.freed.notified().await;
        }
    }

    fn try_take(self: &Arc<Self>, has_token: bool) -> Option<(Slot, oneshot::Receiver<()>)> {
        let mut taken = self.taken();
        if taken.places.len() >= self.most {
            let quietest = taken.quietest()?;
            taken.places.remove(&quietest);
        }
        let (stop, stopped) = oneshot::channel();
        let id = taken.tick();
        taken.places.insert(id, Place { has_token, is_busy: false, stirred: id, _stop: stop });
        Some((Slot { slots: Arc::clone(self), id }, stopped))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// Among those without the token: of those that wait for nothing the one that was quiet for longest, else of all.
    fn quietest(&self) -> Option<u64> {
        let foreign = self.places.iter().filter(|(_, place)| !place.has_token);
        foreign.min_by_key(|(_, place)| (place.is_busy, place.stirred)).map(|(id, _)| *id)
    }
}

impl Slot {
    /// A request came on it, with the token or without.
    pub(super) fn begin(&self, has_token: bool) -> Busy<'_> {
        let mut taken = self.slots.taken();
        let stirred = taken.tick();
        if let Some(place) = taken.places.get_mut(&self.id) {
            place.has_token |= has_token;
            (place.is_busy, place.stirred) = (true, stirred);
        }
        Busy(self)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken().places.remove(&self.id);
        self.slots.freed.notify_one();
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.0.slots.taken().places.get_mut(&self.0.id) {
            place.is_busy = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::{Slot, Slots};

    type Taken = (Slot, oneshot::Receiver<()>);

    fn is_ended(taken: &mut Taken) -> bool {
        matches!(taken.1.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    async fn full(most: usize) -> (Arc<Slots>, Vec<Taken>) {
        let slots = Slots::new(most);
        let mut all = Vec::new();
        for _ in 0..most {
            all.push(slots.take(false).await);
        }
        (slots, all)
    }

    #[tokio::test]
    async fn one_more_than_there_are_places_ends_the_quietest_without_the_token() {
        let (slots, mut all) = full(3).await;
        assert!(!all.iter_mut().any(is_ended), "they all have room");
        drop(all[0].0.begin(true));
        drop(all[1].0.begin(false));
        let _fourth = slots.take(false).await;
        assert_eq!(all.iter_mut().map(is_ended).collect::<Vec<_>>(), [false, false, true]);
        let _fifth = slots.take(false).await;
        assert_eq!(all.iter_mut().map(is_ended).collect::<Vec<_>>(), [false, true, true]);
    }

    #[tokio::test]
    async fn who_is_being_answered_gives_way_last() {
        let (slots, mut all) = full(2).await;
        let (mut quiet, mut busy) = (all.pop().unwrap(), all.pop().unwrap());
        let answering = busy.0.begin(false);
        drop(quiet.0.begin(false));
        let _third = slots.take(false).await;
        assert!(is_ended(&mut quiet));
        drop(answering);
        assert!(!is_ended(&mut busy));
    }

    #[tokio::test(start_paused = true)]
    async fn those_with_the_token_are_waited_for() {
        let (slots, mut all) = full(2).await;
        for (slot, _) in &all {
            drop(slot.begin(true));
        }
        assert!(timeout(Duration::from_secs(60), slots.take(false)).await.is_err(), "they keep their places");
        assert!(!all.iter_mut().any(is_ended));
        all.pop();
        assert!(timeout(Duration::from_secs(60), slots.take(false)).await.is_ok(), "until one goes");
    }

    #[tokio::test]
    async fn who_was_sent_away_frees_no_place_of_another() {
        let (slots, mut all) = full(1).await;
        let mut second = slots.take(true).await;
        all.clear();
        assert!(timeout(Duration::ZERO, slots.take(false)).await.is_err());
        assert!(!is_ended(&mut second));
    }
}
