//! What the driver drives.

use meshline_mesh::{Mono, Now};
use meshline_services::{Input, Output, Stack};

/// The four verbs of the pure core. [`Stack`] has them; tests drive scripts of their own.
pub trait Core: Send + 'static {
    /// Takes in what happened.
    fn handle_input(&mut self, input: Input, now: Now);
    /// The next thing to do.
    fn poll_output(&mut self) -> Option<Output>;
    /// When to call [`Core::handle_input`] with a timeout at the latest.
    fn poll_timeout(&self) -> Option<Mono>;
}

impl Core for Stack {
    fn handle_input(&mut self, input: Input, now: Now) {
        Self::handle_input(self, input, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn poll_timeout(&self) -> Option<Mono> {
        Self::poll_timeout(self)
    }
}
