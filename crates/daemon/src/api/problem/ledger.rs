//! Refusals that have to do with the ledger and the wallet.

use axum::http::StatusCode;

use super::Problem;

impl Problem {
    /// This member has no ledger.
    pub(crate) fn no_ledger(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_ledger", detail)
    }

    /// What is asked has to do with the other way to have a ledger: to keep it whole, or to follow it.
    pub(crate) fn ledger_elsewhere(code: &'static str, detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// It has one already.
    pub(crate) fn ledger_present(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, "ledger_present", detail)
    }

    /// Its thread has too much to do.
    pub(crate) fn ledger_busy(detail: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_busy", detail)
    }

    /// Its files cannot be read or written.
    pub(crate) fn ledger_failed(detail: String) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ledger_failed", detail)
    }

    /// No block, or no transaction, is known by that name.
    pub(crate) fn no_such_block(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_block", detail)
    }

    /// A refusal of the wallet.
    pub(crate) fn wallet(code: &'static str, detail: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }
}
