//! What `cargo xtask bench chat` measures the local API with: a bare hyper server that answers the bytes of a file,
//! and a client that asks over some connections as fast as it is answered.
//!
//! `http serve FILE` prints the address it listens on and serves until it is ended.
//! `http ask ADDRESS PATH CONNECTIONS MILLIS` prints how many answers a second there were.
#![expect(clippy::print_stdout, reason = "what is printed is the result")]

use std::convert::Infallible;
use std::io::{Error, Result};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words.as_slice() {
        ["serve", file] => runtime.block_on(serve(std::fs::read(file)?.into())),
        ["ask", address, path, connections, millis] => {
            let (connections, millis) = (number(connections)?, number(millis)?);
            runtime.block_on(ask(address, path, connections, Duration::from_millis(millis)))
        }
        _ => Err(Error::other("serve FILE, or ask ADDRESS PATH CONNECTIONS MILLIS")),
    }
}

fn number(word: &str) -> Result<u64> {
    word.parse().map_err(Error::other)
}

/// With the timer of a real server, and nothing else.
async fn serve(body: Bytes) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let body = body.clone();
        let service = service_fn(move |_| {
            let mut response = Response::new(Body::from(body.clone()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
        tokio::spawn(protocol.serve_connection(TokioIo::new(stream), service));
    }
}

async fn ask(address: &str, path: &str, connections: u64, time: Duration) -> Result<()> {
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
