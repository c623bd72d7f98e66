//! The lines at the beginning of a stream, and the texts of targets.

use crate::Code;
use crate::opening::*;
use crate::target::Target;
use crate::tests::golden::blessed;

fn check<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug>(name: &str, value: &T) {
    let line = serde_json::to_string(value).expect("plain data") + "\n";
    let golden = blessed(&format!("golden/{name}.json"), line.as_bytes());
    assert_eq!(line, String::from_utf8_lossy(&golden), "{name}");
    assert_eq!(&serde_json::from_slice::<T>(&golden).expect("reads"), value, "{name}");
    assert!(golden.len() <= MAX_OPENING, "{name}");
}

#[test]
fn every_line_of_a_stream_is_written_and_read_as_it_stands() {
    let target: Target = "tcp://127.0.0.1:80".parse().expect("valid");
    let open = OpenStream { target: Some(target.clone()), ..OpenStream::default() };
    let service = OpenStream { service: Some("web".parse().expect("valid")), ..OpenStream::default() };
    let listen = ListenStream { listener: 7, listen: "tcp://127.0.0.1:8080".parse().expect("valid") };
    let opened = StreamOpened { target: Some(target), address: Some("127.0.0.1:80".parse().expect("valid")) };
    let refused = StreamRefusal { code: Code::NoSuchService, detail: "nothing is called web here".to_owned() };
    check("stream.open", &StreamRequest::Open(open));
    check("stream.open.service", &StreamRequest::Open(service));
    check("stream.listen", &StreamRequest::Listen(listen));
    check("stream.incoming", &StreamRequest::Incoming(IncomingStream { listener: 7 }));
    check("stream.opened", &StreamAnswer::Opened(opened));
    check("stream.refused", &StreamAnswer::Refused(refused));
}

#[test]
fn a_target_reads_as_it_is_written() {
    for text in ["tcp://bobby.lan:80", "udp://[::1]:53", "unix:/run/db.sock", "serial:/dev/ttyUSB0,9600"] {
        assert_eq!(text.parse::<Target>().expect("valid").to_string(), text);
    }
    let device: Target = "serial:/dev/ttyUSB0".parse().expect("valid");
    assert_eq!(device.to_string(), "serial:/dev/ttyUSB0,115200");
}

#[test]
fn what_is_no_target_is_refused() {
    let long = format!("unix:/{}", "x".repeat(107));
    assert!(format!("unix:/{}", "x".repeat(106)).parse::<Target>().is_ok());
    for text in
        ["", "80", "tcp://", "tcp://host", "http://host:80", "unix:run", "serial:/dev/a,0", "serial:/a,b\n", &long]
    {
        assert!(text.parse::<Target>().is_err(), "{text:?}");
    }
}

#[test]
fn a_reason_longer_than_its_bound_is_refused() {
    let line = |length: usize| format!(r#"{{"refused":{{"code":"forbidden","detail":"{}"}}}}"#, "x".repeat(length));
    assert!(serde_json::from_str::<StreamAnswer>(&line(512)).is_ok());
    assert!(serde_json::from_str::<StreamAnswer>(&line(513)).is_err());
}
