//! Sites behind NATs: that each does what its name says, shown with plain sockets, and what meshline makes of them.

mod changes;
mod homes;
mod kinds;
mod public;
