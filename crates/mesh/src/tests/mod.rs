//! Decisions by area. Two nodes and more meet in `sim`.

mod dialling;
mod duplicate;
mod liveness;
mod nat;
mod network_time;
mod relay;
mod relay_places;
mod ring_order;
mod routing;
mod seen;
mod steering;
mod time;
