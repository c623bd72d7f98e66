//! Asks over some connections, each as fast as it is answered.

use std::io::{Error, Result};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub(crate) async fn ask(address: &str, path: &str, connections: u64, time: Duration) -> Result<()> {
    let request: Bytes = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into();
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await?;
        asking.spawn(ask_on(stream, request.clone(), began + time));
    }
    let mut answers = 0;
    while let Some(one) = asking.join_next().await {
        answers += one.map_err(Error::other)??;
    }
    println!("{:.0}", f64::from(answers) / began.elapsed().as_secs_f64());
    Ok(())
}

async fn ask_on(mut stream: TcpStream, request: Bytes, until: Instant) -> Result<u32> {
    let mut buffer = vec![0; 64 * 1024];
    let mut answers = 0;
    while Instant::now() < until {
        stream.write_all(&request).await?;
        let mut have = 0;
        let mut whole = None;
        while whole.is_none_or(|whole| have < whole) {
            let room =
                buffer.get_mut(have..).filter(|room| !room.is_empty()).ok_or_else(|| Error::other("too long"))?;
            match stream.read(room).await? {
                0 => return Err(Error::other("the server ended the connection")),
                count => have += count,
            }
            whole = whole.or_else(|| length(buffer.get(..have)?));
        }
        answers += 1;
    }
    Ok(answers)
}

/// How long the answer is that begins so, if its head is complete. Only a 200 counts.
fn length(answer: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let is_ok = lines.next()?.contains(" 200 ");
    let body = lines.find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    is_ok.then_some(())?;
    body.map(|body: usize| head.len() + 4 + body)
}
