//! Bytes both ways over a local connection, with an end that is told apart from a break.
//!
//! A Unix socket ends the same way whether all was said or the process at the other end died. So each piece bears its
//! length before it, four bytes with the highest first, and a piece of length zero is the end of its direction.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest piece: what one read takes at most. A longer one is a fault.
pub(crate) const MAX_PIECE: usize = 64 * 1024;

/// Writes what `from` gives in pieces, and the end.
pub(crate) async fn cut(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut piece = vec![0; MAX_PIECE];
    loop {
        let count = from.read(&mut piece).await?;
        to.write_u32(u32::try_from(count).unwrap_or(0)).await?;
        to.write_all(piece.get(..count).unwrap_or_default()).await?;
        to.flush().await?;
        if count == 0 {
            return Ok(());
        }
    }
}

/// Writes what stands in the pieces of `from`, and ends `to` at their end.
///
/// # Errors
/// If `from` breaks off before its end, or `to` takes no more.
pub(crate) async fn join(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut piece = vec![0; MAX_PIECE];
    loop {
        let count = usize::try_from(from.read_u32().await?).unwrap_or(usize::MAX);
        if count == 0 {
            to.flush().await?;
            return to.shutdown().await;
        }
        let piece = piece.get_mut(..count).ok_or(io::ErrorKind::InvalidData)?;
        from.read_exact(piece).await?;
        to.write_all(piece).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::{MAX_PIECE, cut, join};

    #[tokio::test]
    async fn what_is_cut_is_joined_whole_and_then_ends() {
        let data: Vec<u8> = (0..MAX_PIECE * 3 + 7).map(|at| u8::try_from(at % 251).expect("small")).collect();
        let (mut near, mut far) = duplex(1_000);
        let (mut bytes, mut joined) = (data.as_slice(), std::io::Cursor::new(Vec::new()));
        let (cutting, joining) = tokio::join!(cut(&mut bytes, &mut near), join(&mut far, &mut joined));
        assert!(cutting.is_ok() && joining.is_ok());
        assert!(joined.into_inner() == data);
    }

    #[tokio::test]
    async fn a_break_is_no_end_and_a_piece_too_long_is_a_fault() {
        for (heard, kind) in [
            (vec![], std::io::ErrorKind::UnexpectedEof),
            (vec![0, 0, 0, 9, 1, 2], std::io::ErrorKind::UnexpectedEof),
            (vec![0, 0, 0, 1, 1], std::io::ErrorKind::UnexpectedEof),
            (vec![0, 1, 0, 1], std::io::ErrorKind::InvalidData),
        ] {
            let error = join(&mut heard.as_slice(), &mut tokio::io::sink()).await.expect_err("no end");
            assert_eq!(error.kind(), kind, "{heard:?}");
        }
    }

    #[tokio::test]
    async fn a_piece_goes_on_before_the_next_one_comes() {
        let (mut typing, mut typed) = duplex(100);
        let (mut near, mut far) = duplex(100);
        let cutting = tokio::spawn(async move { cut(&mut typed, &mut near).await });
        typing.write_all(b"x").await.expect("room");
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.expect("at once");
        assert_eq!(heard, [0, 0, 0, 1, b'x']);
        drop(typing);
        assert!(cutting.await.expect("ends").is_ok());
    }
}
