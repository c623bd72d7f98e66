//! A bare server: hyper with the timer of a real server, and nothing else.

use std::convert::Infallible;
use std::io::Result;
use std::path::Path;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// The bytes of a file for whatever is asked.
pub(crate) async fn file(path: &Path) -> Result<()> {
    let is_page = path.extension().is_some_and(|extension| extension == "html");
    let content_type = if is_page { "text/html; charset=utf-8" } else { "application/json" };
    let body = Bytes::from(std::fs::read(path)?);
    serve(move |_| std::future::ready(answer(content_type, Body::from(body.clone())))).await
}

/// Serves on a free port of loopback, and prints which.
pub(crate) async fn serve<H, F>(handle: H) -> Result<()>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let handle = handle.clone();
        let service = service_fn(move |request| {
            let answer = handle(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let mut protocol = http1::Builder::new();
        protocol.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
        tokio::spawn(protocol.serve_connection(TokioIo::new(stream), service));
    }
}

/// A 200 with this body.
pub(crate) fn answer(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
