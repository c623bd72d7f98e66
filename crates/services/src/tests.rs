//! The chat on its own.
