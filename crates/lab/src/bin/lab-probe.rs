//! Plain sockets in the hands of a test: `lab-probe`. Orders come by standard input.

use std::process::ExitCode;

fn main() -> ExitCode {
    match meshline_lab::run_probe() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-probe: {error}");
            ExitCode::FAILURE
        }
    }
}
