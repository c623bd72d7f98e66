//! What lies between the two TAP devices of a cable: `lab-cable NAME NAME`. Orders come by standard input.

use std::process::ExitCode;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let [first, second] = names.as_slice() else {
        eprintln!("usage: lab-cable NAME NAME");
        return ExitCode::from(2);
    };
    match meshline_lab::run_cable([first, second]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab-cable: {error}");
            ExitCode::FAILURE
        }
    }
}
