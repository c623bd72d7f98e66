//! Why something is not opened: one type from the far exit to the local listener.

use std::io;

use meshline_protocol::Code;
use meshline_protocol::limits::MAX_DETAIL;
pub use meshline_protocol::opening::StreamRefusal as Refusal;

/// A refusal whose sentence keeps its bound.
pub(crate) fn refuse(code: Code, detail: impl Into<String>) -> Refusal {
    let mut detail: String = detail.into();
    if detail.len() > MAX_DETAIL {
        let end = (0..=MAX_DETAIL).rev().find(|at| detail.is_char_boundary(*at)).unwrap_or(0);
        detail.truncate(end);
    }
    Refusal { code, detail }
}

/// What a failed attempt to connect means.
pub(crate) fn unreached(what: &str, error: &io::Error) -> Refusal {
    const REFUSED: &[io::ErrorKind] =
        &[io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound, io::ErrorKind::ResourceBusy];
    let is_refused = REFUSED.contains(&error.kind());
    let code = if is_refused { Code::TargetRefused } else { Code::TargetUnreachable };
    refuse(code, format!("{what}: {error}"))
}
