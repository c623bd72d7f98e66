//! Advertisements that come: dropped by author and sequence before anything else, otherwise verified and passed on.

use std::sync::Arc;

use bytes::Bytes;
use meshline_identity::Sequence;
use meshline_protocol::message::{LinkState, RecordText, RoutingAdvertisement, RoutingAdvertisements};
use meshline_protocol::{Code, NodeId, UnixMicros};

use super::Routing;
use super::lsdb::{Age, Entry};
use crate::bucket::{Bucket, Rate};
use crate::shared::Shared;

/// Longest signed text of an advertisement: 64 links with everything in them.
pub(super) const MAX_BODY: usize = 16 * 1024;

/// Advertisements taken of one author: more than an honest one sends when its links come and go.
const AUTHOR_RATE: Rate = Rate { per_second: 2, burst: 20 };

impl Routing {
    /// Takes in several at once. One that is refused does not keep the others out, and the sender hears of the first.
    pub(super) fn handle_advertisements(
        &mut self,
        from: NodeId,
        several: RoutingAdvertisements,
        body: &Bytes,
        shared: &mut Shared,
    ) -> Result<(), Code> {
        let (mut rest, mut outcome) = (body.as_ref(), Ok(()));
        for part in several.entries.into_vec() {
            let len = usize::try_from(part.len).unwrap_or(usize::MAX);
            let Some((text, behind)) = rest.split_at_checked(len) else { return Err(Code::InvalidMessage) };
            rest = behind;
            let line = RoutingAdvertisement { by: part.by, seq: part.seq, sig: part.sig };
            // A copy, and only of what is news: a piece of the body would keep the whole of it in memory.
            let done = self.handle_advertisement(from, line, (text, || Bytes::copy_from_slice(text)), shared);
            outcome = outcome.and(done);
        }
        if rest.is_empty() { outcome } else { Err(Code::InvalidMessage) }
    }

    pub(super) fn handle_advertisement(
        &mut self,
        from: NodeId,
        line: RoutingAdvertisement,
        (text, body): (&[u8], impl FnOnce() -> Bytes),
        shared: &mut Shared,
    ) -> Result<(), Code> {
        let (author, seq, now) = (line.by, line.seq, shared.now.mono);
        if author == shared.id {
            self.outdo(seq, shared);
            self.flood.received(&from, author, seq, now);
            return Ok(());
        }
        match self.lsdb.age(&author, seq) {
            Age::Same => self.flood.received(&from, author, seq, now),
            Age::Older => self.flood.send(&from, std::iter::once(author), &self.lsdb, shared),
            Age::Newer => {
                // Not acknowledged, so it comes again when there is an allowance again.
                if !self.rates.entry(author).or_insert_with(|| Bucket::new(AUTHOR_RATE, now)).has(now) {
                    shared.count(Code::RateLimited);
                    return Ok(());
                }
                let entry = read(line, (text, body), shared)?;
                if let Some(bucket) = self.rates.get_mut(&author) {
                    bucket.take(now);
                }
                self.flood.received(&from, author, seq, now);
                self.wanted.came(&author, seq);
                self.take_in(from, &entry, shared);
            }
        }
        Ok(())
    }

    /// Keeps an advertisement that was checked and passes it on, if its author is near enough.
    fn take_in(&mut self, from: NodeId, entry: &Arc<Entry>, shared: &mut Shared) {
        let author = entry.line.by;
        let is_linked = shared.up.contains_key(&author);
        let is_held = self.lsdb.get(&author).is_some();
        if !is_held && !self.area.admit(author, &entry.state, &self.lsdb, is_linked) {
            self.rates.remove(&author);
            return;
        }
        let level = self.area.level(&author).unwrap_or(0);
        if self.lsdb.insert(Arc::clone(entry)) {
            self.flood.spread((entry, &self.lsdb), (Some(from), level), shared);
        }
        if self.area.is_overfull(self.lsdb.len()) {
            self.fit(shared);
        }
    }

    /// Somebody holds an advertisement of ours from an earlier run that is newer than what we told: ours must be newer
    /// again.
    fn outdo(&mut self, seq: UnixMicros, shared: &Shared) {
        if seq > self.seq.last() {
            self.seq = Sequence::after(seq);
            self.own.changed(shared.now.mono);
        }
    }
}

/// Checks author, signature and dates of an advertisement. Nodes of one process that remember together read it once.
fn read(
    line: RoutingAdvertisement,
    (text, body): (&[u8], impl FnOnce() -> Bytes),
    shared: &Shared,
) -> Result<Arc<Entry>, Code> {
    let verifier = &shared.config.verifier;
    let before = verifier.recall::<Entry>(&line.sig).filter(|entry| entry.line == line && entry.body == text);
    let entry = match before {
        Some(entry) => entry,
        None => {
            let state = verified(&line, text, shared)?;
            let entry = Arc::new(Entry { line, body: body(), state });
            verifier.note_read(&entry.line.sig, &entry);
            entry
        }
    };
    if entry.state.network != shared.config.network {
        return Err(Code::RecordForeign);
    }
    // Passed on late: no fault of whoever passes it on, and no use either.
    if entry.state.expires <= shared.judged() { Err(Code::RecordExpired) } else { Ok(entry) }
}

fn verified(line: &RoutingAdvertisement, body: &[u8], shared: &Shared) -> Result<LinkState, Code> {
    if body.len() > MAX_BODY {
        return Err(Code::BodyTooLong);
    }
    if !shared.config.verifier.verify(&line.by, body, &line.sig) {
        return Err(Code::BadSignature);
    }
    let state: LinkState = serde_json::from_slice(body).map_err(|_| Code::InvalidMessage)?;
    let is_meant = state.kind == LinkState::TYPE && state.seq == line.seq;
    if is_meant { Ok(state) } else { Err(Code::InvalidMessage) }
}

#[cfg(test)]
mod tests;
