//! Plain ends and pipes for tunnels that somebody else measures, each a process of its own on a host of its own: what
//! copies, with TLS on one side or without; what echoes and who asks; a stream of stamped records; and who opens
//! connections through a SOCKS5 proxy, one after the other.

use std::time::{Duration, Instant};

use meshline_net::tls::TlsIdentity;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::stack::key;
use crate::stream::{Wanted, arrived, body, end_with_input};

/// Bytes a pipe takes at once: rustls otherwise reads four KiB at a time.
const PIECE: usize = 128 * 1024;

/// Bytes of an echo, and of a record unless told otherwise.
const MESSAGE: usize = 64;

/// Copies from `--at` to `--to`; with `--tls enter` what goes on is TLS, with `--tls leave` what comes is.
pub(crate) async fn pipe(words: &[String]) {
    let wanted = Wanted(words);
    let (side, to) = (wanted.text("--tls").unwrap_or("none").to_owned(), wanted.text("--to").expect("--to").to_owned());
    let tls = TlsIdentity::new(&key(u32::from(side == "enter") + 90)).unwrap();
    serve(words, move |mut one| {
        let (side, to, tls) = (side.clone(), to.clone(), tls.clone());
        async move {
            let Ok(mut other) = TcpStream::connect(to).await else { return };
            other.set_nodelay(true).unwrap();
            match side.as_str() {
                "enter" => join(one, tls.connect(BufReader::with_capacity(PIECE, other)).await.unwrap().0).await,
                "leave" => join(other, tls.accept(BufReader::with_capacity(PIECE, one)).await.unwrap().0).await,
                _ => drop(copy_bidirectional_with_sizes(&mut one, &mut other, PIECE, PIECE).await),
            }
        }
    })
    .await;
}

async fn join(mut plain: TcpStream, mut sealed: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = copy_bidirectional_with_sizes(&mut plain, &mut sealed, PIECE, PIECE).await;
}

/// Gives back what comes.
pub(crate) async fn echo(words: &[String]) {
    serve(words, |mut stream| async move {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
            if stream.write_all(&buffer[..bytes]).await.is_err() {
                return;
            }
        }
    })
    .await;
}

/// Takes records, says when each was there.
pub(crate) async fn take(words: &[String]) {
    let length = Wanted(words).body();
    serve(words, move |stream| async move {
        let (mut stream, mut record) = (BufReader::with_capacity(PIECE, stream), vec![0; length]);
        while stream.read_exact(&mut record).await.is_ok() {
            arrived(&record);
        }
    })
    .await;
}

async fn serve<F: Future<Output = ()> + Send + 'static>(words: &[String], take: impl Fn(TcpStream) -> F) {
    end_with_input();
    let listener = TcpListener::bind(Wanted(words).text("--at").expect("--at")).await.unwrap();
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        drop(tokio::spawn(take(stream)));
    }
}

/// Gives a record every `--interval-us`.
pub(crate) async fn give(words: &[String]) {
    end_with_input();
    let wanted = Wanted(words);
    let mut stream = TcpStream::connect(wanted.text("--to").expect("--to")).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut pace = interval(Duration::from_micros(wanted.number("--interval-us").unwrap_or(1_000).into()));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        pace.tick().await;
        stream.write_all(&body(number, wanted.body())).await.unwrap();
    }
}

/// Asks for `--count` echoes, two milliseconds apart, and prints the time of each in microseconds.
pub(crate) async fn ask(words: &[String]) {
    let wanted = Wanted(words);
    let mut stream = TcpStream::connect(wanted.text("--to").expect("--to")).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut message = [7; MESSAGE];
    for _ in 0..wanted.number("--count").unwrap_or(1_000) {
        let began = Instant::now();
        stream.write_all(&message).await.unwrap();
        stream.read_exact(&mut message).await.unwrap();
        println!("{}", began.elapsed().as_micros());
        sleep(Duration::from_millis(2)).await;
    }
}

/// Opens `--count` connections through the SOCKS5 proxy at `--proxy` to the echo at `--to` (`name:port`), `--at-once` of
/// them at any time, an echo on each, and prints how many a second.
pub(crate) async fn socks(words: &[String]) {
    let wanted = Wanted(words);
    let proxy = wanted.text("--proxy").expect("--proxy").to_owned();
    let (host, port) = wanted.text("--to").and_then(|to| to.rsplit_once(':')).expect("--to name:port");
    let (count, at_once) = (wanted.number("--count").unwrap_or(1_000), wanted.number("--at-once").unwrap_or(1));
    let mut request = vec![5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    request.extend(host.as_bytes());
    request.extend(port.parse::<u16>().unwrap().to_be_bytes());
    let began = Instant::now();
    let asking: Vec<_> = (0..at_once)
        .map(|_| {
            let (proxy, request) = (proxy.clone(), request.clone());
            tokio::spawn(async move {
                for _ in 0..count / at_once {
                    once(&proxy, &request).await;
                }
            })
        })
        .collect();
    for one in asking {
        one.await.unwrap();
    }
    println!("{}", f64::from(count / at_once * at_once) / began.elapsed().as_secs_f64());
}

async fn once(proxy: &str, request: &[u8]) {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&[5, 1, 0]).await.unwrap();
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[1], 0, "the proxy refuses");
    let rest = match answer[3] {
        1 => 6,
        3 => usize::from(stream.read_u8().await.unwrap()) + 2,
        _ => 18,
    };
    stream.read_exact(&mut vec![0; rest]).await.unwrap();
    let mut message = [3; MESSAGE];
    stream.write_all(&message).await.unwrap();
    stream.read_exact(&mut message).await.unwrap();
}
