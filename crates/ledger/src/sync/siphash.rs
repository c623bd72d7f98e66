//! SipHash-2-4 (Aumasson and Bernstein, 2012): short names that nobody can make collide without knowing the key.

/// The key, as two little-endian halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SipKey(pub u64, pub u64);

impl SipKey {
    /// The key that 16 bytes are.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_le_bytes(bytes);
        Self(number as u64, (number >> 64) as u64)
    }

    /// The hash of some bytes.
    pub fn hash(self, bytes: &[u8]) -> u64 {
        let mut state = State([
            self.0 ^ 0x736f_6d65_7073_6575,
            self.1 ^ 0x646f_7261_6e64_6f6d,
            self.0 ^ 0x6c79_6765_6e65_7261,
            self.1 ^ 0x7465_6462_7974_6573,
        ]);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state.take(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        state.take(u64::from_le_bytes(last) | (bytes.len() as u64) << 56);
        state.finish()
    }
}

struct State([u64; 4]);

impl State {
    fn take(&mut self, word: u64) {
        let [_, _, _, last] = &mut self.0;
        *last ^= word;
        self.round();
        self.round();
        let [first, ..] = &mut self.0;
        *first ^= word;
    }

    fn finish(mut self) -> u64 {
        let [_, _, third, _] = &mut self.0;
        *third ^= 0xff;
        for _ in 0..4 {
            self.round();
        }
        self.0.iter().fold(0, |hash, word| hash ^ word)
    }

    const fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b = b.rotate_left(13) ^ a;
        d = d.rotate_left(16) ^ c;
        a = a.rotate_left(32);
        a = a.wrapping_add(d);
        c = c.wrapping_add(b);
        d = d.rotate_left(21) ^ a;
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::SipKey;

    #[test]
    fn it_is_the_hash_of_its_authors() {
        // The values of the reference implementation for the bytes 0, 1, 2, … of growing length.
        let key = SipKey::from_bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let bytes: Vec<u8> = (0..15).collect();
        assert_eq!(key.hash(&[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(key.hash(&[0]), 0x74f8_39c5_93dc_67fd);
        assert_eq!(key.hash(&bytes), 0xa129_ca61_49be_45e5);
    }
}
