//! Decisions by area. Two nodes and more meet in `sim`.

mod duplicate;
mod ring_order;
