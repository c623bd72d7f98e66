//! The tests of the ledger. Names that begin with `a1_` … `f14_` are the weaknesses the rules were made against.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod amounts;
mod chain;
mod checker;
mod crashes;
mod difficulty;
mod encoding;
mod filters;
mod headers;
mod liar;
mod light;
mod light_lies;
mod mempool;
mod net;
mod real_disk;
mod redb_store;
mod relay;
mod rules;
mod signatures;
mod spread;
mod store;
mod support;
mod sync;
mod sync_bounds;
mod sync_limits;
mod sync_serving;
mod sync_unasked;
mod vectors;
mod verified;
mod weaknesses;
