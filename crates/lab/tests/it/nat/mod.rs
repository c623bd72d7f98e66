//! Sites behind NATs: that each does what its name says, shown with plain sockets, and what meshline makes of them.

mod bounds;
mod cells;
mod changes;
mod collisions;
mod forwarded;
mod homes;
mod ipv6;
mod kinds;
mod public;
