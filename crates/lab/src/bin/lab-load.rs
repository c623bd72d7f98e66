//! A member that sends as much as its link takes: `lab-load ADDRESS [PEER]`. Orders come by standard input.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.as_slice() {
        [address] => meshline_lab::run_load(address, None),
        [address, peer] => meshline_lab::run_load(address, Some(peer)),
        _ => {
            eprintln!("usage: lab-load ADDRESS [PEER]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-load: {error}");
            ExitCode::FAILURE
        }
    }
}
