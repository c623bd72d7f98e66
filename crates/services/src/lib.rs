//! Services on top of the mesh, one folder each, and the stack that joins them with a node.
//!
//! A service sees what members broadcast under its name and sends texts of its own; how they travel
//! is the mesh's business. Like the mesh, services take inputs and the time and return outputs.

pub mod chat;
pub mod discovery;
pub mod imports;
mod registry;
mod stack;

pub use registry::{Command, Event, Reply};
pub use stack::{Input, Output, Settings, Stack};

#[cfg(test)]
mod tests;
