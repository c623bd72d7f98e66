//! How things look: sixteen colours or none, block characters or plain ones.
//!
//! Without colours everything is told apart by weight, reversal and underlining alone; nothing is said by colour only.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// The sixteen colours of the terminal; never others, so that its own scheme decides how they look.
    pub colour: bool,
    /// Characters beyond ASCII for borders, bars and marks.
    pub unicode: bool,
}

/// Eight heights of a bar.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The same where there is only ASCII.
const PLAIN_BARS: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];

impl Theme {
    fn coloured(self, colour: Color, plain: Modifier) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new().add_modifier(plain) }
    }

    /// All is well.
    #[must_use]
    pub fn good(self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    /// Worth a look.
    #[must_use]
    pub fn warn(self) -> Style {
        self.coloured(Color::Yellow, Modifier::BOLD)
    }

    /// Broken.
    #[must_use]
    pub fn bad(self) -> Style {
        self.coloured(Color::Red, Modifier::BOLD).add_modifier(Modifier::BOLD)
    }

    /// What stands out without being good or bad: keys, own messages, bars.
    #[must_use]
    pub fn accent(self) -> Style {
        self.coloured(Color::Cyan, Modifier::empty())
    }

    /// What is there for completeness.
    #[must_use]
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Headings.
    #[must_use]
    pub fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The row or tab that keys act on.
    #[must_use]
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The border of the panel that keys act on, or of any other.
    #[must_use]
    pub fn border(self, is_focused: bool) -> Style {
        if is_focused { self.accent().add_modifier(Modifier::BOLD) } else { self.dim() }
    }

    /// The last `width` values as bars, the newest at the right; what is not known is left blank. The highest bar is the
    /// greatest value, or `least` if that is more, so that noise about nothing stays low.
    #[must_use]
    pub fn bars(values: &[Option<f64>], width: usize, least: f64) -> String {
        let shown = values.get(values.len().saturating_sub(width)..).unwrap_or(values);
        let top = shown.iter().flatten().copied().fold(least, f64::max);
        let bars: String = shown.iter().map(|value| value.map_or(' ', |value| bar(value, top))).collect();
        " ".repeat(width.saturating_sub(shown.len())) + &bars
    }

    /// Replaces what only ASCII can show, once everything is drawn.
    pub(crate) fn translate(self, buffer: &mut Buffer) {
        if self.unicode {
            return;
        }
        for cell in buffer.content.iter_mut().filter(|cell| !cell.symbol().is_ascii()) {
            let c = cell.symbol().chars().next().unwrap_or(' ');
            cell.set_char(plain(c));
        }
    }
}

fn bar(value: f64, top: f64) -> char {
    let height = if top > 0.0 { (value / top).clamp(0.0, 1.0) * 7.0 } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
    let index = height.round() as usize;
    BARS.get(index).copied().unwrap_or(' ')
}

/// What says the same in ASCII, or that something stands here.
fn plain(c: char) -> char {
    let bar = BARS.iter().position(|bar| *bar == c).and_then(|at| PLAIN_BARS.get(at));
    match c {
        '─' => '-',
        '│' => '|',
        '┌' | '┐' | '└' | '┘' => '+',
        'µ' => 'u',
        '…' => '~',
        '·' => '-',
        '●' => '*',
        '○' => 'o',
        '×' => 'x',
        '±' => '~',
        '↑' => '^',
        '↓' => 'v',
        '→' => '>',
        '↵' => '/',
        _ => bar.copied().unwrap_or('?'),
    }
}

#[cfg(test)]
mod tests {
    use super::{Theme, plain};

    #[test]
    fn bars_show_the_newest_at_the_right_and_nothing_where_nothing_is_known() {
        let values = [Some(1.0), None, Some(0.0), Some(4.0), Some(8.0)];
        assert_eq!(Theme::bars(&values, 3, 0.0), "▁▅█");
        assert_eq!(Theme::bars(&values, 7, 0.0), "  ▂ ▁▅█");
        assert_eq!(Theme::bars(&[Some(0.0), Some(0.0)], 2, 0.0), "▁▁");
        assert_eq!(Theme::bars(&[Some(1.0)], 1, 100.0), "▁", "noise stays low");
        let drawn: String = Theme::bars(&values, 3, 0.0).chars().map(plain).collect();
        assert_eq!(drawn, "_=#");
    }
}
