//! The page of a node in a real browser, beside real nodes. Without Chromium and chromedriver all that needs them is
//! skipped, each with a line that says so.
//!
//! Pictures of every state are kept in the folder `page` of the build output.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on stops")]

mod access;
mod comfort;
mod faults;
mod gateway;
mod guard;
mod hostile;
mod ledger;
mod long;
mod mesh_view;
mod support;
mod talk;
