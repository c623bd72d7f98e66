//! What a run is watched for: how far marked texts came and what they cost, and a digest by which two runs are compared.

use meshline_protocol::{Code, Frame, Message};

/// Things worth a line that are counted as well.
pub(crate) const OPENED: &str = "opened";
pub(crate) const LINK_UP: &str = "link_up";
pub(crate) const LINK_DOWN: &str = "link_down";

/// What begins a marked text; its number and a `#` follow.
const MARK: &[u8] = b"#mark:";

/// Everything that happened, as one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn add(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = (mixed ^ (mixed >> 29)).wrapping_add(0x1656_67b1_9e37_79f9);
    }

    pub(crate) fn add_text(&mut self, text: &str) {
        for chunk in text.as_bytes().chunks(8) {
            let word = chunk.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
            self.add(word);
        }
    }

    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

/// Where a text is at a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival {
    /// Links it came over first.
    pub(crate) hops: Option<u32>,
    /// When it was shown.
    pub(crate) shown_at: Option<u64>,
    /// In which run.
    pub(crate) boot: u64,
}

/// A text that is followed.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) author: usize,
    pub(crate) said_at: u64,
    /// Times its bytes were sent in a broadcast, and while histories were compared.
    pub(crate) copies: u64,
    pub(crate) repairs: u64,
    /// By node.
    pub(crate) arrivals: Vec<Arrival>,
}

/// What is watched.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) digest: Digest,
    /// Things worth a line, if anybody wants them.
    pub(crate) told: Option<Vec<Told>>,
    pub(crate) changes: LinkChanges,
    texts: Vec<Text>,
}

/// One thing worth a line.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) at: u64,
    pub(crate) node: usize,
    pub(crate) what: &'static str,
    pub(crate) other: Option<usize>,
    /// Why, of a link that ended.
    pub(crate) code: Option<Code>,
}

/// How often links changed, in all of the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkChanges {
    /// Connections opened, by whom they were dialled.
    pub opened: u64,
    /// Ends of links that came up.
    pub up: u64,
    /// Ends of links that went down.
    pub down: u64,
}

impl Watch {
    /// A marked text of some length; what must be said is returned.
    pub(crate) fn mark(&mut self, author: usize, now: u64, bytes: usize) -> (usize, String) {
        let number = self.texts.len();
        let mut text = format!("#mark:{number}#");
        text.extend(std::iter::repeat_n('.', bytes.saturating_sub(text.len())));
        let mut arrivals = vec![Arrival::default(); author + 1];
        if let Some(own) = arrivals.get_mut(author) {
            own.hops = Some(0);
        }
        self.texts.push(Text { author, said_at: now, copies: 0, repairs: 0, arrivals });
        (number, text)
    }

    pub(crate) fn text(&self, number: usize) -> Option<&Text> {
        self.texts.get(number)
    }

    /// The number of the marked text in some bytes.
    fn number_in(&self, bytes: &[u8]) -> Option<usize> {
        if self.texts.is_empty() {
            return None;
        }
        let at = bytes.windows(MARK.len()).position(|window| window == MARK)?;
        let digits = bytes.get(at + MARK.len()..)?;
        let end = digits.iter().position(|byte| *byte == b'#')?;
        std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok()
    }

    /// The number of the marked text that a frame bears. Advertisements and datagrams bear none, and are most of what
    /// has a body.
    fn number_of(&self, frame: &Frame) -> Option<usize> {
        let body = frame.body.as_ref()?;
        if matches!(frame.message, Message::Routing(_) | Message::Datagram(_) | Message::Probe(_)) {
            return None;
        }
        self.number_in(body)
    }

    /// The author of the marked text that a frame bears.
    pub(crate) fn author_in(&self, frame: &Frame) -> Option<usize> {
        let number = self.number_of(frame)?;
        self.texts.get(number).map(|text| text.author)
    }

    /// A frame is sent.
    pub(crate) fn sent(&mut self, frame: &Frame) {
        let Some(number) = self.number_of(frame) else { return };
        let Some(text) = self.texts.get_mut(number) else { return };
        if frame.message.kind().starts_with("broadcast") {
            text.copies += 1;
        } else {
            text.repairs += 1;
        }
    }

    /// A frame arrives.
    pub(crate) fn arrived(&mut self, from: usize, to: usize, frame: &Frame) {
        let Some(number) = self.number_of(frame) else { return };
        let Some(text) = self.texts.get_mut(number) else { return };
        let hops = text.arrivals.get(from).and_then(|arrival| arrival.hops).unwrap_or(0) + 1;
        let arrival = at(&mut text.arrivals, to);
        arrival.hops.get_or_insert(hops);
    }

    /// A text is shown to whoever sits at a node.
    ///
    /// # Panics
    /// If it was shown in the same run before.
    pub(crate) fn shown(&mut self, node: usize, boot: u64, bytes: &str, now: u64) {
        let Some(number) = self.number_in(bytes.as_bytes()) else { return };
        let Some(text) = self.texts.get_mut(number) else { return };
        let arrival = at(&mut text.arrivals, node);
        let again = arrival.shown_at.is_some() && arrival.boot == boot;
        assert!(!again, "node {node} was shown text {number} twice");
        (arrival.shown_at, arrival.boot) = (Some(now), boot);
    }

    pub(crate) fn tell(&mut self, told: Told) {
        match told.what {
            OPENED => self.changes.opened += 1,
            LINK_UP => self.changes.up += 1,
            LINK_DOWN => self.changes.down += 1,
            _ => {}
        }
        if let Some(lines) = &mut self.told {
            lines.push(told);
        }
    }
}

fn at(arrivals: &mut Vec<Arrival>, node: usize) -> &mut Arrival {
    if arrivals.len() <= node {
        arrivals.resize(node + 1, Arrival::default());
    }
    // Always there: the list was made long enough above.
    let last = arrivals.len() - 1;
    match arrivals.get_mut(node.min(last)) {
        Some(arrival) => arrival,
        None => unreachable!("the list is not empty"),
    }
}
