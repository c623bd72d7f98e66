//! What became of a message.

/// What became of a message, or of several written together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Messages written.
    pub messages: u64,
    /// Nodes that run.
    pub alive: usize,
    /// Those of them that have all of the messages.
    pub reached: usize,
    /// Copies of messages that arrived anywhere.
    pub copies: u64,
    /// Names that were announced.
    pub announcements: u64,
    /// Messages asked for that were announced and did not come.
    pub asked: u64,
    /// Links taken into the tree.
    pub grafts: u64,
    /// Links taken out of it.
    pub prunes: u64,
    /// Places in the tree told to a peer.
    pub places: u64,
    /// Most links that a message passed to anybody.
    pub last_hops: u32,
    /// The same on average.
    pub mean_hops: f64,
    /// Microseconds until the last one had it.
    pub last_us: u64,
    pub(super) began: u64,
}

impl Outcome {
    /// Copies for each message and node that was to get it: 1 is the least.
    #[must_use]
    pub fn copies_per_node(&self) -> f64 {
        let due = self.alive.saturating_sub(1) as u64 * self.messages;
        self.copies as f64 / due.max(1) as f64
    }

    /// Announced names for each message and node.
    #[must_use]
    pub fn announcements_per_node(&self) -> f64 {
        let due = self.alive.saturating_sub(1) as u64 * self.messages;
        self.announcements as f64 / due.max(1) as f64
    }
}
