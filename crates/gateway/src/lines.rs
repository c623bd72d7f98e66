//! The first line of each side of a stream.

use std::time::Duration;

use meshline_protocol::Code;
use meshline_protocol::opening::{MAX_OPENING, StreamAnswer, StreamOpened, StreamRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::refusal::{Refusal, refuse};

/// Asks for something and waits for it.
pub(crate) async fn ask<S>(stream: &mut S, request: &StreamRequest, limit: Duration) -> Result<StreamOpened, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    write(stream, request).await?;
    let answer = timeout(limit, read(stream)).await;
    let answer = answer.map_err(|_| refuse(Code::TunnelLost, "the member does not answer the request"))?;
    match answer? {
        StreamAnswer::Opened(opened) => Ok(opened),
        StreamAnswer::Refused(refusal) => Err(refusal),
    }
}

/// Writes one line.
pub(crate) async fn write<S, T>(stream: &mut S, value: &T) -> Result<(), Refusal>
where
    S: AsyncWrite + Unpin + ?Sized,
    T: Serialize,
{
    let mut line = serde_json::to_vec(value).map_err(|error| refuse(Code::InvalidMessage, error.to_string()))?;
    line.push(b'\n');
    let written = async {
        stream.write_all(&line).await?;
        stream.flush().await
    };
    written.await.map_err(|error| refuse(Code::TunnelLost, error.to_string()))
}

/// Reads one line and not a byte of what follows.
pub(crate) async fn read<S, T>(stream: &mut S) -> Result<T, Refusal>
where
    S: AsyncRead + Unpin + ?Sized,
    T: DeserializeOwned,
{
    let mut line = Vec::with_capacity(256);
    loop {
        match stream.read_u8().await {
            Ok(b'\n') => break,
            Ok(_) if line.len() + 1 >= MAX_OPENING => {
                return Err(refuse(Code::FrameTooLong, "the first line of a stream is longer than 4096 bytes"));
            }
            Ok(byte) => line.push(byte),
            Err(error) => return Err(refuse(Code::TunnelLost, format!("the stream ended early: {error}"))),
        }
    }
    serde_json::from_slice(&line).map_err(|error| refuse(Code::InvalidMessage, error.to_string()))
}
