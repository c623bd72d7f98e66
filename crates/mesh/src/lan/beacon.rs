//! What a node announces of itself on the local segment, and which addresses belong to it.

use std::net::IpAddr;

use data_encoding::HEXLOWER;
use meshline_protocol::{NetworkId, NodeId};
use sha2::{Digest, Sha256};

/// Bytes of a hash that are announced: enough to tell networks and members apart, too few to be worth anything else.
const TAG_BYTES: usize = 8;

/// What a node announces of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanBeacon {
    /// By which members of the same network know that it is theirs.
    pub network: String,
    /// By which those who know its id recognise it.
    pub member: String,
}

impl LanBeacon {
    /// That of a node of a network.
    #[must_use]
    pub fn new(network: &NetworkId, id: &NodeId) -> Self {
        let network = network.to_string();
        let member = tag("meshline lan member", &[network.as_bytes(), id.as_bytes()]);
        Self { network: tag("meshline lan network", &[network.as_bytes()]), member }
    }
}

fn tag(what: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new_with_prefix(what.as_bytes());
    for part in parts {
        hash.update([0]);
        hash.update(part);
    }
    HEXLOWER.encode(hash.finalize().get(..TAG_BYTES).unwrap_or_default())
}

/// An address of this host, with the bits that all of its segment share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanSegment {
    /// The host's own.
    pub address: IpAddr,
    /// Bits.
    pub prefix: u8,
}

impl LanSegment {
    /// Whether an address is on this segment, so that nobody is sent elsewhere by an announcement.
    #[must_use]
    pub fn has(&self, other: IpAddr) -> bool {
        let same = |own: u128, other: u128, bits: u32| {
            let prefix = u32::from(self.prefix).min(bits);
            // A segment of no bits is everything, which none is.
            prefix > 0 && (own ^ other).checked_shr(bits - prefix).unwrap_or(0) == 0
        };
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}
