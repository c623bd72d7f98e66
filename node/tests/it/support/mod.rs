//! What the tests stand on: nodes, a browser, and the page as a person sees it.

pub(crate) mod browser;
pub(crate) mod driver;
pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod page;
pub(crate) mod process;
pub(crate) mod stranger;
pub(crate) mod wait;
