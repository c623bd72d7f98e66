//! What happens to the nodes and the network of a scenario.

use super::play::{Act, Play};
use super::types::{Churn, Deed, KillHow, SpoilHow};
use crate::{MS, SECOND, Spoiling};

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
