//! The codec and the values, one file an area.

mod docs;
mod frames;
mod golden;
mod opening;
mod stun;
mod values;
