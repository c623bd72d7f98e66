//! A web server of somebody else on this machine: it serves one page to everybody.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Ends with the test.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) port: u16,
    ended: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Serves this document at every address.
    pub(crate) fn serve(document: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let ended = Arc::new(AtomicBool::new(false));
        let (document, end) = (Arc::new(document), Arc::clone(&ended));
        let server = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let document = Arc::clone(&document);
                // Browsers open connections that they use later or never: each waits for its request by itself.
                std::thread::spawn(move || answer(stream, &document));
            }
        });
        Self { port, ended, server: Some(server) }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// Reads the head of a request and answers; a browser that has gone away does not need it.
fn answer(stream: TcpStream, document: &str) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        line.clear();
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nconnection: close\r\n";
    let _ = write!(reader.get_mut(), "{head}content-length: {}\r\n\r\n{document}", document.len());
}
