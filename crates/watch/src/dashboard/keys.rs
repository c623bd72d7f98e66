//! What keys do.

use super::{Dashboard, Mode, Panel};
use crate::input::{Action, Key, Now, Source};

#[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing in most places")]
impl Dashboard {
    pub(super) fn handle_key(&mut self, key: Key, now: Now) -> Option<Action> {
        match key {
            Key::Ctrl('c') => return Some(Action::Quit),
            Key::Ctrl('z') => return Some(Action::Suspend),
            Key::Ctrl('l') => return Some(Action::Redraw),
            _ => {}
        }
        match self.mode {
            Mode::Browse => self.browse(key),
            Mode::Filter => self.type_filter(key),
            Mode::Compose => self.compose(key, now),
            Mode::Help | Mode::Detail => self.close(key),
        }
    }

    pub(super) fn handle_paste(&mut self, text: &str) {
        match self.mode {
            Mode::Compose => self.message.insert(&text.replace("\r\n", "\n").replace('\r', "\n")),
            Mode::Filter => {
                let line = text.lines().next().unwrap_or("");
                self.filter_mut(self.focus).insert(line);
            }
            Mode::Browse | Mode::Help | Mode::Detail => {}
        }
    }

    fn browse(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Char('q') => return Some(Action::Quit),
            Key::Char('r') => return Some(Action::Ask(self.focus.source())),
            Key::Char('?') => self.mode = Mode::Help,
            Key::Char('/') => self.mode = Mode::Filter,
            Key::Char('m') => self.begin_message(),
            Key::Char('z') => self.is_zoomed = !self.is_zoomed,
            Key::Tab | Key::Right => self.focus = self.focus.moved(1),
            Key::BackTab | Key::Left => self.focus = self.focus.moved(Panel::ALL.len() - 1),
            Key::Esc => self.step_back(),
            Key::Enter if self.focus == Panel::Chat => self.begin_message(),
            Key::Enter if self.cursor(self.focus).chosen().is_some() => self.mode = Mode::Detail,
            Key::Char(digit @ '1'..='6') => self.choose(digit),
            other if matches!(self.focus, Panel::Chat | Panel::Events) => {
                self.scroll(self.focus).handle_key(other);
            }
            other => {
                self.cursor(self.focus).handle_key(other);
            }
        }
        None
    }

    fn choose(&mut self, digit: char) {
        let chosen = Panel::ALL.iter().find(|panel| panel.number().to_string().starts_with(digit));
        self.focus = chosen.copied().unwrap_or(self.focus);
    }

    /// Out of what was entered last: the filter, then the zoom.
    fn step_back(&mut self) {
        if self.filter(self.focus).is_empty() {
            self.is_zoomed = false;
        } else {
            self.filter_mut(self.focus).take();
        }
    }

    fn begin_message(&mut self) {
        self.focus = Panel::Chat;
        self.mode = Mode::Compose;
    }

    fn type_filter(&mut self, key: Key) -> Option<Action> {
        match key {
            Key::Enter => self.mode = Mode::Browse,
            Key::Esc => {
                self.filter_mut(self.focus).take();
                self.mode = Mode::Browse;
            }
            Key::Up | Key::Down | Key::PageUp | Key::PageDown => {
                self.mode = Mode::Browse;
                return self.browse(key);
            }
            other => {
                self.filter_mut(self.focus).handle_key(other);
            }
        }
        None
    }

    fn compose(&mut self, key: Key, now: Now) -> Option<Action> {
        match key {
            Key::Enter => return self.send(now),
            Key::Esc => self.mode = Mode::Browse,
            Key::Up | Key::Down | Key::PageUp | Key::PageDown => {
                self.scroll(Panel::Chat).handle_key(key);
            }
            other => {
                self.message.handle_key(other);
            }
        }
        None
    }

    fn send(&mut self, now: Now) -> Option<Action> {
        if self.sending.is_some() {
            self.notify("the last message is still on its way to the member".to_owned(), now);
            return None;
        }
        if self.message.text().trim().is_empty() {
            self.mode = Mode::Browse;
            return None;
        }
        let text = self.message.take();
        self.sending = Some(text.clone());
        Some(Action::Send(text))
    }

    fn close(&mut self, key: Key) -> Option<Action> {
        let was = std::mem::replace(&mut self.mode, Mode::Browse);
        match key {
            // What is known of the next row, without closing and opening again.
            Key::Up | Key::Down | Key::Char('j' | 'k') if was == Mode::Detail => {
                self.mode = was;
                self.browse(key)
            }
            Key::Char('r') => Some(Action::Ask(Source::Status)),
            _ => None,
        }
    }
}
