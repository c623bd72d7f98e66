//! What happens to the nodes and the network of a scenario.

use super::play::{Act, Play};
use super::types::{Churn, Deed, KillHow, RebuildDeed, SpoilHow};
use crate::{MS, SECOND, Spoiling};

/// After the instant, when it is over everywhere: the core takes 30 s at most, and clocks are off by more at times.
const REBUILT_AFTER: u64 = 60 * SECOND;

impl Play {
    pub(super) fn begin(&mut self, number: usize) {
        let Some(fault) = self.fault(number) else { return };
        let now = self.world.now();
        match fault.what {
            Deed::Kill(kill) => {
                for node in self.some_of(kill.percent.get()) {
                    self.kill(node, kill.how);
                }
                self.settle(number);
            }
            Deed::Part(part) => {
                let mut half: Vec<bool> = (0..self.world.len()).map(|node| node % 2 == 0).collect();
                shuffle(&mut half, self.world.rng());
                self.world.part_by(|node| u8::from(half.get(node).copied().unwrap_or(false)));
                self.enter(now + part.for_s.get() * SECOND, Act::Heal(number));
            }
            Deed::Churn(churn) => self.churn(number, churn),
            Deed::Spoil(spoil) => {
                let how = match spoil.how {
                    SpoilHow::Drop => Spoiling::Drop,
                    SpoilHow::Delay => Spoiling::Delay(spoil.delay_ms.get() * MS),
                };
                for node in self.some_of(spoil.percent.get()) {
                    self.world.spoil(node, how);
                }
                self.settle(number);
            }
            Deed::Signal(signal) => self.world.set_signal_down(signal.down),
            Deed::Rebuild(rebuild) => self.order_rebuild(number, rebuild),
        }
    }

    /// Gives an order to one node, and looks what came of it when it is over.
    fn order_rebuild(&mut self, number: usize, rebuild: RebuildDeed) {
        let (now, honest) = (self.world.now(), self.honest());
        let in_us = i64::try_from(rebuild.in_s.get() * SECOND).unwrap_or(i64::MAX);
        let (Some(node), Some(record)) = (self.world.rng().pick(&honest).copied(), self.world.rebuild(in_us, |_| ()))
        else {
            self.complain("a rebuild needs a closed network".to_owned());
            return;
        };
        if let Err(code) = self.world.apply(node, record) {
            self.complain(format!("node {node} refuses the rebuild: {}", code.name()));
        }
        let at = now + rebuild.in_s.get() * SECOND;
        self.enter(at, Act::Settle(number));
        self.enter(at + REBUILT_AFTER, Act::Rebuilt(number, now));
    }

    /// All that run have done it, at about the same time.
    pub(super) fn rebuilt(&mut self, number: usize, since: u64) {
        let Some(Deed::Rebuild(rebuild)) = self.fault(number).map(|fault| fault.what) else { return };
        let nodes = self.honest();
        let began = |node: &usize| self.world.rebuilt_at(*node).filter(|at| *at >= since);
        let times: Vec<u64> = nodes.iter().filter_map(began).collect();
        let (first, last) = (times.iter().min().copied(), times.iter().max().copied());
        let apart = last.zip(first).map_or(0, |(last, first)| last - first);
        if times.len() < nodes.len() {
            self.complain(format!("{} of {} chose their links anew", times.len(), nodes.len()));
        }
        if apart > rebuild.apart_ms.get() * MS {
            self.complain(format!("they began {} ms apart, not {}", apart / MS, rebuild.apart_ms.get()));
        }
    }

    /// So many of a hundred honest nodes that run, by chance.
    fn some_of(&mut self, percent: u64) -> Vec<usize> {
        let mut nodes = self.honest();
        shuffle(&mut nodes, self.world.rng());
        let count = nodes.len() * usize::try_from(percent).unwrap_or(0) / 100;
        nodes.truncate(count);
        nodes
    }

    fn kill(&mut self, node: usize, how: KillHow) {
        match how {
            KillHow::Reset => self.world.kill(node),
            KillHow::Silent => self.world.power_off(node),
        }
    }

    fn churn(&mut self, number: usize, churn: Churn) {
        let now = self.world.now();
        let span = churn.for_s.get() * SECOND;
        let nodes = self.scenario.nodes.get();
        let deaths = nodes * churn.percent_a_minute.get() * churn.for_s.get() / 6_000;
        for death in 0..deaths {
            let at = now + self.world.rng().below(span.max(1));
            let how = if death % 2 == 0 { KillHow::Reset } else { KillHow::Silent };
            self.enter(at, Act::Die(how, churn.away_s.get() * SECOND));
        }
        self.enter(now + span, Act::Settle(number));
    }

    /// One node dies, to come back after a while.
    pub(super) fn one_dies(&mut self, how: KillHow, away: u64) {
        let honest = self.honest();
        let Some(node) = self.world.rng().pick(&honest).copied() else { return };
        self.kill(node, how);
        self.enter(self.world.now() + away, Act::Return(node));
    }

    pub(super) fn heal(&mut self, number: usize) {
        self.world.heal();
        self.settle(number);
    }

    /// From now on they are to become one mesh again.
    pub(super) fn settle(&mut self, number: usize) {
        let Some(fault) = self.fault(number) else { return };
        let within = fault.whole_within_s.map(|limit| limit.get() * SECOND);
        self.wait(fault.what.to_string(), self.world.now(), within);
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut crate::Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.index(last + 1));
    }
}
