//! Results on standard output.

use std::io::{self, Write};

/// Writes a text and an LF to standard output. A reader that went away (`… | head -1`) is no error:
/// it has what it wanted, and the program goes on to its end in silence.
///
/// # Errors
/// Any other failure to write, a full disk for one.
pub fn print(text: &str) -> io::Result<()> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(out: &mut impl Write, text: &str) -> io::Result<()> {
    let result = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a line to standard error; if that fails there is nobody left to tell.
pub fn print_error(text: &str) {
    let mut line = text.to_owned();
    line.push('\n');
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::print_to;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        assert!(print_to(&mut Failing(io::ErrorKind::BrokenPipe), "text").is_ok());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        assert!(print_to(&mut Failing(io::ErrorKind::StorageFull), "text").is_err());
    }
}
