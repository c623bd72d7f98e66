//! Addresses as QR codes. They are made here and drawn by whoever asks: as rows of modules they are text, and a page
//! needs no code of its own for them.

use std::borrow::Cow;

use meshline_wallet::Address;
use qrcode::{Color, EcLevel, QrCode};
use schemars::JsonSchema;
use serde::Serialize;

/// `wallet/qr/{id}`
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct QrDocument {
    /// `meshline/wallet-qr/1`.
    schema: Cow<'static, str>,
    /// What it says: the address in capitals, which makes a smaller code and is the same address.
    text: String,
    /// Modules on each side. Around them four more have to stay light.
    size: usize,
    /// One text a row, one digit a module: 1 is dark.
    rows: Vec<String>,
}

impl QrDocument {
    /// The code of an address; `None` if it cannot be made, which no address is long enough for.
    pub(super) fn new(address: &Address) -> Option<Self> {
        let text = address.to_string().to_uppercase();
        // A seventh may be dirty; more makes it finer, and cameras of phones see it less well.
        let code = QrCode::with_error_correction_level(text.as_bytes(), EcLevel::M).ok()?;
        let digit = |module: &Color| if *module == Color::Dark { '1' } else { '0' };
        let size = code.width();
        let rows = code.to_colors().chunks(size).map(|row| row.iter().map(digit).collect()).collect();
        Some(Self { schema: "meshline/wallet-qr/1".into(), text, size, rows })
    }
}
