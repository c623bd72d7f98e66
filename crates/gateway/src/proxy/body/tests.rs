//! Where bodies end, however they are cut into pieces.

use super::*;

fn of(lines: &[(&str, &str)]) -> Result<Body, Broken> {
    let headers: Vec<httparse::Header<'_>> =
        lines.iter().map(|(name, value)| httparse::Header { name, value: value.as_bytes() }).collect();
    Body::of(&headers)
}

/// How much of `data` belongs to a body, read in pieces of `piece`.
fn taken(mut body: Body, data: &[u8], piece: usize) -> Result<(usize, bool), Broken> {
    let mut all = 0;
    for part in data.chunks(piece) {
        let taken = body.take(part)?;
        all += taken;
        if taken < part.len() {
            break;
        }
    }
    Ok((all, body.is_over()))
}

#[test]
fn headers_say_how_long_a_body_is_and_never_in_two_ways() {
    assert_eq!(of(&[("Accept", "x")]), Ok(Body::Bytes(0)));
    assert_eq!(of(&[("content-Length", " 12 ")]), Ok(Body::Bytes(12)));
    assert_eq!(of(&[("Transfer-Encoding", "Chunked")]), Ok(Body::Chunks(Chunks::default())));
    for wrong in [
        &[("Content-Length", "1"), ("Content-Length", "2")][..],
        &[("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
        &[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "gzip")],
        &[("Transfer-Encoding", "gzip, chunked")],
        &[("Content-Length", "+1")],
        &[("Content-Length", "")],
        &[("Content-Length", "99999999999999999999")],
    ] {
        assert_eq!(of(wrong), Err(Broken), "{wrong:?}");
    }
}

#[test]
fn a_body_ends_where_it_says_whatever_follows_and_however_it_comes() {
    let chunks = b"4;a=b\r\nbody\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    let whole = [&chunks[..], b"GET http://other/ HTTP/1.1\r\n"].concat();
    for piece in 1..whole.len() {
        assert_eq!(taken(Body::Chunks(Chunks::default()), &whole, piece), Ok((chunks.len(), true)), "{piece}");
        assert_eq!(taken(Body::Bytes(7), &whole, piece), Ok((7, true)), "{piece}");
    }
    for cut in 0..chunks.len() {
        assert_eq!(taken(Body::Chunks(Chunks::default()), &chunks[..cut], 3), Ok((cut, false)), "{cut}");
    }
}

#[test]
fn what_is_no_chunk_breaks() {
    let long = format!("1;{}\r\n", "x".repeat(MAX_LINE));
    let trailers = |count: usize| format!("0\r\n{}\r\n", "a: b\r\n".repeat(count));
    let just = trailers(MAX_TRAILERS);
    assert_eq!(taken(Body::Chunks(Chunks::default()), just.as_bytes(), 64), Ok((just.len(), true)));
    for wrong in ["\r\n", "x\r\n", "-1\r\n", "10000000000000000\r\n", "1\r\nab\r\n", &long, &trailers(MAX_TRAILERS + 1)]
    {
        assert_eq!(taken(Body::Chunks(Chunks::default()), wrong.as_bytes(), 64), Err(Broken), "{wrong}");
    }
}
