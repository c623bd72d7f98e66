//! Which exchanges of the other side came before: the sliding window of RFC 4303 §3.4.3.

/// Exchanges behind the newest that are still told apart. A birthday search sends some two thousand, of which few arrive.
const WIDTH: u32 = 64;

/// The exchanges seen in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    newest: u32,
    /// One bit for each of the last [`WIDTH`], the newest in the lowest.
    seen: u64,
}

impl Window {
    /// Whether an exchange is new; it is not from now on.
    pub(super) fn take(&mut self, exchange: u32) -> bool {
        if exchange > self.newest {
            let ahead = exchange - self.newest;
            self.seen = if ahead < WIDTH { (self.seen << ahead) | 1 } else { 1 };
            self.newest = exchange;
            return true;
        }
        let behind = self.newest - exchange;
        if exchange == 0 || behind >= WIDTH || (self.seen >> behind) & 1 == 1 {
            return false;
        }
        self.seen |= 1 << behind;
        true
    }
}
