//! Where random bytes come from: from outside, so that tests repeat.

/// A source of random bytes that nobody can foresee, such as the system's.
pub trait Random {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// If the source has none to give.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom>;
}

/// The source gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandom;
