//! What a link carries, tried out where no traffic tells: announced, agreed to, and little.
//!
//! One link at a time is tried, first with [`FIRST_BYTES`] and, if those came fast, with [`MORE_BYTES`] at once: so a
//! slow line is held up for half a second and a fast one is measured all the same. Whoever is asked agrees to
//! [`MAX_BYTES`] of each link in [`AGAIN_AFTER`]; filler that was not agreed to is a fault like any other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshline_protocol::message::{Probe, ProbeNumber, ProbeReport, ProbeSize};
use meshline_protocol::{Code, Frame, Message};

use super::{Link, Links};
use crate::input::{LinkId, Transport};
use crate::now::Mono;
use crate::shared::Shared;

/// Half a second of a line of a megabit a second.
const FIRST_BYTES: u32 = 64 * 1024;

/// A fifth of a second of a line that is just fast enough for it.
const MORE_BYTES: u32 = 512 * 1024;

/// At this rate more is sent.
const FAST_BPS: u64 = 20_000_000;

/// What one link may bring within [`AGAIN_AFTER`]: both trains.
const MAX_BYTES: u32 = FIRST_BYTES + MORE_BYTES;

/// The body of one filler; a report counts from the one that completes the first half.
const FILLER_BYTES: u32 = 8 * 1024;

/// A new link has better things to do: hello, gossip, histories.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// Between two probes of a node, so that a thousand links are no load for the lines they share.
const BETWEEN: Duration = Duration::from_secs(10);

/// The time for which it is counted what a link brought; what it carries changes seldom, and traffic tells sooner.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

/// Between two probes of a link: a minute more, lest the other end declines for some milliseconds.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(660);

/// How long an answer, or the next filler, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// No train takes longer than this: 64 KiB on a modem.
const MOST: Duration = Duration::from_secs(60);

/// What took less counts as this long. Bytes that were there already are read in some microseconds, however slow the
/// line: that shows how fast memory is, and over a few wake-ups of a thread nothing at all. So a probe says at most what
/// it can show, 2.1 Gbit/s.
const LEAST_MICROS: u32 = 1_000;
const _: () =
    assert!(FIRST_BYTES as u64 / 2 * 8_000_000 / LEAST_MICROS as u64 >= FAST_BPS, "a fast line is seen as one");

/// What a link remembers of being tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probed {
    /// Bits a second that got there, as the other end reported.
    pub(crate) bps: Option<u64>,
    /// Bits a second that came.
    pub(crate) in_bps: Option<u64>,
    tried: Option<Mono>,
    /// Bytes agreed to, and since when they are counted.
    agreed: Option<(Mono, u32)>,
}

impl Probed {
    /// How much may come now of what is asked for.
    fn agree(&mut self, asked: u32, now: Mono) -> Option<u32> {
        let (since, used) = self.agreed.filter(|(since, _)| now.since(*since) < AGAIN_AFTER).unwrap_or((now, 0));
        let bytes = asked.min(MAX_BYTES.saturating_sub(used));
        self.agreed = Some((since, used.saturating_add(bytes)));
        Some(bytes).filter(|bytes| *bytes >= FILLER_BYTES)
    }
}

/// A probe of ours.
#[derive(Clone, Copy, Debug)]
struct Ours {
    link: LinkId,
    nonce: u32,
    bytes: u32,
    sent: Option<Mono>,
    until: Mono,
}

/// A probe of another.
#[derive(Clone, Copy, Debug)]
struct Theirs {
    link: LinkId,
    nonce: u32,
    bytes: u32,
    came: u32,
    /// When the first half was there, and how much it was.
    half: Option<(Mono, u32)>,
    until: Mono,
    end: Mono,
}

/// Probes under way: one of each kind.
#[derive(Debug)]
pub(crate) struct Probes {
    ours: Option<Ours>,
    theirs: Option<Theirs>,
    next: Mono,
}

