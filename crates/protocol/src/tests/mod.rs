//! The codec and the values, one file an area.

mod frames;
mod golden;
mod values;
