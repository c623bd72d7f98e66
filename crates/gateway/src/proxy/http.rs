//! HTTP proxying: CONNECT for anything, and absolute URIs for `http:`.
//!
//! A request with an absolute URI goes on with its path alone, and asks the server to close behind its answer. It is the
//! only one of its connection: what follows its body, another request with the proxy's password perhaps, goes nowhere.

use std::sync::Arc;

use data_encoding::BASE64;
use meshline_protocol::{Address, Code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::body::{Body, OneRequest};
use super::credentials::are_known;
use super::{Proxy, reply};
use crate::carrier::Stream;
use crate::copy::{Local, carry};
use crate::counters::Place;
use crate::limits::{DRAIN_LIMIT, DRAIN_READS, GREETING_LIMIT, MAX_HEAD, MAX_HEADERS};
use crate::refusal::{Refusal, refuse};

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Headers that are between client and proxy (RFC 9110, 7.6.1).
const OWN_HEADERS: &[&str] =
    &["proxy-authorization", "proxy-connection", "connection", "keep-alive", "proxy-authenticate", "te"];

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) place: Address,
    /// What goes to the server first; of CONNECT nothing.
    pub(super) head: Option<Vec<u8>>,
    /// What follows the head; CONNECT's never ends.
    pub(super) body: Option<Body>,
    /// User and password, if they were given.
    pub(super) credentials: Option<(Vec<u8>, Vec<u8>)>,
}

/// Serves one client, whose first byte was read.
pub(super) async fn serve(mut client: TcpStream, first: u8, place: &Place, proxy: &Arc<Proxy>) -> Result<(), Refusal> {
    let outcome = serve_inner(&mut client, first, proxy).await;
    match outcome {
        Ok((connected, body)) => {
            let local: Box<dyn Local> = match body {
                Some(body) => Box::new(OneRequest::new(client, body)),
                None => Box::new(client),
            };
            carry(local, connected, place, proxy.shared.patience.stream_idle).await;
            Ok(())
        }
        Err((status, refusal)) => {
            let text = refused(status, &refusal);
            // A client that left before its refusal has lost nothing.
            let _ = client.write_all(text.as_bytes()).await;
            let _ = client.shutdown().await;
            let _ = timeout(DRAIN_LIMIT, drain(&mut client)).await;
            Err(refusal)
        }
    }
}

/// Takes what is still coming: closing before that would reset the connection, and the answer with it.
async fn drain(client: &mut TcpStream) {
    let mut ignored = [0; 2048];
    for _ in 0..DRAIN_READS {
        if !matches!(client.read(&mut ignored).await, Ok(bytes) if bytes > 0) {
            return;
        }
    }
}