impl Probes {
    pub(crate) fn new(now: Mono) -> Self {
        Self { ours: None, theirs: None, next: now.after(SETTLED_AFTER) }
    }

    /// Gives up what takes too long, and tries the next link if it is time.
    pub(crate) fn handle_timeout(&mut self, links: &mut Links, shared: &mut Shared) {
        let now = shared.now.mono;
        self.ours = self.ours.filter(|ours| now < ours.until);
        self.theirs = self.theirs.filter(|theirs| now < theirs.until);
        if now < self.next || self.ours.is_some() || !shared.config.routing.probe || shared.leaving {
            return;
        }
        self.next = shared.jittered(BETWEEN);
        let wanting = links.iter().filter(|link| wants(link, now)).min_by_key(|link| (link.probed.tried, link.id));
        let Some(link) = wanting.map(|link| link.id).and_then(|id| links.get_mut(id)) else { return };
        link.probed.tried = Some(now);
        self.ask(link.id, FIRST_BYTES, shared);
    }

    pub(crate) fn next_timeout(&self, shared: &Shared) -> Option<Mono> {
        shared.config.routing.probe.then_some(self.next)
    }

    fn ask(&mut self, link: LinkId, bytes: u32, shared: &mut Shared) {
        let nonce = shared.random_u32();
        self.ours = Some(Ours { link, nonce, bytes, sent: None, until: shared.now.mono.after(PATIENCE) });
        say(link, Probe::Ask(ProbeSize { nonce, bytes }), shared);
    }

    /// Takes in what the other end of a link says.
    pub(crate) fn handle(
        &mut self,
        link: &mut Link,
        message: &Probe,
        body: Option<Bytes>,
        shared: &mut Shared,
    ) -> Result<(), Code> {
        match *message {
            Probe::Ask(ask) => self.on_ask(link, ask, shared),
            Probe::Agree(agreed) => return self.on_agree(link.id, agreed, shared),
            Probe::Decline(ProbeNumber { nonce }) => self.ours = self.ours.filter(|ours| !ours.is(link.id, nonce)),
            Probe::Filler(ProbeNumber { nonce }) => {
                return self.on_filler(link, nonce, body.map_or(0, |body| body.len()), shared);
            }
            Probe::Report(report) => return self.on_report(link, report, shared),
        }
        Ok(())
    }

    fn on_ask(&mut self, link: &mut Link, ProbeSize { nonce, bytes }: ProbeSize, shared: &mut Shared) {
        let now = shared.now.mono;
        let may = shared.config.routing.probe && self.theirs.is_none();
        let Some(bytes) = may.then(|| link.probed.agree(bytes, now)).flatten() else {
            say(link.id, Probe::Decline(ProbeNumber { nonce }), shared);
            return;
        };
        let (until, end) = (now.after(PATIENCE), now.after(MOST));
        self.theirs = Some(Theirs { link: link.id, nonce, bytes, came: 0, half: None, until, end });
        say(link.id, Probe::Agree(ProbeSize { nonce, bytes }), shared);
    }

    fn on_agree(&mut self, link: LinkId, agreed: ProbeSize, shared: &mut Shared) -> Result<(), Code> {
        let now = shared.now.mono;
        // Late is no fault.
        let Some(ours) = self.ours.as_mut().filter(|ours| ours.is(link, agreed.nonce)) else { return Ok(()) };
        if ours.sent.is_some() || agreed.bytes > ours.bytes || agreed.bytes < FILLER_BYTES {
            return Err(Code::UnexpectedMessage);
        }
        (ours.bytes, ours.sent, ours.until) = (agreed.bytes, Some(now), now.after(MOST));
        let whole = filler(agreed.nonce, FILLER_BYTES);
        for _ in 0..agreed.bytes / FILLER_BYTES {
            shared.send_on(link, &whole);
        }
        let rest = agreed.bytes % FILLER_BYTES;
        if rest > 0 {
            shared.send_on(link, &filler(agreed.nonce, rest));
        }
        Ok(())
    }

