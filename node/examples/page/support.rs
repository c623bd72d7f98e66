//! The browser of the page's tests. It stands there because they are what it is for, and no crate right of the programs
//! may be used by them.

#[path = "../../tests/it/support/driver.rs"]
#[expect(dead_code, reason = "the tests ask more of it")]
pub(crate) mod driver;
#[path = "../../tests/it/support/http.rs"]
#[expect(dead_code, reason = "the tests ask more of it")]
mod http;
#[path = "../../tests/it/support/process.rs"]
#[expect(dead_code, reason = "the tests ask more of it")]
mod process;
#[path = "../../tests/it/support/wait.rs"]
pub(crate) mod wait;
