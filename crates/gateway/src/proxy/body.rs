//! The body of one request, and nothing behind it: what a client sends next is for the proxy, with its password for the
//! proxy, and must not reach the server of the request before.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::copy::Local;

/// Longest line that says how long a chunk is, or that stands behind the last one.
const MAX_LINE: usize = 4 * 1024;

/// Lines behind the last chunk.
const MAX_TRAILERS: usize = 100;

/// How much of a body is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Bytes(u64),
    /// Chunks (RFC 9112, 7.1).
    Chunks(Chunks),
}

/// Where in chunks a body is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    /// Bytes of the line that is read, its end not counted.
    line: usize,
    size: Option<u64>,
    trailers: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum At {
    /// The digits of a size.
    #[default]
    Size,
    /// What stands behind them.
    Extension,
    /// Bytes of a chunk.
    Content(u64),
    /// The line end behind a chunk.
    Behind,
    /// Lines behind the last chunk.
    Trailer,
    Over,
}

/// What comes is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Body {
    /// What the headers of a request say; an error if they say it in two ways, by which servers differ.
    pub(super) fn of(headers: &[httparse::Header<'_>]) -> Result<Self, Broken> {
        let named = |name: &'static str| headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        let mut lengths = named("content-length").map(|header| header.value.trim_ascii());
        let mut codings = named("transfer-encoding").map(|header| header.value.trim_ascii());
        match (lengths.next(), codings.next()) {
            (None, None) => Ok(Self::Bytes(0)),
            (None, Some(coding)) if codings.next().is_none() && coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(Self::Chunks(Chunks::default()))
            }
            (Some(length), None) if lengths.next().is_none() && length.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok()).map(Self::Bytes).ok_or(Broken)
            }
            _ => Err(Broken),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Bytes(left) => *left == 0,
            Self::Chunks(chunks) => chunks.at == At::Over,
        }
    }

    /// How many of these bytes belong to it.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<usize, Broken> {
        match self {
            Self::Bytes(left) => {
                let taken = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunks(chunks) => chunks.take(data),
        }
    }
}

impl Chunks {
    fn take(&mut self, data: &[u8]) -> Result<usize, Broken> {
        let mut taken = 0;
        while let Some((byte, rest)) = data.get(taken..).and_then(<[u8]>::split_first) {
            match &mut self.at {
                At::Over => break,
                At::Content(left) => {
                    let bytes = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len() + 1);
                    *left -= bytes as u64;
                    taken += bytes;
                    if *left == 0 {
                        self.at = At::Behind;
                    }
                }
                At::Size | At::Extension | At::Behind | At::Trailer => {
                    self.take_byte(*byte)?;
                    taken += 1;
                }
            }
        }
        Ok(taken)
    }

    /// One byte of a line.
    fn take_byte(&mut self, byte: u8) -> Result<(), Broken> {
        if byte == b'\n' {
            return self.end_line();
        }
        if byte == b'\r' {
            return Ok(());
        }
        self.line += 1;
        if self.line > MAX_LINE {
            return Err(Broken);
        }
        match (&self.at, char::from(byte).to_digit(16)) {
            (At::Size, Some(digit)) => {
                let size = self.size.unwrap_or(0);
                self.size = Some(size.checked_mul(16).and_then(|size| size.checked_add(digit.into())).ok_or(Broken)?);
            }
            (At::Size, None) if self.size.is_some() && matches!(byte, b';' | b' ' | b'\t') => self.at = At::Extension,
            (At::Extension | At::Trailer, _) => {}
            _ => return Err(Broken),
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), Broken> {
        let was_empty = std::mem::take(&mut self.line) == 0;
        self.at = match (&self.at, self.size) {
            (At::Size | At::Extension, Some(0)) => At::Trailer,
            (At::Size | At::Extension, Some(size)) => At::Content(size),
            (At::Behind, _) => At::Size,
            (At::Trailer, _) if was_empty => At::Over,
            (At::Trailer, _) if self.trailers < MAX_TRAILERS => {
                self.trailers += 1;
                At::Trailer
            }
            _ => return Err(Broken),
        };
        if self.at == At::Size {
            self.size = None;
        }
        Ok(())
    }
}

/// A client of whom the body of one request is read, and to whom its answer goes.
pub(super) struct OneRequest {
    client: TcpStream,
    body: Body,
    answered: bool,
    /// Waits for the answer, or for the client to leave.
    reader: Option<Waker>,
}

impl OneRequest {
    pub(super) fn new(client: TcpStream, body: Body) -> Self {
        Self { client, body, answered: false, reader: None }
    }

    /// The body is over. An end that goes on now would make some servers give up on the answer, so it waits for that;
    /// what else comes stays where it is.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.answered {
            return Poll::Ready(Ok(()));
        }
        let mut byte = [0];
        match self.client.poll_peek(context, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(_)) | Poll::Pending => {
                self.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for OneRequest {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.body.is_over() {
            return this.poll_end(context);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.client).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        let taken = this.body.take(new).map_err(|Broken| io::Error::from(io::ErrorKind::InvalidData))?;
        buffer.set_filled(before + taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for OneRequest {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().client).poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().client).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.answered = true;
        if let Some(reader) = this.reader.take() {
            reader.wake();
        }
        Pin::new(&mut this.client).poll_shutdown(context)
    }
}

impl Local for OneRequest {
    fn abort(&self) {
        self.client.abort();
    }
}

#[cfg(test)]
mod tests;
