//! `cargo xtask man FOLDER`: manual pages and completions of the five programs, for packages.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::workspace::PROGRAMS;

/// Shells with the folder and the name of what is made for each, in which `*` stands for the program.
const SHELLS: &[(&str, &str)] = &[
    ("bash", "bash-completion/completions/*"),
    ("zsh", "zsh/site-functions/_*"),
    ("fish", "fish/vendor_completions.d/*.fish"),
];

pub(crate) fn run(root: &Path, words: &[String]) -> Outcome {
    let [folder] = words else { return Err("expected one word, the folder to write into".to_owned()) };
    let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
    for program in PROGRAMS {
        let pages = folder.join("man/man1");
        made(root, program, &["man", "--out", &pages.to_string_lossy()])?;
        for (shell, place) in SHELLS {
            let path = folder.join(place.replace('*', program));
            let text = made(root, program, &["completions", shell])?;
            let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            written
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        println!("{program}: {}", folder.display());
    }
    Ok(())
}

/// Has a program make something of itself.
fn made(root: &Path, program: &str, words: &[&str]) -> Result<Vec<u8>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--package", program, "--"])
        .args(words)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{program} ended with {}", output.status)) }
}
