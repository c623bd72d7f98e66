//! How long round trips take, counted in buckets over all links.

use crate::report::{RoundTripBucket, RoundTrips};

/// Upper bounds in microseconds: from one machine over one building and one continent to a satellite.
const BOUNDS_US: [u64; 13] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];

/// The counts since the start.
#[derive(Debug, Default)]
pub(crate) struct RoundTripCounts {
    counts: [u64; BOUNDS_US.len()],
    count: u64,
    sum_us: u64,
}

impl RoundTripCounts {
    /// One was measured.
    pub(crate) fn add(&mut self, rtt_us: u64) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < rtt_us);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(rtt_us);
    }

    /// As it stands in `status`.
    pub(crate) fn report(&self) -> RoundTrips {
        let buckets = BOUNDS_US.iter().zip(&self.counts);
        let buckets = buckets.map(|(up_to_us, count)| RoundTripBucket { up_to_us: *up_to_us, count: *count }).collect();
        RoundTrips { buckets, count: self.count, sum_us: self.sum_us }
    }
}

#[cfg(test)]
mod tests {
    use super::RoundTripCounts;

    #[test]
    fn a_round_trip_is_counted_up_to_its_bound_and_beyond_all_in_the_sum_alone() {
        let mut counts = RoundTripCounts::default();
        for rtt in [0, 100, 101, 1_000_000, 1_000_001] {
            counts.add(rtt);
        }
        let report = counts.report();
        let found: Vec<(u64, u64)> = report.buckets.iter().map(|bucket| (bucket.up_to_us, bucket.count)).collect();
        assert_eq!(found.first(), Some(&(100, 2)));
        assert_eq!(found.get(1), Some(&(250, 1)));
        assert_eq!(found.last(), Some(&(1_000_000, 1)));
        assert_eq!((report.count, report.sum_us), (5, 2_000_202));
    }
}
