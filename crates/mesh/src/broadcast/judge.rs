//! Whether a message may be taken in: author, signature, network and dates.

use bytes::Bytes;
use meshline_protocol::limits::MAX_TEXT;
use meshline_protocol::message::{BroadcastMessage, RecordText, SignedBroadcast};
use meshline_protocol::{Code, NodeId, UnixMicros};

use crate::config::Config;
use crate::event::SignedText;
use crate::shared::Shared;

/// Longest body of a broadcast: a text in which every character is escaped, and what stands around it.
pub(super) const MAX_BROADCAST_BODY: usize = 2 * MAX_TEXT + 2_048;

/// How far ahead of the members' time a message may be: five times what clocks may differ without being corrected.
/// Beyond it an author could fill everybody's history with what nothing ever comes after.
const MAX_AHEAD: i64 = 300_000_000;

/// Checks author, signature and dates of a message that is new here.
pub(super) fn verified(line: &BroadcastMessage, body: &Bytes, shared: &Shared) -> Result<SignedBroadcast, Code> {
    let text = read(&line.by, line.seq, (&line.sig, body), &shared.config)?;
    if text.expires <= shared.judged() {
        Err(Code::RecordExpired)
    } else if !is_plausible(text.seq.max(text.clock), shared) {
        Err(Code::RecordEarly)
    } else {
        Ok(text)
    }
}

/// Whether something may have been written by now.
pub(crate) fn is_plausible(time: UnixMicros, shared: &Shared) -> bool {
    time <= latest_plausible(shared)
}

/// The latest time at which something may have been written by now.
pub(crate) fn latest_plausible(shared: &Shared) -> UnixMicros {
    shared.latest().offset(MAX_AHEAD)
}

/// Checks author and signature of a text, whenever it was written.
pub(crate) fn read_signed(signed: &SignedText, config: &Config) -> Result<SignedBroadcast, Code> {
    read(&signed.by, signed.seq, (&signed.sig, &signed.body), config)
}

fn read(by: &NodeId, seq: UnixMicros, signed: (&str, &Bytes), config: &Config) -> Result<SignedBroadcast, Code> {
    let (sig, body) = signed;
    if body.len() > MAX_BROADCAST_BODY {
        return Err(Code::BodyTooLong);
    }
    if !config.verifier.verify(by, body, sig) {
        return Err(Code::BadSignature);
    }
    let text: SignedBroadcast = serde_json::from_slice(body).map_err(|_| Code::InvalidMessage)?;
    if text.kind != SignedBroadcast::TYPE || text.seq != seq || text.text.len() > MAX_TEXT {
        return Err(Code::InvalidMessage);
    }
    if text.network != config.network {
        return Err(Code::RecordForeign);
    }
    Ok(text)
}
