//! `cargo xtask bench chat`: the figures of the chat and of what shows it, as `bench mesh` prints its own. One file a
//! figure, in [`FIGURES`]. What needs a browser is skipped, each with a line, where there is none.

mod api;
mod bare;
mod disk;
mod history;
mod page;
mod paint;
mod talk;

use super::Figure;

pub(super) const FIGURES: &[Figure] = &[disk::run, talk::run, paint::run, history::run, api::run];
