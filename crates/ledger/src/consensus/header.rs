//! Bitcoin's block header, 80 bytes, and its merkle tree.

use crate::consensus::compact::CompactBits;
use crate::encode::{Decode, DecodeError, Decoder, Encode};
use crate::hash::{BlockHash, sha256d};

/// The head of a block: all that proof of work covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Version of the block.
    pub version: u32,
    /// The block before.
    pub previous: BlockHash,
    /// Root of the merkle tree over the transactions.
    pub merkle_root: [u8; 32],
    /// When its miner says it was made, in seconds since 1970.
    pub time: u32,
    /// The target its hash must meet.
    pub bits: CompactBits,
    /// What the miner varies.
    pub nonce: u32,
}

impl Header {
    /// Bytes of the canonical form.
    pub const SIZE: usize = 80;

    /// The name of the block.
    pub fn hash(&self) -> BlockHash {
        BlockHash(sha256d(&self.to_bytes()))
    }

    /// The canonical form.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut at = bytes.as_mut_slice();
        for part in [
            &self.version.to_le_bytes()[..],
            &self.previous.0,
            &self.merkle_root,
            &self.time.to_le_bytes(),
            &self.bits.0.to_le_bytes(),
            &self.nonce.to_le_bytes(),
        ] {
            let (to, rest) = at.split_at_mut(part.len());
            to.copy_from_slice(part);
            at = rest;
        }
        bytes
    }
}

impl Encode for Header {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend(self.to_bytes());
    }
}

impl Decode for Header {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: input.u32()?,
            previous: BlockHash(input.array()?),
            merkle_root: input.array()?,
            time: input.u32()?,
            bits: CompactBits(input.u32()?),
            nonce: input.u32()?,
        })
    }
}

/// The root of a merkle tree, and whether its leaves could be fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MerkleRoot {
    /// The root.
    pub root: [u8; 32],
    /// Two equal nodes stand side by side: a shorter list of leaves may have the same root (CVE-2012-2459).
    pub mutated: bool,
}

/// The merkle root of Bitcoin: pairs hashed together, an odd last node with itself; 32 zero bytes for no leaves.
pub fn merkle_root(leaves: impl IntoIterator<Item = [u8; 32]>) -> MerkleRoot {
    let mut level: Vec<[u8; 32]> = leaves.into_iter().collect();
    let mut mutated = false;
    while level.len() > 1 {
        mutated |= level.chunks_exact(2).any(|pair| matches!(pair, [left, right] if left == right));
        level = level.chunks(2).map(hash_pair).collect();
    }
    MerkleRoot { root: level.first().copied().unwrap_or_default(), mutated }
}

/// The nodes beside the way from leaf `index` up to the root: the proof that the leaf is in the tree.
pub fn merkle_branch(leaves: &[[u8; 32]], index: usize) -> Vec<[u8; 32]> {
    MerkleTree::new(leaves.to_vec()).branch(index)
}

/// A whole merkle tree, for several branches of it.
#[derive(Debug, Clone)]
pub struct MerkleTree {
    /// From the leaves up to the two below the root.
    levels: Vec<Vec<[u8; 32]>>,
}

impl MerkleTree {
    /// The tree over these leaves.
    pub fn new(leaves: Vec<[u8; 32]>) -> Self {
        let (mut levels, mut level) = (Vec::new(), leaves);
        while level.len() > 1 {
            let above = level.chunks(2).map(hash_pair).collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        Self { levels }
    }

    /// The nodes beside the way from leaf `index` up to the root.
    pub fn branch(&self, index: usize) -> Vec<[u8; 32]> {
        let (mut at, mut branch) = (index, Vec::with_capacity(self.levels.len()));
        for level in &self.levels {
            branch.extend(level.get(at ^ 1).or_else(|| level.get(at)));
            at /= 2;
        }
        branch
    }
}

/// The root that a leaf at `index` with this branch leads to. Proofs are good only for whole transactions: 64 bytes of
/// two hashes never are one.
pub fn root_of_branch(leaf: [u8; 32], index: usize, branch: &[[u8; 32]]) -> [u8; 32] {
    let (mut node, mut at) = (leaf, index);
    for beside in branch {
        node = if at.is_multiple_of(2) { hash_pair(&[node, *beside]) } else { hash_pair(&[*beside, node]) };
        at /= 2;
    }
    node
}

fn hash_pair(pair: &[[u8; 32]]) -> [u8; 32] {
    let mut bytes = [0; 64];
    let (left, right) = bytes.split_at_mut(32);
    if let (Some(first), Some(last)) = (pair.first(), pair.last()) {
        left.copy_from_slice(first);
        right.copy_from_slice(last);
    }
    sha256d(&bytes)
}
