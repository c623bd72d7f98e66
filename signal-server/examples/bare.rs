//! The least that a server in front of hyper can do: one answer of a given size to every request, on one thread.
//!
//! `bare PORT BYTES`; beside it the signal server is measured.

#![expect(clippy::expect_used, reason = "a program to measure with ends where it fails")]

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u32>().expect("a number"));
    let port = numbers.next().and_then(|port| u16::try_from(port).ok()).expect("a port");
    let size = numbers.next().expect("a size");
    let body = Bytes::from(vec![b'x'; usize::try_from(size).expect("a size")]);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let body = body.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| {
                let body = body.clone();
                async move {
                    // What was sent is read, as the signal server must.
                    let _ = request.into_body().collect().await;
                    Ok::<_, Infallible>(Response::new(Full::new(body)))
                }
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
