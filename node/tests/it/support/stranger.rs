//! A web server of somebody else on this machine: it serves one page to everybody.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Ends with the test.
#[derive(Debug)]
pub(crate) struct Stranger {
    pub(crate) port: u16,
    heard: Arc<Mutex<String>>,
    ended: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Serves this document at every address.
    pub(crate) fn serve(document: String) -> Self {
        Self::serve_at(0, document)
    }

    /// The same at a port that somebody else has left.
    pub(crate) fn serve_at(port: u16, document: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let ended = Arc::new(AtomicBool::new(false));
        let (document, end) = (Arc::new(document), Arc::clone(&ended));
        let heard = Arc::new(Mutex::new(String::new()));
        let hearing = Arc::clone(&heard);
        let server = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                let (document, heard) = (Arc::clone(&document), Arc::clone(&hearing));
                // Browsers open connections that they use later or never: each waits for its request by itself.
                std::thread::spawn(move || answer(stream, &document, &heard));
            }
        });
        Self { port, heard, ended, server: Some(server) }
    }

    /// The heads of all requests so far.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().expect("whole").clone()
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
fn answer(stream: TcpStream, document: &str, heard: &Mutex<String>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|count| count > 2) {}
    heard.lock().expect("whole").push_str(&head);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nconnection: close\r\n";
    let _ = write!(reader.get_mut(), "{head}content-length: {}\r\n\r\n{document}", document.len());
}
