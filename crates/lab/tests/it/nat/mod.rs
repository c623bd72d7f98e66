//! Sites behind NATs: that each does what its name says, shown with plain sockets, and what meshline makes of them.

mod cells;
mod changes;
mod homes;
mod kinds;
mod public;