    fn on_filler(&mut self, link: &mut Link, nonce: u32, length: usize, shared: &mut Shared) -> Result<(), Code> {
        let now = shared.now.mono;
        let theirs = self.theirs.as_mut().filter(|theirs| theirs.link == link.id && theirs.nonce == nonce);
        let theirs = theirs.ok_or(Code::UnexpectedMessage)?;
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let came = theirs.came.saturating_add(length);
        if length == 0 || came > theirs.bytes {
            return Err(Code::UnexpectedMessage);
        }
        (theirs.came, theirs.until) = (came, now.after(PATIENCE).min(theirs.end));
        if came < theirs.bytes {
            if theirs.half.is_none() && came >= theirs.bytes / 2 {
                theirs.half = Some((now, came));
            }
            return Ok(());
        }
        let (since, before) = theirs.half.unwrap_or((now, 0));
        let micros = u32::try_from(now.micros_since(since)).unwrap_or(u32::MAX).max(1);
        let bytes = came.saturating_sub(before);
        self.theirs = None;
        link.probed.in_bps = Some(rate(bytes, micros));
        say(link.id, Probe::Report(ProbeReport { nonce, bytes, micros }), shared);
        Ok(())
    }

    fn on_report(&mut self, link: &mut Link, report: ProbeReport, shared: &mut Shared) -> Result<(), Code> {
        let Some(ours) = self.ours.filter(|ours| ours.is(link.id, report.nonce)) else { return Ok(()) };
        let since = ours.sent.ok_or(Code::UnexpectedMessage)?;
        let taken = shared.now.mono.micros_since(since);
        // It cannot have taken longer there than it took here with the way and back.
        if report.bytes == 0 || report.bytes > ours.bytes || report.micros == 0 || u64::from(report.micros) > taken {
            return Err(Code::InvalidMessage);
        }
        self.ours = None;
        let bps = rate(report.bytes, report.micros);
        link.probed.bps = Some(bps);
        if ours.bytes <= FIRST_BYTES && bps >= FAST_BPS {
            self.ask(link.id, MORE_BYTES, shared);
        }
        Ok(())
    }
}

impl Ours {
    fn is(&self, link: LinkId, nonce: u32) -> bool {
        self.link == link && self.nonce == nonce
    }
}

/// A direct link that is used by nobody and of which nothing is known. A relayed one would be a load for its proxy.
fn wants(link: &Link, now: Mono) -> bool {
    link.is_up()
        && link.transport != Transport::Relay
        && link.measured.goodput_bps.is_none()
        && !link.liveness.is_carrying(now)
        && now.since(link.since) >= SETTLED_AFTER
        && link.probed.tried.is_none_or(|tried| now.since(tried) >= ASK_AGAIN_AFTER)
}

fn say(link: LinkId, message: Probe, shared: &mut Shared) {
    shared.send_on(link, &Arc::new(Message::Probe(message).into()));
}

fn filler(nonce: u32, length: u32) -> Arc<Frame> {
    const ZEROS: &[u8] = &[0; FILLER_BYTES as usize];
    let body = ZEROS.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
    Arc::new(Frame { message: Message::Probe(Probe::Filler(ProbeNumber { nonce })), body: Some(body.into()) })
}

/// Bits a second, at least.
fn rate(bytes: u32, micros: u32) -> u64 {
    u64::from(bytes) * 8_000_000 / u64::from(micros.max(LEAST_MICROS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_took_less_than_can_be_measured_says_only_what_it_showed() {
        let half = MORE_BYTES / 2;
        // As seen on the loopback of a host of two cores.
        assert_eq!([rate(half, 16), rate(half, 18), rate(half, 0)], [2_097_152_000; 3]);
        assert_eq!(rate(half, LEAST_MICROS + 1), 2_095_056_943);
        assert_eq!(rate(FIRST_BYTES / 2, 262_144), 1_000_000, "what takes its time is not touched");
    }
}
