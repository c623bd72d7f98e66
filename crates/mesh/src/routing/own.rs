//! Our own advertisement: when there is something worth telling.

use std::time::Duration;

use meshline_protocol::message::AdvertisedLink;

use super::cost::cost_us;
use crate::now::Mono;

/// Links that came up or went at the same moment are told together.
const HOLD: Duration = Duration::from_millis(10);

/// A link that came up waits for others to come up, until none has for so long and for no longer than the limit: a node
/// that starts tells its links once or twice, not one by one. A link that is lost never waits.
const SETTLE: Duration = Duration::from_millis(100);
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// After an advertisement the next one waits so long, twice as long each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// In a large network a link that came up, or was given up for a better one, is told so many pauses after the last
/// advertisement at the soonest, and no later than the limit: while links are still being chosen, the next choice is near.
/// Nobody loses a way by it, as datagrams for a link that is gone go round it. In a small one it costs next to nothing to
/// tell at once, and a new way may be the only one.
const UNHURRIED: u32 = 8;
const UNHURRIED_LIMIT: Duration = Duration::from_secs(8);

/// After so long without an advertisement the pause is the first one again.
const QUIET: Duration = Duration::from_secs(10);

/// How often the links are looked at while one of them costs something else than was told.
const LOOK: Duration = Duration::from_millis(500);

/// A link that got worse is told after this, one that got better later: leaving a bad way is urgent, coming back is not.
const WORSE_FOR: Duration = Duration::from_millis(1_500);
const BETTER_FOR: Duration = Duration::from_secs(10);

/// A cost that changes less than this, relatively and absolutely, is noise.
const WORTH_PERCENT: u64 = 30;
const WORTH_US: u64 = 2_000;

/// In a large network what links cost is told again so much later for each member, and no later than the limit: however many
/// there are, all together tell five times a second what they measure anew. Where all run on one busy machine each link is
/// another one every second, and telling it keeps the machine busy.
const COSTS_PER_MEMBER: Duration = Duration::from_millis(200);
const COSTS_LIMIT: Duration = Duration::from_secs(60);

/// An advertisement is renewed so often.
const RENEW: Duration = Duration::from_secs(1_200);

/// How long it holds: twice and a half as long, in microseconds.
pub(super) const VALIDITY: i64 = 3_000_000_000;

/// When to advertise.
#[derive(Debug)]
pub(crate) struct Own {
    told: Vec<AdvertisedLink>,
    told_at: Option<Mono>,
    pause: Duration,
    /// Links went or came some time ago: to be told at this time.
    due_at: Option<Mono>,
    /// Links came up: since when, and when they are to be told.
    settling: Option<(Mono, Mono)>,
    /// A link was measured that costs something else than was told.
    look_at: Option<Mono>,
    worse_since: Option<Mono>,
    better_since: Option<Mono>,
}

impl Own {
    pub(crate) fn new() -> Self {
        Self {
            told: Vec::new(),
            told_at: None,
            pause: FIRST_PAUSE,
            due_at: None,
            settling: None,
            look_at: None,
            worse_since: None,
            better_since: None,
        }
    }

    /// Links went, or another reason to tell them soon.
    pub(crate) fn changed(&mut self, now: Mono) {
        if self.due_at.is_some() {
            return;
        }
        let quiet = self.told_at.is_none_or(|told| now.since(told) >= QUIET);
        if quiet {
            self.pause = FIRST_PAUSE;
        }
        let earliest = self.told_at.map(|told| told.after(self.pause));
        self.due_at = Some(now.after(HOLD).max(earliest.unwrap_or_default()));
    }

    /// A link came up or was given up: told when no other has been for a moment.
    pub(crate) fn regrouped(&mut self, is_large: bool, now: Mono) {
        let since = self.settling.map_or(now, |(since, _)| since);
        let pauses = if is_large { UNHURRIED } else { 0 };
        let wait = self.pause.saturating_mul(pauses).min(UNHURRIED_LIMIT);
        let told = self.told_at.filter(|told| now.since(*told) < QUIET).map(|told| told.after(wait));
        let settled = now.after(SETTLE).min(since.after(SETTLE_LIMIT));
        self.settling = Some((since, settled.max(told.unwrap_or_default())));
    }

    /// Whether the links are to be told now, to so many members if they are many.
    pub(crate) fn is_due(
        &mut self,
        members: Option<u32>,
        now: Mono,
        links: impl FnOnce() -> Vec<AdvertisedLink>,
    ) -> bool {
        if self.settling.is_some_and(|(_, at)| at <= now) {
            self.settling = None;
            self.changed(now);
        }
        if self.due_at.is_some_and(|at| at <= now) {
            return true;
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.look(&links(), now);
            let has_lasted = |since: Option<Mono>, time: Duration| since.is_some_and(|since| now.since(since) >= time);
            let is_other = has_lasted(self.worse_since, WORSE_FOR) || has_lasted(self.better_since, BETTER_FOR);
            if is_other && self.costs_from(members).is_none_or(|from| from <= now) {
                self.changed(now);
            }
        }
        self.renew_at().is_some_and(|at| at <= now)
    }

    /// What links cost is not told again before.
    fn costs_from(&self, members: Option<u32>) -> Option<Mono> {
        let pause = COSTS_PER_MEMBER.saturating_mul(members.unwrap_or(0)).min(COSTS_LIMIT);
        self.told_at.map(|told| told.after(pause))
    }

    /// A link was measured. As long as it costs about what was told nobody looks at the others; says whether somebody does.
    pub(crate) fn measured(&mut self, link: &AdvertisedLink, now: Mono) -> bool {
        let is_other = self.change_of(link) != (false, false);
        if is_other {
            self.look_by(now);
        }
        is_other
    }

    /// The links are looked at then, or before.
    pub(super) fn look_by(&mut self, at: Mono) {
        self.look_at = Some(self.look_at.map_or(at, |planned| planned.min(at)));
    }

    /// When to look if it is to be done again and again.
    pub(super) fn next_look(now: Mono) -> Mono {
        now.after(LOOK)
    }

    /// Whether a link got worse than was told, or better.
    fn change_of(&self, link: &AdvertisedLink) -> (bool, bool) {
        let Some(told) = self.told.iter().find(|told| told.peer == link.peer) else { return (false, false) };
        let (before, after) = (cost_us(told), cost_us(link));
        let worth = (before.min(after) * WORTH_PERCENT / 100).max(WORTH_US);
        (after > before.saturating_add(worth), before > after.saturating_add(worth))
    }

    fn look(&mut self, links: &[AdvertisedLink], now: Mono) {
        let (mut worse, mut better) = (false, false);
        for (is_worse, is_better) in links.iter().map(|link| self.change_of(link)) {
            worse |= is_worse;
            better |= is_better;
        }
        let since = |is: bool, since: Option<Mono>| if is { since.or(Some(now)) } else { None };
        self.worse_since = since(worse, self.worse_since);
        self.better_since = since(better, self.better_since);
        self.look_at = (worse || better).then(|| Self::next_look(now));
    }

    fn renew_at(&self) -> Option<Mono> {
        self.told_at.map(|told| told.after(RENEW))
    }

    /// The links were told.
    pub(crate) fn told(&mut self, links: Vec<AdvertisedLink>, now: Mono) {
        self.told = links;
        self.told_at = Some(now);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        self.due_at = None;
        self.settling = None;
        self.worse_since = None;
        self.better_since = None;
        self.look_at = None;
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        [self.due_at, self.settling.map(|(_, at)| at), self.look_at, self.renew_at()].into_iter().flatten().min()
    }
}
