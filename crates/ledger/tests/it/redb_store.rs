//! The store on disk, over a disk that loses, tears and reorders what was not synced, and that fails.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use meshline_ledger::Block;
use meshline_ledger::chain::Chain;
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::{Batch, Durability, RedbStore, Store, StoreError, Table};
use rand_chacha::ChaCha8Rng;
use redb::StorageBackend;

use crate::support::{NOW, Owner, World, below, coins, genesis_of, output, params, rng};

/// What was done to the disk since the last sync.
#[derive(Debug, Clone)]
enum Write {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default)]
struct Platter {
    now: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Write>,
    writes: usize,
    fails_from: Option<(usize, io::ErrorKind)>,
}

/// A disk in memory.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Platter>>);

fn apply(content: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Bytes(at, bytes) => {
            let at = usize::try_from(*at).unwrap();
            if content.len() < at + bytes.len() {
                content.resize(at + bytes.len(), 0);
            }
            content[at..at + bytes.len()].copy_from_slice(bytes);
        }
        Write::Length(length) => content.resize(usize::try_from(*length).unwrap(), 0),
    }
}

impl Disk {
    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }

    fn with(content: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Platter { now: content.clone(), synced: content, ..Platter::default() })))
    }

    fn write_down(&self, write: Write) -> io::Result<()> {
        let mut platter = self.platter();
        platter.writes += 1;
        if let Some((from, kind)) = platter.fails_from.filter(|(from, _)| platter.writes > *from) {
            return Err(io::Error::new(kind, format!("write {from}")));
        }
        apply(&mut platter.now, &write);
        platter.unsynced.push(write);
        Ok(())
    }

    /// A disk as a crash now may leave it: of what was not synced each write is there, missing or torn, in any order.
    fn crash(&self, rng: &mut ChaCha8Rng) -> Self {
        let platter = self.platter();
        let mut left = platter.synced.clone();
        let mut writes = platter.unsynced.clone();
        for at in (1..writes.len()).rev() {
            if below(rng, 4) == 0 {
                writes.swap(at, below(rng, at + 1));
            }
        }
        for write in &mut writes {
            match (below(rng, 4), &mut *write) {
                (0, _) => continue,
                (1, Write::Bytes(_, bytes)) => bytes.truncate(below(rng, bytes.len().max(1))),
                _ => {}
            }
            apply(&mut left, write);
        }
        Self::with(left)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (platter, offset) = (self.platter(), usize::try_from(offset).unwrap());
        let found = platter.now.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.write_down(Write::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter();
        if let Some((_, kind)) = platter.fails_from.filter(|(from, _)| platter.writes > *from) {
            return Err(kind.into());
        }
        platter.synced = platter.now.clone();
        platter.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_down(Write::Bytes(offset, bytes.to_vec()))
    }
}

/// Blocks with payments, one after the other.
fn blocks(count: u64) -> Vec<Block> {
    let mut world = World::new();
    let add = |number: u64| {
        let payments = match number {
            2 => vec![world.pay(&Owner::new(0), &[world.first_coin()], vec![output(coins(50), &Owner::new(1))])],
            _ => Vec::new(),
        };
        world.extend(&Owner::new(number % 3), payments)
    };
    (0..count).map(add).collect()
}

/// A crash in the middle of every write, in several ways: what is there is what was acknowledged, or the block after.
#[test]
fn a_crash_at_any_write_leaves_the_last_acknowledged_block_or_the_next() {
    let seed = 9;
    let (mut rng, genesis) = (rng(seed), genesis_of(params(), &Owner::new(0)));
    let disk = Disk::default();
    let mut chain = Chain::open(&genesis, RedbStore::with_backend(disk.clone()).unwrap()).unwrap();
    for (number, block) in blocks(5).iter().enumerate() {
        let before = Disk::with(disk.platter().synced.clone());
        chain.accept_block(block, NOW, &BatchVerifier).unwrap();
        let writes = disk.platter().writes;
        // The same block again on a copy of the disk that stops at each of its writes.
        for stop in 0..=writes.min(60) {
            let copy = Disk::with(before.platter().synced.clone());
            let store = RedbStore::with_backend(copy.clone()).unwrap();
            let opened = copy.platter().writes;
            let mut half = Chain::open(&genesis, store).unwrap();
            copy.platter().fails_from = Some((opened + stop, io::ErrorKind::Other));
            let finished = half.accept_block(block, NOW, &BatchVerifier).is_ok();
            let left = copy.crash(&mut rng);
            let again = Chain::open(&genesis, RedbStore::with_backend(left).unwrap()).unwrap();
            let height = u64::from(again.height());
            let (old, new) = (number as u64, number as u64 + 1);
            assert!(height == new || (height == old && !finished), "seed {seed}: {height} after {old}, write {stop}");
            assert!(again.verify(&BatchVerifier, |_| {}).is_ok(), "seed {seed}, write {stop}");
            if finished {
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_is_called_full_and_its_chain_goes_on_when_there_is_space() {
    let genesis = genesis_of(params(), &Owner::new(0));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    let blocks = blocks(4);
    let disk = Disk::default();
    let mut chain = Chain::open(&genesis, RedbStore::with_backend(disk.clone()).unwrap()).unwrap();
    chain.accept_block(&blocks[0], NOW, &BatchVerifier).unwrap();
    let now = disk.platter().writes;
    disk.platter().fails_from = Some((now, io::ErrorKind::StorageFull));
    let refusal = chain.accept_block(&blocks[1], NOW, &BatchVerifier).unwrap_err();
    assert_eq!(refusal, StoreError::Full.into());
    // A file is opened again by itself.
    let mut chain = Chain::open(&genesis, RedbStore::open(&path).unwrap()).unwrap();
    blocks.iter().for_each(|block| drop(chain.accept_block(block, NOW, &BatchVerifier).unwrap()));
    let set = chain.set_hash().unwrap();
    drop(chain);
    let chain = Chain::open(&genesis, RedbStore::open(&path).unwrap()).unwrap();
    assert_eq!((chain.height(), chain.set_hash().unwrap()), (4, set));
}

#[test]
fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    let mut store = RedbStore::open(&path).unwrap();
    let mut batch = Batch::default();
    batch.put(Table::Meta, b"key", b"value".to_vec());
    store.commit(&batch, Durability::Synced).unwrap();
    assert_eq!(store.get(Table::Meta, b"key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
