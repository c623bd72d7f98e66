//! The services on top of a node that is alone.
