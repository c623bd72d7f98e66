//! The rival of echoes and messages: lines of typed JSON over TCP, with nothing in between.

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::child::announce;

/// The same lines that meshline writes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// Wants a pong.
    Ping { nonce: u32, text: String },
    /// Wants nothing.
    Pong { nonce: u32, text: String },
}

impl Line {
    /// Appends it with its LF.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self).unwrap();
        out.push(b'\n');
    }
}

/// One end of a raw connection.
#[derive(Debug)]
pub(crate) struct Raw {
    reader: BufReader<OwnedReadHalf>,
    pub(crate) writer: OwnedWriteHalf,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: std::net::SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        let (reader, writer) = socket.into_split();
        Self { reader: BufReader::with_capacity(64 * 1024, reader), writer, input: Vec::new(), output: Vec::new() }
    }

    /// The next line; `None` at the end.
    pub(crate) async fn read(&mut self) -> Option<Line> {
        self.input.clear();
        match self.reader.read_until(b'\n', &mut self.input).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_slice(&self.input).unwrap()),
        }
    }

    /// One line, one write.
    pub(crate) async fn write(&mut self, line: &Line) {
        self.output.clear();
        line.write(&mut self.output);
        self.writer.write_all(&self.output).await.unwrap();
    }
}

/// Answers pings and takes in pongs.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    announce(listener.local_addr().unwrap(), None);
    let mut raw = Raw::over(listener.accept().await.unwrap().0);
    while let Some(line) = raw.read().await {
        if let Line::Ping { nonce, text } = line {
            raw.write(&Line::Pong { nonce, text }).await;
        }
    }
}
