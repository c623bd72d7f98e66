//! The dashboard on a screen that is only memory. What it shows is compared with the files of `screens`, which
//! `MESHLINE_BLESS=1` writes anew.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on stops")]

mod bench;
mod hostile;
mod keys;
mod looks;
mod stale;
