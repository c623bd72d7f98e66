//! What a link costs: the time after which a message is expected to have arrived.

use meshline_protocol::message::AdvertisedLink;

/// A link whose goodput nobody has measured yet counts as one of so many thousand bits a second: a common uplink.
pub(crate) const ASSUMED_KBPS: u64 = 50_000;

/// The mix of traffic that is thought of: of two messages one is a line of text, the other a block of this size.
const BLOCK_BITS: u64 = 16 * 1024 * 8;

/// Loss is held below this in the cost, in millionths: what loses nine of ten is as good as cut.
const MAX_LOSS_PPM: u64 = 900_000;

/// A lost message is missed after about this many round trips, and at least so many microseconds.
const RETRY_ROUND_TRIPS: u64 = 2;
const LEAST_RETRY_US: u64 = 10_000;

/// What a hop costs beside its link: being read, looked at and written.
const HOP_US: u64 = 30;

/// The expected delivery time in microseconds over a link as its sending end advertises it, weight included.
#[must_use]
pub fn cost_us(link: &AdvertisedLink) -> u64 {
    let rtt = u64::from(link.rtt_us);
    let kbps = match u64::from(link.goodput_kbps) {
        0 => ASSUMED_KBPS,
        kbps => kbps,
    };
    let way = rtt / 2 + u64::from(link.jitter_us);
    // Half of the messages are blocks; bits over thousands of bits a second are milliseconds.
    let sending = BLOCK_BITS * 1_000 / kbps / 2;
    let loss = u64::from(link.loss_ppm).min(MAX_LOSS_PPM);
    let retry = (RETRY_ROUND_TRIPS * rtt + u64::from(link.jitter_us) * 4).max(LEAST_RETRY_US);
    let repeating = retry * loss / (1_000_000 - loss);
    ((way + sending + repeating + HOP_US) * u64::from(link.weight) / 100).max(1)
}

/// A share from 0 to 1 in millionths.
#[must_use]
pub(crate) fn loss_ppm(share: f64) -> u32 {
    let ppm = (share.clamp(0.0, 1.0) * 1e6).round();
    // Held between 0 and a million above.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range of the type")]
    let ppm = ppm as u32;
    ppm
}
