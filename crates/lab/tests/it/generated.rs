//! What the programs make of their own command lines: completions for shells, and manual pages.

use meshline_lab::{Answer, Site, program};

const PROGRAMS: &[&str] = &["signal-server", "node", "view", "proxy", "config-tool"];

fn ask(name: &str, words: &[&str]) -> Answer {
    let mut command = Site::here().command(program(name));
    command.args(words);
    Answer::of(command)
}

#[test]
fn every_program_has_completions_for_three_shells_and_a_page_for_each_command() {
    for name in PROGRAMS {
        for (shell, begin) in [("bash", "_"), ("zsh", "#compdef "), ("fish", "")] {
            let text = ask(name, &["completions", shell]).done();
            assert!(
                text.starts_with(begin) && text.contains(name) && text.contains("config"),
                "{name}, {shell}: {text}"
            );
        }
        assert!(ask(name, &["man"]).done().contains(".TH"), "{name}");
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("made/by/it");
        let _ = ask(name, &["man", "--out", out.to_str().expect("a path")]).done();
        let page = |of: &str| std::fs::read_to_string(out.join(format!("{of}.1"))).unwrap_or_default();
        assert!(page(name).contains(".TH"), "{name}");
        let commands: &[&str] = match *name {
            "node" => &["run", "watch", "services", "advertise", "read", "connect", "ledger", "wallet"],
            "view" => &["run", "watch", "services", "advertise", "read", "connect", "wallet"],
            "config-tool" => &["ring", "invite", "check"],
            _ => &[],
        };
        for command in commands.iter().chain(&["completions", "man"]) {
            assert!(page(&format!("{name}-{command}")).contains(command), "{name} {command}");
        }
        let refused = ask(name, &["man", "--out", "/proc/nowhere"]);
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        assert!(refused.stderr.contains("/proc/nowhere"), "{name}: {refused:?}");
    }
}
