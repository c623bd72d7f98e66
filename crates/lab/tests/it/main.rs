//! Tests with real processes, on this machine and on hosts made of network namespaces.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on stops")]

mod seed;

