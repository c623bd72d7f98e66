//! What a light client keeps between two runs, beside its headers.

use crate::chain::Chain;
use crate::encode::{Decode, DecodeError, Decoder, Encode, put_count, put_list};
use crate::filter::FilterHeader;
use crate::hash::BlockHash;
use crate::store::Store;
use crate::sync::light::limits::{MAX_MOVEMENTS, MAX_PENDING, MAX_WATCHED};
use crate::sync::light::scan::Done;
use crate::sync::light::{Light, Movement, Place};
use crate::transaction::{Lock, MAX_INPUTS, Transaction, TxOut};

/// The form of what is kept.
const VERSION: u8 = 1;

impl Encode for Movement {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self.place {
            Some(Place { height, hash, time }) => {
                out.push(1);
                out.extend(height.to_le_bytes());
                out.extend(hash.0);
                out.extend(time.to_le_bytes());
            }
            None => out.push(0),
        }
        self.transaction.encode_to(out);
        put_list(out, &self.spent);
    }
}

impl Decode for Movement {
    fn decode_from(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let place = match input.u8()? {
            0 => None,
            1 => Some(Place { height: input.u32()?, hash: BlockHash(input.array()?), time: input.u32()? }),
            kind => return Err(DecodeError::UnknownKind(kind)),
        };
        let transaction = Transaction::decode_from(input)?;
        Ok(Self { transaction, spent: input.list::<TxOut>(MAX_INPUTS)?, place })
    }
}

impl Light {
    /// What the next run needs.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let Done { height, hash, header } = self.scan.done;
        // A range of which nothing could be compared is looked through again.
        let (height, hash, header) = match &self.scan.alone {
            Some(alone) => (alone.before.height, alone.before.hash, alone.before.header),
            None => (height, hash, header),
        };
        bytes.extend(self.chain.0);
        bytes.extend(self.from.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend(hash.0);
        bytes.push(u8::from(header.is_some()));
        bytes.extend(header.unwrap_or_default().0);
        let locks: Vec<Lock> = self.watch.locks().iter().copied().collect();
        put_list(&mut bytes, &locks);
        let is_kept = |found: &&Movement| height != u32::MAX && found.place.is_some_and(|place| place.height <= height);
        let kept = self.watch.found().iter().filter(is_kept);
        let kept: Vec<&Movement> = kept.collect();
        put_count(&mut bytes, kept.len() as u64);
        kept.into_iter().for_each(|movement| movement.encode_to(&mut bytes));
        put_count(&mut bytes, self.watch.pending().len() as u64);
        self.watch.pending().values().for_each(|movement| movement.encode_to(&mut bytes));
        bytes
    }

    /// Takes back what an earlier run saved.
    ///
    /// # Errors
    /// If the bytes are not what was saved, or of another chain: then nothing is taken.
    pub fn load<S: Store>(&mut self, bytes: &[u8], chain: &Chain<S>) -> Result<(), DecodeError> {
        let mut input = Decoder::new(bytes);
        match input.u8()? {
            VERSION => {}
            other => return Err(DecodeError::UnknownKind(other)),
        }
        if BlockHash(input.array()?) != chain.id() {
            return Err(DecodeError::UnknownKind(0));
        }
        let from = input.u32()?;
        let (height, hash) = (input.u32()?, BlockHash(input.array()?));
        let is_known = input.u8()? == 1;
        let header = FilterHeader(input.array()?);
        let locks: Vec<Lock> = input.list(MAX_WATCHED as u64)?;
        let found: Vec<Movement> = input.list(MAX_MOVEMENTS as u64)?;
        let pending: Vec<Movement> = input.list(MAX_PENDING as u64)?;
        input.finish()?;
        self.from = from;
        self.scan.done = Done { height, hash, header: is_known.then_some(header) };
        // The limits are those of what was saved.
        let _ = self.watch.add_locks(&locks);
        found.into_iter().for_each(|movement| self.watch.add(movement));
        pending.into_iter().for_each(|movement| self.watch.restore_pending(movement));
        if height == u32::MAX {
            self.rewind_all(chain);
        }
        Ok(())
    }
}
