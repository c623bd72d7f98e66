//! The console of the seed: `m` asks for a message, `q` leaves.

use meshline_mesh::Event as MeshEvent;
use meshline_net::MeshHandle;
use meshline_services::{Command, Event, Reply, chat};
use tokio::sync::mpsc::{Receiver, channel};

use crate::output::print;

/// Lines typed ahead.
const MAX_TYPED: usize = 64;

/// What the next line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expecting {
    Command,
    Text,
}

/// Reads commands until `q`; without a console, and after the end of input, waits for ever. `page` is the address of the
/// page with its token.
pub(super) async fn run(enabled: bool, page: Option<&str>, mesh: &MeshHandle) {
    if !enabled {
        return std::future::pending().await;
    }
    say("'m' - message, 'q' - quit");
    page.into_iter().for_each(say);
    let mut lines = typed();
    let mut events = mesh.subscribe();
    let mut expecting = Expecting::Command;
    let mut invited = false;
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => match handle(&line, expecting, mesh).await {
                    Some(next) => expecting = next,
                    None => return,
                },
                None => return std::future::pending().await,
            },
            event = events.recv(), if !invited => {
                let linked = event.is_ok_and(|event| matches!(&*event, Event::Mesh(MeshEvent::LinkUp { .. })));
                if linked {
                    invited = true;
                    say("command:");
                }
            }
        }
    }
}

/// Does what a line says and tells what the next one will be; `None` is the end.
async fn handle(line: &str, expecting: Expecting, mesh: &MeshHandle) -> Option<Expecting> {
    match (expecting, line.trim()) {
        (Expecting::Text, text) => {
            if !text.is_empty() {
                send(text, mesh).await;
            }
            say("command:");
        }
        (Expecting::Command, "m") => {
            say("Type your message:");
            return Some(Expecting::Text);
        }
        (Expecting::Command, "q") => return None,
        (Expecting::Command, "") => say("command:"),
        (Expecting::Command, other) => {
            say(&format!("'{}' is no command: 'm' - message, 'q' - quit", crate::log::escape(other)));
            say("command:");
        }
    }
    Some(Expecting::Command)
}

async fn send(text: &str, mesh: &MeshHandle) {
    let command = Command::Chat(chat::Command::Send { text: text.to_owned() });
    match mesh.command(command).await {
        Reply::Chat(chat::Reply::Refused { detail, .. })
        | Reply::Mesh(meshline_mesh::Reply::Refused { detail, .. }) => {
            say(&format!("not sent: {detail}"));
        }
        Reply::Chat(_) | Reply::Mesh(_) | Reply::Discovery(_) => {}
    }
}

/// Lines from standard input. Reading it blocks, so it has a thread of its own, which ends with the process.
fn typed() -> Receiver<String> {
    let (sender, receiver) = channel(MAX_TYPED);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(text: &str) {
    // Whoever closed the terminal does not want to read it.
    let _ = print(text);
}
