//! Opening a chain: an empty store gets the genesis block, any other gives back headers and tip.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::chain::coins::Overlay;
use crate::chain::repair::first_outputs;
use crate::chain::tree::{Entry, GENESIS, HeaderTree, Slot, Status};
use crate::chain::{Chain, Flush};
use crate::consensus::{Genesis, Header};
use crate::encode::{Decode, Encode};
use crate::hash::BlockHash;
use crate::store::{Store, StoreError, Table, unseal};

/// Hash of the active chain's last block.
pub(super) const TIP: &[u8] = b"tip";
/// Hash of the last block that is written, if what it does to the unspent outputs is not.
pub(super) const AHEAD: &[u8] = b"ahead";
/// There while the coins are being rebuilt.
pub(super) const REBUILDING: &[u8] = b"rebuilding";
/// Hash of the genesis block.
const CHAIN: &[u8] = b"chain";
/// Version of what is in the store.
const FORMAT: &[u8] = b"format";
const FORMAT_VERSION: u8 = 1;

const HAS_BODY: u8 = 1;
const INVALID: u8 = 2;

/// Why a chain cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The store holds another chain.
    #[error("the store holds the chain {0}")]
    OtherChain(BlockHash),
    /// The store was written by a later version.
    #[error("the store has the format {0}, this version knows {FORMAT_VERSION}")]
    Format(u8),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) fn open<S: Store>(genesis: &Genesis, store: S) -> Result<Chain<S>, OpenError> {
    let header = genesis.block.header;
    let mut chain = Chain {
        params: genesis.params,
        id: header.hash(),
        store,
        tree: HeaderTree::new(header),
        overlay: Overlay::default(),
        pending: BTreeMap::new(),
        pending_bytes: 0,
        flush: Flush::EachBlock,
        stored: header.hash(),
        is_ahead: false,
        undelivered: Vec::new(),
        filtered: None,
    };
    match chain.record(Table::Meta, CHAIN)? {
        None => chain.begin(genesis)?,
        Some(id) if id == chain.id.0 => chain.load()?,
        Some(id) => return Err(OpenError::OtherChain(BlockHash(id.try_into().unwrap_or_default()))),
    }
    Ok(chain)
}

impl<S: Store> Chain<S> {
    fn begin(&mut self, genesis: &Genesis) -> Result<(), OpenError> {
        let id = self.id;
        self.keep(Table::Meta, CHAIN.to_vec(), id.0.to_vec());
        self.keep(Table::Meta, FORMAT.to_vec(), vec![FORMAT_VERSION]);
        self.keep(Table::Blocks, id.0.to_vec(), genesis.block.encode());
        self.keep_header(GENESIS);
        self.apply(&first_outputs(&genesis.block));
        Ok(self.flush()?)
    }

    fn load(&mut self) -> Result<(), OpenError> {
        match self.record(Table::Meta, FORMAT)?.as_deref() {
            Some([FORMAT_VERSION]) => {}
            Some([version]) => return Err(OpenError::Format(*version)),
            Some(_) | None => return Err(StoreError::corrupt(Table::Meta, FORMAT).into()),
        }
        self.load_headers()?;
        let damaged = || StoreError::corrupt(Table::Meta, TIP);
        let tip = self.record(Table::Meta, TIP)?.ok_or_else(damaged)?;
        let tip = BlockHash(tip.try_into().map_err(|_| damaged())?);
        let slot = self.tree.slot(&tip).ok_or_else(damaged)?;
        self.tree.set_active(slot);
        self.stored = tip;
        self.load_ahead()?;
        self.load_filtered()?;
        if self.record(Table::Meta, REBUILDING)?.is_some() {
            self.reindex()?;
        }
        Ok(())
    }

    fn load_ahead(&mut self) -> Result<(), StoreError> {
        let Some(ahead) = self.record(Table::Meta, AHEAD)? else { return Ok(()) };
        self.is_ahead = true;
        let target = ahead.try_into().ok().and_then(|hash| self.tree.slot(&BlockHash(hash)));
        self.roll_forward(target.ok_or_else(|| StoreError::corrupt(Table::Meta, AHEAD))?)
    }

    fn load_headers(&mut self) -> Result<(), StoreError> {
        let Self { store, tree, .. } = self;
        let mut damaged = Ok(());
        store.scan(Table::Headers, &[], &mut |key, sealed| match restore(tree, key, sealed) {
            Some(()) => ControlFlow::Continue(()),
            None => {
                damaged = Err(StoreError::corrupt(Table::Headers, key));
                ControlFlow::Break(())
            }
        })?;
        damaged
    }
}

/// Puts a stored header into the tree. `None` if it is not what was written.
fn restore(tree: &mut HeaderTree, key: &[u8], sealed: &[u8]) -> Option<()> {
    let value = unseal(Table::Headers, key, sealed).ok()?;
    let (header, flags) = value.split_first_chunk::<{ Header::SIZE }>()?;
    let (header, flags) = (Header::decode(header).ok()?, *flags.first()?);
    let hash = header.hash();
    if key.get(4..) != Some(&hash.0) {
        return None;
    }
    // The genesis block is there; the parent of an invalid header need not be.
    if tree.slot(&hash).is_some() {
        return Some(());
    }
    let Some(parent) = tree.slot(&header.previous) else { return Some(()) };
    let Ok(slot) = tree.insert_known(header, hash, parent) else { return Some(()) };
    if flags & INVALID != 0 {
        tree.mark_invalid(slot);
    } else if flags & HAS_BODY != 0 {
        tree.add_body(slot);
    }
    Some(())
}

/// The key of a header's record sorts by height, so that parents are read first.
pub(super) fn header_key(entry: &Entry) -> Vec<u8> {
    [&entry.height.to_be_bytes()[..], &entry.hash.0].concat()
}

/// The record of a header.
pub(super) fn header_record(tree: &HeaderTree, slot: Slot) -> Option<(Vec<u8>, Vec<u8>)> {
    let entry = tree.entry(slot)?;
    let key = header_key(entry);
    let Status { has_body, invalid } = entry.status;
    let mut value = entry.header.to_bytes().to_vec();
    value.push(if has_body { HAS_BODY } else { 0 } | if invalid { INVALID } else { 0 });
    Some((key, value))
}