type Failed = (&'static str, Refusal);

async fn serve_inner(
    client: &mut TcpStream,
    first: u8,
    proxy: &Proxy,
) -> Result<(Box<dyn Stream>, Option<Body>), Failed> {
    let bad = |refusal: Refusal| ("400 Bad Request", refusal);
    let head = timeout(GREETING_LIMIT, read_head(client, first)).await;
    let head = head.unwrap_or_else(|_| Err(refuse(Code::FrameTimeout, "the request did not come in time")));
    let wanted = head.and_then(|head| read(&head)).map_err(bad)?;
    let users = &proxy.config.users;
    let given = wanted.credentials.as_ref();
    if !users.is_empty() && !given.is_some_and(|(user, password)| are_known(users, user, password)) {
        let refusal = refuse(Code::Forbidden, "user and password are wanted");
        return Err(("407 Proxy Authentication Required", refusal));
    }
    let failed = |refusal: Refusal| (reply::http(refusal.code), refusal);
    let (via, wish) = proxy.wish(wanted.place.host(), wanted.place.port(), false).map_err(failed)?;
    let mut connected = proxy.shared.connector.connect(&via, wish).await.map_err(failed)?;
    let lost = |error: std::io::Error| failed(refuse(Code::TunnelLost, error.to_string()));
    match &wanted.head {
        Some(head) => connected.stream.write_all(head).await.map_err(lost)?,
        None => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.map_err(lost)?,
    }
    Ok((connected.stream, wanted.body))
}

fn refused(status: &str, refusal: &Refusal) -> String {
    let challenge = if status.starts_with("407") { "Proxy-Authenticate: Basic realm=\"meshline\"\r\n" } else { "" };
    let body = format!("{}: {}\n", refusal.code.name(), refusal.detail);
    format!(
        "HTTP/1.1 {status}\r\n{challenge}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Reads up to the empty line and not a byte further.
async fn read_head(client: &mut TcpStream, first: u8) -> Result<Vec<u8>, Refusal> {
    let lost = |error: std::io::Error| refuse(Code::ConnectionLost, error.to_string());
    let mut head = vec![first];
    let mut piece = [0; 2048];
    loop {
        let seen = client.peek(&mut piece).await.map_err(lost)?;
        let (before, end) = (head.len(), END_OF_HEAD.len());
        head.extend(piece.get(..seen).unwrap_or_default());
        let from = before.saturating_sub(end);
        let found = head.get(from..).and_then(|new| new.windows(end).position(|window| window == END_OF_HEAD));
        head.truncate(found.map_or(head.len(), |at| from + at + end));
        let taken = piece.get_mut(..head.len().saturating_sub(before)).unwrap_or_default();
        client.read_exact(taken).await.map_err(lost)?;
        match found {
            Some(_) if head.len() <= MAX_HEAD => return Ok(head),
            None if seen == 0 => return Err(refuse(Code::ConnectionLost, "the client left")),
            None if head.len() < MAX_HEAD => {}
            Some(_) | None => return Err(refuse(Code::FrameTooLong, format!("the head is over {MAX_HEAD} bytes"))),
        }
    }
}

/// What the head of a request says.
pub(super) fn read(head: &[u8]) -> Result<Wanted, Refusal> {
    let invalid = |what: &str| refuse(Code::InvalidMessage, what);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(invalid("an unfinished head")),
        Err(error) => return Err(invalid(&format!("not HTTP: {error}"))),
    }
    let (Some(method), Some(uri)) = (request.method, request.path) else { return Err(invalid("no request line")) };
    let credentials = request.headers.iter().find_map(credentials);
    if method == "CONNECT" {
        let place = uri.parse().map_err(|_| invalid("CONNECT needs host:port"))?;
        return Ok(Wanted { place, head: None, body: None, credentials });
    }
    let rest = uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).and_then(|_| uri.get(7..));
    let rest = rest.ok_or_else(|| invalid("this is a proxy: it wants an http:// URI or CONNECT"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let place = authority_place(authority).ok_or_else(|| invalid("not a host in the URI"))?;
    let body =
        Body::of(request.headers).map_err(|_| invalid("a body of two lengths, or coded otherwise than in chunks"))?;
    let head = rewritten(method, path, authority, request.headers);
    Ok(Wanted { place, head: Some(head), body: Some(body), credentials })
}

fn authority_place(authority: &str) -> Option<Address> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.parse().or_else(|_| format!("{host}:80").parse()).ok()
}

fn rewritten(method: &str, path: &str, authority: &str, headers: &[httparse::Header<'_>]) -> Vec<u8> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut out = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n").into_bytes();
    for header in headers {
        let is_own = OWN_HEADERS.iter().any(|own| header.name.eq_ignore_ascii_case(own));
        if !is_own && !header.name.eq_ignore_ascii_case("host") {
            out.extend(header.name.as_bytes());
            out.extend(b": ");
            out.extend(header.value);
            out.extend(b"\r\n");
        }
    }
    out.extend(b"\r\n");
    out
}

fn credentials(header: &httparse::Header<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    if !header.name.eq_ignore_ascii_case("proxy-authorization") {
        return None;
    }
    let text = std::str::from_utf8(header.value).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    let pair = BASE64.decode(encoded.trim().as_bytes()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let at = pair.iter().position(|byte| *byte == b':')?;
    let (user, password) = pair.split_at_checked(at)?;
    Some((user.to_vec(), password.get(1..)?.to_vec()))
}
