//! `cargo xtask bench chat`: the figures of the chat and of what shows it, as `bench mesh` prints its own. One file a
//! figure, in [`FIGURES`].

mod api;

use super::Figure;

pub(super) const FIGURES: &[Figure] = &[api::run];
