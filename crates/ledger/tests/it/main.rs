//! The tests of the ledger. Names that begin with `a1_` … `f14_` are the weaknesses the rules were made against.

mod amounts;
mod chain;
mod encoding;
mod signatures;
mod support;
