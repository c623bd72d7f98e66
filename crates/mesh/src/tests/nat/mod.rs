//! Where others see a node, and what they let it know, behind modelled routers.

mod answers;
mod bounds;
mod calls;
mod liars;
mod seen;
mod world;
