//! `watch`: what a member does, on a terminal, as it happens.
//!
//! [`Dashboard`] is plain state: it is told keys, answers and the time, says what it wants done, and is drawn. What asks
//! the member (`fetch`) and what reads keys (`terminal`) is thin and never waited for: a member that hangs leaves what
//! is shown as it is, with its age beside it.

mod dashboard;
pub mod documents;
mod draw;
mod fetch;
mod input;
mod once;
mod run;
mod terminal;
mod text;
mod theme;
mod words;

pub use dashboard::{Dashboard, MAX_HAPPENED, MAX_MESSAGES, MAX_ROWS, MAX_SAMPLES, MAX_SERIES, Panel, Settings};
pub use input::{Action, Answer, Event, Fault, Key, Now, Source};
pub use run::{WatchArgs, run};
pub use theme::Theme;
