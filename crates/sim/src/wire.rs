//! Frames as values, or through the codec as on a real link.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use meshline_mesh::{Input, LinkId};
use meshline_protocol::frame::encode;
use meshline_protocol::{Decoded, Decoder, Encoding, Frame};

/// How frames travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// As values: fast.
    #[default]
    Typed,
    /// Written and read again, in the encoding the link agreed on.
    Bytes,
}

/// Both directions of one end of a link.
#[derive(Debug)]
pub(crate) struct Codec {
    decoder: Decoder,
    encoding: Encoding,
    unread: BytesMut,
}

/// A frame on its way.
#[derive(Clone, Debug)]
pub(crate) enum Cargo {
    Frame(Arc<Frame>),
    Bytes(Bytes),
}

impl Cargo {
    /// The bytes of a written frame; a typed one has none.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Frame(_) => 0,
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }
}

impl Codec {
    pub(crate) fn new() -> Self {
        Self { decoder: Decoder::new(), encoding: Encoding::Json, unread: BytesMut::new() }
    }

    pub(crate) fn accept(&mut self, encoding: Encoding) {
        self.decoder.accept(encoding);
        self.encoding = encoding;
    }

    /// Writes a frame.
    ///
    /// # Panics
    /// If the core sends a frame that exceeds a limit, which is its mistake.
    pub(crate) fn write(&self, frame: &Frame) -> Cargo {
        match encode(frame, self.encoding) {
            Ok(bytes) => Cargo::Bytes(bytes),
            Err(error) => panic!("a node sends what cannot be written: {error}: {}", frame.message.kind()),
        }
    }

    /// Reads what came and says what it is to the node.
    pub(crate) fn read(&mut self, link: LinkId, bytes: &Bytes) -> Option<Input> {
        self.unread.extend_from_slice(bytes);
        match self.decoder.decode(&mut self.unread) {
            Ok(None) => None,
            Ok(Some(Decoded::Frame(frame))) => Some(Input::Frame { link, frame }),
            Ok(Some(Decoded::Unknown { tag })) => Some(Input::UnknownMessage { link, tag }),
            Ok(Some(Decoded::Invalid(fault))) => Some(Input::InvalidMessage { link, fault }),
            Err(fault) => Some(Input::LinkClosed { link, code: fault.code, detail: fault.detail }),
        }
    }
}
