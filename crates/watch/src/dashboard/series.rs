//! What links measured of late, for the bars.

use std::collections::{BTreeMap, VecDeque};

use crate::documents::Link;

/// Measurements kept for each link: two minutes, one a second, which is the widest bar that is drawn.
pub const MAX_SAMPLES: usize = 120;

/// Links whose measurements are kept. A member may have more links; those have figures and no bars.
pub const MAX_SERIES: usize = 512;

/// One measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) rtt_us: Option<u64>,
    pub(crate) loss: f64,
    pub(crate) goodput_bps: u64,
    pub(crate) sent_bps: u64,
    pub(crate) received_bps: u64,
}

/// One link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    samples: VecDeque<Sample>,
    /// When the last one was taken, and the counters then.
    last: Option<(u64, u64, u64)>,
    is_seen: bool,
}

impl Series {
    pub(crate) fn last(&self) -> Sample {
        self.samples.back().copied().unwrap_or_default()
    }

    pub(crate) fn values(&self, of: impl Fn(&Sample) -> Option<f64>) -> Vec<Option<f64>> {
        self.samples.iter().map(of).collect()
    }

    fn push(&mut self, link: &Link, mono_ms: u64) {
        let rate =
            |now: u64, before: u64, passed: u64| now.saturating_sub(before).saturating_mul(8_000) / passed.max(1);
        let (sent_bps, received_bps) = self.last.map_or((0, 0), |(at, sent, received)| {
            let passed = mono_ms.saturating_sub(at);
            (rate(link.sent_bytes, sent, passed), rate(link.received_bytes, received, passed))
        });
        self.last = Some((mono_ms, link.sent_bytes, link.received_bytes));
        let (rtt_us, loss, goodput_bps) = (link.rtt_us, link.loss, link.goodput_bps);
        self.samples.push_back(Sample { rtt_us, loss, goodput_bps, sent_bps, received_bps });
        if self.samples.len() > MAX_SAMPLES {
            self.samples.pop_front();
        }
    }
}

/// All links, by the member at the other end.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllSeries {
    of: BTreeMap<String, Series>,
}

impl AllSeries {
    pub(crate) fn get(&self, peer: &str) -> Option<&Series> {
        self.of.get(peer)
    }

    /// Takes a measurement of each link; what is no link any more is forgotten.
    pub(crate) fn take(&mut self, links: &[Link], mono_ms: u64) {
        for link in links {
            if let Some(series) = self.entry(&link.peer) {
                series.push(link, mono_ms);
                series.is_seen = true;
            }
        }
        self.of.retain(|_, series| std::mem::take(&mut series.is_seen));
    }

    fn entry(&mut self, peer: &str) -> Option<&mut Series> {
        if !self.of.contains_key(peer) && self.of.len() >= MAX_SERIES {
            return None;
        }
        Some(self.of.entry(peer.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{AllSeries, Link, MAX_SAMPLES, MAX_SERIES};

    fn link(peer: &str, sent_bytes: u64) -> Link {
        Link { peer: peer.to_owned(), sent_bytes, rtt_us: Some(sent_bytes), ..Link::default() }
    }

    #[test]
    fn rates_follow_from_two_measurements_and_a_counter_that_fell_is_none() {
        let mut all = AllSeries::default();
        all.take(&[link("a", 1_000)], 0);
        assert_eq!(all.get("a").unwrap().last().sent_bps, 0);
        all.take(&[link("a", 2_000)], 500);
        assert_eq!(all.get("a").unwrap().last().sent_bps, 16_000);
        all.take(&[link("a", 10)], 1_000);
        assert_eq!(all.get("a").unwrap().last().sent_bps, 0);
    }

    #[test]
    fn as_much_is_kept_as_may_be_and_links_that_end_are_forgotten() {
        let mut all = AllSeries::default();
        for second in 0..u64::try_from(MAX_SAMPLES).unwrap() + 5 {
            all.take(&[link("a", second)], second * 1_000);
        }
        let values = all.get("a").unwrap().values(|sample| sample.rtt_us.map(|_| 1.0));
        assert_eq!(values.len(), MAX_SAMPLES);
        let many: Vec<_> = (0..=MAX_SERIES).map(|number| link(&format!("{number:04}"), 0)).collect();
        all.take(&many, 0);
        assert!(all.get("a").is_none() && all.get("0510").is_some() && all.get("0512").is_none());
    }
}
