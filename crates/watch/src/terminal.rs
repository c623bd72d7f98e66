//! The terminal: taken over, and given back as it was, however the program ends.

use std::io::{self, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event as TermEvent, KeyCode, KeyEvent, KeyEventKind,
    KeyModifiers,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use tokio::sync::mpsc::{Receiver, channel};

use crate::input::{Event, Key};

/// Keys typed ahead; further ones wait in the terminal.
const MAX_TYPED: usize = 256;

/// Whether the terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Set once: a panic gives the terminal back before it says anything.
static HOOK: Once = Once::new();

/// A screen that is ours until it is dropped.
pub(crate) struct Screen {
    pub(crate) terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn take() -> io::Result<Self> {
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                next(panic);
            }));
        });
        let screen = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))? };
        enter()?;
        Ok(screen)
    }

    /// Gives it back for a while.
    pub(crate) fn leave(&mut self) {
        give_back();
    }

    /// Takes it again; nothing of what was drawn is there any more.
    pub(crate) fn come_back(&mut self) -> io::Result<()> {
        enter()?;
        self.forget()
    }

    /// Forgets what is on it: all is drawn anew. `Terminal::clear` would ask the terminal where its cursor is, and the
    /// answer goes to the thread that reads keys.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.terminal.backend_mut().clear()?;
        self.terminal.swap_buffers();
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    // First, so that a failure in the middle is undone too.
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A terminal that is gone needs nothing.
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = io::stdout().flush();
    }
}

/// What is typed. Reading blocks, so it has a thread of its own, which ends with the process; the end of the channel is
/// the end of the terminal.
pub(crate) fn typed() -> Receiver<Event> {
    let (sender, receiver) = channel(MAX_TYPED);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let Some(event) = told(event) else { continue };
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

fn told(event: TermEvent) -> Option<Event> {
    match event {
        TermEvent::Key(key) if key.kind != KeyEventKind::Release => pressed(key).map(Event::Key),
        TermEvent::Paste(text) => Some(Event::Paste(text)),
        TermEvent::Resize(..) => Some(Event::Tick),
        TermEvent::Key(_) | TermEvent::FocusGained | TermEvent::FocusLost | TermEvent::Mouse(_) => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "terminals have keys that mean nothing here")]
fn pressed(KeyEvent { code, modifiers, .. }: KeyEvent) -> Option<Key> {
    let with_control = modifiers.contains(KeyModifiers::CONTROL);
    Some(match code {
        KeyCode::Char(c) if with_control => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(_) if modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        _ => return None,
    })
}
